//! defmt over the second serial port (COM2), polled.
//!
//! The first port belongs to gdb. The port carries one frame at a time, and two things come in
//! the middle of one:
//!
//! * a debug exception on the same processor that wants to log too: the inner frame is dropped,
//!   because the outer one is half sent and their bytes must not be mixed;
//! * another processor. It drops its frame as well and never waits: the one that writes may be
//!   stopped in the middle, for as long as gdb likes, by the NMI with which the stub stops all
//!   processors. Waiting for it would be for ever if the stub waited for the one that waits.
//!
//! So what is kept is the processor that writes and how many frames it has open, in one word,
//! because an NMI may come between any two writes. A processor is told by the APIC id that it
//! started with, which CPUID gives at any time and in either mode of the APIC.

use core::arch::x86_64::__cpuid;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::interrupts;
use crate::serial::{self, Serial};

/// Sets the port up. What is logged before that is lost.
pub(crate) fn start() {
    // SAFETY: COM2 is this module's own.
    unsafe { Serial::open(serial::COM2) };
}

/// 0, or who writes: the processor's number from 1 in the upper half, and in the lower half how
/// many frames it has open: 1 while one is written, more while inner ones are dropped.
static OPEN: AtomicU32 = AtomicU32::new(0);
/// How often [`mute`] was called without [`unmute`].
static MUTED: AtomicU32 = AtomicU32::new(0);
/// How many frames were dropped because another was open; those of a muted log do not count.
pub static LOST: AtomicU64 = AtomicU64::new(0);

/// The lower half of [`OPEN`].
const FRAMES: u32 = 0xFFFF;

static FRAME: Frame = Frame(core::cell::UnsafeCell::new(defmt::Encoder::new()));

struct Frame(core::cell::UnsafeCell<defmt::Encoder>);

// SAFETY: only the processor that `OPEN` names touches the encoder, and only in its outermost
// frame.
unsafe impl Sync for Frame {}

impl Frame {
    fn with(&self, act: impl FnOnce(&mut defmt::Encoder, fn(&[u8]))) {
        let open = OPEN.load(Ordering::Relaxed);
        // CPUID is slow, and traps to a hypervisor: only if the answer matters.
        if open & FRAMES == 1 && open == upper_half(processor()) | 1 {
            // SAFETY: this is the outermost frame of the processor that writes, so no other
            // reference is alive.
            act(unsafe { &mut *self.0.get() }, send);
        }
    }
}

/// The APIC id that this processor started with.
fn processor() -> u32 {
    __cpuid(1).ebx >> 24
}

fn upper_half(processor: u32) -> u32 {
    (processor + 1) << 16
}

fn is_muted() -> bool {
    MUTED.load(Ordering::Relaxed) != 0
}

/// Drops what is logged from here on, by any processor, until [`unmute`]: an image with a hundred
/// thousand hits would otherwise do little else than tell of them. Frames that are open are sent.
pub fn mute() {
    MUTED.fetch_add(1, Ordering::Relaxed);
}

/// Ends what [`mute`] began.
pub fn unmute() {
    MUTED.fetch_sub(1, Ordering::Relaxed);
}

/// Called by a processor that begins anew after a reset: ends the frame that it was writing
/// then, if it was. Otherwise nobody could log any more.
pub(crate) fn give_back() {
    let open = OPEN.load(Ordering::Relaxed);
    if open & !FRAMES != upper_half(processor()) {
        return;
    }
    // SAFETY: the frame is this processor's, and what wrote it does not run any more.
    unsafe { &mut *FRAME.0.get() }.end_frame(send);
    LOST.fetch_add(1, Ordering::Relaxed);
    OPEN.store(0, Ordering::Release);
}

#[defmt::global_logger]
struct Logger;

// SAFETY: `acquire` and `release` nest strictly on each processor, since an interrupted frame
// continues only after the inner one is done. So a frame that was dropped at its start finds at
// its end what it found then: its processor's other frames are open as they were.
unsafe impl defmt::Logger for Logger {
    fn acquire() {
        let open = OPEN.load(Ordering::Relaxed);
        if open == 0 && is_muted() {
            return;
        }
        let me = upper_half(processor());
        if open & !FRAMES == me {
            OPEN.fetch_add(1, Ordering::Relaxed);
        } else if is_muted() {
            return;
        } else if OPEN.compare_exchange(0, me | 1, Ordering::Acquire, Ordering::Relaxed).is_ok() {
            FRAME.with(|encoder, write| encoder.start_frame(write));
            return;
        }
        if !is_muted() {
            LOST.fetch_add(1, Ordering::Relaxed);
        }
    }

    unsafe fn flush() {}

    unsafe fn release() {
        FRAME.with(|encoder, write| encoder.end_frame(write));
        let open = OPEN.load(Ordering::Relaxed);
        if open == 0 || open & !FRAMES != upper_half(processor()) {
            return;
        }
        // Nobody but this processor changes the word now. Frames that come in between leave it
        // as they found it.
        let outer = if open & FRAMES == 1 { 0 } else { open - 1 };
        OPEN.store(outer, Ordering::Release);
    }

    unsafe fn write(bytes: &[u8]) {
        FRAME.with(|encoder, write| encoder.write(bytes, write));
    }
}

// Milliseconds, if the image lets the timer run.
defmt::timestamp!("{=u64:ms}", interrupts::milliseconds());

fn send(bytes: &[u8]) {
    Serial::opened(serial::COM2).send(bytes);
}
