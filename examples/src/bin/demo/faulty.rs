//! Code of the firmware's that the stub calls, and that goes wrong: `monitor fail WAY`, a claim's
//! handler, a change of a claim, the clock, what reads the console.

use core::arch::asm;
use core::fmt::Write;
use core::sync::atomic::{AtomicBool, Ordering};

use examples::paging;
use tetrarch::arbiter::{Hit, Request, Verdict};
use tetrarch::target::monitor::{Command, Effect};

use crate::guards::STUB;

/// The command.
pub const FAIL: Command = Command {
    name: "fail",
    help: "WAY: goes wrong, by a fault, a division or a panic; or takes long (slow)",
    effect: Effect::Nothing,
    run: fail,
};

fn fail(way: &str, out: &mut dyn Write) {
    // What does not fit is cut off by the stub.
    let _ = writeln!(out, "about to fail");
    match way.trim() {
        "fault" => follow_a_bad_pointer(),
        "division" => divide_by_zero(),
        "slow" => take_long(),
        "panic" => panic!("provoked in a command"),
        other => _ = writeln!(out, "no such way: {other}"),
    }
}

/// A handler of the config guard's that never returns.
pub fn handler(_: &Hit) -> Verdict {
    follow_a_bad_pointer();
    Verdict::Continue
}

/// A change of a claim that never comes about.
pub fn change_with_a_fault(request: Request) -> Request {
    follow_a_bad_pointer();
    request
}

/// Likewise.
pub fn change_with_a_panic(_: Request) -> Request {
    panic!("provoked in a change")
}

/// Whether the clock is to go wrong once.
static CLOCK_FAILS: AtomicBool = AtomicBool::new(false);

/// What time it is, as far as that can be known.
pub fn clock() -> u64 {
    if CLOCK_FAILS.swap(false, Ordering::Relaxed) {
        follow_a_bad_pointer();
    }
    // SAFETY: reads a counter; every 64-bit processor has it.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// Whether the next byte of the console is to be followed by a fault.
static READER_FAILS: AtomicBool = AtomicBool::new(false);

/// Has the console's reader go wrong, once.
pub fn arm_reader() {
    READER_FAILS.store(true, Ordering::Relaxed);
}

/// Goes wrong if that was asked for.
pub fn fail_in_reader() {
    if READER_FAILS.swap(false, Ordering::Relaxed) {
        follow_a_bad_pointer();
    }
}

/// A tick with a clock that goes wrong.
pub fn tick_with_a_fault() {
    CLOCK_FAILS.store(true, Ordering::Relaxed);
    STUB.tick();
}

/// Longer than gdb waits for an acknowledgement, on any machine, and less than it waits for a reply.
fn take_long() {
    const TICKS: u64 = 10_000_000_000;
    // SAFETY: reads a counter; every 64-bit processor has it.
    let now = || unsafe { core::arch::x86_64::_rdtsc() };
    let start = now();
    while now() - start < TICKS {
        core::hint::spin_loop();
    }
}

fn follow_a_bad_pointer() {
    // SAFETY: wrong on purpose: the page fault is the effect that is wanted.
    unsafe {
        asm!("mov {0}, qword ptr [{0}]", inout(reg) paging::unmapped() => _, options(nostack, preserves_flags));
    }
}

fn divide_by_zero() {
    // SAFETY: wrong on purpose, as above.
    unsafe {
        asm!("div {0:e}", in(reg) 0, inout("eax") 1 => _, inout("edx") 0 => _, options(nomem, nostack));
    }
}
