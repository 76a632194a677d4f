//! One CPU: what it holds, what it runs, and the way from one task to the next.
//!
//! This is the hot path. A switch between two tasks without claims is one compare and one
//! branch ([`switch_to`](Cpu::switch_to)); any other looks the two plans up, which are ready,
//! and writes the difference to what the registers hold (promise 9). What a switch needs
//! belongs to its CPU alone.
//!
//! **A hit between two of the writes.** The code that switches has the arbiter to itself, so
//! a debug exception that interrupts it cannot be told to anybody at once. It is attributed
//! all the same, if whoever handles the exception notes what the registers held when it came,
//! and which plan was in force before ([`DebugException`](crate::hit::DebugException)), and
//! delivers that afterwards: each slot holds, between any two writes, a window of the old plan
//! or of the new one or is off, and the claims of both are looked at.
//!
//! **A turn** ends with the first tick after its context ran. For the task that runs then, it
//! ends at the tick; for another, when it next runs. So a task that never happens to run when
//! the clock ticks has its turns too, and a switch away and back changes no order. Where a tick
//! has ended a turn, the next one goes on when the task is switched to again, however short the
//! time was from the tick to the switch: a scheduler that does both in one interrupt,
//! in whichever order, would else have every other turn begin and end in there. (In one step,
//! [`tick_to`](super::Arbiter::tick_to), it also saves what would be written in between.)
//!
//! **Lazily**: with [`Switching::Lazy`] the registers of a task are left as they are when it
//! gives way to one without claims. A hit that the newcomer then causes finds no owner and is
//! dropped. When the task comes back, nothing need be written. What is released meanwhile does not
//! stay beyond the next tick or switch.

use super::claim::TaskId;
use super::config::Switching;
use super::count::{Armed, Counter};
use super::plan::{Activity, Plan, PlanId};
use super::turn::Turn;
use crate::bank::{Bank, Transition, transition};
use crate::dr::{Condition, Slot, Window};
use crate::machine::DebugRegisters;

/// All that a switch, a tick and a debug exception on one CPU need.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone, PartialEq))]
pub(crate) struct Cpu<const CLAIMS: usize, const TASKS: usize, const SLOTS: usize> {
    /// What the registers hold, as last written.
    pub bank: Bank,
    /// What each slot was last made to hold: only a difference is an event.
    pub(super) shown: [Option<Window>; 4],
    /// The number of the plan that is armed.
    in_force: PlanId,
    /// For tasks without claims.
    base: Plan<CLAIMS, SLOTS>,
    /// For the others.
    plans: [Plan<CLAIMS, SLOTS>; TASKS],
    /// Part of the count of each flexible claim.
    pub(super) counters: [Counter; CLAIMS],
    /// Until when time has been counted; `None` before the first time.
    since: Option<u64>,
    /// How many times it has ticked.
    turn: u64,
    /// Windows may be armed that the plan in force does not want.
    lazy: bool,
    /// Windows are armed that no claim on this CPU wants any more.
    released: bool,
}

impl<const CLAIMS: usize, const TASKS: usize, const SLOTS: usize> Cpu<CLAIMS, TASKS, SLOTS> {
    /// Registers as after reset, no claim, no task.
    pub const RESET: Self = Cpu {
        bank: Bank::RESET,
        shown: [None; 4],
        in_force: PlanId::NONE,
        base: Plan::FROM_RESET,
        plans: [const { Plan::EMPTY }; TASKS],
        counters: [Counter::ZERO; CLAIMS],
        since: None,
        turn: 0,
        lazy: false,
        released: false,
    };

    /// The number of the plan in force.
    pub fn in_force(&self) -> PlanId {
        self.current().id
    }

    /// The plan in force.
    pub fn current(&self) -> &Plan<CLAIMS, SLOTS> {
        self.at(self.in_force)
    }

    /// The plan with this number; without one of its own, the CPU's.
    pub fn at(&self, id: PlanId) -> &Plan<CLAIMS, SLOTS> {
        find(&self.plans, &self.base, id)
    }

