//! What it costs to stop all CPUs and to let them go: for the debugger, and for a claim.
//!
//! CPU 0 writes a word that is watched, and claims and releases another, again and again; the
//! others do nothing but note when they are stopped and when they run again. The image reports, in
//! a line of its log for each, the least and the median of what the TSC counted. It waits for a
//! client, which has to let it go on from each stop; `cargo xtask bench` is one.
//!
//! What the command line changes:
//!
//! | word | effect |
//! | --- | --- |
//! | `cpus=N` | how many CPUs there are; given by whoever starts the image |
//! | `times=N` | how often each is done, at most 1001 times |
#![no_std]
#![no_main]

mod stamps;

use core::panic::PanicInfo;
use core::sync::atomic::{AtomicU64, Ordering};

use examples::arguments::Arguments;
use examples::{apic, log, processors};
use tetrarch::arbiter::{self, Condition, CpuId, Handler, Region};
use tetrarch_x86::{Config, CpuMemory, Stub};

/// How many CPUs there can be.
const CPUS: usize = 4;
/// How often each thing can be done.
const TIMES: usize = 1001;

static STUB: Stub<16, 0, CPUS> = Stub::new();
static MEMORY: [CpuMemory; CPUS] = [const { CpuMemory::new() }; CPUS];

/// A word on a page of its own.
#[repr(C, align(4096))]
struct Page(AtomicU64);

static WORD: Page = Page(AtomicU64::new(0));
static OTHER: Page = Page(AtomicU64::new(0));

#[unsafe(no_mangle)]
fn image_main(arguments: Arguments) {
    let cpus = processors::count(&arguments).min(CPUS);
    let times = arguments.number("times").map_or(TIMES, |times| (times as usize).clamp(1, TIMES));
    apic::enable();
    let config = Config { clock: stamps::clock, ..Config::DEFAULT };
    // SAFETY: called once; the IDT, the GDT and COM1 are the image's own and nobody changes them
    // afterwards.
    unsafe { STUB.install(config) }.expect("the stub finds the tables it needs");
    // Nobody else logs while this CPU does.
    log::mute();
    for cpu in 1..cpus {
        assert!(processors::start(cpu, second_main), "a CPU does not start");
    }
    stamps::wait_for_others(cpus);
    log::unmute();
    defmt::info!("rendezvous: running");
    log::mute();
    round(cpus, tetrarch_x86::breakpoint);
    told(cpus, times);
    stopped(cpus, times);
    claimed(cpus, times);
    log::unmute();
    defmt::info!("rendezvous: done");
}

/// Where the other CPUs begin.
extern "C" fn second_main(cpu: usize) -> ! {
    // SAFETY: ring 0; each CPU has its own number and memory, and the tables of the boot CPU.
    unsafe { STUB.start_cpu(CpuId(cpu as u16), &MEMORY[cpu]) }.expect("the stub takes it in");
    stamps::watch(cpu)
}

/// Does what stops the others, once, and waits until they run again.
fn round<R>(cpus: usize, work: impl FnOnce() -> R) -> R {
    stamps::begin();
    let result = work();
    stamps::wait_for_others(cpus);
    result
}

/// A hit that only its owner is told of: no other CPU stops.
fn told(cpus: usize, times: usize) {
    with_claim(cpus, arbiter::carry_on, || {
        let mut ticks = Ticks::new(times);
        while ticks.are_missing() {
            let hit = stamps::now();
            write();
            ticks.add(stamps::now() - hit);
        }
        ticks.report("hit that is told");
    });
}

/// A hit that stops in the debugger.
fn stopped(cpus: usize, times: usize) {
    with_claim(cpus, arbiter::stop, || {
        let (mut stopping, mut going) = (Ticks::new(times), Ticks::new(times));
        while going.are_missing() {
            stamps::wait_for_quiet();
            let (hit, back) = round(cpus, || {
                let hit = stamps::now();
                write();
                (hit, stamps::now())
            });
            stopping.add(stamps::until_all_stopped(cpus, hit));
            going.add(stamps::until_all_ran(cpus, back));
        }
        stopping.report("hit to all parked");
        going.report("resume to all running");
    });
}

/// A claim for all CPUs, made and released by the firmware.
fn claimed(cpus: usize, times: usize) {
    let (mut claiming, mut releasing) = (Ticks::new(times), Ticks::new(times));
    while releasing.are_missing() {
        let handle = round(cpus, || {
            let start = stamps::now();
            let handle = STUB.claim("bench", region(&OTHER), Condition::Write, arbiter::carry_on);
            claiming.add(stamps::now() - start);
            handle.expect("a register is free")
        });
        round(cpus, || {
            let start = stamps::now();
            STUB.release(handle).expect("it is there");
            releasing.add(stamps::now() - start);
        });
    }
    claiming.report("claim");
    releasing.report("release");
}

/// Works while the word is watched.
fn with_claim(cpus: usize, handler: Handler, work: impl FnOnce()) {
    let claim = || {
        let claimed = STUB.claim("word", region(&WORD), Condition::Write, handler);
        claimed.expect("a register is free")
    };
    let guard = round(cpus, claim);
    work();
    round(cpus, || STUB.release(guard).expect("it is there"));
}

fn region(page: &'static Page) -> Region {
    Region::new(page.0.as_ptr() as usize, 8).expect("a region")
}

fn write() {
    WORD.0.store(1, Ordering::Relaxed);
}

/// What was counted when something was done many times.
struct Ticks {
    counted: heapless::Vec<u64, TIMES>,
    times: usize,
}

impl Ticks {
    fn new(times: usize) -> Self {
        Self { counted: heapless::Vec::new(), times }
    }

    fn are_missing(&self) -> bool {
        self.counted.len() < self.times
    }

    fn add(&mut self, ticks: u64) {
        self.counted.push(ticks).expect("no more than were asked for");
    }

    fn report(mut self, name: &str) {
        self.counted.sort_unstable();
        log::unmute();
        defmt::info!(
            "rendezvous: {=str}: ticks {=u64} at least, {=u64} as a rule",
            name,
            self.counted[0],
            self.counted[self.times / 2],
        );
        log::mute();
    }
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    tetrarch_x86::panic(info)
}
