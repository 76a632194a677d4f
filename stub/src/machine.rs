//! What hardware must implement: a handful of functions.
//!
//! Two things implement these traits: the processor (crate `tetrarch-x86`) and the fake
//! machine of the tests. They are split by who needs them. The arbiter asks for no more than
//! the two here, so that it can be used without any GDB code; the session asks for a whole
//! [`Machine`](crate::target::Machine).
//!
//! Nothing here fails loudly: an access that the hardware refuses is answered by how far
//! it got, and the caller decides what that means to whoever asked.

use crate::dr::{Dr7, Slot};

/// The registers that the arbiter writes, on the CPU that executes the call.
///
/// There is no reading: what they hold is remembered in a [`Bank`](crate::bank::Bank),
/// because under a hypervisor each access may cost an exit.
pub trait DebugRegisters {
    /// Writes DR0–DR3. Any value is taken; there is no canonical check.
    fn write_address(&mut self, slot: Slot, address: usize);

    /// Writes DR7.
    ///
    /// An implementation must be a compiler barrier: memory accesses may not be moved
    /// across it, or a watched store could leave the time in which it is watched.
    fn write_control(&mut self, control: Dr7);
}

/// Memory by linear address, without ever faulting the target.
pub trait Memory {
    /// Reads from `address` on, and returns how many bytes could be read: all of them, or
    /// those before the first unreadable one.
    fn read(&mut self, address: usize, into: &mut [u8]) -> usize;

    /// Writes from `address` on, and returns how many bytes were written: all of them, or
    /// those before the first unwritable one.
    fn write(&mut self, address: usize, bytes: &[u8]) -> usize;

    /// Writes like [`write`](Self::write), but also where the page is mapped read-only, as
    /// code usually is, and makes the processor see the new instructions.
    fn patch(&mut self, address: usize, bytes: &[u8]) -> usize;
}
