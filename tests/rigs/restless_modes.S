# A guest that never rests: it goes from video mode to video mode, and fills the screen in each.
#
# Build as video_modes.S.

        .intel_syntax noprefix
        .code16
        .globl  _start
_start:
        xor     ax, ax
        mov     ds, ax
        mov     ss, ax
        mov     sp, 0x7c00
        cld
again:  mov     si, offset modes
next:   lodsw                           # the mode; 0 ends the list
        test    ax, ax
        jz      again
        mov     bp, 1                   # banks of 64 KiB to fill
        cmp     ax, 0x100
        jae     vbe
        int     0x10                    # ah = 0: set a VGA mode
        mov     ax, 0xb800
        jmp     window
vbe:    mov     bx, ax
        mov     ax, 0x4f02              # set a VBE mode
        int     0x10
        mov     bp, 6
        mov     ax, 0xa000
window: mov     es, ax
        xor     dx, dx
bank:   cmp     bp, 1
        je      draw
        xor     bx, bx
        mov     ax, 0x4f05              # show bank dx in window A
        int     0x10
draw:   xor     di, di
        mov     cx, 0x8000
        cmp     bp, 1                   # the window of text is half as large
        jne     dot
        mov     cx, 0x4000
dot:    mov     ax, word ptr [seed]     # ever other pictures
        add     ax, 0x9e37
        rol     ax, 3
        mov     word ptr [seed], ax
        push    cx
        mov     cx, 16
        rep     stosw
        pop     cx
        sub     cx, 15
        loop    dot
        inc     dx
        cmp     dx, bp
        jb      bank
        jmp     next

seed:   .word   1
modes:  .word   0x03, 0x101, 0x143, 0x10f, 0x114, 0x118, 0

        .org    510
        .word   0xaa55
