//! Ends QEMU with a verdict, through its debug exit device.
//!
//! `-device isa-debug-exit,iobase=0xf4,iosize=4` makes QEMU exit with `2 * value + 1` when
//! a value is written to the port, so no value gives 0. Without the device the image halts.

use core::arch::asm;

use crate::port;

/// Where xtask puts the device.
const PORT: u16 = 0xF4;

/// What is written for success; QEMU's exit status is then [`SUCCESS_STATUS`].
const SUCCESS: u8 = 0x10;
/// What is written for failure.
const FAILURE: u8 = 0x11;

/// QEMU's exit status after [`success`].
pub const SUCCESS_STATUS: i32 = 2 * SUCCESS as i32 + 1;

/// Ends with success.
pub fn success() -> ! {
    end(SUCCESS)
}

/// Ends with failure.
pub fn failure() -> ! {
    end(FAILURE)
}

fn end(verdict: u8) -> ! {
    // SAFETY: the port is the exit device's or nobody's.
    unsafe { port::write(PORT, verdict) };
    loop {
        // SAFETY: nothing is left to do, so an interrupt that is never answered harms nobody.
        unsafe { asm!("cli", "hlt", options(nomem, nostack)) };
    }
}
