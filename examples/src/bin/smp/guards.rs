//! The stub, the null guard of all CPUs, and a word for each CPU that it alone guards.
//!
//! All CPUs write all the words; the guard of a word must see what its own CPU writes, all of it,
//! and nothing else.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use examples::{apic, interrupts};
use spin::Once;
use tetrarch::arbiter::{
    self, Condition, CpuId, Handle, Handler, Hit, Owner, Region, Request, Reservations, Scope,
    Verdict,
};
use tetrarch::target::monitor::{Command, Effect};
use tetrarch_x86::{Config, SerialInterrupt, Stub};

use crate::{CPUS, orders, tally, tasks};

/// Room for 16 claims, for plans of the tasks, and for the CPUs.
pub static STUB: Stub<16, { tasks::COUNT }, CPUS> = Stub::new();

const NAMES: [&str; CPUS] = ["cpu-guard-0", "cpu-guard-1", "cpu-guard-2", "cpu-guard-3"];

const COMMANDS: [Command; 1] = [Command {
    name: "tally",
    help: "what the image has counted itself",
    effect: Effect::Nothing,
    run: tally::print,
}];

static NULL_GUARD: Once<Handle> = Once::new();

/// What is known of one CPU's guard.
pub struct Record {
    /// The CPU is about to write its word on purpose.
    expected: AtomicBool,
    /// How often it has done so.
    pub written: AtomicU64,
    /// How often its guard has seen it.
    pub seen: AtomicU64,
}

pub static RECORDS: [Record; CPUS] = [const {
    Record { expected: AtomicBool::new(false), written: AtomicU64::new(0), seen: AtomicU64::new(0) }
}; CPUS];

/// Hits on another CPU, or of another task, than they are for.
pub static STRAYS: AtomicU64 = AtomicU64::new(0);

/// A word on a page of its own.
#[repr(C, align(4096))]
struct Page(AtomicU64);

static WORDS: [Page; CPUS] = [const { Page(AtomicU64::new(0)) }; CPUS];

/// Installs the stub and puts up the guards; those of CPUs only if asked for.
pub fn start(with_guards: bool, patience: Option<u64>) {
    let serial = SerialInterrupt {
        vector: interrupts::SERIAL_VECTOR,
        end_of_interrupt: interrupts::end_of_interrupt,
    };
    let reservations = Reservations::new(1, 3, 0).expect("four in all");
    let config = Config {
        arbiter: arbiter::Config { reservations, ..arbiter::Config::DEFAULT },
        serial_interrupt: Some(serial),
        commands: &COMMANDS,
        activity: orders::activity,
        patience: patience.unwrap_or(Config::DEFAULT.patience),
        ..Config::DEFAULT
    };
    // SAFETY: called once, before interrupts are on; the IDT, the GDT and COM1 are the image's
    // own and nobody changes them afterwards.
    unsafe { STUB.install(config) }.expect("the stub finds the tables it needs");

    let null = Region::new(0, 8).expect("a region");
    let null = Request::pinned(Owner::System("null-guard"), null, Condition::ReadWrite);
    NULL_GUARD.call_once(|| claim(null, arbiter::stop));
    if with_guards {
        for (cpu, name) in NAMES.into_iter().enumerate() {
            let word = Region::new(word(cpu) as usize, 8).expect("a region");
            let guard = Request::pinned(Owner::System(name), word, Condition::Write);
            claim(guard.on(Scope::Cpu(CpuId(cpu as u16))), seen);
        }
        tasks::start();
    }
}

pub fn claim(request: Request, handler: Handler) -> Handle {
    STUB.request(request, handler).expect("the registers are reserved")
}

/// A change on all CPUs, and back.
pub fn switch_null_guard_off_and_on() {
    let guard = *NULL_GUARD.get().expect("it was claimed at boot");
    STUB.disable(guard).expect("it is there");
    STUB.enable(guard).expect("it is there");
}

fn word(cpu: usize) -> *mut u64 {
    WORDS[cpu].0.as_ptr()
}

/// A hit of a CPU's guard: on purpose, or by an order from gdb, or on the wrong CPU.
fn seen(hit: &Hit<'_>) -> Verdict {
    let cpu = usize::from(hit.cpu.0);
    let record = &RECORDS[cpu];
    if hit.region.address() != word(cpu) as usize || apic::id() as usize != cpu {
        STRAYS.fetch_add(1, Ordering::Relaxed);
        return Verdict::Continue;
    }
    if record.expected.load(Ordering::Relaxed) {
        record.seen.fetch_add(1, Ordering::Relaxed);
        return Verdict::Continue;
    }
    Verdict::Stop
}

/// Writes the words of all CPUs, on `cpu`.
pub fn probe(cpu: usize) {
    let record = &RECORDS[cpu];
    record.expected.store(true, Ordering::Relaxed);
    for other in 0..CPUS {
        if other == cpu {
            record.written.fetch_add(1, Ordering::Relaxed);
        }
        write(other);
    }
    record.expected.store(false, Ordering::Relaxed);
}

/// Writes the word of `cpu`.
pub fn write(cpu: usize) {
    // SAFETY: the word is a static atomic's, which nobody reads.
    unsafe { word(cpu).write_volatile(1) };
}
