//! The demo's console, on the line that it shares with gdb.
//!
//! It says how many turns there were when it is asked to from gdb ([`crate::say`]), and repeats each
//! line that somebody types on the line while no gdb is there.

use core::fmt::Write;
use core::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use crate::guards::STUB;

/// What was typed, round and round, and how much of it there was in all.
static TYPED: [AtomicU8; 256] = [const { AtomicU8::new(0) }; 256];
static LENGTH: AtomicUsize = AtomicUsize::new(0);

/// Stores what is typed.
pub fn read(byte: u8) {
    let length = LENGTH.load(Ordering::Relaxed);
    TYPED[length % TYPED.len()].store(byte, Ordering::Relaxed);
    LENGTH.store(length + 1, Ordering::Relaxed);
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

    /// Repeats what was typed, when a line of it is complete.
    pub fn serve(&mut self) {
        let length = LENGTH.load(Ordering::Relaxed);
        let byte = |number: usize| TYPED[number % TYPED.len()].load(Ordering::Relaxed);
        if length == self.read || !matches!(byte(length - 1), b'\r' | b'\n') {
            return;
        }
        let mut console = STUB.console();
        // A console that nobody reads is no error of the image's.
        let _ = console.write_str("typed: ");
        for number in self.read..length - 1 {
            let _ = console.write_char(char::from(byte(number)));
        }
        let _ = console.write_char('\n');
        self.read = length;
    }
}

/// Says how many turns there were, so many times.
pub fn say(times: u32, turns: u64) {
    for time in 1..=times {
        let said = writeln!(STUB.console(), "turn {turns}, said {time} of {times} times");
        if said.is_err() {
            defmt::warn!("nobody hears");
        }
    }
}
