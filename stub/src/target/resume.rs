//! `vCont`: what each CPU is to do when the target goes on.
//!
//! gdbstub announces the actions one by one and then says *resume*; they are only written down
//! here, and the session acts on them when gdbstub has returned. A CPU that is not named
//! continues, unless the packet named some CPUs and no default: then the others stay parked, as
//! gdb wants it when it steps one of them over a breakpoint, or with `scheduler-locking`.

use core::convert::Infallible;

use gdbstub::arch::Arch;
use gdbstub::common::{Signal, Tid};
use gdbstub::target::ext::base::multithread::{
    MultiThreadRangeStepping, MultiThreadRangeSteppingOps, MultiThreadResume,
    MultiThreadSchedulerLocking, MultiThreadSchedulerLockingOps, MultiThreadSingleStep,
    MultiThreadSingleStepOps,
};

use super::machine::Machine;
use super::{Debuggee, cpu_of, linear};
use crate::arbiter::CpuId;

/// What one CPU is to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Action {
    /// Run until something stops it.
    Continue,
    /// Execute one instruction.
    Step,
    /// Execute instructions for as long as they begin inside `start..end`.
    StepRange { start: usize, end: usize },
    /// Stay where it is.
    Wait,
}

/// What each CPU is to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Actions<const CPUS: usize> {
    named: [Option<Action>; CPUS],
    others: Action,
}

impl<const CPUS: usize> Actions<CPUS> {
    /// All of them run.
    pub const CONTINUE: Self = Self { named: [None; CPUS], others: Action::Continue };

    /// What `cpu` is to do.
    pub fn of(&self, cpu: CpuId) -> Action {
        self.named.get(usize::from(cpu.0)).copied().flatten().unwrap_or(self.others)
    }

    fn set(&mut self, thread: Tid, action: Action) {
        // The fence has seen to it that there is such a thread.
        if let Some(place) = self.named.get_mut(usize::from(cpu_of(thread).0)) {
            *place = Some(action);
        }
    }
}

/// What the client wants done when its packet has been answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Orders<const CPUS: usize> {
    /// When it resumes the target.
    pub actions: Actions<CPUS>,
    /// `monitor reset`.
    pub reset: bool,
}

impl<const CPUS: usize> Orders<CPUS> {
    pub const fn new() -> Self {
        Self { actions: Actions::CONTINUE, reset: false }
    }
}

impl<M: Machine, const CLAIMS: usize, const CPUS: usize, const TASKS: usize> MultiThreadResume
    for Debuggee<'_, M, CLAIMS, CPUS, TASKS>
{
    fn resume(&mut self) -> Result<(), Infallible> {
        Ok(())
    }

    fn clear_resume_actions(&mut self) -> Result<(), Infallible> {
        self.debugger.orders.actions = Actions::CONTINUE;
        Ok(())
    }

    // A bare machine has no signals to pass on; gdb sends one only if told to.
    fn set_resume_action_continue(
        &mut self,
        thread: Tid,
        _: Option<Signal>,
    ) -> Result<(), Infallible> {
        self.debugger.orders.actions.set(thread, Action::Continue);
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
    fn set_resume_action_step(&mut self, thread: Tid, _: Option<Signal>) -> Result<(), Infallible> {
        self.debugger.orders.actions.set(thread, Action::Step);
        Ok(())
    }
}

impl<M: Machine, const CLAIMS: usize, const CPUS: usize, const TASKS: usize>
    MultiThreadRangeStepping for Debuggee<'_, M, CLAIMS, CPUS, TASKS>
{
    fn set_resume_action_range_step(
        &mut self,
        thread: Tid,
        start: <Self::Arch as Arch>::Usize,
        end: <Self::Arch as Arch>::Usize,
    ) -> Result<(), Infallible> {
        let (start, end) = (linear::<M::Arch>(start), linear::<M::Arch>(end));
        self.debugger.orders.actions.set(thread, Action::StepRange { start, end });
        Ok(())
    }
}

impl<M: Machine, const CLAIMS: usize, const CPUS: usize, const TASKS: usize>
    MultiThreadSchedulerLocking for Debuggee<'_, M, CLAIMS, CPUS, TASKS>
{
    fn set_resume_action_scheduler_lock(&mut self) -> Result<(), Infallible> {
        self.debugger.orders.actions.others = Action::Wait;
        Ok(())
    }
}
