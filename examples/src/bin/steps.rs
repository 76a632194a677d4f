//! Single instructions that a debugger finds hard to step over, each with a name.
//!
//! `step_NAME` labels the instruction and `step_NAME_end` the one after it; some store what
//! they saw of the flags in a variable of the same name. Go to one with `hbreak *step_NAME`
//! (with the star: gdb would take a plain name for a function and skip its first
//! instructions). The routines run for ever in a loop that counts `rounds`, with the timer
//! interrupting, or `turns=N` rounds if the command line says so.
#![no_std]
#![no_main]
#![allow(non_upper_case_globals, reason = "gdb users type these names")]

use core::arch::{asm, global_asm};
use core::panic::PanicInfo;

use examples::arguments::Arguments;
use examples::interrupts;
use tetrarch_x86::{Config, SerialInterrupt, Stub};

static STUB: Stub = Stub::new();

/// Counts the rounds.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".page.rounds")]
static mut rounds: u64 = 0;

/// Set from gdb: the next round reads a page that is not mapped, at `step_fault`.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".page.fault")]
static mut fault: u32 = 0;

/// What the string instructions read.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".page.source")]
static mut source: [u8; 16] = *b"sixteen letters.";

/// What the string instructions and the crossing store write.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".page.target")]
static mut target: [u8; 16] = [0; 16];

/// RFLAGS as PUSHF pushed them.
#[unsafe(no_mangle)]
static mut flags_pushf: u64 = 0;
/// RFLAGS as INT pushed them.
#[unsafe(no_mangle)]
static mut flags_int: u64 = 0;
/// RFLAGS as SYSCALL left them in R11.
#[unsafe(no_mangle)]
static mut flags_syscall: u64 = 0;
/// RFLAGS as the invalid opcode exception pushed them.
#[unsafe(no_mangle)]
static mut flags_ud2: u64 = 0;

/// Vector of `step_int`.
const INT_VECTOR: u8 = 0x80;
/// Vector of the invalid opcode exception.
const INVALID_OPCODE: u8 = 6;

unsafe extern "C" {
    /// Runs every routine once.
    fn all_steps();
    /// Reads the page that is not mapped.
    fn fault_step();
    fn int_handler();
    fn ud2_handler();
    fn syscall_handler();
}

#[unsafe(no_mangle)]
fn image_main(arguments: Arguments) {
    interrupts::set_handler(INT_VECTOR, int_handler);
    interrupts::set_handler(INVALID_OPCODE, ud2_handler);
    set_up_syscall();
    let serial = SerialInterrupt {
        vector: interrupts::SERIAL_VECTOR,
        end_of_interrupt: interrupts::end_of_interrupt,
    };
    let config = Config { serial_interrupt: Some(serial), ..Config::DEFAULT };
    // SAFETY: called once, before interrupts are on; the IDT, the GDT and COM1 are the
    // image's own and nobody changes them afterwards.
    unsafe { STUB.install(config) }.expect("the stub finds the tables it needs");
    interrupts::enable();
    defmt::info!("steps: running");

    let turns = arguments.number("turns");
    let mut round = 0;
    while turns != Some(round) {
        // SAFETY: the routines keep to the C calling convention.
        unsafe { all_steps() };
        // SAFETY: only a debugger touches it otherwise.
        if unsafe { fault } != 0 {
            // SAFETY: as above.
            unsafe { fault = 0 };
            // SAFETY: wrong on purpose: the page fault is what gdb asked for.
            unsafe { fault_step() };
        }
        round += 1;
        // SAFETY: only a debugger touches it otherwise.
        unsafe { rounds = round };
    }
}

/// SYSCALL to [`syscall_handler`], in ring 0, with IF cleared.
fn set_up_syscall() {
    const EFER: u32 = 0xC000_0080;
    const STAR: u32 = 0xC000_0081;
    const LSTAR: u32 = 0xC000_0082;
    const FMASK: u32 = 0xC000_0084;
    /// The image's code selector; the stack's follows it.
    const SELECTORS: u64 = 0x08 << 32;
    const SYSCALL_ENABLE: u64 = 1 << 0;
    const INTERRUPT_FLAG: u64 = 1 << 9;

    let (low, high): (u32, u32);
    // SAFETY: reading has no effect, and every processor in 64-bit mode has the register.
    unsafe {
        asm!(
            "rdmsr",
            in("ecx") EFER,
            out("eax") low,
            out("edx") high,
            options(nostack, preserves_flags),
        );
    }
    let efer = u64::from(high) << 32 | u64::from(low);
    for (register, value) in [
        (STAR, SELECTORS),
        (LSTAR, syscall_handler as *const () as u64),
        (FMASK, INTERRUPT_FLAG),
        (EFER, efer | SYSCALL_ENABLE),
    ] {
        // SAFETY: these registers act on SYSCALL only, which nothing else here executes;
        // EFER keeps what the boot code set.
        unsafe {
            asm!(
                "wrmsr",
                in("ecx") register,
                in("eax") value as u32,
                in("edx") (value >> 32) as u32,
                options(nostack, preserves_flags),
            );
        }
    }
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    tetrarch_x86::panic(info)
}

global_asm!(
    r#"
    .text
    .global all_steps, fault_step, int_handler, ud2_handler, syscall_handler
    all_steps:
        push rbx
        push rsi
        push rdi

        cli
    step_sti:
        sti
    step_sti_end:
        nop

    step_cli:
        cli
    step_cli_end:
        sti

    step_pushf:
        pushfq
    step_pushf_end:
        pop rax
        mov [flags_pushf], rax

        pushfq
        and qword ptr [rsp], ~0x200     # IF
    step_popf:
        popfq
    step_popf_end:
        sti

        mov rax, rsp
        mov ecx, ss
        push rcx
        push rax
        pushfq
        mov ecx, cs
        push rcx
        lea rcx, [rip + step_iret_end]
        push rcx
    step_iret:
        iretq
    step_iret_end:
        nop

    step_int:
        int 0x80
    step_int_end:
        nop

    step_syscall:
        syscall
    step_syscall_end:
        nop

    step_hlt:
        hlt
    step_hlt_end:
        nop

    step_ud2:
        ud2
    step_ud2_end:
        nop

        lea rsi, [rip + source]
        lea rdi, [rip + target]
        mov ecx, 16
    step_rep_movsb:
        rep movsb
    step_rep_movsb_end:
        nop

        lea rsi, [rip + source]
        lea rdi, [rip + target]
    step_movsq:
        movsq
    step_movsq_end:
        nop

        mov rax, [rip + rounds]
    step_crossing:
        mov [rip + target + 4], rax     # the second half of one window, the first of the next
    step_crossing_end:
        nop

        mov ecx, ss
    step_mov_ss:
        mov ss, ecx
    step_mov_ss_shadow:
        mov [rip + target], rax         # no debug exception between these two
    step_mov_ss_end:
        nop

        pop rdi
        pop rsi
        pop rbx
        ret

    fault_step:
    step_fault:
        mov rax, [unmapped_page]
    step_fault_end:
        ret

    int_handler:
        push rax
        mov rax, [rsp + 24]
        mov [flags_int], rax
        pop rax
        iretq

    ud2_handler:
        push rax
        mov rax, [rsp + 24]
        mov [flags_ud2], rax
        add qword ptr [rsp + 8], 2      # past the UD2
        pop rax
        iretq

    syscall_handler:
        mov [flags_syscall], r11
        push r11
        popfq
        jmp rcx
    "#
);
