//! Four tasks that take turns, each with a guard under its stack; six counters that take turns.
//!
//! The tasks are switched by the timer and by their own wish. Each switch is one call,
//! `STUB.switch_to(plan)`, and the registers hold what the task wants: the null guard, which is
//! for all of them, its own stack guard, and two of the six counters, or one when the debugger
//! uses the register that is kept for it. Each quantum ends with `STUB.tick()`, and the next
//! counters have their turn.
//!
//! | file | what it does |
//! | --- | --- |
//! | `scheduler.rs` | stacks, the way in and out, who is next |
//! | `guards.rs` | the stub, and the claims that are always armed |
//! | `profile.rs` | the claims that take turns |
//! | `work.rs` | what a task does |
//! | `tally.rs` | what was counted, compared |
//!
//! What the command line changes:
//!
//! | word | effect |
//! | --- | --- |
//! | `probe` | tasks write the last word of their own stack, right before and after a switch, and those of the others |
//! | `busy` | tasks do not give way by themselves: all switches are the timer's |
//! | `switches=N` | ends after N switches: with success, if no hit was lost or stray |
//!
//! Under gdb: `monitor tasks` says who runs, `monitor dr` what it and the others have claimed,
//! `monitor tally` what the image has counted itself; `watch tasks::shared` stops for the writes
//! of all four tasks; `set variable tasks::provoke = 2` has task 2 overrun its stack, 12 has it
//! write through a null pointer.
#![no_std]
#![no_main]
#![allow(non_upper_case_globals, reason = "gdb users type these names")]

mod guards;
mod profile;
mod scheduler;
mod tally;
mod work;

use core::arch::asm;
use core::panic::PanicInfo;

use examples::arguments::Arguments;
use examples::{exit, log};

/// Written once in each beat, by all tasks.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".page.shared")]
static mut shared: u64 = 0;

/// Who runs: 1 to 4, or 0 for nobody yet or any more.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".page.current")]
static mut current: usize = 0;

/// Set from gdb: 1 to 4 for the task that shall overrun its stack, 11 to 14 for the one that
/// shall write through a null pointer.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".page.provoke")]
static mut provoke: usize = 0;

#[unsafe(no_mangle)]
fn image_main(arguments: Arguments) {
    scheduler::take_over();
    guards::start();
    let profiles = profile::start();
    let body = match (arguments.has("probe"), arguments.has("busy")) {
        (true, _) => work::probing,
        (false, true) => work::busily,
        (false, false) => work::politely,
    };
    defmt::info!("tasks: running");
    log::mute();
    scheduler::run(body, arguments.number("switches").unwrap_or(u64::MAX));
    // No task runs any more, and none has a claim armed.
    (1..=scheduler::TASKS).for_each(guards::write_under_others);
    log::unmute();
    finish(tally::is_right(&profiles), scheduler::switches());
}

/// The end; a place for gdb to stop at.
#[unsafe(no_mangle)]
#[inline(never)]
fn finish(right: bool, switches: u64) {
    defmt::info!("tasks: done after {=u64} switches", switches);
    if !right {
        defmt::error!("tasks: this is not as it must be");
        exit::failure();
    }
}

/// The task that runs, or [`scheduler::BOOT`].
fn running() -> usize {
    // SAFETY: a number that the scheduler alone writes, with interrupts off.
    unsafe { current }
}

/// For the scheduler.
fn set_running(task: usize) {
    // SAFETY: as above.
    unsafe { current = task };
}

/// One instruction: a task that is interrupted before or after it has written, or has not.
#[unsafe(no_mangle)]
#[inline(never)]
fn write_shared() {
    let word = &raw mut shared;
    // SAFETY: plain data on a page of its own, which this instruction alone touches.
    unsafe { asm!("inc qword ptr [{}]", in(reg) word, options(nostack)) };
}

/// What gdb may order a task to do.
enum Order {
    Overrun,
    WriteThroughNull,
}

/// Takes an order that gdb left for `task`.
fn order_for(task: usize) -> Option<Order> {
    // SAFETY: a number that gdb writes, and the task that it is about.
    let order = unsafe { provoke };
    let order = match order.checked_sub(task)? {
        0 => Order::Overrun,
        10 => Order::WriteThroughNull,
        _ => return None,
    };
    // SAFETY: as above.
    unsafe { provoke = 0 };
    Some(order)
}

/// Tells the compiler that somebody else reads and writes this: a debugger does.
fn others_may_look_at<T>(value: &mut T) {
    // SAFETY: no instruction at all; without `nomem`, that is the point.
    unsafe { asm!("/* {} */", in(reg) value, options(nostack, preserves_flags)) };
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    log::unmute();
    defmt::error!("tasks: {}", defmt::Display2Format(info));
    tetrarch_x86::panic(info)
}
