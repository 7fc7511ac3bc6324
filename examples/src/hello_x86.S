/*
 * hello: a tiny guest for x86 machines with a BIOS (QEMU's pc and q35).
 *
 * It prints a banner on COM1 and in colours on the screen, echoes what is typed on COM1 and on the
 * PS/2 keyboard, and knows a few commands (see `help` below). It stays in real mode, so that the
 * video BIOS remains callable, and halts the CPU while there is nothing to do.
 *
 * Memory map
 *   0x00000  interrupt vectors, BIOS data area (ring buffer of the keyboard at 0x41e)
 *   0x00500  variables (.equ below)
 *   0x07c00  stack, growing down
 *   0x07c00  boot sector; it loads the 63 sectors behind it to
 *   0x07e00  the rest, up to 0x0fc00
 *   0xb8000  text screen, 80 × 25 cells of character and attribute
 *
 * Sources: ACPI 1.0b (RSDP, FADT, \_S5); QEMU docs/specs/pvpanic; PC16550D data sheet.
 */
        .intel_syntax noprefix
        .code16

        /* In Intel syntax a constant must be defined before it is used, else it is an address. */

        /* Variables: 0x500–0x5ff, cleared at start. */
        .equ    VARS,         0x500
        .equ    boot_drive,   VARS + 0x00   /* byte: BIOS drive number */
        .equ    attribute,    VARS + 0x01   /* byte: colours of what is printed next */
        .equ    row,          VARS + 0x02   /* byte: the cursor */
        .equ    column,       VARS + 0x03   /* byte */
        .equ    after_cr,     VARS + 0x04   /* byte: 1 when the last byte was CR */
        .equ    com,          VARS + 0x06   /* word: I/O base of COM1, 0 without one */
        .equ    line_length,  VARS + 0x08   /* word */
        .equ    pm1a_control, VARS + 0x0a   /* word: I/O port, 0 without ACPI */
        .equ    pm1b_control, VARS + 0x0c   /* word: I/O port, 0 without one */
        .equ    pm1_status,   VARS + 0x0e   /* word: I/O port of PM1a_STS, 0 without one */
        .equ    sleep_a,      VARS + 0x10   /* word: SLP_TYPa of \_S5, at its place in PM1_CNT */
        .equ    sleep_b,      VARS + 0x12   /* word: SLP_TYPb */
        .equ    line,         VARS + 0x80   /* LINE_MAX + 1 bytes */
        .equ    LINE_MAX,     100

        .equ    SCREEN,       0xb800        /* segment */
        .equ    COLUMNS,      80
        .equ    LOGO_ROW,     1             /* text row, text column */
        .equ    LOGO_COLUMN,  12
        .equ    LOGO_WIDTH,   55            /* pixels: half a text row high */
        .equ    LOGO_HEIGHT,  11
        .equ    RULE_ROW,     8
        .equ    CONSOLE_TOP,  10            /* first and last row that scroll */
        .equ    CONSOLE_END,  22

        /* Attributes: background × 16 + foreground; the colours are those of `palette`. */
        .equ    A_TEXT,       0x07
        .equ    A_DIM,        0x03
        .equ    A_BRIGHT,     0x05
        .equ    A_PROMPT,     0x06
        .equ    A_BANNER,     0x0f
        .equ    A_BAR,        0x13
        .equ    A_BAR_KEY,    0x15
        .equ    A_CURSOR,     0x09
        .equ    C_SHADOW,     2
        .equ    C_GRADIENT,   8             /* the first of eight */

        .equ    KEYBOARD_HEAD, 0x41a        /* BIOS data area, words */
        .equ    KEYBOARD_TAIL, 0x41c
        .equ    COM1_BASE,     0x400
        .equ    EBDA_SEGMENT,  0x40e
        .equ    IRQ4_VECTOR,   4 * 0x0c

        .equ    PVPANIC_PORT,  0x505
        .equ    PVPANIC_PANICKED, 1
        .equ    SLP_EN,        1 << 13
        .equ    SLP_TYP_MASK,  7 << 10
        .equ    SCI_EN,        1
        .equ    PWRBTN,        1 << 8       /* in PM1_STS and PM1_EN */

