//! One CPU: what it holds, what it runs, and what a debug exception asks of it.
//!
//! All that a switch, a tick and a debug exception need is in here and belongs to the CPU alone.
//! The way from one task to the next is in [`switch`].

mod switch;

use super::claim::{Handle, Request, TaskId};
use super::config::Config;
use super::count::Counter;
use super::plan::{Activity, Plan, PlanId};
use super::region::Widest;
use super::roster::Roster;
use super::turn::Turn;
use crate::bank::Bank;
use crate::dr::{Condition, Dr6, Dr7, Slot, Window};
use crate::hit::DebugException;

/// All that a switch, a tick and a debug exception on one CPU need.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone, PartialEq))]
pub struct Cpu<const CLAIMS: usize, const TASKS: usize, const SLOTS: usize = 4> {
    /// What the registers hold, as last written.
    pub(crate) bank: Bank,
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
    /// Which of the arbiter's revisions the plans and the roster are.
    pub(super) revision: u32,
    /// Whom a hit belongs to.
    pub(crate) roster: Roster<CLAIMS>,
    /// How long a window can be.
    pub(super) widest: Widest,
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
        revision: 0,
        roster: Roster::EMPTY,
        widest: Config::DEFAULT.widest,
        released: false,
    };

    /// Which of the arbiter's [revisions](super::Arbiter::revision) this is.
    pub fn revision(&self) -> u32 {
        self.revision
    }

    /// The number of the plan in force.
    pub fn in_force(&self) -> PlanId {
        self.current().id
    }

    /// The plan in force.
    pub(crate) fn current(&self) -> &Plan<CLAIMS, SLOTS> {
        self.at(self.in_force)
    }

    /// The plan with this number; without one of its own, the CPU's.
    pub(crate) fn at(&self, id: PlanId) -> &Plan<CLAIMS, SLOTS> {
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

    /// After something else has become wanted than `before`. What is not wanted any more, and stays
    /// armed for the moment, would be taken for what was left lazily, and a hit of it that was put
    /// off for a stray one.
    pub(super) fn end_laziness_unless_wanted(&mut self, before: &[Window]) {
        let wanted = &self.current().wanted;
        let stays = before.iter().all(|window| wanted.contains(window));
        self.lazy &= stays;
    }

    /// After a change of the claims: looks whether something is armed that none of them has, in
    /// whatever task.
    pub(super) fn look_for_released(&mut self) {
        let mut armed = Slot::ALL.into_iter().filter_map(|slot| self.bank.armed(slot));
        let plans = || core::iter::once(&self.base).chain(&self.plans);
        self.released = armed.any(|window| !plans().any(|plan| plan.arms(&window)));
    }

    /// A debug exception that has just come: with DR6 as it was read, the DR7 that was live, and
    /// the saved instruction pointer.
    pub fn exception(&self, status: Dr6, live: Dr7, rip: usize) -> DebugException {
        DebugException { status, live: self.bank.under(live), plan: self.in_force(), rip }
    }

    /// Whether anything but an instruction is watched when the CPU runs.
    pub fn watches_data(&self) -> bool {
        self.current().wanted.iter().any(|window| window.condition() != Condition::Execute)
    }

    /// Starts with these registers, running no task; what is armed is up to the next resume or
    /// switch.
    pub(super) fn restart(&mut self, bank: Bank) {
        (self.bank, self.in_force, self.since, self.lazy) = (bank, PlanId::GONE, None, false);
    }

    /// Whether such a request asks for this window.
    pub(crate) fn has_window(&self, request: &Request, window: &Window) -> bool {
        request.has_window(self.widest, window)
    }

    /// A hit of this claim, for the turn that is under way.
    pub(crate) fn count_in_turn(&mut self, handle: Handle) {
        if let Some(counter) = self.counters.get_mut(usize::from(handle.index)) {
            counter.hit();
        }
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
    pub(crate) fn is_stray(&self, window: &Window, plan: PlanId) -> bool {
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
