//! What hardware must implement: a handful of functions.
//!
//! Two things implement these traits: the processor (crate `tetrarch-x86`) and the fake
//! machine of the tests. They are split by who needs them. The arbiter asks for
//! [`DebugRegisters`] and [`Memory`] only, so that it can be used without any GDB code;
//! the session asks for the whole [`Machine`].
//!
//! Nothing here fails loudly: an access that the hardware refuses is answered by how far
//! it got, and the caller decides what that means to whoever asked.

use gdbstub::arch::Arch;

use crate::arbiter::CpuId;
use crate::dr::{Dr7, Slot};
use crate::register_file::RegisterFile;

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

/// Why a register could not be read or written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum RegisterError {
    /// That CPU has not stopped, so there is no saved state to look at.
    NotStopped,
    /// The processor refused the value, or it would end the session (CR0.PG, for instance).
    Refused,
}

/// A stopped machine, as the session sees it.
pub trait Machine: DebugRegisters + Memory {
    /// Word size, register file and target description, in gdbstub's terms.
    type Arch: Arch<BreakpointKind = usize, RegId: Into<usize>, Registers: RegisterFile>;

    /// The CPU that runs the stub.
    fn cpu(&self) -> CpuId;

    /// Address of the instruction that `cpu` will execute next.
    fn program_counter(&self, cpu: CpuId) -> Result<usize, RegisterError>;

    /// Moves `cpu` to another instruction.
    fn set_program_counter(&mut self, cpu: CpuId, address: usize) -> Result<(), RegisterError>;

    /// Reads every register of `cpu`.
    fn read_registers(
        &mut self,
        cpu: CpuId,
        registers: &mut <Self::Arch as Arch>::Registers,
    ) -> Result<(), RegisterError>;

    /// Writes the registers of `cpu` that differ from what they hold; all or nothing.
    fn write_registers(
        &mut self,
        cpu: CpuId,
        registers: &<Self::Arch as Arch>::Registers,
    ) -> Result<(), RegisterError>;
}
