//! The report's way out: the first serial port (COM1), polled, plain text.

use core::fmt;

use examples::port;

const COM1: u16 = 0x3F8;
const DIVISOR_HIGH: u16 = COM1 + 1;
const FIFO_CONTROL: u16 = COM1 + 2;
const LINE_CONTROL: u16 = COM1 + 3;
const LINE_STATUS: u16 = COM1 + 5;
const TRANSMITTER_EMPTY: u8 = 1 << 5;

/// COM1, set up for 115200 bits per second.
pub struct Serial(());

impl Serial {
    /// Sets the port up, without interrupts. Whoever calls this owns the port from then on.
    pub fn open() -> Self {
        for (register, value) in [
            (LINE_CONTROL, 0x80), // the divisor is in the first two registers
            (COM1, 1),
            (DIVISOR_HIGH, 0),
            (LINE_CONTROL, 0x03), // eight data bits, no parity, one stop bit
            (DIVISOR_HIGH, 0),    // no interrupts: now it is the interrupt enable register
            (FIFO_CONTROL, 0x07), // on, and empty
        ] {
            // SAFETY: COM1 is the image's own: there is no stub in it.
            unsafe { port::write(register, value) };
        }
        Self(())
    }
}

impl fmt::Write for Serial {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            // SAFETY: as above.
            while unsafe { port::read(LINE_STATUS) } & TRANSMITTER_EMPTY == 0 {
                core::hint::spin_loop();
            }
            // SAFETY: as above, and the transmitter is empty.
            unsafe { port::write(COM1, byte) };
        }
        Ok(())
    }
}
