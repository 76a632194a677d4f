//! What a scheduler calls: the switch from task to task, and the clock's tick.
//!
//! Both may be called with interrupts on or off, from a task or from an interrupt handler, but
//! not from a claim's handler, which runs while the arbiter is at work: there they do nothing.
//! On several CPUs, the caller has to stay on its own for the time of the call.
//!
//! They use what is this CPU's own, and no lock. The claims are changed only while this CPU waits,
//! and it does not wait in here; so a switch sees a change entirely or not at all.

use tetrarch::arbiter::{CpuId, PlanId, TaskId};

use crate::debug_regs::Registers;
use crate::local::Local;
use crate::stub::Stub;

impl<const CLAIMS: usize, const TASKS: usize, const CPUS: usize> Stub<CLAIMS, TASKS, CPUS> {
    /// The number that `task` must carry for [`switch_to`](Self::switch_to). It changes with
    /// the first claim of the task and with the release of its last; without claims,
    /// before the installation and to a claim's handler, it is [`PlanId::NONE`].
    pub fn plan_of(&self, task: TaskId) -> PlanId {
        self.exclusively(|lead| lead.state().arbiter.plan_of(task)).unwrap_or(PlanId::NONE)
    }

    /// This CPU is about to run the task that carries `plan`. When this returns, the registers
    /// hold what that wants, and nothing of the task before but what is left armed with
    /// [`Switching::Lazy`](tetrarch::arbiter::Switching::Lazy).
    ///
    /// From here until the task runs, nothing may switch on this CPU in between: if an interrupt
    /// can, keep interrupts off until the stacks are exchanged.
    ///
    /// Between tasks without claims this is one compare and one branch, once it is known which CPU
    /// this is. With room for one that is nothing; with several, CPUID is asked: firmware that
    /// knows it calls [`on`](Self::on) first.
    ///
    /// May be called with interrupts on or off, from a task or an interrupt handler. From a claim's
    /// handler or a monitor command, while the arbiter is at work, it does nothing.
    #[inline]
    pub fn switch_to(&self, plan: PlanId) {
        if let Some(here) = self.here() {
            OnCpu { stub: self, here }.switch_to(plan);
        }
    }

    /// Ends the turn of the claims that are armed in turns on this CPU. Call it regularly, from a
    /// timer's interrupt for instance; where that also switches, call [`tick_to`](Self::tick_to).
    ///
    /// May be called as [`switch_to`](Self::switch_to) may.
    pub fn tick(&self) {
        if let Some(here) = self.here() {
            OnCpu { stub: self, here }.tick();
        }
    }

    /// [`tick`](Self::tick) and [`switch_to`](Self::switch_to) in one step: fewer writes than
    /// one after the other, and no turn that lasts from the one call to the other.
    ///
    /// May be called as [`switch_to`](Self::switch_to) may.
    pub fn tick_to(&self, plan: PlanId) {
        if let Some(here) = self.here() {
            OnCpu { stub: self, here }.tick_to(plan);
        }
    }

    /// The same for firmware that knows which CPU it runs on. `None` if there is no place for it.
    ///
    /// `cpu` must be the one that executes the calls that follow: of another, they would change
    /// what its registers hold behind its back.
    pub fn on(&self, cpu: CpuId) -> Option<OnCpu<'_, CLAIMS, TASKS, CPUS>> {
        Some(OnCpu { stub: self, here: (cpu, self.local(cpu)?) })
    }
}

/// The CPU that executes the calls.
#[derive(Clone, Copy)]
pub struct OnCpu<'s, const CLAIMS: usize, const TASKS: usize, const CPUS: usize> {
    stub: &'s Stub<CLAIMS, TASKS, CPUS>,
    here: (CpuId, &'s Local<CLAIMS, TASKS>),
}

impl<const CLAIMS: usize, const TASKS: usize, const CPUS: usize> OnCpu<'_, CLAIMS, TASKS, CPUS> {
    /// [`Stub::switch_to`].
    #[inline]
    pub fn switch_to(&self, plan: PlanId) {
        if plan != self.here.1.in_force() {
            self.switch(plan);
        }
    }

    #[inline(never)]
    fn switch(&self, plan: PlanId) {
        // Without a stub there are no claims, and a handler must not call.
        let _ = self.stub.by_itself(self.here, |part, setup| {
            part.switch_to(plan, (setup.clock)(), setup.switching, &mut Registers);
        });
    }

    /// [`Stub::tick`].
    pub fn tick(&self) {
        // As above.
        let _ = self.stub.by_itself(self.here, |part, setup| {
            part.tick((setup.clock)(), &mut Registers);
        });
    }

    /// [`Stub::tick_to`].
    pub fn tick_to(&self, plan: PlanId) {
        // As above.
        let _ = self.stub.by_itself(self.here, |part, setup| {
            part.tick_to(plan, (setup.clock)(), setup.switching, &mut Registers);
        });
    }
}
