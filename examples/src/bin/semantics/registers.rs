//! The debug registers and what they depend on, read and written as they are.
//!
//! Nothing is kept in memory and nothing corrected: the checks want to know what the
//! processor makes of a value. All of it is #GP outside ring 0, where the image never is.

use core::arch::asm;

use tetrarch::dr::{Dr6, Dr7, Slot};

/// CR4.DE: debugging extensions. DR4 and DR5 are no more, I/O breakpoints are.
const DEBUGGING_EXTENSIONS: u64 = 1 << 3;

/// DR0 to DR3.
pub fn write_address(slot: Slot, address: usize) {
    match slot {
        // SAFETY: it takes any value, and matters only while DR7 enables the slot.
        Slot::Zero => unsafe {
            asm!("mov dr0, {}", in(reg) address, options(nostack, preserves_flags))
        },
        // SAFETY: as for DR0.
        Slot::One => unsafe {
            asm!("mov dr1, {}", in(reg) address, options(nostack, preserves_flags))
        },
        // SAFETY: as for DR0.
        Slot::Two => unsafe {
            asm!("mov dr2, {}", in(reg) address, options(nostack, preserves_flags))
        },
        // SAFETY: as for DR0.
        Slot::Three => unsafe {
            asm!("mov dr3, {}", in(reg) address, options(nostack, preserves_flags))
        },
    }
}

/// DR0.
pub fn address_zero() -> usize {
    let value;
    // SAFETY: reading has no effect.
    unsafe { asm!("mov {}, dr0", out(reg) value, options(nostack, preserves_flags)) };
    value
}

/// DR6, all 64 bits.
pub fn status() -> u64 {
    let value;
    // SAFETY: reading has no effect.
    unsafe { asm!("mov {}, dr6", out(reg) value, options(nostack, preserves_flags)) };
    value
}

/// Writes DR6.
pub fn write_status(bits: u32) {
    // SAFETY: the upper half is zero, so there is no #GP; it arms nothing.
    unsafe { asm!("mov dr6, {}", in(reg) u64::from(bits), options(nostack, preserves_flags)) };
}

/// Writes DR6's reset value.
pub fn reset_status() {
    write_status(Dr6::RESET.bits());
}

/// DR7, all 64 bits.
pub fn control() -> u64 {
    let value;
    // SAFETY: reading has no effect.
    unsafe { asm!("mov {}, dr7", out(reg) value, options(nostack, preserves_flags)) };
    value
}

/// Writes DR7. What it arms is the caller's affair: the recorder turns it off first thing.
pub fn write_control(control: Dr7) {
    // SAFETY: the upper half is zero, so there is no #GP. A #DB finds its handler, which
    // watches nothing that it uses itself.
    unsafe {
        asm!("mov dr7, {}", in(reg) u64::from(control.bits()), options(nostack, preserves_flags));
    }
}

/// Runs `act` with CR4.DE set.
pub fn with_debugging_extensions<T>(act: impl FnOnce() -> T) -> T {
    let before = cr4();
    write_cr4(before | DEBUGGING_EXTENSIONS);
    let value = act();
    write_cr4(before);
    value
}

fn cr4() -> u64 {
    let value;
    // SAFETY: reading has no effect.
    unsafe { asm!("mov {}, cr4", out(reg) value, options(nostack, preserves_flags)) };
    value
}

fn write_cr4(value: u64) {
    // SAFETY: the callers change CR4.DE only, on which nothing but the checks depends.
    unsafe { asm!("mov cr4, {}", in(reg) value, options(nostack, preserves_flags)) };
}
