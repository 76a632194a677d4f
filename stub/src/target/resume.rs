//! `vCont`: what each CPU is to do when the target goes on.
//!
//! gdbstub announces the actions one by one and then says *resume*; they are only written down
//! here, and the session acts on them when gdbstub has returned. A CPU that is not named
//! continues, unless the packet named some CPUs and no default: then the others stay parked.

use core::convert::Infallible;

use gdbstub::arch::Arch;
use gdbstub::common::{Signal, Tid};
use gdbstub::target::ext::base::multithread::{
    MultiThreadRangeStepping, MultiThreadRangeSteppingOps, MultiThreadResume,
    MultiThreadSchedulerLocking, MultiThreadSchedulerLockingOps, MultiThreadSingleStep,
    MultiThreadSingleStepOps,
};

use super::machine::Machine;
use super::{Debuggee, linear};

/// What one CPU is to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Action {
    /// Run until something stops it.
    Continue,
    /// Execute one instruction.
    Step,
    /// Execute instructions for as long as they begin inside `start..end`.
    StepRange { start: usize, end: usize },
}

/// What the client wants done when its packet has been answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Orders {
    /// For the one CPU there is. With several, one each, and who stays parked.
    pub action: Action,
    /// `monitor reset`.
    pub reset: bool,
}

impl Orders {
    pub const fn new() -> Self {
        Self { action: Action::Continue, reset: false }
    }
}

impl<M: Machine, const CLAIMS: usize, const CPUS: usize, const TASKS: usize> MultiThreadResume
    for Debuggee<'_, M, CLAIMS, CPUS, TASKS>
{
    fn resume(&mut self) -> Result<(), Infallible> {
        Ok(())
    }

    fn clear_resume_actions(&mut self) -> Result<(), Infallible> {
        self.debugger.orders.action = Action::Continue;
        Ok(())
    }

    // A bare machine has no signals to pass on; gdb sends one only if told to.
    fn set_resume_action_continue(&mut self, _: Tid, _: Option<Signal>) -> Result<(), Infallible> {
        self.debugger.orders.action = Action::Continue;
        Ok(())
    }

    fn support_single_step(&mut self) -> Option<MultiThreadSingleStepOps<'_, Self>> {
        Some(self)
    }

    fn support_range_step(&mut self) -> Option<MultiThreadRangeSteppingOps<'_, Self>> {
        Some(self)
    }

    fn support_scheduler_locking(&mut self) -> Option<MultiThreadSchedulerLockingOps<'_, Self>> {
        Some(self)
    }
}

impl<M: Machine, const CLAIMS: usize, const CPUS: usize, const TASKS: usize> MultiThreadSingleStep
    for Debuggee<'_, M, CLAIMS, CPUS, TASKS>
{
    fn set_resume_action_step(&mut self, _: Tid, _: Option<Signal>) -> Result<(), Infallible> {
        self.debugger.orders.action = Action::Step;
        Ok(())
    }
}

impl<M: Machine, const CLAIMS: usize, const CPUS: usize, const TASKS: usize>
    MultiThreadRangeStepping for Debuggee<'_, M, CLAIMS, CPUS, TASKS>
{
    fn set_resume_action_range_step(
        &mut self,
        _: Tid,
        start: <Self::Arch as Arch>::Usize,
        end: <Self::Arch as Arch>::Usize,
    ) -> Result<(), Infallible> {
        let (start, end) = (linear::<M::Arch>(start), linear::<M::Arch>(end));
        self.debugger.orders.action = Action::StepRange { start, end };
        Ok(())
    }
}

impl<M: Machine, const CLAIMS: usize, const CPUS: usize, const TASKS: usize>
    MultiThreadSchedulerLocking for Debuggee<'_, M, CLAIMS, CPUS, TASKS>
{
    fn set_resume_action_scheduler_lock(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}
