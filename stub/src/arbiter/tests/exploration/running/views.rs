//! What there is to be seen of a state, and by what it is told from others.

use super::*;
use crate::arbiter::turn::{Course, Presence, Turn};

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    ToCome,
    /// It goes on also if another tick comes while the context is away.
    FromTick,
    UnderWay,
    /// A tick came while the context was away.
    Over,
}

impl State {
    /// Whose turn it is in a context, front first.
    pub fn queue(&self, cpu: CpuId, task: Option<TaskId>) -> Vec<usize> {
        let plan = task.map_or(PlanId::NONE, |task| self.arbiter.plan_of(task));
        let plan = self.arbiter.cpu(cpu).unwrap().at(plan);
        plan.queue.iter().map(|contender| contender.window.address()).collect()
    }

    /// How far a context is with its turn.
    pub fn stage(&self, cpu: CpuId, task: Option<TaskId>) -> Stage {
        let plan = task.map_or(PlanId::NONE, |task| self.arbiter.plan_of(task));
        let cpu = self.arbiter.cpu(cpu).unwrap();
        match cpu.at(plan).turn {
            Course::ToCome => Stage::ToCome,
            Course::FromTick => Stage::FromTick,
            Course::Since(turn) if turn == cpu.moment().2 => Stage::UnderWay,
            Course::Since(_) => Stage::Over,
        }
    }

    pub fn pinned(&self, cpu: CpuId, task: Option<TaskId>) -> Vec<usize> {
        let claims = self.arbiter.claims().map(|(_, claim)| claim.request());
        let here = claims
            .filter(|request| request.tenure == Tenure::Pinned && request.scope.applies(cpu, task));
        here.map(|request| request.region.address()).collect()
    }

    /// Whether anybody has this window armed there, in some task and some turn.
    pub fn is_claimed(&self, cpu: CpuId, address: usize) -> bool {
        let mut requests = self.arbiter.claims().map(|(_, claim)| claim.request());
        requests.any(|request| {
            request.region.address() == address && request.scope.cpu().is_none_or(|on| on == cpu)
        })
    }

    /// Promises 3 and 8: all that are pinned, and the first of the queue in what is left.
    pub fn wanted(&self, cpu: CpuId, task: Option<TaskId>, queue: &[usize]) -> Vec<usize> {
        let mut wanted = self.pinned(cpu, task);
        for address in queue {
            if wanted.len() < SLOTS && !wanted.contains(address) {
                wanted.push(*address);
            }
        }
        wanted
    }

    /// What each of the queue has had of its turn.
    pub fn turns(&self, cpu: CpuId, task: Option<TaskId>) -> Vec<Turn> {
        let plan = task.map_or(PlanId::NONE, |task| self.arbiter.plan_of(task));
        let plan = self.arbiter.cpu(cpu).unwrap().at(plan);
        plan.queue.iter().map(|contender| contender.turn).collect()
    }

    /// The queue after a turn: the first that had a whole one, or parts of two, goes behind, if
    /// one waits.
    pub fn rotated(&self, cpu: CpuId, task: Option<TaskId>) -> Vec<usize> {
        let mut queue = self.queue(cpu, task);
        let pinned = self.pinned(cpu, task);
        let wanted = self.wanted(cpu, task, &queue);
        if queue.iter().any(|address| !wanted.contains(address)) {
            let has_had = |(address, turn): (&usize, Turn)| {
                let armed = match turn.armed {
                    Presence::FromStart if wanted.contains(address) => 2,
                    Presence::FromStart | Presence::Later => 1,
                    Presence::None => 0,
                };
                !pinned.contains(address) && turn.halves + armed >= 2
            };
            if let Some(front) = queue.iter().zip(self.turns(cpu, task)).position(has_had) {
                let front = queue.remove(front);
                queue.push(front);
            }
        }
        queue
    }

    /// In words as small as will do: there are millions of these.
    pub fn key(&self) -> Box<[u16]> {
        let handles = alphabet().map(|request| u16::from(self.arbiter.find(&request).is_some()));
        let mut key: Vec<_> = handles.into();
        for cpu in CPUS {
            let state = self.arbiter.cpu(cpu).unwrap();
            let (gone, lazy, _) = state.moment();
            key.push(u16::from(gone) << 1 | u16::from(lazy));
            key.push(self.arbiter.running(cpu).map_or(0, |task| task.0 as u16 + 1));
            for task in TASKS {
                if task.is_none_or(|task| self.arbiter.plan_of(task) != PlanId::NONE) {
                    for (address, turn) in
                        self.queue(cpu, task).into_iter().zip(self.turns(cpu, task))
                    {
                        // Who has had a turn can have no more.
                        let armed = if turn.halves == 2 { 0 } else { turn.armed as u16 };
                        key.push((address as u16) << 8 | u16::from(turn.halves) << 4 | armed);
                    }
                    key.push(0x100 + self.stage(cpu, task) as u16);
                }
            }
            let bank = state.bank;
            key.extend(Slot::ALL[..SLOTS].iter().map(|slot| bank.address(*slot) as u16));
            let control = bank.control().bits();
            key.extend([control as u16, (control >> 16) as u16]);
        }
        key.into()
    }
}
