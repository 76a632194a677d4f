//! I/O ports, a byte at a time.

use core::arch::asm;

/// Writes a byte to a port.
///
/// # Safety
///
/// Ports are devices: the caller must own the device and know what the write makes it do.
pub unsafe fn write(port: u16, value: u8) {
    // SAFETY: the caller vouches for the device. Without `nomem`, because what a device
    // does may depend on memory written before.
    unsafe { asm!("out dx, al", in("dx") port, in("al") value, options(nostack, preserves_flags)) };
}

/// Reads a byte from a port.
///
/// # Safety
///
/// As for [`write()`]: a read can have effects too.
pub unsafe fn read(port: u16) -> u8 {
    let value;
    // SAFETY: the caller vouches for the device.
    unsafe { asm!("in al, dx", in("dx") port, out("al") value, options(nostack, preserves_flags)) };
    value
}