/* ------------------------------------------------------------------ boot sector */
        .section .boot, "ax"
        .globl  boot
boot:
        cli
        cld
        xor     ax, ax
        mov     ds, ax
        mov     es, ax
        mov     ss, ax
        mov     sp, 0x7c00
        ljmp    0, offset 1f
1:      mov     di, VARS
        mov     cx, 0x80
        rep stosw
        mov     [boot_drive], dl
        sti
        mov     ah, 0x42                    /* extended read of `disk_packet` */
        mov     si, offset disk_packet
        int     0x13
        jnc     main
        mov     si, offset disk_failed
2:      lodsb
        test    al, al
        jz      3f
        mov     ah, 0x0e                    /* teletype */
        mov     bx, 7
        int     0x10
        jmp     2b
3:      hlt
        jmp     3b

disk_failed:
        .asciz  "utmost: the BIOS cannot read the disk\r\n"
        .balign 4
disk_packet:
        .byte   16, 0
        .word   63                          /* sectors */
        .word   0x7e00, 0                   /* to offset, segment */
        .quad   1                           /* from sector */
        .org    boot + 510
        .word   0xaa55

/* ------------------------------------------------------------------ start */
        .section .text, "ax"
main:
        call    serial_init
        call    screen_init
        call    acpi_init
        mov     byte ptr [attribute], A_BANNER
        mov     si, offset t_banner
        call    print
        mov     byte ptr [attribute], A_DIM
        mov     si, offset t_hint
        call    print
        call    prompt

/* The one loop: take what there is, else halt until an interrupt. */
loop_:
        call    serial_take
        jnz     typed
        mov     ah, 0x11                    /* is there a key? */
        int     0x16
        jnz     key
        call    power_button
        mov     dx, [com]
        test    dx, dx
        jz      1f
        inc     dx
        mov     al, 1                       /* interrupt when data is there */
        out     dx, al
1:      cli                                 /* nothing may come between the look and the halt */
        call    serial_ready
        jnz     2f
        mov     ax, [KEYBOARD_HEAD]
        cmp     ax, [KEYBOARD_TAIL]
        jne     2f
        sti
        hlt
2:      sti
        jmp     loop_
key:
        mov     ah, 0x10
        int     0x16
        test    al, al                      /* keys without a character */
        jz      loop_
        cmp     al, 0xe0
        je      loop_
typed:
        call    character
        jmp     loop_

/* ------------------------------------------------------------------ line editor */

/* Handles the typed character al. CR, LF and CR LF each end a line once. */
character:
        mov     ah, [after_cr]
        mov     byte ptr [after_cr], 0
        cmp     al, '\r'
        je      1f
        cmp     al, '\n'
        jne     2f
        test    ah, ah
        jz      end_of_line
        ret
1:      mov     byte ptr [after_cr], 1
        jmp     end_of_line
2:      mov     bx, [line_length]
        cmp     al, 8
        je      rub_out
        cmp     al, 127
        je      rub_out
        cmp     al, 3                       /* Ctrl-C, Ctrl-U: begin anew */
        je      drop_line
        cmp     al, 21
        je      drop_line
        cmp     al, ' '
        jb      3f
        cmp     bx, LINE_MAX
        jae     3f
        mov     [line + bx], al
        inc     word ptr [line_length]
        mov     byte ptr [attribute], A_BRIGHT
        call    put
3:      ret

rub_out:
        test    bx, bx
        jz      1f
        dec     word ptr [line_length]
        mov     si, offset t_rub_out
        call    print
1:      ret

drop_line:
        call    newline
        jmp     prompt

end_of_line:
        call    newline
        mov     bx, [line_length]
1:      test    bx, bx                      /* blanks at the end do not count */
        jz      prompt
        cmp     byte ptr [line + bx - 1], ' '
        jne     2f
        dec     bx
        jmp     1b
2:      mov     byte ptr [line + bx], 0
        mov     byte ptr [attribute], A_TEXT
        mov     bx, offset commands
3:      mov     si, [bx]
        test    si, si
        jz      5f
        mov     di, offset line
4:      lodsb
        cmp     al, [di]
        jne     6f
        inc     di
        test    al, al
        jnz     4b
        call    [bx + 2]
        jmp     prompt
