//! The time-stamp counter.

use core::arch::asm;

/// What it counts up to here. LFENCE on both sides keeps what is measured between two readings
/// (Intel SDM vol. 2, RDTSC).
#[inline(always)]
pub fn now() -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: reading has no effect. Without `nomem`: the compiler shall keep memory accesses on
    // the side that they are on.
    unsafe {
        asm!(
            "lfence", "rdtsc", "lfence",
            out("eax") low, out("edx") high,
            options(nostack, preserves_flags),
        );
    }
    u64::from(high) << 32 | u64::from(low)
}
