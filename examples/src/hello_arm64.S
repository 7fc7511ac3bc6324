/*
 * hello: a tiny guest for QEMU's machine `virt` with a 64-bit Arm CPU.
 *
 * It prints a banner on the serial port, echoes what is typed there, and knows a few commands (see
 * `help` below). QEMU loads it as a Linux kernel (`-kernel`) and passes a device tree, where it finds
 * its devices. It runs where it starts, at EL1 or EL2, with the MMU off, interrupts masked, and waits
 * for an interrupt while there is nothing to do: a masked one ends the wait, too.
 *
 * Memory: this image at any place, behind it `RESERVED` bytes of variables and stack.
 *
 * Registers: x0–x17 are scratch, w0 or x0 is the first argument and the result; x19–x28 are kept:
 *   x19  PL011 (serial port)
 *   x20  PL061 (GPIO with the power button), 0 without one
 *   x21  `devices`, see below
 *   x22  `line`, the typed line
 *   x23  its length
 *   x24  1 when the last character was CR
 *
 * Sources: Linux Documentation/arch/arm64/booting.rst; Devicetree Specification 0.4, chapter 5; Arm
 * DDI 0183 (PL011), DDI 0190 (PL061), IHI 0048 and IHI 0069 (GIC), DEN 0022 (PSCI); PCI Firmware
 * Specification (ECAM); QEMU docs/specs/pvpanic.
 */
        .arch   armv8-a

        .equ    UART_DR,      0x000
        .equ    UART_FR,      0x018
        .equ    UART_IBRD,    0x024
        .equ    UART_FBRD,    0x028
        .equ    UART_LCRH,    0x02c
        .equ    UART_CR,      0x030
        .equ    UART_IMSC,    0x038
        .equ    FR_BUSY_BIT,  3
        .equ    FR_RXFE_BIT,  4             /* nothing received */
        .equ    FR_TXFF_BIT,  5             /* no room to send */
        .equ    LCRH_8N1,     3 << 5
        .equ    CR_RX_TX_ON,  1 << 9 | 1 << 8 | 1
        .equ    IMSC_RX,      1 << 6 | 1 << 4   /* receive, receive timeout */

        .equ    GPIO_DIR,     0x400
        .equ    GPIO_IS,      0x404
        .equ    GPIO_IBE,     0x408
        .equ    GPIO_IEV,     0x40c
        .equ    GPIO_IE,      0x410
        .equ    GPIO_RIS,     0x414
        .equ    GPIO_IC,      0x41c
        .equ    POWER_BIT,    3             /* line of the power button */

        .equ    GICD_CTLR,       0x0000
        .equ    GICD_IGROUPR1,   0x0084
        .equ    GICD_ISENABLER1, 0x0104
        .equ    GICD_ITARGETSR,  0x0800
        .equ    GICD_IROUTER,    0x6000
        .equ    GICC_CTLR,       0x0000
        .equ    GICC_PMR,        0x0004
        .equ    GICR_WAKER,      0x0014
        .equ    UART_INTID,      32 + 1
        .equ    GPIO_INTID,      32 + 7
        .equ    INTID_BITS,      1 << (UART_INTID - 32) | 1 << (GPIO_INTID - 32)

        .equ    HCR_RW_IMO,   1 << 31 | 1 << 4  /* EL1 is 64-bit; interrupts go to EL2 */
        .equ    ICC_SRE_ALL,  0xf

        .equ    PSCI_SYSTEM_OFF,   0x84000008
        .equ    PSCI_SYSTEM_RESET, 0x84000009

        .equ    PVPANIC_ID,       0x00111b36    /* device, vendor */
        .equ    PVPANIC_PANICKED_BIT, 0
        .equ    PCI_COMMAND,      0x04
        .equ    PCI_BAR0,         0x10
        .equ    PCI_MEMORY_ON,    1 << 1
        .equ    PCI_SPACE_MASK,   0x03000000
        .equ    PCI_SPACE_MEM32,  0x02000000

        .equ    FDT_MAGIC,    0xd00dfeed
        .equ    FDT_BEGIN_NODE, 1
        .equ    FDT_END_NODE, 2
        .equ    FDT_PROP,     3
        .equ    FDT_NOP,      4

        /* `devices`: for each row of `compatibles` the addresses of two property values, or 0. */
        .equ    D_REG,        0
        .equ    D_EXTRA,      8             /* `ranges` of PCI, `method` of PSCI */
        .equ    D_UART,       0 * 16
        .equ    D_GPIO,       1 * 16
        .equ    D_GICV2,      2 * 16
        .equ    D_GICV3,      3 * 16
        .equ    D_PCI,        4 * 16
        .equ    D_PSCI,       5 * 16

        .equ    LINE_MAX,     100