6:      add     bx, 4
        jmp     3b
5:      mov     si, offset t_echo           /* no command: say it back */
        call    print
        mov     si, offset line
        call    print
        call    newline
        /* falls through */

/* Begins a new line of input. */
prompt:
        mov     word ptr [line_length], 0
        mov     byte ptr [attribute], A_PROMPT
        mov     si, offset t_prompt
        jmp     print

/* ------------------------------------------------------------------ commands */
commands:
        .word   n_help, do_help
        .word   n_poweroff, do_poweroff
        .word   n_reboot, do_reboot
        .word   n_panic, do_panic
        .word   0
n_help:     .asciz "help"
n_poweroff: .asciz "poweroff"
n_reboot:   .asciz "reboot"
n_panic:    .asciz "panic"

do_help:
        mov     si, offset t_help
        jmp     print

do_poweroff:
        cmp     word ptr [pm1a_control], 0
        jne     1f
        mov     si, offset t_no_acpi
        jmp     print
1:      mov     si, offset t_poweroff
        call    print
        call    drain
        cli
        mov     dx, [pm1a_control]
        mov     bx, [sleep_a]
        call    sleep
        mov     dx, [pm1b_control]
        test    dx, dx
        jz      dead
        mov     bx, [sleep_b]
        call    sleep
        jmp     dead

/* Writes sleep type bx, then the same with SLP_EN, to the PM1_CNT port dx. */
sleep:
        in      ax, dx
        and     ax, ~(SLP_TYP_MASK | SLP_EN)
        or      ax, bx
        out     dx, ax
        or      ax, SLP_EN
        out     dx, ax
        ret

do_reboot:
        mov     si, offset t_reboot
        call    print
        call    drain
        cli
        mov     dx, 0xcf9                   /* reset control: q35, and pc since long */
        mov     al, 2
        out     dx, al
        mov     al, 6
        out     dx, al
        mov     al, 0xfe                    /* keyboard controller: pulse the reset line */
        out     0x64, al
        mov     cx, 0xffff
1:      in      al, 0x80
        dec     cx
        jnz     1b
        lidt    [no_vectors]                /* triple fault */
        int3
        jmp     dead

do_panic:
        mov     dx, PVPANIC_PORT            /* tells the events it knows; 0xff without a device */
        in      al, dx
        cmp     al, 0xff
        je      1f
        test    al, PVPANIC_PANICKED
        jz      1f
        mov     si, offset t_panic
        call    print
        call    drain
        cli
        mov     dx, PVPANIC_PORT
        mov     al, PVPANIC_PANICKED
        out     dx, al
        jmp     dead
1:      mov     si, offset t_no_panic
        jmp     print

/* Nothing comes after this. */
dead:
        cli
        hlt
        jmp     dead

/* The ACPI power button (system_powerdown) is the same as `poweroff`. */
power_button:
        mov     dx, [pm1_status]
        test    dx, dx
        jz      1f
        in      ax, dx
        test    ax, PWRBTN
        jz      1f
        mov     ax, PWRBTN                  /* written 1 is cleared */
        out     dx, ax
        mov     byte ptr [attribute], A_TEXT
        mov     si, offset t_button
        call    print
        call    do_poweroff
        jmp     prompt
1:      ret

/* ------------------------------------------------------------------ output */

/* Prints the zero-ended text at si; keeps nothing but bx, cx, di. */
print:
1:      lodsb
        test    al, al
        jz      2f
        call    put
        jmp     1b
2:      ret

newline:
        mov     al, '\n'
        /* falls through */

/* Prints al on COM1 and on the screen; LF becomes CR LF on COM1. Keeps all but ax, dx. */
put:
        push    bx
        push    cx
        push    di
        cmp     al, '\n'
        jne     1f
        mov     al, '\r'
        call    serial_put
        mov     al, '\n'
1:      call    serial_put
        call    screen_put
        pop     di
        pop     cx
        pop     bx
        ret

/* ------------------------------------------------------------------ COM1 */

/*
 * 115200 baud, 8N1, interrupts through IRQ 4. The FIFOs stay off: switching them on would empty them,
 * and what was typed before the guest started would be lost.
 */
