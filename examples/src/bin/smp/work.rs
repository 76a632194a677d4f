//! What a CPU does: it counts, and now and then does something that is watched.

use core::arch::asm;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use examples::arguments::Arguments;

use crate::{CPUS, guards, orders, tasks};

/// A counter on a page of its own.
#[repr(C, align(4096))]
pub struct Page(pub AtomicU64);

/// Written by all CPUs.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".page.shared")]
static mut shared: u64 = 0;

/// How far each CPU has counted.
#[unsafe(no_mangle)]
pub static counters: [Page; CPUS] = [const { Page(AtomicU64::new(0)) }; CPUS];

/// How often each CPU has written `shared`.
#[unsafe(no_mangle)]
pub static writes: [AtomicU64; CPUS] = [const { AtomicU64::new(0) }; CPUS];

/// How often each CPU is still to write `shared`; set from gdb, or by the command line.
#[unsafe(no_mangle)]
static mut to_write: [u64; CPUS] = [0; CPUS];

/// Set from gdb to anything but 0: the image ends.
#[unsafe(no_mangle)]
static mut end: u64 = 0;

static TURNS: AtomicU64 = AtomicU64::new(u64::MAX);
static ROUNDS: AtomicU64 = AtomicU64::new(0);
static ENDED: [AtomicBool; CPUS] = [const { AtomicBool::new(false) }; CPUS];

/// Every so many turns something is done that is watched.
const PERIOD: u64 = 256;

/// Reads what the command line says.
pub fn prepare(arguments: &Arguments) {
    TURNS.store(arguments.number("turns").unwrap_or(u64::MAX), Ordering::Relaxed);
    ROUNDS.store(arguments.number("rounds").unwrap_or(0), Ordering::Relaxed);
    let count = arguments.number("writes").unwrap_or(0);
    (0..CPUS).for_each(|cpu| left(cpu).store(count, Ordering::Relaxed));
}

fn left(cpu: usize) -> &'static AtomicU64 {
    let place = (&raw mut to_write).cast::<u64>().wrapping_add(cpu);
    // SAFETY: aligned, inside the static, and written by gdb alone otherwise, which the processor
    // sees as one access.
    unsafe { AtomicU64::from_ptr(place) }
}

fn is_ended() -> bool {
    let place = &raw mut end;
    // SAFETY: as above.
    unsafe { AtomicU64::from_ptr(place) }.load(Ordering::Relaxed) != 0
}

/// Which CPUs the stub has taken in.
static IN: [AtomicBool; CPUS] = [const { AtomicBool::new(false) }; CPUS];
/// Whether all go.
static GO: AtomicBool = AtomicBool::new(false);

/// `cpu` is in, and waits until all go.
pub fn come_in(cpu: usize) {
    IN[cpu].store(true, Ordering::Release);
    wait_for(&GO);
}

/// Waits until the stub has taken `cpu` in.
pub fn wait_until_in(cpu: usize) {
    wait_for(&IN[cpu]);
}

/// All go.
pub fn let_go() {
    GO.store(true, Ordering::Release);
}

fn wait_for(flag: &AtomicBool) {
    while !flag.load(Ordering::Acquire) {
        core::hint::spin_loop();
    }
}

/// How many rounds the two that claim and release make.
pub fn rounds() -> u64 {
    ROUNDS.load(Ordering::Relaxed)
}

/// Whether claims are made and released, and nothing else done.
pub fn churns() -> bool {
    rounds() > 0
}

/// Whether `cpu` has not counted far enough.
pub fn goes_on(cpu: usize) -> bool {
    !is_ended() && counters[cpu].0.load(Ordering::Relaxed) < TURNS.load(Ordering::Relaxed)
}

/// Once through the loop.
#[unsafe(no_mangle)]
#[inline(never)]
pub fn turn(cpu: usize) {
    let number = count(cpu);
    if left(cpu).load(Ordering::Relaxed) > 0 {
        left(cpu).fetch_sub(1, Ordering::Relaxed);
        write_shared(cpu);
    }
    if number.is_multiple_of(PERIOD) {
        guards::probe(cpu);
        tasks::carry_on(cpu, (number / PERIOD) as usize % tasks::COUNT);
    }
    orders::obey(cpu);
}

fn count(cpu: usize) -> u64 {
    counters[cpu].0.fetch_add(1, Ordering::Relaxed)
}

/// Whether a CPU is writing `shared`.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Writes what all CPUs write: one after the other, because an access watchpoint of QEMU 7.2 does
/// not notice instructions that lock the bus themselves.
#[unsafe(no_mangle)]
#[inline(never)]
fn write_shared(cpu: usize) {
    while TAKEN.swap(true, Ordering::Acquire) {
        core::hint::spin_loop();
    }
    writes[cpu].fetch_add(1, Ordering::Relaxed);
    let place = &raw mut shared;
    // SAFETY: aligned, static, and nobody else writes it now. In assembly, so that it is one access.
    unsafe { asm!("inc qword ptr [{}]", in(reg) place, options(nostack)) };
    TAKEN.store(false, Ordering::Release);
}

/// What a CPU does that neither claims nor is watched, until the others have ended.
pub fn only_count(cpu: usize) {
    while !ENDED[0].load(Ordering::Acquire) {
        count(cpu);
    }
}

/// `cpu` has ended: nothing is left to do.
pub fn rest(cpu: usize) -> ! {
    mark_end(cpu);
    loop {
        orders::sleep();
    }
}

pub fn mark_end(cpu: usize) {
    ENDED[cpu].store(true, Ordering::Release);
}

pub fn wait_for_end(cpu: usize) {
    wait_for(&ENDED[cpu]);
}
