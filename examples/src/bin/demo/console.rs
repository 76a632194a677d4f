//! The demo's console, on the line that it shares with gdb.
//!
//! It says how many turns there were when it is asked to from gdb ([`crate::say`]), and repeats each
//! line that somebody types on the line while no gdb is there.

use core::fmt::Write;
use core::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use examples::port;
use tetrarch_x86::Port;

use crate::faulty;
use crate::guards::STUB;

/// What was typed, round and round, and how much of it there was in all.
static TYPED: [AtomicU8; 256] = [const { AtomicU8::new(0) }; 256];
static LENGTH: AtomicUsize = AtomicUsize::new(0);

/// Stores what is typed.
pub fn read(byte: u8) {
    faulty::fail_in_reader();
    let length = LENGTH.load(Ordering::Relaxed);
    TYPED[length % TYPED.len()].store(byte, Ordering::Relaxed);
    LENGTH.store(length + 1, Ordering::Relaxed);
    if matches!(byte, b'\r' | b'\n') {
        let order = &raw mut crate::typed;
        // SAFETY: aligned; on the one CPU there is, between two instructions of the loop.
        unsafe { order.write_volatile(1) };
    }
}

/// How much of it has been looked at.
pub struct Console {
    read: usize,
}

impl Console {
    /// Nothing was typed yet.
    pub const fn new() -> Self {
        Self { read: 0 }
    }

    /// Repeats what was typed, up to the end of the last line.
    #[inline(never)]
    pub fn serve(&mut self) {
        let byte = |number: usize| TYPED[number % TYPED.len()].load(Ordering::Relaxed);
        let typed = self.read..LENGTH.load(Ordering::Relaxed);
        let is_end = |number: &usize| matches!(byte(*number), b'\r' | b'\n');
        let Some(end) = typed.rev().find(is_end) else { return };
        let mut console = STUB.console();
        // A console that nobody reads is no error of the image's.
        let _ = console.write_str("typed: ");
        for number in self.read..end {
            let _ = console.write_char(char::from(byte(number)));
        }
        let _ = console.write_char('\n');
        self.read = end + 1;
    }
}

/// Says how many turns there were, so many times.
#[inline(never)]
pub fn say(times: u32, turns: u64) {
    for time in 1..=times {
        let said = writeln!(STUB.console(), "turn {turns}, said {time} of {times} times");
        if said.is_err() {
            defmt::warn!("nobody hears");
        }
    }
}

/// What the port would see if whoever is at the other end of a cable closed the line and opened it
/// again. No cable of QEMU's can do that, so it is the port's loopback mode, in which our own *data
/// terminal ready* comes in as *data set ready*.
#[inline(never)]
pub fn hang_up() {
    const MODEM_CONTROL: u16 = Port::COM1.base + 4;
    const LOOPBACK: u8 = 1 << 4;
    // SAFETY: nobody sends anything meanwhile, and what was set is put back.
    let before = unsafe { port::read(MODEM_CONTROL) };
    // SAFETY: as above.
    unsafe { port::write(MODEM_CONTROL, LOOPBACK) };
    STUB.poll();
    // SAFETY: as above.
    unsafe { port::write(MODEM_CONTROL, before) };
}