serial_init:
        mov     bx, [COM1_BASE]             /* the BIOS looked */
        mov     [com], bx
        test    bx, bx
        jz      2f
        mov     si, offset serial_setup
        mov     cx, 5
1:      lodsw
        movzx   dx, al
        add     dx, bx
        mov     al, ah
        out     dx, al
        loop    1b
        cli
        mov     word ptr [IRQ4_VECTOR], offset serial_interrupt
        mov     word ptr [IRQ4_VECTOR + 2], 0
        in      al, 0x21
        and     al, ~(1 << 4)
        out     0x21, al
        sti
2:      ret
serial_setup:                               /* register, value */
        .byte   1, 0x00                     /* no interrupts yet */
        .byte   3, 0x80                     /* divisor latch on */
        .byte   0, 1                        /* divisor 1 */
        .byte   3, 0x03                     /* latch off, 8N1 */
        .byte   4, 0x0b                     /* DTR, RTS, OUT2 (lets interrupts through) */

/* Only wakes the CPU: the byte stays where it is, which holds the sender back. */
serial_interrupt:
        push    ax
        push    dx
        mov     dx, cs:[com]
        inc     dx
        xor     al, al                      /* quiet until the loop asks again */
        out     dx, al
        mov     al, 0x20                    /* end of interrupt */
        out     0x20, al
        pop     dx
        pop     ax
        iret

/* Clears ZF when a byte waits. */
serial_ready:
        mov     dx, [com]
        test    dx, dx
        jz      1f
        add     dx, 5
        in      al, dx
        test    al, 1
1:      ret

/* Takes a byte into al and clears ZF, or sets ZF. */
serial_take:
        call    serial_ready
        jz      1f
        sub     dx, 5
        in      al, dx
        test    dx, dx                      /* clears ZF */
1:      ret

/* Sends al, which it keeps. */
serial_put:
        mov     dx, [com]
        test    dx, dx
        jz      2f
        push    ax
        add     dx, 5
1:      in      al, dx
        test    al, 0x20                    /* room */
        jz      1b
        pop     ax
        sub     dx, 5
        out     dx, al
2:      ret

/* Waits until all that was sent has left. */
drain:
        mov     dx, [com]
        test    dx, dx
        jz      2f
        add     dx, 5
1:      in      al, dx
        test    al, 0x40
        jz      1b
2:      ret

/* ------------------------------------------------------------------ screen */

/* Text mode, own palette, no blinking (all sixteen backgrounds), the picture. */
screen_init:
        mov     ax, 0x0003
        int     0x10
        mov     ax, 0x1003
        xor     bx, bx
        int     0x10
        mov     ah, 0x01                    /* the cursor is drawn by us: it stands still */
        mov     cx, 0x2000
        int     0x10
        mov     si, offset palette
        mov     bx, offset palette_registers
1:      mov     al, [bx]
        mov     dx, 0x3c8
        out     dx, al
        inc     dx
        mov     cx, 3
2:      lodsb
        shr     al, 2                       /* the DAC has six bits a colour */
        out     dx, al
        loop    2b
        inc     bx
        cmp     bx, offset palette_registers + 16
        jb      1b

        mov     ax, SCREEN
        mov     es, ax
        xor     di, di
        mov     ax, A_TEXT << 8 | ' '
        mov     cx, COLUMNS * 25
        rep stosw
        call    draw_logo
        call    draw_rule
        mov     di, (24 * COLUMNS) * 2
        mov     ax, A_BAR << 8 | ' '
        mov     cx, COLUMNS
        rep stosw
        mov     di, (24 * COLUMNS + 2) * 2
        mov     si, offset t_bar
        mov     ah, A_BAR
3:      lodsb
        test    al, al
        jz      5f
        cmp     al, '`'                     /* toggles the emphasis */
        je      4f
        stosw
        jmp     3b
4:      xor     ah, A_BAR ^ A_BAR_KEY
        jmp     3b
5:      mov     byte ptr [row], CONSOLE_TOP
        mov     byte ptr [column], 1
        jmp     draw_cursor

/* The name, two pixels to a cell: upper half block, foreground above, background below. */
draw_logo:
        mov     di, LOGO_ROW * COLUMNS * 2
        xor     cx, cx                      /* ch: pixel row, cl: pixel column */
