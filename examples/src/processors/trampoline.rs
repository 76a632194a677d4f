//! From the real mode in which a processor starts to 64-bit Rust code.
//!
//! A SIPI names a page below 1 MiB, and the processor begins there in real mode. Only what
//! must is copied to that page: the way into protected mode, from where the image's own code
//! at 1 MiB can be reached. That does what [`boot`](crate::boot) does for the first processor,
//! with the registers that the first one has now ([`Handover`]), and ends in Rust with its GDT,
//! its IDT and a stack. Paging goes on with PAE alone in CR4, because some of its bits can be
//! set in long mode only.
//!
//! Until the IDT is loaded, an NMI would be delivered through whatever is at address 0, or
//! reset the machine: send none before the processor has arrived.

use core::arch::global_asm;
use core::cell::UnsafeCell;
use core::mem::{MaybeUninit, offset_of};

use x86::controlregs;
use x86::dtables::{self, DescriptorTablePointer};
use x86::msr::{IA32_EFER, rdmsr};
use x86::segmentation;

/// The page. Neither SeaBIOS nor the BIOS of Bochs keeps anything here, between the interrupt
/// vectors and data at the bottom of memory and the data below 640 KiB; GRUB runs here before
/// the image does, and what a loader says has been copied by then.
pub(super) const PAGE: u8 = 0x08;
const ADDRESS: usize = (PAGE as usize) << 12;

/// EFER.LMA, which the processor sets itself.
const LONG_MODE_ACTIVE: u64 = 1 << 10;

/// What the processor that starts gets from the one that starts it.
#[repr(C)]
pub(super) struct Handover {
    cr0: u64,
    cr3: u64,
    cr4: u64,
    efer: u64,
    code_segment: u64,
    stack_segment: u64,
    gdt: DescriptorTablePointer<u64>,
    idt: DescriptorTablePointer<u64>,
    /// Where its stack ends.
    pub stack: u64,
    /// In Rust, on that stack and with interrupts off.
    pub arrive: extern "C" fn(&Handover) -> !,
    /// Its number, for `entry`.
    pub index: usize,
    /// What it shall do.
    pub entry: extern "C" fn(usize) -> !,
    /// Whether its local APIC shall be in x2APIC mode.
    pub x2apic: bool,
}

struct Place(UnsafeCell<MaybeUninit<Handover>>);

// SAFETY: written by `prepare` only, whose caller promises that nobody reads then.
unsafe impl Sync for Place {}

static HANDOVER: Place = Place(UnsafeCell::new(MaybeUninit::uninit()));

unsafe extern "C" {
    // From the assembly; only their addresses mean anything.
    static trampoline_start: u8;
    static trampoline_end: u8;
}

impl Handover {
    /// The registers of this processor.
    pub(super) fn of_this_processor(
        stack: u64,
        arrive: extern "C" fn(&Self) -> !,
        index: usize,
        entry: extern "C" fn(usize) -> !,
        x2apic: bool,
    ) -> Self {
        let (mut gdt, mut idt) = Default::default();
        // SAFETY: SGDT writes the ten bytes that it is given and has no other effect.
        unsafe { dtables::sgdt(&mut gdt) };
        // SAFETY: as above.
        unsafe { dtables::sidt(&mut idt) };
        // SAFETY: reading has no effect; the images run in ring 0.
        let cr0 = unsafe { controlregs::cr0() };
        // SAFETY: as above.
        let cr3 = unsafe { controlregs::cr3() };
        // SAFETY: as above.
        let cr4 = unsafe { controlregs::cr4() };
        // SAFETY: as above; long mode has the register.
        let efer = unsafe { rdmsr(IA32_EFER) };
        Self {
            cr0: cr0.bits() as u64,
            cr3,
            cr4: cr4.bits() as u64,
            efer: efer & !LONG_MODE_ACTIVE,
            code_segment: segmentation::cs().bits().into(),
            stack_segment: segmentation::ss().bits().into(),
            gdt,
            idt,
            stack,
            arrive,
            index,
            entry,
            x2apic,
        }
    }
}

