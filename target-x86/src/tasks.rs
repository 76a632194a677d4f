//! What a scheduler calls: the switch from task to task, and the clock's tick.
//!
//! Both may be called with interrupts on or off, from a task or from an interrupt handler, but
//! not from a claim's handler, which runs while the arbiter is at work: there they do nothing.

use tetrarch::arbiter::{PlanId, TaskId};

use crate::cpus;
use crate::debug_regs::Registers;
use crate::stub::Stub;

impl<const CLAIMS: usize, const TASKS: usize> Stub<CLAIMS, TASKS> {
    /// The number that `task` must carry for [`switch_to`](Self::switch_to). It changes with
    /// the first claim of the task and with the release of its last; without claims,
    /// before the installation and to a claim's handler, it is [`PlanId::NONE`].
    pub fn plan_of(&self, task: TaskId) -> PlanId {
        self.exclusively(|state| state.arbiter.plan_of(task)).unwrap_or(PlanId::NONE)
    }

    /// This CPU is about to run the task that carries `plan`. When this returns, the registers
    /// hold what that wants, and nothing of the task before but what is left armed with
    /// [`Switching::Lazy`](tetrarch::arbiter::Switching::Lazy).
    ///
    /// From here until the task runs, nothing may switch on this CPU in between: if an interrupt
    /// can, keep interrupts off until the stacks are exchanged.
    ///
    /// Between tasks without claims this is one compare and one branch.
    ///
    /// May be called with interrupts on or off, from a task or an interrupt handler. From a claim's
    /// handler or a monitor command, while the arbiter is at work, it does nothing.
    #[inline]
    pub fn switch_to(&self, plan: PlanId) {
        if plan != self.in_force() {
            self.switch(plan);
        }
    }

    #[inline(never)]
    fn switch(&self, plan: PlanId) {
        // Without a stub there are no claims, and a handler must not call.
        let _ = self.exclusively(|state| {
            let now = (state.clock)();
            state.arbiter.switch_to(cpus::current(), plan, now, &mut Registers);
        });
    }

    /// Ends the turn of the claims that are armed in turns. Call it regularly, from a timer's
    /// interrupt for instance; where that also switches, call [`tick_to`](Self::tick_to).
    ///
    /// May be called with interrupts on or off, from a task or an interrupt handler. From a claim's
    /// handler or a monitor command, while the arbiter is at work, it does nothing.
    pub fn tick(&self) {
        // As above.
        let _ = self.exclusively(|state| {
            let now = (state.clock)();
            state.arbiter.tick(cpus::current(), now, &mut Registers);
        });
    }

    /// [`tick`](Self::tick) and [`switch_to`](Self::switch_to) in one step: fewer writes than
    /// one after the other, and no turn that lasts from the one call to the other.
    ///
    /// May be called with interrupts on or off, from a task or an interrupt handler. From a claim's
    /// handler or a monitor command, while the arbiter is at work, it does nothing.
    pub fn tick_to(&self, plan: PlanId) {
        // As above.
        let _ = self.exclusively(|state| {
            let now = (state.clock)();
            state.arbiter.tick_to(cpus::current(), plan, now, &mut Registers);
        });
    }
}
