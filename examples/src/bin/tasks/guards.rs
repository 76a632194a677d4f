//! The claims that are always armed: one null guard, and a guard under the stack of each task.
//!
//! Of the four registers the null guard has one, whatever runs; the second belongs to the stack
//! guard of the task that runs; one is kept for the debugger, and one for the claims that take
//! turns (`profile.rs`).
//!
//! A task may write its own guarded word on purpose: `probe` counts what it wrote, the handler
//! what it saw. And it writes the words under the others' stacks, which nobody must see.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use examples::interrupts;
use tetrarch::arbiter::{
    self, Condition, Handler, Hit, Owner, Region, Request, Reservations, Scope, Verdict,
};
use tetrarch::target::monitor::{Command, Effect};
use tetrarch_x86::{Config, SerialInterrupt, Stub};

use crate::scheduler::{self, TASKS};
use crate::{tally, work};

/// Room for 16 claims, and for plans of 4 tasks.
pub static STUB: Stub<16, TASKS> = Stub::new();

const NAMES: [&str; TASKS] = ["stack-guard-1", "stack-guard-2", "stack-guard-3", "stack-guard-4"];

const COMMANDS: [Command; 1] = [Command {
    name: "tally",
    help: "what the image has counted itself",
    effect: Effect::Nothing,
    run: tally::print,
}];

/// What is known of one task's guard.
pub struct Record {
    /// The task is about to write the guarded word on purpose.
    expected: AtomicBool,
    /// How often it has done so.
    pub written: AtomicU64,
    /// How often the guard has seen it.
    pub seen: AtomicU64,
}

/// By task; the boot's context has no guard.
pub static RECORDS: [Record; TASKS + 1] = [const {
    Record { expected: AtomicBool::new(false), written: AtomicU64::new(0), seen: AtomicU64::new(0) }
}; TASKS + 1];

/// Writes under the stacks of others.
pub static FOREIGN: AtomicU64 = AtomicU64::new(0);
/// Hits of a claim that belongs to another task than the one that runs.
pub static STRAYS: AtomicU64 = AtomicU64::new(0);

/// Installs the stub and puts up the guards.
pub fn start() {
    let serial = SerialInterrupt {
        vector: interrupts::SERIAL_VECTOR,
        end_of_interrupt: interrupts::end_of_interrupt,
    };
    let reservations = Reservations::new(1, 2, 1).expect("four in all");
    let config = Config {
        arbiter: arbiter::Config { reservations, ..arbiter::Config::DEFAULT },
        serial_interrupt: Some(serial),
        // Work done is the time that counts here: an emulator's cycles go on while the host does
        // something else.
        clock: work::beats,
        commands: &COMMANDS,
        ..Config::DEFAULT
    };
    // SAFETY: called once, before interrupts are on; the IDT, the GDT and COM1 are the image's
    // own and nobody changes them afterwards.
    unsafe { STUB.install(config) }.expect("the stub finds the tables it needs");

    let null = Region::new(0, 8).expect("a region");
    claim(Request::pinned(Owner::System("null-guard"), null, Condition::ReadWrite), arbiter::stop);
    for (task, name) in (1..).zip(NAMES) {
        let end = Region::new(scheduler::end_of_stack(task), 8).expect("a region");
        let guard = Request::pinned(Owner::System(name), end, Condition::Write);
        claim(guard.on(Scope::Task(scheduler::id(task))), stack_guard);
    }
}

fn claim(request: Request, handler: Handler) {
    STUB.request(request, handler).expect("the registers are reserved");
}

/// A hit of a stack guard: on purpose, or an overrun, or none of this task's.
fn stack_guard(hit: &Hit<'_>) -> Verdict {
    let running = crate::running();
    let record = &RECORDS[running];
    if running == scheduler::BOOT || hit.region.address() != scheduler::end_of_stack(running) {
        STRAYS.fetch_add(1, Ordering::Relaxed);
        return Verdict::Continue;
    }
    if record.expected.load(Ordering::Relaxed) {
        record.seen.fetch_add(1, Ordering::Relaxed);
        return Verdict::Continue;
    }
    Verdict::Stop
}

/// Writes the running task's guarded word right before it gives way and right after it is back,
/// and all the others' before and in between.
pub fn probe(task: usize) {
    let record = &RECORDS[task];
    write_under_others(task);
    record.expected.store(true, Ordering::Relaxed);
    record.written.fetch_add(2, Ordering::Relaxed);
    scheduler::give_way_between_writes(scheduler::end_of_stack(task) as *mut u64);
    record.expected.store(false, Ordering::Relaxed);
    write_under_others(task);
}

/// Writes the guarded words of all tasks but `task`.
pub fn write_under_others(task: usize) {
    for other in (1..=TASKS).filter(|other| *other != task) {
        let word = scheduler::end_of_stack(other) as *mut u64;
        // SAFETY: nobody reads the lowest word of a stack, and a stack that reached down to it
        // would have been stopped by its guard.
        unsafe { word.write_volatile(task as u64) };
        FOREIGN.fetch_add(1, Ordering::Relaxed);
    }
}