1:      call    logo_pixel
        mov     bl, al
        inc     ch
        call    logo_pixel
        dec     ch
        shl     al, 4
        or      al, bl
        mov     ah, al
        mov     al, 0xdf
        stosw
        inc     cl
        cmp     cl, COLUMNS
        jb      1b
        xor     cl, cl
        add     ch, 2
        cmp     ch, LOGO_HEIGHT + 1
        jb      1b
        ret

/* The colour al of the pixel at column cl, row ch: letter, shadow or background. */
logo_pixel:
        mov     dx, cx
        sub     dl, LOGO_COLUMN
        call    logo_bit
        jz      1f
        movzx   ax, dl                      /* eight colours from left to right */
        mov     dl, (LOGO_WIDTH + 7) / 8
        div     dl
        add     al, C_GRADIENT
        ret
1:      dec     dl                          /* the shadow lies one right and one down */
        dec     dh
        call    logo_bit
        mov     al, C_SHADOW
        jnz     2f
        xor     al, al
2:      ret

/* Clears ZF if column dl, row dh of the name is set; outside nothing is. */
logo_bit:
        cmp     dl, LOGO_WIDTH
        jae     1f
        cmp     dh, LOGO_HEIGHT
        jae     1f
        mov     al, LOGO_WIDTH
        mul     dh
        movzx   si, dl
        add     si, ax
        cmp     byte ptr [logo + si], '.'
        ret
1:      cmp     al, al
        ret

/* A line in all colours under the name. */
draw_rule:
        mov     di, RULE_ROW * COLUMNS * 2
        xor     cx, cx
1:      mov     ax, cx
        mov     bl, COLUMNS / 8
        div     bl
        add     al, C_GRADIENT
        mov     ah, al
        mov     al, 0xdf
        stosw
        inc     cx
        cmp     cx, COLUMNS
        jb      1b
        ret

/* Prints al at the cursor; the console lies between CONSOLE_TOP and CONSOLE_END. */
screen_put:
        mov     dx, SCREEN
        mov     es, dx
        push    ax
        mov     al, ' '
        call    set_cursor_cell
        pop     ax
        cmp     al, '\n'
        je      2f
        cmp     al, 8
        je      4f
        call    set_cursor_cell
        inc     byte ptr [column]
        cmp     byte ptr [column], COLUMNS - 1
        jb      draw_cursor
2:      mov     byte ptr [column], 1
        inc     byte ptr [row]
        cmp     byte ptr [row], CONSOLE_END
        jbe     draw_cursor
        mov     byte ptr [row], CONSOLE_END
        push    ds
        push    si
        mov     ax, SCREEN
        mov     ds, ax
        mov     si, (CONSOLE_TOP + 1) * COLUMNS * 2
        mov     di, CONSOLE_TOP * COLUMNS * 2
        mov     cx, (CONSOLE_END - CONSOLE_TOP) * COLUMNS
        rep movsw
        mov     ax, A_TEXT << 8 | ' '
        mov     cx, COLUMNS
        rep stosw
        pop     si
        pop     ds
        jmp     draw_cursor
4:      cmp     byte ptr [column], 1        /* backspace, also into the line above */
        ja      5f
        cmp     byte ptr [row], CONSOLE_TOP
        je      draw_cursor
        dec     byte ptr [row]
        mov     byte ptr [column], COLUMNS - 1
5:      dec     byte ptr [column]
        /* falls through */

/* A block that does not blink: two pictures of one state are the same. */
draw_cursor:
        mov     al, 0xdb
        mov     ah, A_CURSOR
        jmp     set_cell

/* Shows al in the current colours at the cursor. */
set_cursor_cell:
        mov     ah, [attribute]
        /* falls through */

/* Stores ax at the cursor; es is the screen. */
set_cell:
        push    ax
        mov     al, COLUMNS
        mul     byte ptr [row]
        movzx   di, byte ptr [column]
        add     di, ax
        shl     di, 1
        pop     ax
        mov     es:[di], ax
        ret

/* ------------------------------------------------------------------ ACPI */

