//! The way from one task to the next, on one CPU.
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
//! [`tick_to`](crate::arbiter::Arbiter::tick_to), it also saves what would be written in between.)
//!
//! **Lazily**: with [`Switching::Lazy`] the registers of a task are left as they are when it
//! gives way to one without claims. A hit that the newcomer then causes finds no owner and is
//! dropped. When the task comes back, nothing need be written. What is released meanwhile does not
//! stay beyond the next tick or switch.

use super::{Cpu, find};
use crate::arbiter::count::{Armed, Counter};
use crate::arbiter::{CpuId, PlanId, Switching};
use crate::bank::{Transition, transition};
use crate::dr::{Dr7, Slot};
use crate::event::{self, Event};
use crate::machine::DebugRegisters;

impl<const CLAIMS: usize, const TASKS: usize, const SLOTS: usize> Cpu<CLAIMS, TASKS, SLOTS> {
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
            self.end_laziness_unless_wanted(&before);
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

    /// Turns all breakpoints off for a stop. Returns what was live, by which the hits in DR6 are
    /// to be judged. Writes nothing if nothing was armed.
    pub fn suspend(&mut self, registers: &mut impl DebugRegisters) -> Dr7 {
        self.bank.suspend(registers)
    }

    /// Arms what is wanted, in the fewest writes (promise 9). `cpu` is its number, for the log.
    pub fn resume(&mut self, cpu: CpuId, registers: &mut impl DebugRegisters) {
        let before = self.shown;
        self.arm(registers);
        for ((slot, before), after) in Slot::ALL.into_iter().zip(before).zip(self.shown) {
            if let Some(window) = after.filter(|_| before != after) {
                event::emit(&Event::Armed { cpu, slot, window: &window });
            }
        }
    }

    /// The way from what the registers hold to what the plan in force wants.
    pub(in crate::arbiter) fn transition(&self) -> Transition {
        let plan = self.current();
        transition(&self.bank, &plan.wanted, &plan.spare(), SLOTS)
    }

    /// Arms exactly what the plan in force wants, in the fewest writes.
    pub(in crate::arbiter) fn arm(&mut self, registers: &mut impl DebugRegisters) {
        if self.in_force == PlanId::GONE {
            self.in_force = PlanId::NONE;
            self.base.run_in(self.turn);
        }
        let transition = self.transition();
        self.bank.apply(&transition, registers);
        self.shown = *transition.placement();
        (self.lazy, self.released) = (false, false);
    }
}
