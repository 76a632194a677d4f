//! Fault-safe access to memory by linear address.
//!
//! A debugger asks for any address at all, and the processor answers with #PF where nothing
//! is mapped or the page is read-only, and with #GP where the address is not canonical.
//! Every access here is made by one of the few instructions of [`guarded`]; the exception
//! handler asks [`fixup`] first, and such a fault ends the copy, with an exact count,
//! instead of the target.
//!
//! What stands between supervisor code and a mapped page is lifted for the access:
//!
//! * CR4.SMAP, which keeps the supervisor away from user pages, by RFLAGS.AC;
//! * CR0.WP, which keeps it from writing to read-only ones, for [`Linear::patch`] only: code
//!   is mapped read-only as a rule, and a breakpoint in it is no reason to fault. An
//!   ordinary write respects the mapping.
//!
//! A fault overwrites CR2, which belongs to the firmware: a page-fault handler that is being
//! debugged may not have read it yet. So it is put back after every access.
//!
//! In user mode, where the tests on the host run, there is nothing to lift and CR2 is out of
//! reach; the copies are the same. Devices get no special care: a read of a device register
//! has whatever effect it has.

mod copy;
pub mod guarded;

#[cfg(test)]
mod tests;

use tetrarch::machine::Memory;

use copy::{Protection, copy};
pub(crate) use copy::{is_supervisor, set_page_fault_address};
pub use guarded::fixup;

/// The memory that the current page tables show.
pub struct Linear;

impl Memory for Linear {
    fn read(&mut self, address: usize, into: &mut [u8]) -> usize {
        let count = until_wrap(address, into.len());
        // SAFETY: a stray write would corrupt the stub; `count` is at most the length of
        // `into`, which is borrowed for writing. The source may be anything.
        unsafe { copy(Protection::Respected, into.as_mut_ptr() as usize, address, count) }
    }

    fn write(&mut self, address: usize, bytes: &[u8]) -> usize {
        let count = until_wrap(address, bytes.len());
        // SAFETY: this may change any memory of the target, which is what a debugger is for.
        // That it is not the stub's own is the access policy's care; `bytes` is valid for
        // `count`.
        unsafe { copy(Protection::Respected, address, bytes.as_ptr() as usize, count) }
    }

    /// Also where writes vanish without a fault, as in flash or ROM, fewer bytes are
    /// reported: only what reads back is written.
    fn patch(&mut self, address: usize, bytes: &[u8]) -> usize {
        let count = until_wrap(address, bytes.len());
        // SAFETY: as for `write`; that a page is read-only is no objection of the caller's.
        let written = unsafe { copy(Protection::Lifted, address, bytes.as_ptr() as usize, count) };
        let written = bytes.get(..written).unwrap_or(bytes);
        let kept = written.iter().enumerate().take_while(|&(offset, &byte)| {
            let mut now = [0];
            self.read(address.wrapping_add(offset), &mut now) == 1 && now == [byte]
        });
        kept.count()
    }
}

/// How much of `count` lies before the end of the address space, so that a copy does not go
/// on at address 0.
fn until_wrap(address: usize, count: usize) -> usize {
    match address.wrapping_neg() {
        0 => count,
        left => count.min(left),
    }
}