/*
 * Finds the power management ports and the value of \_S5 in the tables, switches to ACPI mode and
 * enables the power button. The tables lie at the top of memory: fs gets a limit of 4 GiB by a short
 * trip through protected mode ("unreal" mode). Leaves pm1a_control 0 where anything is missing.
 */
acpi_init:
        cli
        lgdt    [gdt_pointer]
        mov     eax, cr0
        or      al, 1
        mov     cr0, eax
        jmp     1f
1:      mov     bx, 8
        mov     fs, bx
        and     al, 0xfe
        mov     cr0, eax
        jmp     2f
2:      xor     bx, bx
        mov     fs, bx

        movzx   esi, word ptr [EBDA_SEGMENT]
        shl     esi, 4
        lea     ecx, [esi + 0x400]
        call    find_rsdp
        jz      3f
        mov     esi, 0xe0000
        mov     ecx, 0x100000
        call    find_rsdp
        jnz     9f
3:      mov     esi, fs:[esi + 16]          /* RSDT */
        mov     ecx, fs:[esi + 4]
        cmp     ecx, 0x1000
        ja      9f
        add     ecx, esi
        lea     ebx, [esi + 36]
4:      cmp     ebx, ecx
        jae     9f
        mov     esi, fs:[ebx]
        add     ebx, 4
        cmp     dword ptr fs:[esi], 0x50434146  /* "FACP" */
        jne     4b
        mov     ebx, esi                    /* ebx: FADT */

        mov     esi, fs:[ebx + 40]          /* DSDT */
        mov     ecx, fs:[esi + 4]
        cmp     ecx, 0x100000
        ja      9f
        add     ecx, esi
        call    find_s5
        jnz     9f

        mov     ax, fs:[ebx + 68]           /* PM1b_CNT_BLK */
        mov     [pm1b_control], ax
        mov     dx, fs:[ebx + 64]           /* PM1a_CNT_BLK */
        mov     [pm1a_control], dx
        in      ax, dx
        test    al, SCI_EN
        jnz     6f
        mov     dx, fs:[ebx + 48]           /* SMI_CMD, ACPI_ENABLE */
        mov     al, fs:[ebx + 52]
        test    dx, dx
        jz      6f
        test    al, al
        jz      6f
        out     dx, al
        mov     cx, 0x1000
        mov     dx, [pm1a_control]
5:      in      ax, dx
        test    al, SCI_EN
        loopz   5b

6:      in      al, 0xa1                    /* the button is polled: IRQ 9 (SCI) stays masked */
        or      al, 2
        out     0xa1, al
        mov     dx, fs:[ebx + 56]           /* PM1a_EVT_BLK: status, then enable */
        test    dx, dx
        jz      9f
        mov     [pm1_status], dx
        mov     ax, PWRBTN
        out     dx, ax
        movzx   cx, byte ptr fs:[ebx + 88]  /* PM1_EVT_LEN */
        shr     cx, 1
        add     dx, cx
        in      ax, dx
        or      ax, PWRBTN
        out     dx, ax
9:      sti
        ret

/* Looks for a valid RSDP at esi … ecx, every 16 bytes; sets ZF and esi if there is one. */
find_rsdp:
1:      cmp     dword ptr fs:[esi], 0x20445352      /* "RSD " */
        jne     3f
        cmp     dword ptr fs:[esi + 4], 0x20525450  /* "PTR " */
        jne     3f
        mov     edi, 19                     /* the first 20 bytes add up to 0 */
        xor     al, al
2:      add     al, fs:[esi + edi]
        dec     edi
        jns     2b
        test    al, al
        jz      4f
3:      add     esi, 16
        cmp     esi, ecx
        jb      1b
        test    esp, esp                    /* clears ZF */
4:      ret

/* Looks for Name (\_S5, Package () {a, b, …}) in the AML at esi … ecx; sets ZF if there is one. */
find_s5:
1:      cmp     dword ptr fs:[esi], 0x5f35535f      /* "_S5_" */
        jne     2f
        cmp     byte ptr fs:[esi + 4], 0x12         /* PackageOp */
        je      3f
2:      inc     esi
        cmp     esi, ecx
        jb      1b
        test    esp, esp                    /* clears ZF */
        ret
