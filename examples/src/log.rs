//! defmt over the second serial port (COM2), polled.
//!
//! The first port belongs to gdb. A log line may be interrupted by a debug exception that
//! wants to log too: the inner line is then dropped, because the outer frame is half sent
//! and its bytes must not be mixed with others.

use core::sync::atomic::{AtomicU8, Ordering};

use crate::interrupts;
use crate::serial::{self, Serial};

/// Sets the port up. What is logged before that is lost.
pub(crate) fn start() {
    // SAFETY: COM2 is this module's own.
    unsafe { Serial::open(serial::COM2) };
}

/// How many frames are open: 1 while one is written, more while inner ones are dropped.
static OPEN: AtomicU8 = AtomicU8::new(0);
static FRAME: Frame = Frame(core::cell::UnsafeCell::new(defmt::Encoder::new()));

struct Frame(core::cell::UnsafeCell<defmt::Encoder>);

// SAFETY: one CPU runs these images, and only the owner of the outermost frame (OPEN == 1)
// touches the encoder.
unsafe impl Sync for Frame {}

impl Frame {
    fn with(&self, act: impl FnOnce(&mut defmt::Encoder, fn(&[u8]))) {
        if OPEN.load(Ordering::Relaxed) == 1 {
            // SAFETY: this is the outermost frame, so no other reference is alive.
            act(unsafe { &mut *self.0.get() }, send);
        }
    }
}

/// Drops what is logged from here on, until [`unmute`]: an image with a hundred thousand hits
/// would otherwise do little else than tell of them.
pub fn mute() {
    // Whatever is logged now is an inner frame.
    OPEN.fetch_add(1, Ordering::Relaxed);
}

/// Ends what [`mute`] began.
pub fn unmute() {
    OPEN.fetch_sub(1, Ordering::Relaxed);
}

#[defmt::global_logger]
struct Logger;

// SAFETY: `acquire` and `release` nest strictly on one CPU, since an interrupted frame
// continues only after the inner one is done; inner frames write nothing.
unsafe impl defmt::Logger for Logger {
    fn acquire() {
        OPEN.fetch_add(1, Ordering::Relaxed);
        FRAME.with(|encoder, write| encoder.start_frame(write));
    }

    unsafe fn flush() {}

    unsafe fn release() {
        FRAME.with(|encoder, write| encoder.end_frame(write));
        OPEN.fetch_sub(1, Ordering::Relaxed);
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
