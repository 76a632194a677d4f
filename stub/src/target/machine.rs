//! What the session needs of hardware beyond the arbiter's [traits](crate::machine): CPUs that
//! have stopped, with registers to read and write.

use gdbstub::arch::Arch;

use crate::arbiter::CpuId;
use crate::machine::{DebugRegisters, Memory};
use crate::register_file::RegisterFile;

/// Why a register could not be read or written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum RegisterError {
    /// That CPU has not stopped, so there is no saved state to look at.
    NotStopped,
    /// The processor refused the value, or it would end the session (CR0.PG, for instance).
    Refused,
}

/// What the session has to know of a CPU.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum CpuState {
    /// It is not there, or has not been started: no thread.
    Absent,
    /// It has stopped.
    Stopped,
    /// It was told to stop and has not: a thread of which nothing is known.
    NotResponding,
}

/// A stopped machine, as the session sees it.
pub trait Machine: DebugRegisters + Memory {
    /// Word size, register file and target description, in gdbstub's terms.
    type Arch: Arch<BreakpointKind = usize, RegId: Into<usize>, Registers: RegisterFile>;

    /// The CPU that runs the stub.
    fn cpu(&self) -> CpuId;

    /// What a CPU does. Without other CPUs: the one that runs the stub has stopped.
    fn state(&self, cpu: CpuId) -> CpuState {
        if cpu == self.cpu() { CpuState::Stopped } else { CpuState::Absent }
    }

    /// What the firmware says of what `cpu` was doing, for a person; may be empty.
    fn activity(&self, _cpu: CpuId) -> &'static str {
        ""
    }

    /// What time it is, in ticks of any unit. Without a clock a client that says the same twice is
    /// taken to repeat itself.
    fn now(&self) -> Option<u64> {
        None
    }

    /// How many of these ticks pass before something is taken to be lost: fewer than those after
    /// which a client repeats a request, which gdb does after 2 s (`set remotetimeout`).
    fn client_patience(&self) -> u64 {
        0
    }

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