/// Puts everything where the processor that is started next finds it.
///
/// # Safety
///
/// No processor is on its way: each that was started has arrived or waits for a SIPI.
pub(super) unsafe fn prepare(handover: Handover) {
    let place = HANDOVER.0.get().cast::<Handover>();
    // SAFETY: the caller's promise: nobody reads it.
    unsafe { place.write(handover) };
    let start = &raw const trampoline_start;
    let size = &raw const trampoline_end as usize - start as usize;
    let page = core::ptr::with_exposed_provenance_mut::<u8>(ADDRESS);
    // SAFETY: the page is mapped, writable and nobody's (see `PAGE`), and the code is a part of
    // a page.
    unsafe { page.copy_from_nonoverlapping(start, size) };
}

global_asm!(
    r#"
    .section .rodata.trampoline, "a"
    .code16
    trampoline_start:
        cli
        movw %cs, %ax               # the page's segment
        movw %ax, %ds
        lgdtl trampoline_gdt_pointer - trampoline_start
        movl %cr0, %eax
        orl $1, %eax                # PE
        movl %eax, %cr0
        ljmpl $0x18, $processor_protected
    trampoline_gdt_pointer:
        .word trampoline_gdt_end - trampoline_gdt - 1
        .long trampoline_gdt
    trampoline_end:

    # Marked as accessed, or else the processor would do so, in a page that is read-only.
    .balign 8
    trampoline_gdt:
        .quad 0
        .quad 0x00AF9B000000FFFF    # 0x08: 64-bit code, ring 0
        .quad 0x00CF93000000FFFF    # 0x10: data, ring 0
        .quad 0x00CF9B000000FFFF    # 0x18: 32-bit code, ring 0
    trampoline_gdt_end:

    .section .text.processors, "ax"
    .code32
    processor_protected:
        movl $0x10, %eax
        movl %eax, %ds
        movl %eax, %es
        movl %eax, %ss
        movl $0x20, %eax            # CR4: PAE
        movl %eax, %cr4
        movl {handover} + {cr3}, %eax
        movl %eax, %cr3
        movl $0xC0000080, %ecx      # EFER
        movl {handover} + {efer}, %eax
        movl {handover} + {efer} + 4, %edx
        wrmsr
        movl {handover} + {cr0}, %eax
        movl %eax, %cr0             # PG, and with it long mode
        ljmpl $0x08, $processor_long

    .code64
    .cfi_sections .debug_frame
    processor_long:
        .cfi_startproc
        .cfi_undefined rip          # gdb: the outermost frame
        movl ${handover}, %edi
        movq {cr4}(%rdi), %rax
        movq %rax, %cr4
        lgdt {gdt}(%rdi)
        lidt {idt}(%rdi)
        movq {stack}(%rdi), %rsp
        movl {stack_segment}(%rdi), %eax
        movl %eax, %ds
        movl %eax, %es
        movl %eax, %ss
        xorl %eax, %eax
        movl %eax, %fs
        movl %eax, %gs
        pushq {code_segment}(%rdi)
        pushq $1f
        lretq
    1:  xorl %ebp, %ebp
        call *{arrive}(%rdi)
        ud2
        .cfi_endproc
    .text
    "#,
    handover = sym HANDOVER,
    cr0 = const offset_of!(Handover, cr0),
    cr3 = const offset_of!(Handover, cr3),
    cr4 = const offset_of!(Handover, cr4),
    efer = const offset_of!(Handover, efer),
    code_segment = const offset_of!(Handover, code_segment),
    stack_segment = const offset_of!(Handover, stack_segment),
    gdt = const offset_of!(Handover, gdt),
    idt = const offset_of!(Handover, idt),
    stack = const offset_of!(Handover, stack),
    arrive = const offset_of!(Handover, arrive),
    options(att_syntax)
);