3:      movzx   eax, byte ptr fs:[esi + 5]  /* PkgLength: bits 7–6 count the bytes behind it */
        shr     eax, 6
        lea     esi, [esi + eax + 7]        /* past PkgLength and NumElements */
        call    aml_sleep_type
        mov     [sleep_a], ax
        call    aml_sleep_type
        mov     [sleep_b], ax
        xor     ax, ax
        ret

/* Reads ZeroOp, OneOp or a byte constant at esi; returns it in ax at the place of SLP_TYP. */
aml_sleep_type:
        movzx   ax, byte ptr fs:[esi]
        inc     esi
        cmp     al, 0x0a                    /* BytePrefix */
        jne     1f
        movzx   ax, byte ptr fs:[esi]
        inc     esi
1:      and     ax, 7
        shl     ax, 10
        ret

        .balign 8
gdt:
        .quad   0
        .quad   0x00cf92000000ffff          /* data, base 0, limit 4 GiB */
gdt_pointer:
        .word   15
        .long   gdt
no_vectors:
        .word   0
        .long   0

/* ------------------------------------------------------------------ texts and colours */
t_banner:   .asciz "utmost: hello from x86_64\n"
t_hint:     .asciz "Type something; help lists the commands.\n\n"
t_prompt:   .asciz "hello> "
t_echo:     .asciz "echo: "
t_rub_out:  .asciz "\b \b"
t_help:     .ascii "  poweroff  ends this machine through ACPI\n"
            .ascii "  reboot    starts it again\n"
            .ascii "  panic     reports a crash to the pvpanic device\n"
            .ascii "  help      shows this list\n"
            .asciz "Any other line is echoed.\n"
t_poweroff: .asciz "utmost: powering off\n"
t_button:   .asciz "\nutmost: power button\n"
t_reboot:   .asciz "utmost: rebooting\n"
t_panic:    .asciz "utmost: panic\n"
t_no_acpi:  .asciz "utmost: cannot power off: no ACPI tables\n"
t_no_panic: .asciz "utmost: cannot panic: no pvpanic device\n"
t_bar:      .asciz "`help`  `poweroff`  `reboot`  `panic`                    COM1 115200 \372 PS/2 keyboard"

/* Red, green, blue; 0–7 for text, 8–15 the gradient. */
palette:
        .byte   0x14, 0x16, 0x2e            /* 0 background */
        .byte   0x22, 0x26, 0x4a            /* 1 bar */
        .byte   0x2c, 0x30, 0x5c            /* 2 shadow */
        .byte   0x84, 0x8c, 0xbc            /* 3 dim text */
        .byte   0x4c, 0x54, 0x90            /* 4 */
        .byte   0xff, 0xff, 0xff            /* 5 bright text */
        .byte   0x6c, 0xe8, 0xa4            /* 6 prompt */
        .byte   0xc8, 0xd0, 0xf0            /* 7 text */
        .byte   0x38, 0xe0, 0xe8
        .byte   0x40, 0xb8, 0xf8
        .byte   0x70, 0x98, 0xff
        .byte   0xa4, 0x80, 0xff
        .byte   0xd8, 0x70, 0xec
        .byte   0xf8, 0x70, 0xb0
        .byte   0xff, 0x8c, 0x78
        .byte   0xff, 0xc0, 0x58
palette_registers:                          /* where the BIOS puts the sixteen text colours */
        .byte   0, 1, 2, 3, 4, 5, 0x14, 7, 0x38, 0x39, 0x3a, 0x3b, 0x3c, 0x3d, 0x3e, 0x3f

logo:
        .ascii  "...........##...................................##....."
        .ascii  "...........##...................................##....."
        .ascii  "...........##...................................##....."
        .ascii  "##....##..######..#########...######...######..######.."
        .ascii  "##....##..######..##########.########.#######..######.."
        .ascii  "##....##...##.....##..##..##.##....##.##........##....."
        .ascii  "##....##...##.....##..##..##.##....##.######....##....."
        .ascii  "##....##...##.....##..##..##.##....##..######...##....."
        .ascii  "##....##...##.....##..##..##.##....##......##...##....."
        .ascii  "########...#####..##..##..##.########.#######...#####.."
        .ascii  ".######.....####..##..##..##..######..######.....####.."