    fn current_mut(&mut self) -> &mut Plan<CLAIMS, SLOTS> {
        let own = self.in_force.index(TASKS).and_then(|index| self.plans.get_mut(index));
        own.filter(|plan| plan.id == self.in_force).unwrap_or(&mut self.base)
    }

    /// The plans that are in use, to be made anew, and whether they are in force.
    pub(super) fn plans_mut(
        &mut self,
    ) -> impl Iterator<Item = (Activity, &mut Plan<CLAIMS, SLOTS>)> {
        let in_force = self.in_force;
        let own = self.plans.iter_mut().filter(|plan| plan.id != PlanId::NONE);
        core::iter::once(&mut self.base).chain(own).map(move |plan| {
            let runs = plan.id == in_force;
            (if runs { Activity::Runs } else { Activity::Away }, plan)
        })
    }

    /// Gives a place to the plan of a task, or takes it back.
    pub(super) fn set_plan(&mut self, index: usize, id: PlanId, task: Option<TaskId>) {
        let Some(plan) = self.plans.get_mut(index).filter(|plan| plan.id != id) else { return };
        if plan.id != PlanId::NONE && plan.id == self.in_force {
            // Its windows are armed still: the next switch, also one to `NONE`, has to look.
            self.in_force = PlanId::GONE;
        }
        *plan = Plan::of(id, task);
        if task.is_some() {
            // So far the task ran with what is for all; who waited there keeps its place.
            plan.queue = self.base.queue.clone();
            plan.queue.iter_mut().for_each(|contender| contender.turn = Turn::NONE);
        }
    }

    /// After a change of the claims: looks whether something is armed that none of them has, in
    /// whatever task.
    pub(super) fn look_for_released(&mut self) {
        let mut armed = Slot::ALL.into_iter().filter_map(|slot| self.bank.armed(slot));
        let plans = || core::iter::once(&self.base).chain(&self.plans);
        self.released = armed.any(|window| !plans().any(|plan| plan.arms(&window)));
    }

    /// Arms what the task with this plan wants: promise 9.
    #[inline]
    pub fn switch_to(
        &mut self,
        plan: PlanId,
        now: u64,
        switching: Switching,
        registers: &mut impl DebugRegisters,
    ) {
        if plan != self.in_force {
            self.switch(plan, now, switching, registers);
        }
    }

    #[inline(never)]
    fn switch(
        &mut self,
        plan: PlanId,
        now: u64,
        switching: Switching,
        registers: &mut impl DebugRegisters,
    ) {
        self.accrue(now);
        self.enter(plan, switching, registers);
    }

    /// Ends the turn; the next ones in the queue of the plan in force are armed.
    pub fn tick(&mut self, now: u64, registers: &mut impl DebugRegisters) {
        self.end_turn(now);
        self.follow(registers);
    }

    /// Ends the turn and goes over to another plan, in one step.
    pub fn tick_to(
        &mut self,
        plan: PlanId,
        now: u64,
        switching: Switching,
        registers: &mut impl DebugRegisters,
    ) {
        self.end_turn(now);
        self.enter(plan, switching, registers);
    }

    fn end_turn(&mut self, now: u64) {
        self.accrue(now);
        self.counters.iter_mut().for_each(Counter::end_turn);
        self.turn = self.turn.wrapping_add(1);
        // Of a task that is gone there is no turn to end, and the base does not run yet: whether
        // its own is over is found when it does.
        if self.in_force != PlanId::GONE {
            let plan = self.current_mut();
            let before = plan.wanted.clone();
            plan.end_turn();
            // What had its turn in between what was left lazily would be taken for that: a hit of
            // it may have been put off.
            self.lazy &= self.current().wanted == before;
        }
    }

    fn enter(&mut self, plan: PlanId, switching: Switching, registers: &mut impl DebugRegisters) {
        // By a task, or before. Nobody will come back to what a task has left that is gone.
        let is_left = self.lazy || !matches!(self.in_force, PlanId::NONE | PlanId::GONE);
        self.in_force = self.at(plan).id;
        let turn = self.turn;
        self.current_mut().run_in(turn);
        self.lazy = switching == Switching::Lazy && self.in_force == PlanId::NONE && is_left;
        self.follow(registers);
    }