/* ------------------------------------------------------------------ header and start */
        .text
image:
        b       start
        .word   0
        .quad   0                           /* offset from a 2 MiB boundary */
        .quad   image_end + RESERVED - image
        .quad   1 << 3 | 1 << 1             /* anywhere in memory, 4 KiB pages, little endian */
        .quad   0, 0, 0
        .ascii  "ARM\x64"
        .word   0

start:
        msr     daifset, #15
        adr     x1, image_end + RESERVED
        mov     sp, x1
        adr     x21, devices
        mov     x2, x21
1:      stp     xzr, xzr, [x2], #16         /* what a reboot left behind */
        cmp     x2, x1
        b.lo    1b
        adr     x22, line
        mov     x23, #0
        mov     x24, #0

        adr     x2, vectors
        mrs     x1, CurrentEL
        cmp     x1, #2 << 2
        b.eq    2f
        msr     vbar_el1, x2
        b       3f
2:      msr     vbar_el2, x2
        ldr     x1, =HCR_RW_IMO
        msr     hcr_el2, x1
3:      isb

        bl      devices_init
        bl      serial_init
        bl      gpio_init
        bl      gic_init
        adr     x0, t_banner
        bl      print
        adr     x0, t_hint
        bl      print
        bl      prompt

/* The one loop: take what there is, else wait for an interrupt. */
loop:
        bl      serial_take
        tbz     w0, #31, 1f
        bl      power_button
        wfi
        b       loop
1:      bl      character
        b       loop

/* ------------------------------------------------------------------ line editor */

/* Handles the typed character w0. CR, LF and CR LF each end a line once. */
character:
        mov     x1, x24
        mov     x24, #0
        cmp     w0, #'\r'
        b.eq    1f
        cmp     w0, #'\n'
        b.ne    2f
        cbz     x1, end_of_line
        ret
1:      mov     x24, #1
        b       end_of_line
2:      cmp     w0, #8
        b.eq    rub_out
        cmp     w0, #127
        b.eq    rub_out
        cmp     w0, #3                      /* Ctrl-C, Ctrl-U: begin anew */
        b.eq    drop_line
        cmp     w0, #21
        b.eq    drop_line
        cmp     w0, #' '
        b.lo    3f
        cmp     x23, #LINE_MAX
        b.hs    3f
        strb    w0, [x22, x23]
        add     x23, x23, #1
        b       put
3:      ret

rub_out:
        cbz     x23, 1f
        sub     x23, x23, #1
        adr     x0, t_rub_out
        b       print
1:      ret

