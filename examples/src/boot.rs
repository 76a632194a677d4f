//! From the loader's 32-bit entry point to 64-bit Rust code.
//!
//! Two loaders know how to start an image, both in protected mode, paging off, with EBX
//! pointing to what they have to say:
//!
//! * `qemu-system-x86_64 -kernel`, an ELF file that carries the note
//!   `XEN_ELFNOTE_PHYS32_ENTRY` (the PVH protocol, <https://xenbits.xen.org/docs/unstable/misc/pvh.html>);
//! * GRUB's `multiboot2`, one with the header below. Not multiboot 1, which QEMU would take
//!   the file for, and refuse because it is a 64-bit one.
//!
//! From there: clear `.bss`, map the first 1 GiB to itself (4 KiB pages up to 4 MiB, so that
//! single pages can be protected; 2 MiB pages above), switch on SSE, write protection for
//! ring 0 and long mode, load a GDT, call `boot_main`.

mod loader;

use core::arch::global_asm;

use crate::arguments::Arguments;
use crate::{exit, interrupts, log, paging};

unsafe extern "Rust" {
    /// The image itself, in its file in `bin/`. When it returns, QEMU ends with success.
    fn image_main(arguments: Arguments);
}

/// Entered by the assembly below, once, with interrupts off.
extern "C" fn boot_main(info: *const u8, magic: u32) -> ! {
    // SAFETY: the assembly passes on what it got, and has cleared only what the loader knew
    // to be the image's.
    let arguments = unsafe { loader::arguments(magic, info) };
    log::start();
    paging::protect_image();
    interrupts::start();

    // SAFETY: each image defines the function with this signature; the linker would refuse
    // an image without it.
    unsafe { image_main(arguments) };
    exit::success()
}

global_asm!(
    r#"
    .section .note.Xen, "a", @note
    .balign 4
    .long 4                         # length of the name
    .long 8                         # length of the value
    .long 18                        # XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .quad pvh_entry

    .section .text.multiboot, "a"
    .balign 8
    multiboot_header:
        .long 0xE85250D6            # magic
        .long 0                     # architecture: 32-bit protected mode
        .long multiboot_header_end - multiboot_header
        .long -(0xE85250D6 + 0 + (multiboot_header_end - multiboot_header))
        .short 3, 0                 # entry address
        .long 12
        .long multiboot_entry
        .balign 8
        .short 0, 0                 # end
        .long 8
    multiboot_header_end:

    .section .text.boot, "ax"
    .code32
    .global pvh_entry
    pvh_entry:
        movl ${start_info_magic}, %eax  # multiboot2 says who started the image; PVH does not
    multiboot_entry:
        cli
        movl %eax, %esi
        cld
        movl $bss_start, %edi       # also after a reset, when memory still holds the last run
        movl $bss_end, %ecx
        subl %edi, %ecx
        xorl %eax, %eax
        rep stosb
        movl $stack_top, %esp

        # page_tables: one page each for PML4, PDPT, PD, and two of 4 KiB entries
        movl $page_tables, %edi
        leal 0x1003(%edi), %eax     # present, writable
        movl %eax, (%edi)
        leal 0x2003(%edi), %eax
        movl %eax, 0x1000(%edi)
        xorl %ecx, %ecx
    1:  movl %ecx, %eax             # 512 entries of 2 MiB: identity, present, writable, large
        shll $21, %eax
        orl $0x83, %eax
        movl %eax, 0x2000(%edi,%ecx,8)
        incl %ecx
        cmpl $512, %ecx
        jne 1b
        leal 0x3003(%edi), %eax     # the first two are split
        movl %eax, 0x2000(%edi)
        leal 0x4003(%edi), %eax
        movl %eax, 0x2008(%edi)
        xorl %ecx, %ecx
    2:  movl %ecx, %eax             # 1024 entries of 4 KiB
        shll $12, %eax
        orl $3, %eax
        movl %eax, 0x3000(%edi,%ecx,8)
        incl %ecx
        cmpl $1024, %ecx
        jne 2b
        movl %edi, %cr3

        movl $0x620, %eax           # CR4: PAE, OSFXSR, OSXMMEXCPT
        movl %eax, %cr4
        movl $0xC0000080, %ecx      # EFER.LME
        rdmsr
        orl $0x100, %eax
        wrmsr
        movl $0x80010033, %eax      # CR0: PG, WP, NE, ET, MP, PE
        movl %eax, %cr0
        lgdtl gdt_pointer
        ljmpl $0x08, $long_entry

    .code64
    .cfi_sections .debug_frame
    long_entry:
        .cfi_startproc
        .cfi_undefined rip          # gdb: the outermost frame
        movl $0x10, %eax
        movl %eax, %ds
        movl %eax, %es
        movl %eax, %ss
        xorl %eax, %eax
        movl %eax, %fs
        movl %eax, %gs
        movl $stack_top, %esp
        movl %ebx, %edi             # what the loader passed, and ESI: which one it is
        xorl %ebp, %ebp
        call {boot_main}
        ud2
        .cfi_endproc

    .section .data.gdt, "aw"
    .balign 8
    gdt:
        .quad 0
        .quad 0x00AF9B000000FFFF    # 0x08: 64-bit code, ring 0
        .quad 0x00CF93000000FFFF    # 0x10: data, ring 0
    gdt_pointer:
        .word gdt_pointer - gdt - 1
        .quad gdt

    .section .bss.page_tables, "aw", @nobits
    .balign 4096
    .global page_tables
    page_tables:
        .skip 5 * 4096
    .text
    "#,
    boot_main = sym boot_main,
    start_info_magic = const loader::START_INFO_MAGIC,
    options(att_syntax)
);
