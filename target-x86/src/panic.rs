//! Panics, and faults that nobody can be told about properly.
//!
//! A panic of the firmware stops in the debugger with its message; the frame is that of the
//! panic handler, so `backtrace` shows who panicked. A panic or a fault *inside* the stub, or
//! in a handler that it called, finds the session half-way through something. Then the text
//! goes out as a console packet over the bare port, and the machine halts.

use core::fmt::Write;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicU16, Ordering};

use tetrarch::arbiter::Region;
use tetrarch::text::Text;
use x86::io;

use crate::dispatch;
use crate::fault;
use crate::frame::Frame;

/// The first I/O port of the serial port in use, or 0.
static PORT: AtomicU16 = AtomicU16::new(0);

/// Where that is noted.
pub(crate) fn region() -> Option<Region> {
    Region::new((&raw const PORT).addr(), size_of_val(&PORT)).ok()
}

/// Offset of the line status register, and its bit "transmitter holding register empty".
const LINE_STATUS: u16 = 5;
const TRANSMITTER_READY: u8 = 1 << 5;
/// How often the port is asked before a byte is given up.
const PATIENCE: u32 = 1_000_000;

/// Remembers where to complain.
pub(crate) fn set_port(base: u16) {
    PORT.store(base, Ordering::Relaxed);
}

/// What a `#[panic_handler]` calls: stops in the debugger with the message. Panicking cannot
/// be gone on from, so a client that continues comes back here.
pub fn panic(info: &PanicInfo<'_>) -> ! {
    let mut text = Text::new();
    // Writing to `Text` does not fail.
    let _ = write!(text, "{}", info.message());
    if let Some(location) = info.location() {
        let _ = write!(text, " ({}:{})", location.file(), location.line());
    }
    loop {
        if dispatch::enter_for_panic(text).is_err() {
            complain(&text);
            halt()
        }
    }
}

/// An exception in the stub itself, or in a handler that it called.
pub(crate) fn fatal(frame: &Frame) -> ! {
    let mut text = Text::new();
    let _ = write!(
        text,
        "tetrarch: {} at {:#x} inside the stub or a handler; halted",
        fault::describe(frame).name,
        frame.rip
    );
    complain(&text);
    halt()
}

/// The stub has used up its stack, and whatever lies below it.
pub(crate) fn stack_overflow() -> ! {
    let mut text = Text::new();
    let _ = write!(text, "tetrarch: the working stack has overflowed; halted");
    complain(&text);
    halt()
}

/// Sends `text` as a console packet, past the session.
fn complain(text: &Text) {
    let base = PORT.load(Ordering::Relaxed);
    if base == 0 {
        return;
    }
    let digit = |nibble: u8| b"0123456789abcdef"[usize::from(nibble & 15)];
    let mut sum = b'O';
    send(base, b'$');
    send(base, b'O');
    for byte in text.as_str().bytes().chain([b'\n']) {
        for nibble in [byte >> 4, byte] {
            sum = sum.wrapping_add(digit(nibble));
            send(base, digit(nibble));
        }
    }
    send(base, b'#');
    send(base, digit(sum >> 4));
    send(base, digit(sum));
}

fn send(base: u16, byte: u8) {
    for _ in 0..PATIENCE {
        // SAFETY: the port was opened by the stub, whose installer promised that it is ours;
        // reading the line status clears error bits that nobody looks at any more.
        let status = unsafe { io::inb(base + LINE_STATUS) };
        if status & TRANSMITTER_READY != 0 {
            break;
        }
        core::hint::spin_loop();
    }
    // SAFETY: as above; a byte too many is lost, nothing else.
    unsafe { io::outb(base, byte) };
}

/// Nothing more can be done.
pub(crate) fn halt() -> ! {
    loop {
        // SAFETY: interrupts stay off, so nothing that the stub left half done is seen again.
        unsafe { x86::irq::disable() };
        // SAFETY: waits; an NMI ends the wait, and the loop starts again.
        unsafe { x86::halt() };
    }
}
