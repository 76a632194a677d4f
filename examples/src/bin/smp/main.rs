//! Several CPUs, each in a loop of its own, with guards for one, for all, and for tasks that move.
//!
//! The boot CPU installs the stub and starts the others, which call in before they do anything
//! else. Then each counts; some of what it does is watched, for it alone or for everybody, and the
//! image keeps its own count of what the guards must see.
//!
//! | file | what it does |
//! | --- | --- |
//! | `guards.rs` | the stub, and the claims: a null guard for all, one word for each CPU |
//! | `work.rs` | what a CPU does in its loop |
//! | `tasks.rs` | two tasks, each with a guard of its own, that whichever CPU is free carries on |
//! | `orders.rs` | what a CPU can be ordered from gdb, and how to be truly stuck |
//! | `nmi.rs` | an NMI handler that the image had before the stub |
//! | `churn.rs` | two CPUs that claim and release, again and again |
//! | `tally.rs` | what was counted, compared |
//!
//! What the command line changes:
//!
//! | word | effect |
//! | --- | --- |
//! | `cpus=N` | how many CPUs there are; given by whoever starts the image |
//! | `online=N` | starts only the first N; `set variable smp::hot_start = K` starts CPU K later |
//! | `writes=N` | each CPU writes `shared` N times |
//! | `rounds=N` | CPUs 0 and 1 claim and release N times, and nobody does much else |
//! | `turns=N` | ends when each CPU has counted to N: with success, if no hit was lost or stray |
//! | `patience=N` | how many ticks of the TSC are waited for a CPU |
//! | `own-nmi` | has a handler of its own for NMIs that are not the stub's |
//! | `x2apic` | switches to x2APIC mode, if there is one |
//!
//! Under gdb: `info threads`, `monitor cpus`, `thread apply all bt`, `watch smp::work::shared`,
//! `monitor dr 2`, `monitor tally`; `set variable smp::work::to_write[3] = 5` has CPU 3 write `shared`
//! five times, `set variable smp::work::end = 1` ends it all, and `set variable smp::orders::orders[2] = 1` has CPU 2 write the word
//! that its guard is for, 2: through a null pointer, 3: spin with interrupts off, 4: do not
//! respond, until it is 0 again; 5: sleep; 6: go offline;
//! 7: switch the null guard off and on, until it is 0 again; 8: send itself ten NMIs in a row
//! (with `own-nmi`).
#![no_std]
#![no_main]
#![allow(non_upper_case_globals, reason = "gdb users type these names")]

mod churn;
mod guards;
mod nmi;
mod orders;
mod tally;
mod tasks;
mod work;

use core::panic::PanicInfo;

use examples::arguments::Arguments;
use examples::{apic, exit, interrupts, log, processors};
use guards::STUB;
use tetrarch::arbiter::CpuId;
use tetrarch_x86::CpuMemory;

/// How many CPUs there can be.
pub const CPUS: usize = 4;

/// What the exceptions of the others go through.
static MEMORY: [CpuMemory; CPUS] = [const { CpuMemory::new() }; CPUS];

/// Set from gdb: the number of a CPU to be started; 0 for none.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".page.hot_start")]
static mut hot_start: usize = 0;

#[unsafe(no_mangle)]
fn image_main(arguments: Arguments) {
    let present = processors::count(&arguments).min(CPUS);
    let online = arguments.number("online").map_or(present, |online| online as usize).min(present);
    let rounds = arguments.number("rounds").unwrap_or(0);
    work::prepare(&arguments);
    apic::enable();
    if arguments.has("x2apic") {
        assert!(apic::enable_x2apic(), "there is no x2APIC");
    }
    // Nobody else logs while this CPU does: a line that finds another CPU at it is dropped.
    log::mute();
    nmi::start(&arguments);
    guards::start(rounds == 0, arguments.number("patience"));
    for cpu in 1..online {
        assert!(processors::start(cpu, second_main), "a CPU does not start");
        work::wait_until_in(cpu);
    }
    interrupts::enable();
    log::unmute();
    defmt::info!("smp: running");
    log::mute();
    work::let_go();
    if rounds > 0 {
        churn::run(0, rounds);
    } else {
        while work::goes_on(0) {
            work::turn(0);
            start_later();
        }
    }
    (1..online).for_each(work::wait_for_end);
    log::unmute();
    finish(tally::is_right());
}

/// Where the other CPUs begin.
extern "C" fn second_main(cpu: usize) -> ! {
    // SAFETY: ring 0; each CPU has its own number and memory, and the tables of the boot CPU.
    unsafe { STUB.start_cpu(CpuId(cpu as u16), &MEMORY[cpu]) }.expect("the stub takes it in");
    work::come_in(cpu);
    if work::churns() {
        if cpu == 1 {
            churn::run(cpu, work::rounds());
        } else {
            work::only_count(cpu);
        }
    } else {
        while work::goes_on(cpu) {
            work::turn(cpu);
        }
    }
    work::rest(cpu)
}

/// A CPU that gdb wants started.
fn start_later() {
    let order = &raw mut hot_start;
    // SAFETY: aligned, and written by gdb alone while the image is stopped.
    let cpu = unsafe { order.read_volatile() };
    if cpu != 0 {
        // SAFETY: as above.
        unsafe { order.write_volatile(0) };
        assert!(processors::start(cpu, second_main), "a CPU does not start");
    }
}

/// The end; a place for gdb to stop at.
#[unsafe(no_mangle)]
#[inline(never)]
fn finish(right: bool) {
    if right {
        defmt::info!("smp: done");
        exit::success()
    }
    exit::failure()
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    tetrarch_x86::panic(info)
}