    /// Arms what the plan in force wants. What a task has left lazily may stay as long as that
    /// is armed too, and nothing of it was released.
    fn follow(&mut self, registers: &mut impl DebugRegisters) {
        let all_armed = || self.current().wanted.iter().all(|window| self.bank.has_armed(*window));
        if !(self.lazy && !self.released && all_armed()) {
            self.arm(registers);
        }
    }

    /// Counts the time up to `now`.
    pub fn accrue(&mut self, now: u64) {
        let time = now.saturating_sub(self.since.unwrap_or(now));
        self.since = Some(now);
        let plan = find(&self.plans, &self.base, self.in_force);
        for contender in &plan.queue {
            if let Some(counter) = self.counters.get_mut(usize::from(contender.place)) {
                // What a task has left that is gone is armed until the registers follow, and what
                // is wanted instead is not.
                let is_armed = if self.in_force == PlanId::GONE {
                    self.bank.has_armed(contender.window)
                } else {
                    plan.wanted.contains(&contender.window)
                };
                counter.pass(time, if is_armed { Armed::Yes } else { Armed::No });
            }
        }
    }

    /// Goes on counting at `now`: what passed since the last time counts for nobody.
    pub fn skip_to(&mut self, now: u64) {
        self.since = Some(now);
    }

    /// The way from what the registers hold to what the plan in force wants.
    pub(super) fn transition(&self) -> Transition {
        let plan = self.current();
        transition(&self.bank, &plan.wanted, &plan.spare(), SLOTS)
    }

    /// Arms exactly what the plan in force wants, in the fewest writes.
    pub(super) fn arm(&mut self, registers: &mut impl DebugRegisters) {
        if self.in_force == PlanId::GONE {
            self.in_force = PlanId::NONE;
            self.base.run_in(self.turn);
        }
        let transition = self.transition();
        self.bank.apply(&transition, registers);
        self.shown = *transition.placement();
        (self.lazy, self.released) = (false, false);
    }

    /// Starts with these registers, running no task; what is armed is up to the next resume or
    /// switch.
    pub(super) fn restart(&mut self, bank: Bank) {
        (self.bank, self.in_force, self.since, self.lazy) = (bank, PlanId::GONE, None, false);
    }

    /// Whether an execute breakpoint is armed at `address` while the plan in force is, or was
    /// left there lazily.
    pub fn breaks_at(&self, address: usize) -> bool {
        let breaks = |window: &Window| {
            window.condition() == Condition::Execute && window.address() == address
        };
        let mut left = Slot::ALL.into_iter().filter_map(|slot| self.bank.armed(slot));
        self.current().wanted.iter().any(breaks) || (self.lazy && left.any(|own| breaks(&own)))
    }

    /// Whether a hit of this window, which came under `plan`, can be one that nobody asked for.
    /// While a task with claims runs nothing is armed but what it wants, though that may not be
    /// what it wants next: a hit that was put off from there is no stray one.
    pub fn is_stray(&self, window: &Window, plan: PlanId) -> bool {
        self.lazy && plan == PlanId::NONE && !self.current().wanted.contains(window)
    }
}

#[cfg(test)]
impl<const CLAIMS: usize, const TASKS: usize, const SLOTS: usize> Cpu<CLAIMS, TASKS, SLOTS> {
    /// What a test of all states must tell apart besides plans and bank: whether the running
    /// task's plan is gone, whether registers were left lazily, and the turn.
    pub fn moment(&self) -> (bool, bool, u64) {
        (self.in_force == PlanId::GONE, self.lazy, self.turn)
    }
}

/// The plan with this number, or else `base`.
fn find<'a, const CLAIMS: usize, const SLOTS: usize>(
    plans: &'a [Plan<CLAIMS, SLOTS>],
    base: &'a Plan<CLAIMS, SLOTS>,
    id: PlanId,
) -> &'a Plan<CLAIMS, SLOTS> {
    let own = id.index(plans.len()).and_then(|index| plans.get(index));
    own.filter(|plan| plan.id == id).unwrap_or(base)
}
