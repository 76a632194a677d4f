//! A 16550 serial port, polled, for what the images say. The stub has a driver of its own.

use crate::port;

/// The first serial port. It belongs to the stub, in an image that has one.
pub const COM1: u16 = 0x3F8;
/// The second serial port, where the log goes.
pub const COM2: u16 = 0x2F8;

const DIVISOR_HIGH: u16 = 1;
const FIFO_CONTROL: u16 = 2;
const LINE_CONTROL: u16 = 3;
const LINE_STATUS: u16 = 5;
const TRANSMITTER_EMPTY: u8 = 1 << 5;

/// A port that has been set up.
#[derive(Clone, Copy, Debug)]
pub struct Serial {
    base: u16,
}

impl Serial {
    /// Sets the port at `base` up: 115200 bits per second, no interrupts. After reset it would
    /// send five bits of each byte.
    ///
    /// # Safety
    ///
    /// The port is COM1 or COM2, and belongs to the caller: two drivers would take each
    /// other's bytes.
    pub unsafe fn open(base: u16) -> Self {
        for (register, value) in [
            (LINE_CONTROL, 0x80), // the divisor is in the first two registers
            (0, 1),
            (DIVISOR_HIGH, 0),
            (LINE_CONTROL, 0x03), // eight data bits, no parity, one stop bit
            (DIVISOR_HIGH, 0),    // no interrupts: now it is the interrupt enable register
            (FIFO_CONTROL, 0x07), // on, and empty
        ] {
            // SAFETY: a register of the port, which is the caller's.
            unsafe { port::write(base + register, value) };
        }
        Self::opened(base)
    }

    /// The same for a port that is set up already.
    pub(crate) const fn opened(base: u16) -> Self {
        Self { base }
    }

    /// Sends bytes, and waits until the port has taken the last one.
    pub fn send(self, bytes: &[u8]) {
        for byte in bytes {
            // SAFETY: the port is ours, and the line status register has no side effects
            // that matter to who only sends.
            while unsafe { port::read(self.base + LINE_STATUS) } & TRANSMITTER_EMPTY == 0 {
                core::hint::spin_loop();
            }
            // SAFETY: the transmitter is empty and ours.
            unsafe { port::write(self.base, *byte) };
        }
    }
}

impl core::fmt::Write for Serial {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        self.send(text.as_bytes());
        Ok(())
    }
}
