# A guest that walks through video modes: text, planar, 8 to 32 bits per pixel.
# It fills the screen in each, writes "!" to COM1 and waits for a byte there before it goes on.
#
# Build: as --32 video_modes.S -o modes.o && ld -m elf_i386 -Ttext 0x7c00 --oformat binary modes.o
# and pad the result to 1 MiB, since SeaBIOS does not boot a disk of one sector.

        .intel_syntax noprefix
        .code16
        .globl  _start
_start:
        xor     ax, ax
        mov     ds, ax
        mov     ss, ax
        mov     sp, 0x7c00
        cld
        mov     si, offset modes
next:   lodsw                           # the mode; 0 ends the list
        test    ax, ax
        jz      halt
        cmp     ax, 0x100
        jae     vbe
        int     0x10                    # ah = 0: set a VGA mode
        mov     cx, 0xb800              # text
        cmp     al, 3
        je      window
        cmp     byte ptr [si - 2], 3
        je      window
        mov     cx, 0xa000
window: mov     es, cx
        mov     bp, 1                   # banks of 64 KiB to fill
        jmp     fill
vbe:    mov     bx, ax
        mov     ax, 0x4f02              # set a VBE mode
        int     0x10
        mov     cx, 0xa000
        mov     es, cx
        mov     bp, 4
fill:   xor     dx, dx
bank:   cmp     bp, 1
        je      draw
        xor     bx, bx
        mov     ax, 0x4f05              # show bank dx in window A
        int     0x10
draw:   xor     di, di
        mov     cx, 0x4000              # half of it: the rest stays as the mode set left it
        mov     ax, dx
        ror     ax, 3
dot:    stosw
        test    di, 0x7f                # a new colour every 128 bytes
        jnz     same
        add     ax, 0x0143
same:   loop    dot
        inc     dx
        dec     bp
        jnz     bank
        mov     dx, 0x3f8               # COM1
        mov     al, 0x21                # "!"
        out     dx, al
        add     dx, 5                   # line status
ready:  in      al, dx
        test    al, 1
        jz      ready
        sub     dx, 5
        in      al, dx
        jmp     next
halt:   cli
        hlt
        jmp     halt

modes:  .word   0x03, 0x13, 0x12        # text 80 x 25, 320 x 200 x 8, 640 x 480 x 4 planar
        .word   0x10d, 0x10e, 0x10f     # 320 x 200 with 15, 16, 24 bits
        .word   0x140, 0x101, 0x143     # 320 x 200 x 32, 640 x 480 x 8, 800 x 600 x 32
        .word   0x03, 0

        .org    510
        .word   0xaa55
