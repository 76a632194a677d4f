//! The stopped machine as the session sees it: the frame of the CPU that leads, those of the
//! CPUs that wait, and the registers around them.

use tetrarch::arbiter::CpuId;
use tetrarch::dr::{Dr7, Slot};
use tetrarch::machine::{DebugRegisters, Memory};
use tetrarch::rendezvous::Standing;
use tetrarch::target::{CpuState, Machine, RegisterError};
use tetrarch::x86_64::{X86_64, X86_64Registers};

use crate::cpus;
use crate::debug_regs::Registers;
use crate::frame::Frame;
use crate::mailbox::Mailbox;
use crate::memory::Linear;
use crate::own_code;
use crate::registers::{self, processor};
use crate::step::system::is_canonical;
use crate::stub::Stub;

/// All CPUs that have stopped, seen by the one that leads.
pub(crate) struct Stopped<'a, const CLAIMS: usize, const TASKS: usize, const CPUS: usize> {
    pub stub: &'a Stub<CLAIMS, TASKS, CPUS>,
    /// The CPU that leads.
    pub cpu: CpuId,
    /// What it will go on with.
    pub frame: &'a mut Frame,
}

/// DR0–DR3, and what DR7 will hold when the context goes on. It is off now, and
/// [`entry`](crate::entry) writes it last, so that no Rust code runs with breakpoints armed; an
/// address can be written at once.
pub(crate) struct Deferred<'a>(pub &'a mut Dr7);

impl DebugRegisters for Deferred<'_> {
    fn write_address(&mut self, slot: Slot, address: usize) {
        Registers.write_address(slot, address);
    }

    fn write_control(&mut self, control: Dr7) {
        *self.0 = control;
    }
}

impl<const CLAIMS: usize, const TASKS: usize, const CPUS: usize> DebugRegisters
    for Stopped<'_, CLAIMS, TASKS, CPUS>
{
    // While the machine is stopped nothing is armed: each CPU does that when it goes on.
    fn write_address(&mut self, _: Slot, _: usize) {}

    fn write_control(&mut self, _: Dr7) {}
}

impl<const CLAIMS: usize, const TASKS: usize, const CPUS: usize> Memory
    for Stopped<'_, CLAIMS, TASKS, CPUS>
{
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

impl<const CLAIMS: usize, const TASKS: usize, const CPUS: usize> Stopped<'_, CLAIMS, TASKS, CPUS> {
    /// The letterbox of another CPU, which waits.
    fn mailbox(&self, cpu: CpuId) -> Result<&Mailbox, RegisterError> {
        match self.stub.world.standing(cpu) {
            Standing::Collected => self.stub.local(cpu).map(|local| &local.mailbox),
            Standing::Offline | Standing::Running | Standing::Parked => None,
        }
        .ok_or(RegisterError::NotStopped)
    }

    /// The context of a CPU that has stopped.
    fn frame_of(&self, cpu: CpuId) -> Result<*mut Frame, RegisterError> {
        if cpu == self.cpu {
            return Ok((&raw const *self.frame).cast_mut());
        }
        let frame = self.mailbox(cpu)?.frame();
        if frame.is_null() { Err(RegisterError::NotStopped) } else { Ok(frame) }
    }

    fn patience(&self) -> u64 {
        self.stub.setup().map_or(0, |setup| setup.patience)
    }
}

impl<const CLAIMS: usize, const TASKS: usize, const CPUS: usize> Machine
    for Stopped<'_, CLAIMS, TASKS, CPUS>
{
    type Arch = X86_64;

    fn cpu(&self) -> CpuId {
        self.cpu
    }

    fn state(&self, cpu: CpuId) -> CpuState {
        match self.stub.world.standing(cpu) {
            _ if cpu == self.cpu => CpuState::Stopped,
            Standing::Offline => CpuState::Absent,
            Standing::Collected => CpuState::Stopped,
            Standing::Running | Standing::Parked => CpuState::NotResponding,
        }
    }

    fn activity(&self, cpu: CpuId) -> &'static str {
        self.stub.setup().map_or("", |setup| (setup.activity)(cpu))
    }

    fn now(&self) -> Option<u64> {
        Some(cpus::time_stamp())
    }

    fn client_patience(&self) -> u64 {
        self.stub.setup().map_or(0, |setup| setup.client_patience)
    }

    fn program_counter(&self, cpu: CpuId) -> Result<usize, RegisterError> {
        let frame = self.frame_of(cpu)?;
        // SAFETY: it is the leader's own, or that of a CPU which has been collected: it waits, and
        // the frame is on its stack until it is let go.
        Ok(unsafe { (*frame).rip } as usize)
    }

    fn set_program_counter(&mut self, cpu: CpuId, address: usize) -> Result<(), RegisterError> {
        // IRETQ to a non-canonical address would be #GP in the stub's own exit.
        if !is_canonical(address as u64, processor::address_bits()) {
            return Err(RegisterError::Refused);
        }
        let frame = self.frame_of(cpu)?;
        // SAFETY: as above; a CPU that waits looks at its frame on the leader's order only.
        unsafe { (*frame).rip = address as u64 };
        Ok(())
    }

    fn read_registers(
        &mut self,
        cpu: CpuId,
        into: &mut X86_64Registers,
    ) -> Result<(), RegisterError> {
        if cpu == self.cpu {
            registers::read(self.frame, into);
            return Ok(());
        }
        self.mailbox(cpu)?.read(into, self.patience())
    }

    fn write_registers(&mut self, cpu: CpuId, from: &X86_64Registers) -> Result<(), RegisterError> {
        if cpu == self.cpu {
            return registers::write(self.frame, from);
        }
        self.mailbox(cpu)?.write(from, self.patience())
    }
}
