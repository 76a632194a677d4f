//! The stopped machine as the session sees it: one frame, and the registers around it.

use tetrarch::arbiter::CpuId;
use tetrarch::dr::{Dr7, Slot};
use tetrarch::machine::{DebugRegisters, Memory};
use tetrarch::target::{Machine, RegisterError};
use tetrarch::x86_64::{X86_64, X86_64Registers};

use crate::cpus;
use crate::debug_regs::Registers;
use crate::frame::Frame;
use crate::memory::Linear;
use crate::own_code;
use crate::registers::{self, processor};
use crate::step::system::is_canonical;

/// This CPU, while it is in an exception.
pub(crate) struct Stopped<'a> {
    /// What it will go on with.
    pub frame: &'a mut Frame,
    /// What DR7 will hold then. It is off now, and [`entry`](crate::entry) writes it last, so
    /// that no Rust code runs with breakpoints armed; an address can be written at once.
    pub control: Dr7,
}

impl DebugRegisters for Stopped<'_> {
    fn write_address(&mut self, slot: Slot, address: usize) {
        Registers.write_address(slot, address);
    }

    fn write_control(&mut self, control: Dr7) {
        self.control = control;
    }
}

impl Memory for Stopped<'_> {
    fn read(&mut self, address: usize, into: &mut [u8]) -> usize {
        Linear.read(address, into)
    }

    fn write(&mut self, address: usize, bytes: &[u8]) -> usize {
        Linear.write(address, bytes)
    }

    fn patch(&mut self, address: usize, bytes: &[u8]) -> usize {
        own_code::patch(address, bytes)
    }
}

impl Stopped<'_> {
    fn check(cpu: CpuId) -> Result<(), RegisterError> {
        if cpu == cpus::current() { Ok(()) } else { Err(RegisterError::NotStopped) }
    }
}

impl Machine for Stopped<'_> {
    type Arch = X86_64;

    fn cpu(&self) -> CpuId {
        cpus::current()
    }

    fn program_counter(&self, cpu: CpuId) -> Result<usize, RegisterError> {
        Self::check(cpu)?;
        Ok(self.frame.rip as usize)
    }

    fn set_program_counter(&mut self, cpu: CpuId, address: usize) -> Result<(), RegisterError> {
        Self::check(cpu)?;
        // IRETQ to a non-canonical address would be #GP in the stub's own exit.
        if !is_canonical(address as u64, processor::address_bits()) {
            return Err(RegisterError::Refused);
        }
        self.frame.rip = address as u64;
        Ok(())
    }

    fn read_registers(
        &mut self,
        cpu: CpuId,
        into: &mut X86_64Registers,
    ) -> Result<(), RegisterError> {
        Self::check(cpu)?;
        registers::read(self.frame, into);
        Ok(())
    }

    fn write_registers(&mut self, cpu: CpuId, from: &X86_64Registers) -> Result<(), RegisterError> {
        Self::check(cpu)?;
        registers::write(self.frame, from)
    }
}
