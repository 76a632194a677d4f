//! Where the entry's code is, by the labels in its assembly.
//!
//! One block of `ENTRY_SIZE` bytes for each vector, in their order; the serial port's; what
//! they have in common, up to the instruction after which DR7 is off; the way out.

use core::ops::Range;

use super::ENTRY_SIZE;
use crate::frame::vector;

unsafe extern "C" {
    static tetrarch_entry_start: u8;
    static tetrarch_entry_serial: u8;
    static tetrarch_entry_disarmed: u8;
    static tetrarch_entry_end: u8;
}

/// Address of the entry for exception `number`, to be put into a gate: an interrupt gate of
/// the ring 0 code segment, with an interrupt stack if there is one. `None` from 32 on.
pub fn vector_entry(number: u8) -> Option<usize> {
    let number = usize::from(number);
    (number < vector::COUNT).then(|| (&raw const tetrarch_entry_start).addr() + number * ENTRY_SIZE)
}

/// Address of the entry for the serial port's interrupt, to be put into a gate.
pub fn serial_entry() -> usize {
    (&raw const tetrarch_entry_serial).addr()
}

/// The code that runs with breakpoints armed, both ways.
pub(crate) fn section() -> Range<u64> {
    (&raw const tetrarch_entry_start).addr() as u64..(&raw const tetrarch_entry_end).addr() as u64
}

/// Whether a gate that leads to `address` leads here.
pub(crate) fn is_ours(address: u64) -> bool {
    section().contains(&address)
}

/// The part of [`section`] that comes before the handler.
pub(crate) fn way_in() -> Range<u64> {
    section().start..(&raw const tetrarch_entry_disarmed).addr() as u64
}
