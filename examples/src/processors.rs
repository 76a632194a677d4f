//! Starts the other processors.
//!
//! After a reset one processor runs the firmware; the others wait, and are started with three
//! messages through the local APIC (Intel SDM vol. 3, 9.4.4): INIT, which resets the processor
//! whatever it does, and SIPI, which names the page where it begins (`trampoline.rs`); a second
//! SIPI is for one that has not arrived yet, and ignored if it is on its way. Each is given the
//! time that the manual asks for: 10 ms after INIT, 200 µs after a SIPI.
//!
//! A processor arrives with the control registers, page tables, GDT and IDT of the one that
//! started it, a stack of its own, its local APIC enabled in the same mode, and interrupts off.
//! It has no TSS: TR is 0.
//!
//! How many there are is in the firmware's tables, which these images do not read: whoever
//! boots them says so on the command line, `cpus=N`. Their APIC ids are taken to be 0 to N - 1,
//! 0 for the one that boots, as QEMU and Bochs number them.

mod delay;
mod trampoline;

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, Ordering};

use trampoline::Handover;
use x86::time::rdtsc;

use crate::arguments::Arguments;
use crate::{apic, log};

/// How many processors there can be, with the one that boots.
pub const MAX: usize = 8;

/// In bytes. Without optimisation the stub needs more.
const STACK_SIZE: usize = if cfg!(debug_assertions) { 128 << 10 } else { 32 << 10 };

/// In microseconds.
const AFTER_INIT: u32 = 10_000;
/// In microseconds.
const AFTER_STARTUP: u32 = 200;
/// How many SIPIs are sent at most.
const STARTUPS: usize = 2;

/// How long to wait for a processor, in ticks of the time-stamp counter: about a second on any
/// real one. An emulator's host may have more threads than processors, and run it late.
const PATIENCE: u64 = 4_000_000_000;

#[repr(C, align(16))]
struct Stack(UnsafeCell<[u8; STACK_SIZE]>);

// SAFETY: used by one processor as its stack, and by no Rust code otherwise.
unsafe impl Sync for Stack {}

/// By number; the first processor has the one that it booted with.
static STACKS: [Stack; MAX] = [const { Stack(UnsafeCell::new([0; STACK_SIZE])) }; MAX];

/// Which processors have arrived since they were last started.
static ARRIVED: [AtomicBool; MAX] = [const { AtomicBool::new(false) }; MAX];

/// Whether one is being started: they use the same page.
static STARTING: AtomicBool = AtomicBool::new(false);

/// The number of processors, the one that boots included.
pub fn count(arguments: &Arguments) -> usize {
    arguments.number("cpus").map_or(1, |number| number.clamp(1, MAX as u64) as usize)
}

/// Starts the processor whose APIC id is `index`, or starts it anew: what it was doing is never
/// continued. It calls `entry` with its number. False if it has not arrived in about a second;
/// it is then reset, so that it does not arrive later.
///
/// One at a time, by a processor that is not `index`; 0, which booted, cannot be started.
pub fn start(index: usize, entry: extern "C" fn(usize) -> !) -> bool {
    assert!((1..MAX).contains(&index), "no such processor can be started: {index}");
    assert_ne!(apic::id(), index as u32, "a processor cannot start itself");
    assert!(!STARTING.swap(true, Ordering::Acquire), "another processor is being started");
    apic::enable();

    // All is ready before INIT: QEMU keeps a SIPI that came late, the second one of an earlier
    // start, and begins with it as soon as the processor has been reset.
    let stack = STACKS[index].0.get() as u64 + STACK_SIZE as u64;
    let handover = Handover::of_this_processor(stack, arrive, index, entry, apic::is_x2apic());
    // SAFETY: `STARTING` keeps others away; all processors that were started before have
    // arrived, or were reset below.
    unsafe { trampoline::prepare(handover) };
    ARRIVED[index].store(false, Ordering::Relaxed);

    reset(index);
    for _ in 0..STARTUPS {
        // SAFETY: the trampoline is there.
        unsafe { apic::send_startup(index as u32, trampoline::PAGE) };
        delay::microseconds(AFTER_STARTUP);
        if ARRIVED[index].load(Ordering::Acquire) {
            break;
        }
    }
    let arrived = wait_for(&ARRIVED[index]);
    if !arrived {
        reset(index);
    }
    STARTING.store(false, Ordering::Release);
    arrived
}

/// Resets a processor, which then waits for a SIPI.
fn reset(index: usize) {
    // SAFETY: it is not this one (`start`). Nobody else relies on its stack, which only its own
    // code knows; the log, if it held it, is given back when it arrives. What else it held is
    // for the caller of `start` to know.
    unsafe { apic::send_init(index as u32) };
    delay::microseconds(AFTER_INIT);
}

/// Whether `flag` comes to be set in time.
fn wait_for(flag: &AtomicBool) -> bool {
    let start = time_stamp();
    while !flag.load(Ordering::Acquire) {
        if time_stamp().wrapping_sub(start) > PATIENCE {
            return false;
        }
        core::hint::spin_loop();
    }
    true
}

fn time_stamp() -> u64 {
    // SAFETY: reading has no effect, and the images run in ring 0.
    unsafe { rdtsc() }
}

/// Where the assembly ends, on the processor that was started.
extern "C" fn arrive(handover: &Handover) -> ! {
    let (index, entry) = (handover.index, handover.entry);
    log::give_back();
    if handover.x2apic {
        apic::enable_x2apic();
    } else {
        apic::enable();
    }
    // From here on the next one may be started: the handover is no longer used.
    ARRIVED[index].store(true, Ordering::Release);
    entry(index)
}
