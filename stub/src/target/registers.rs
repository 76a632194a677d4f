//! `g G p P`, memory by thread, and the list of threads.
//!
//! One register is read by reading all and cutting it out, and written by patching it into all:
//! the order of the registers is then written down once, in the register file.

use core::convert::Infallible;
use core::fmt::{self, Write};

use gdbstub::arch::Arch;
use gdbstub::common::Tid;
use gdbstub::target::TargetResult;
use gdbstub::target::ext::base::multithread::{MultiThreadBase, MultiThreadResumeOps};
use gdbstub::target::ext::base::single_register_access::{
    SingleRegisterAccess, SingleRegisterAccessOps,
};
use gdbstub::target::ext::thread_extra_info::{ThreadExtraInfo, ThreadExtraInfoOps};

use super::machine::{CpuState, Machine, RegisterError};
use super::refusal::Refusal;
use super::{Debuggee, cpu_of, thread_of};
use heapless::String;

use crate::arbiter::CpuId;
use crate::register_file::{WrongRegister, copy_block, read_register, write_register};
use crate::stop::LINE;

type Registers<M> = <<M as Machine>::Arch as Arch>::Registers;

impl<M: Machine, const CLAIMS: usize, const CPUS: usize, const TASKS: usize> MultiThreadBase
    for Debuggee<'_, M, CLAIMS, CPUS, TASKS>
{
    fn read_registers(&mut self, into: &mut Registers<M>, thread: Tid) -> TargetResult<(), Self> {
        self.machine
            .read_registers(cpu_of(thread), into)
            .map_err(|error| self.refuse(Refusal::Register(error)))
    }

    /// Those of `from` that are in the block of `G`.
    fn write_registers(&mut self, from: &Registers<M>, thread: Tid) -> TargetResult<(), Self> {
        self.change_registers(thread, |registers| copy_block(registers, from))
    }

    fn support_single_register_access(&mut self) -> Option<SingleRegisterAccessOps<'_, Tid, Self>> {
        Some(self)
    }

    fn read_addrs(
        &mut self,
        address: <Self::Arch as Arch>::Usize,
        into: &mut [u8],
        _: Tid,
    ) -> TargetResult<usize, Self> {
        self.read_memory(address, into)
    }

    fn write_addrs(
        &mut self,
        address: <Self::Arch as Arch>::Usize,
        bytes: &[u8],
        _: Tid,
    ) -> TargetResult<(), Self> {
        self.write_memory(address, bytes)
    }

    fn list_active_threads(&mut self, found: &mut dyn FnMut(Tid)) -> Result<(), Infallible> {
        (0..CPUS)
            .filter_map(|cpu| u16::try_from(cpu).ok())
            .map(CpuId)
            .filter(|cpu| self.machine.state(*cpu) != CpuState::Absent)
            .map(thread_of)
            .for_each(found);
        Ok(())
    }

    fn support_resume(&mut self) -> Option<MultiThreadResumeOps<'_, Self>> {
        Some(self)
    }

    fn support_thread_extra_info(&mut self) -> Option<ThreadExtraInfoOps<'_, Self>> {
        Some(self)
    }
}

impl<M: Machine, const CLAIMS: usize, const CPUS: usize, const TASKS: usize>
    Debuggee<'_, M, CLAIMS, CPUS, TASKS>
{
    fn change_registers(
        &mut self,
        thread: Tid,
        change: impl FnOnce(&mut Registers<M>) -> Result<(), WrongRegister>,
    ) -> TargetResult<(), Self> {
        let mut registers = Registers::<M>::default();
        self.read_registers(&mut registers, thread)?;
        change(&mut registers)
            .map_err(|_| self.refuse(Refusal::Register(RegisterError::Refused)))?;
        self.machine
            .write_registers(cpu_of(thread), &registers)
            .map_err(|error| self.refuse(Refusal::Register(error)))
    }

    /// Which CPU it is, if there is room for several, what it was doing, and why it stopped.
    pub(super) fn describe(&self, cpu: CpuId, text: &mut dyn Write) -> fmt::Result {
        if CPUS > 1 {
            write!(text, "cpu {}", cpu.0)?;
        }
        let mut separator = if CPUS > 1 { " — " } else { "" };
        let activity = self.machine.activity(cpu);
        if !activity.is_empty() {
            write!(text, "{separator}{activity}")?;
            separator = ", ";
        }
        match self.machine.state(cpu) {
            CpuState::Stopped if cpu == self.stopped => {
                write!(text, "{separator}{}", self.stop_text)
            }
            CpuState::NotResponding => write!(text, "{separator}not responding"),
            CpuState::Stopped | CpuState::Absent => Ok(()),
        }
    }
}

impl<M: Machine, const CLAIMS: usize, const CPUS: usize, const TASKS: usize>
    SingleRegisterAccess<Tid> for Debuggee<'_, M, CLAIMS, CPUS, TASKS>
{
    fn read_register(
        &mut self,
        thread: Tid,
        number: <Self::Arch as Arch>::RegId,
        into: &mut [u8],
    ) -> TargetResult<usize, Self> {
        let mut registers = Registers::<M>::default();
        self.read_registers(&mut registers, thread)?;
        Ok(read_register(&registers, number.into(), into))
    }

    fn write_register(
        &mut self,
        thread: Tid,
        number: <Self::Arch as Arch>::RegId,
        value: &[u8],
    ) -> TargetResult<(), Self> {
        self.change_registers(thread, |registers| write_register(registers, number.into(), value))
    }
}

impl<M: Machine, const CLAIMS: usize, const CPUS: usize, const TASKS: usize> ThreadExtraInfo
    for Debuggee<'_, M, CLAIMS, CPUS, TASKS>
{
    fn thread_extra_info(&self, thread: Tid, into: &mut [u8]) -> Result<usize, Infallible> {
        let cpu = cpu_of(thread);
        let mut text = String::<{ 2 * LINE }>::new();
        // A line that is cut off is better than none.
        let _ = self.describe(cpu, &mut text);
        let count = text.len().min(into.len());
        for (to, from) in into.iter_mut().zip(text.as_bytes()) {
            *to = *from;
        }
        Ok(count)
    }
}
