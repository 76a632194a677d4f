//! One guarded copy: what has to be lifted before it and put back after it.

use core::arch::asm;

use x86::bits64::rflags::{self, RFlags};

use super::guarded::{tetrarch_copy, tetrarch_patch};
use crate::registers::processor;

/// CR4.SMAP: supervisor accesses to user pages fault unless RFLAGS.AC is set.
const CR4_SMAP: u64 = 1 << 21;

/// How a copy treats write protection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protection {
    /// A read-only page ends the copy.
    Respected,
    /// CR0.WP is cleared for its time, interrupts are off, and the processor is serialised
    /// afterwards, so that it fetches what was written (Intel SDM vol. 3, 9.1.3).
    Lifted,
}

/// Copies `count` bytes upwards, and returns how many were copied before a fault.
///
/// # Safety
///
/// What is mapped at `destination` is overwritten: no Rust object may live there, except one
/// that the caller holds for writing.
pub unsafe fn copy(
    protection: Protection,
    destination: usize,
    source: usize,
    count: usize,
) -> usize {
    if !is_supervisor() {
        // SAFETY: passed on to the caller. User mode cannot lift a protection anyway.
        return unsafe { tetrarch_copy(destination, source, count) };
    }
    let page_fault_address = processor::cr2();
    // Firmware that calls from within an access to user pages has AC set already.
    let lifts_smap = processor::cr4() & CR4_SMAP != 0 && !rflags::read().contains(RFlags::FLAGS_AC);
    if lifts_smap {
        // SAFETY: #UD if the processor had no SMAP, but CR4 says that it is switched on.
        // The compiler must not keep AC in mind: it does not know the flag.
        unsafe { asm!("stac", options(nostack)) };
    }
    let copied = match protection {
        // SAFETY: passed on to the caller.
        Protection::Respected => unsafe { tetrarch_copy(destination, source, count) },
        // SAFETY: passed on to the caller; this is supervisor mode, checked above.
        Protection::Lifted => unsafe { tetrarch_patch(destination, source, count) },
    };
    if lifts_smap {
        // SAFETY: as for STAC, and AC was clear before it.
        unsafe { asm!("clac", options(nostack)) };
    }
    if copied != count {
        set_page_fault_address(page_fault_address);
    }
    copied
}

/// Puts back what CR2 held before a page fault of the stub's own. Supervisor mode only.
pub fn set_page_fault_address(address: u64) {
    // SAFETY: writing CR2 has no effect but on its next reader, and that one is owed the value which
    // was there.
    unsafe { asm!("mov cr2, {}", in(reg) address, options(nostack, preserves_flags)) };
}

/// Whether the processor lets this code at its control registers.
pub fn is_supervisor() -> bool {
    processor::cs() & 3 == 0
}
