//! When each CPU stopped, when it was let go, and when it ran again.
//!
//! The stub asks for the time twice for each CPU that it stops, when it has stopped and when it
//! goes on, so that the time between counts for nobody; whoever gives it the time knows both.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use examples::apic;
use x86::time::rdtsc;

use crate::CPUS;

/// What is known of one CPU, in one round.
struct Stamps {
    /// How often the time was asked for.
    asked: AtomicU32,
    /// When it had stopped, and when it went on.
    moments: [AtomicU64; 2],
    /// When it first was back in its loop, or 0.
    ran: AtomicU64,
}

static STAMPS: [Stamps; CPUS] = [const {
    Stamps {
        asked: AtomicU32::new(0),
        moments: [const { AtomicU64::new(0) }; 2],
        ran: AtomicU64::new(0),
    }
}; CPUS];

/// The time-stamp counter, which all CPUs share.
pub fn now() -> u64 {
    // SAFETY: reading has no effect.
    unsafe { rdtsc() }
}

/// What the stub is given for a clock.
pub fn clock() -> u64 {
    let moment = now();
    let stamps = &STAMPS[apic::id() as usize];
    let asked = stamps.asked.load(Ordering::Relaxed);
    if let Some(place) = stamps.moments.get(asked as usize) {
        place.store(moment, Ordering::Relaxed);
    }
    stamps.asked.store(asked + 1, Ordering::Release);
    moment
}

/// The number of the round, counted on when all else is ready for it.
static ROUND: AtomicU32 = AtomicU32::new(0);

/// A round begins: all CPUs run.
pub fn begin() {
    for stamps in &STAMPS {
        stamps.ran.store(0, Ordering::Relaxed);
        stamps.asked.store(0, Ordering::Relaxed);
    }
    ROUND.fetch_add(1, Ordering::Release);
}

/// Lets a client, and an emulator's serial port, come to rest after a stop.
pub fn wait_for_quiet() {
    const QUIET: u64 = 2_000_000;
    let start = now();
    while now() - start < QUIET {
        core::hint::spin_loop();
    }
}

/// What the other CPUs do: they note when they run, for the first time and again.
pub fn watch(cpu: usize) -> ! {
    let Stamps { asked, ran, .. } = &STAMPS[cpu];
    let mut noted = 0;
    ran.store(now(), Ordering::Release);
    loop {
        let round = ROUND.load(Ordering::Acquire);
        if noted != round && asked.load(Ordering::Acquire) == 2 {
            ran.store(now(), Ordering::Release);
            noted = round;
        }
        core::hint::spin_loop();
    }
}

/// Waits until the CPUs from 1 up to `cpus` run again.
pub fn wait_for_others(cpus: usize) {
    for stamps in &STAMPS[1..cpus] {
        while stamps.ran.load(Ordering::Acquire) == 0 {
            core::hint::spin_loop();
        }
    }
}

/// From `hit` until the last of so many CPUs had stopped.
pub fn until_all_stopped(cpus: usize, hit: u64) -> u64 {
    let stopped = STAMPS[..cpus].iter().map(|stamps| stamps.moments[0].load(Ordering::Relaxed));
    stopped.max().map_or(0, |last| last.saturating_sub(hit))
}

/// From when the first of so many CPUs went on until the last ran: the others by their own stamps,
/// CPU 0 since `back`.
pub fn until_all_ran(cpus: usize, back: u64) -> u64 {
    let went = STAMPS[..cpus].iter().map(|stamps| stamps.moments[1].load(Ordering::Relaxed));
    let ran = STAMPS[1..cpus].iter().map(|stamps| stamps.ran.load(Ordering::Relaxed));
    let last = ran.max().map_or(back, |last| last.max(back));
    went.min().map_or(0, |first| last.saturating_sub(first))
}