drop_line:
        stp     x29, x30, [sp, #-16]!
        bl      newline
        ldp     x29, x30, [sp], #16
        b       prompt

end_of_line:
        stp     x29, x30, [sp, #-16]!
        bl      newline
1:      cbz     x23, 5f                     /* blanks at the end do not count */
        sub     x1, x23, #1
        ldrb    w0, [x22, x1]
        cmp     w0, #' '
        b.ne    2f
        mov     x23, x1
        b       1b
2:      strb    wzr, [x22, x23]
        adr     x9, commands
3:      ldr     w1, [x9], #8
        cbz     w1, 4f
        adr     x0, image
        add     x0, x0, x1
        mov     x1, x22
        bl      text_equal
        cbz     w0, 3b
        adr     x0, image
        ldr     w1, [x9, #-4]
        add     x0, x0, x1
        blr     x0
        b       5f
4:      adr     x0, t_echo                  /* no command: say it back */
        bl      print
        mov     x0, x22
        bl      print
        bl      newline
5:      ldp     x29, x30, [sp], #16
        /* falls through */

/* Begins a new line of input. */
prompt:
        mov     x23, #0
        adr     x0, t_prompt
        b       print

/* ------------------------------------------------------------------ commands */
        .balign 4
commands:                                   /* name, code: relative to `image` */
        .word   n_help - image, do_help - image
        .word   n_poweroff - image, do_poweroff - image
        .word   n_reboot - image, do_reboot - image
        .word   n_panic - image, do_panic - image
        .word   0

do_help:
        adr     x0, t_help
        b       print

do_poweroff:
        adr     x0, t_poweroff
        ldr     w1, =PSCI_SYSTEM_OFF
        b       psci

do_reboot:
        adr     x0, t_reboot
        ldr     w1, =PSCI_SYSTEM_RESET
        /* falls through */

/* Says x0, then calls the PSCI function w1, which does not return. */
psci:
        str     x1, [sp, #-16]!
        bl      print
        bl      drain
        ldr     x0, [sp], #16
        ldr     x1, [x21, #D_PSCI + D_EXTRA]
        cbz     x1, dead
        ldrb    w1, [x1]
        cmp     w1, #'s'                    /* "smc" where there is an EL2, else "hvc" */
        b.eq    1f
        hvc     #0
        b       dead
1:      smc     #0
        b       dead

do_panic:
        stp     x29, x30, [sp, #-16]!
        bl      pvpanic_find
        cbz     x0, 1f
        ldrb    w1, [x0]                    /* tells the events it knows */
        tbz     w1, #PVPANIC_PANICKED_BIT, 1f
        mov     x25, x0
        adr     x0, t_panic
        bl      print
        bl      drain
        mov     w1, #1 << PVPANIC_PANICKED_BIT
        strb    w1, [x25]
        b       dead
1:      ldp     x29, x30, [sp], #16
        adr     x0, t_no_panic
        b       print

/* Nothing comes after this; nothing may end the wait either. */
dead:
        str     wzr, [x19, #UART_IMSC]
        cbz     x20, 1f
        str     wzr, [x20, #GPIO_IE]
1:      wfi
        b       1b

/* The power button (system_powerdown) is the same as `poweroff`. */
power_button:
        cbz     x20, 1f
        ldr     w0, [x20, #GPIO_RIS]
        tbz     w0, #POWER_BIT, 1f
        mov     w0, #1 << POWER_BIT
        str     w0, [x20, #GPIO_IC]
        adr     x0, t_button
        bl      print
        b       do_poweroff
1:      ret

/* ------------------------------------------------------------------ serial port */

/* Prints the zero-ended text x0. */
print:
        stp     x29, x30, [sp, #-16]!
        mov     x2, x0
1:      ldrb    w0, [x2], #1
        cbz     w0, 2f
        bl      put
        b       1b
2:      ldp     x29, x30, [sp], #16
        ret

newline:
        mov     w0, #'\n'
        /* falls through */

/* Sends the character w0, LF as CR LF. Changes nothing but w0, w1, x3. */
put:
        mov     x3, x30
        cmp     w0, #'\n'
        b.ne    1f
        mov     w0, #'\r'
        bl      serial_put
        mov     w0, #'\n'
1:      mov     x30, x3
        /* falls through */

/* Sends the byte w0, changes nothing but w1. */
serial_put:
        ldr     w1, [x19, #UART_FR]
        tbnz    w1, #FR_TXFF_BIT, serial_put
        str     w0, [x19, #UART_DR]
        ret

/* Waits until all that was sent has left. */
drain:
        ldr     w1, [x19, #UART_FR]
        tbnz    w1, #FR_BUSY_BIT, drain
        ret

/* Takes a byte into w0, or a negative number. */
serial_take:
        mov     w0, #-1
        ldr     w1, [x19, #UART_FR]
        tbnz    w1, #FR_RXFE_BIT, 1f
        ldr     w0, [x19, #UART_DR]
        and     w0, w0, #0xff               /* above are the errors of the line */
1:      ret

/*
 * 115200 baud from 24 MHz, 8N1. The FIFOs stay off: switching them on would empty them, and what was
 * typed before the guest started would be lost.
 */
serial_init:
        mov     w0, #13
        str     w0, [x19, #UART_IBRD]
        mov     w0, #1
        str     w0, [x19, #UART_FBRD]
        mov     w0, #LCRH_8N1
        str     w0, [x19, #UART_LCRH]
        mov     w0, #CR_RX_TX_ON
        str     w0, [x19, #UART_CR]
        mov     w0, #IMSC_RX
        str     w0, [x19, #UART_IMSC]
        ret

/* ------------------------------------------------------------------ power button */

/* The button raises its line for a moment: latch the rising edge. */
gpio_init:
        cbz     x20, 1f
        mov     w0, #1 << POWER_BIT
        str     wzr, [x20, #GPIO_DIR]
        str     wzr, [x20, #GPIO_IS]
        str     wzr, [x20, #GPIO_IBE]
        str     w0, [x20, #GPIO_IEV]
        str     w0, [x20, #GPIO_IC]
        str     w0, [x20, #GPIO_IE]
1:      ret

/* ------------------------------------------------------------------ interrupt controller */

/*
 * Lets the two interrupts through to this CPU, where they stay masked and are never acknowledged:
 * they are level-triggered and go when their devices have been looked after.
 */
gic_init:
        stp     x29, x30, [sp, #-16]!
        ldr     x4, [x21, #D_GICV2 + D_REG]
        cbnz    x4, 1f
        ldr     x4, [x21, #D_GICV3 + D_REG]
        cbnz    x4, 2f
        b       9f

        /* GICv2: reg is the distributor, then the CPU interface. */
1:      mov     x0, x4
        bl      read_cells
        mov     x5, x0
        add     x0, x4, #16
        bl      read_cells
        mov     w1, #1                      /* to the first CPU */
        strb    w1, [x5, #GICD_ITARGETSR + UART_INTID]
        strb    w1, [x5, #GICD_ITARGETSR + GPIO_INTID]
        mov     w1, #INTID_BITS
        str     w1, [x5, #GICD_ISENABLER1]
        mov     w1, #1
        str     w1, [x5, #GICD_CTLR]
        mov     w1, #0xff                   /* every priority */
        str     w1, [x0, #GICC_PMR]
        mov     w1, #1
        str     w1, [x0, #GICC_CTLR]
        b       9f

        /* GICv3: reg is the distributor, then the redistributors, this CPU's first. */
2:      mov     x0, x4
        bl      read_cells
        mov     x5, x0
        add     x0, x4, #16
        bl      read_cells
        ldr     w1, [x0, #GICR_WAKER]
        bic     w1, w1, #1 << 1             /* ProcessorSleep */
        str     w1, [x0, #GICR_WAKER]
3:      ldr     w1, [x0, #GICR_WAKER]
        tbnz    w1, #2, 3b                  /* ChildrenAsleep */
        mov     w1, #1 << 4 | 1 << 1        /* affinity routing, group 1 */
        str     w1, [x5, #GICD_CTLR]
        mov     w1, #INTID_BITS
        str     w1, [x5, #GICD_IGROUPR1]
        mrs     x2, mpidr_el1
        and     x2, x2, #0xffffff           /* affinity levels 2 to 0; 3 is 0 on this machine */
        mov     x1, #GICD_IROUTER
        add     x1, x5, x1
        str     x2, [x1, #8 * UART_INTID]
        str     x2, [x1, #8 * GPIO_INTID]
        mov     w1, #INTID_BITS
        str     w1, [x5, #GICD_ISENABLER1]
        mrs     x1, CurrentEL
        cmp     x1, #2 << 2
        b.ne    4f
        mov     x1, #ICC_SRE_ALL
        msr     icc_sre_el2, x1
        isb
4:      mov     x1, #ICC_SRE_ALL & 7
        msr     icc_sre_el1, x1
        isb
        mov     x1, #0xff                   /* every priority */
        msr     icc_pmr_el1, x1
        mov     x1, #1
        msr     icc_igrpen1_el1, x1
        isb
9:      ldp     x29, x30, [sp], #16
        ret

/* ------------------------------------------------------------------ PCI */

/*
 * Finds the pvpanic device on PCI bus 0 and opens its memory. No firmware has run: its BAR gets the
 * start of the 32-bit window, which nobody else uses. Returns the address in x0, or 0.
 */
pvpanic_find:
        stp     x29, x30, [sp, #-16]!
        ldr     x4, [x21, #D_PCI + D_REG]
        ldr     x5, [x21, #D_PCI + D_EXTRA]
        cbz     x4, 8f
        cbz     x5, 8f
        ldr     w6, [x5, #-8]               /* length of the property, before its value */
        rev     w6, w6
        add     x6, x5, x6
1:      cmp     x5, x6                      /* ranges: 3 cells on PCI, 2 on the CPU's bus, 2 of size */
        b.hs    8f
        ldr     w0, [x5], #28
        rev     w0, w0
        and     w0, w0, #PCI_SPACE_MASK
        ldr     w1, =PCI_SPACE_MEM32
        cmp     w0, w1
        b.ne    1b
        ldr     w6, [x5, #8 - 28]
        rev     w6, w6                      /* w6: on PCI */
        sub     x0, x5, #28 - 12
        bl      read_cells
        mov     x5, x0                      /* x5: on the CPU's bus */

        mov     x0, x4
        bl      read_cells                  /* x0: configuration space, 32 KiB a device */
        ldr     w2, =PVPANIC_ID
        mov     w3, #32
2:      ldr     w1, [x0]
        cmp     w1, w2
        b.eq    3f
        add     x0, x0, #1 << 15
        subs    w3, w3, #1
        b.ne    2b
8:      mov     x0, #0
        b       9f
3:      str     w6, [x0, #PCI_BAR0]
        ldrh    w1, [x0, #PCI_COMMAND]
        orr     w1, w1, #PCI_MEMORY_ON
        strh    w1, [x0, #PCI_COMMAND]
        dsb     sy
        mov     x0, x5
9:      ldp     x29, x30, [sp], #16
        ret

/* ------------------------------------------------------------------ device tree */

/*
 * Walks the device tree x0 and notes in `devices` what `compatibles` names, the first of each kind;
 * sets x19 and x20. The nodes are children of the root, where addresses and sizes have two cells.
 *   x4 where we are, x5 texts; of this node: x6 its place in `devices`, x7 reg, x8 ranges or method
 */
devices_init:
        stp     x29, x30, [sp, #-16]!
        mov     x19, #0x09000000            /* the serial port is there, device tree or not */
        mov     x20, #0
        ldr     w1, [x0]
        rev     w1, w1
        ldr     w2, =FDT_MAGIC
        cmp     w1, w2
        b.ne    9f
        ldp     w4, w5, [x0, #8]            /* offsets of the structure and of the texts */
        rev     w4, w4
        rev     w5, w5
        add     x4, x0, x4
        add     x5, x0, x5
        mov     x6, #0
1:      ldr     w9, [x4], #4
        rev     w9, w9
        cmp     w9, #FDT_PROP
        b.eq    4f
        cmp     w9, #FDT_NOP
        b.eq    1b

        cbz     x6, 2f                      /* the properties of a node end here */
        ldr     x0, [x6]
        cbnz    x0, 2f
        stp     x7, x8, [x6]
2:      mov     x6, #0
        mov     x7, #0
        mov     x8, #0
        cmp     w9, #FDT_END_NODE
        b.eq    1b
        cmp     w9, #FDT_BEGIN_NODE
        b.ne    7f                          /* the end */
3:      ldrb    w0, [x4], #1                /* skip the name */
        cbnz    w0, 3b
        add     x4, x4, #3
        and     x4, x4, #~3
        b       1b

4:      ldp     w10, w11, [x4], #8          /* length, name */
        rev     w10, w10
        rev     w11, w11
        add     x11, x5, x11
        mov     x12, x4                     /* x12: value */
        add     x4, x4, x10
        add     x4, x4, #3
        and     x4, x4, #~3
        mov     x0, x11
        adr     x1, n_reg
        bl      text_equal
        cmp     w0, #0
        csel    x7, x12, x7, ne
        mov     x0, x11
        adr     x1, n_ranges
        bl      text_equal
        cbnz    w0, 5f
        mov     x0, x11
        adr     x1, n_method
        bl      text_equal
5:      cmp     w0, #0
        csel    x8, x12, x8, ne
        mov     x0, x11
        adr     x1, n_compatible
        bl      text_equal
        cbz     w0, 1b
        mov     x9, x21
        adr     x1, compatibles             /* the value is a list, most special first */
6:      ldrb    w0, [x1]
        cbz     w0, 1b
        mov     x0, x12
        bl      text_equal
        cmp     w0, #0
        csel    x6, x9, x6, ne
        add     x9, x9, #16
        b       6b

7:      ldr     x0, [x21, #D_UART + D_REG]
        cbz     x0, 8f
        bl      read_cells
        mov     x19, x0
8:      ldr     x0, [x21, #D_GPIO + D_REG]
        cbz     x0, 9f
        bl      read_cells
        mov     x20, x0
9:      ldp     x29, x30, [sp], #16
        ret

/* Reads two cells at x0: a big-endian number of 64 bits, aligned to 32. Changes x0, x1 only. */
read_cells:
        ldp     w1, w0, [x0]
        rev     w1, w1
        rev     w0, w0
        orr     x0, x0, x1, lsl #32
        ret

/* Whether the texts x0 and x1 are the same (w0: 1 or 0); leaves x1 behind the second one's end. */
text_equal:
        mov     w3, #1
1:      ldrb    w2, [x1], #1
        cbz     w3, 2f                      /* they differ: find the end */
        ldrb    w13, [x0], #1
        cmp     w13, w2
        cset    w3, eq
2:      cbnz    w2, 1b
        mov     w0, w3
        ret

/* ------------------------------------------------------------------ exceptions */

/* None is expected: say so and stop. */
        .balign 2048
vectors:
        .rept   16
        .balign 128
        b       fault
        .endr
fault:
        adr     x0, t_fault
        bl      print
        b       dead
        .ltorg

/* ------------------------------------------------------------------ texts */
compatibles:                                /* in the order of `devices` */
        .asciz  "arm,pl011"
        .asciz  "arm,pl061"
        .asciz  "arm,cortex-a15-gic"
        .asciz  "arm,gic-v3"
        .asciz  "pci-host-ecam-generic"
        .asciz  "arm,psci-1.0"
        .byte   0
n_compatible: .asciz "compatible"
n_reg:      .asciz "reg"
n_ranges:   .asciz "ranges"
n_method:   .asciz "method"

n_help:     .asciz "help"
n_poweroff: .asciz "poweroff"
n_reboot:   .asciz "reboot"
n_panic:    .asciz "panic"

t_banner:   .asciz "utmost: hello from aarch64\n"
t_hint:     .asciz "Type something; help lists the commands.\n\n"
t_prompt:   .asciz "hello> "
t_echo:     .asciz "echo: "
t_rub_out:  .asciz "\b \b"
t_help:     .ascii "  poweroff  ends this machine through PSCI\n"
            .ascii "  reboot    starts it again\n"
            .ascii "  panic     reports a crash to the pvpanic device\n"
            .ascii "  help      shows this list\n"
            .asciz "Any other line is echoed.\n"
t_poweroff: .asciz "utmost: powering off\n"
t_button:   .asciz "\nutmost: power button\n"
t_reboot:   .asciz "utmost: rebooting\n"
t_panic:    .asciz "utmost: panic\n"
t_no_panic: .asciz "utmost: cannot panic: no pvpanic device\n"
t_fault:    .asciz "\nutmost: unexpected exception\n"
        .balign 16
image_end:

/* ------------------------------------------------------------------ behind the image */
        .equ    devices,      image_end     /* 6 × 16 bytes */
        .equ    line,         image_end + 0x80      /* LINE_MAX + 1 bytes */
        .equ    RESERVED,     0x1000        /* the stack grows down from its end */
