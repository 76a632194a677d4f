//! The parts of several CPUs: worked out here, used there.
//!
//! What a switch, a tick and a debug exception need is a [`Cpu`], and each CPU uses its own with
//! no lock. To change the claims, somebody has to have the parts of all CPUs here, so that each
//! sees the change entirely or not at all: a CPU that runs has its part itself ([`lend`]), and
//! gives it back ([`give_back`]) when it is stopped for a change. One that does not come in time
//! goes on with what it has. When it comes at last its plans are made anew from the claims that
//! there are then: one that was made and released meanwhile is never armed on it.
//!
//! [`lend`]: Arbiter::lend
//! [`give_back`]: Arbiter::give_back

use super::Arbiter;
use super::claim::{CpuId, Handle};
use super::cpu::Cpu;
use super::snapshot::Snapshot;

impl<const CLAIMS: usize, const CPUS: usize, const TASKS: usize, const SLOTS: usize>
    Arbiter<CLAIMS, CPUS, TASKS, SLOTS>
{
    /// Gives a CPU its part, to work on by itself. Nothing happens if it has it already, or has
    /// no place, or if `part` is taken. A part has some KiB; it is exchanged where it is, so that
    /// the stack need not hold it.
    pub fn lend(&mut self, cpu: CpuId, part: &mut Option<Cpu<CLAIMS, TASKS, SLOTS>>) {
        let place = self.cpus.get_mut(cpu.index()).filter(|place| place.is_some());
        if let (Some(place), None) = (place, &part) {
            core::mem::swap(place, part);
        }
    }

    /// Takes a CPU's part back, and brings it up to date with the claims.
    pub fn give_back(&mut self, cpu: CpuId, part: &mut Option<Cpu<CLAIMS, TASKS, SLOTS>>) {
        let place = self.cpus.get_mut(cpu.index()).filter(|place| place.is_none());
        let (Some(place), Some(returned)) = (place, &part) else { return };
        let is_stale = returned.revision != self.revision;
        core::mem::swap(place, part);
        self.collect_reports(cpu);
        if is_stale {
            self.restart_counts(cpu);
            self.plan(cpu);
        }
    }

    /// A CPU has lost the part that it had: it gets another one, with nothing in it of before.
    pub fn renew_part(&mut self, cpu: CpuId) {
        if let Some(place) = self.cpus.get_mut(cpu.index()) {
            *place = Some(Cpu::RESET);
            self.restart_counts(cpu);
            self.plan(cpu);
        }
    }

    /// Whether a CPU's part is here.
    pub fn has_part(&self, cpu: CpuId) -> bool {
        self.cpu(cpu).is_some()
    }

    /// How often the claims have changed. A [part](Cpu::revision) with another number does not
    /// know of all changes.
    pub fn revision(&self) -> u32 {
        self.revision
    }

    /// Brings the claims up to date with what a CPU has counted by itself.
    pub(crate) fn collect_reports(&mut self, cpu: CpuId) {
        let Self { table, cpus, .. } = self;
        if let Some(Some(part)) = cpus.get_mut(cpu.index()) {
            part.roster.report(table);
        }
    }

    /// What the region of a claim holds now.
    pub(crate) fn set_snapshot(&mut self, handle: Handle, snapshot: Snapshot) {
        if let Some(claim) = self.table.get_mut(handle) {
            claim.snapshot = snapshot;
        }
        for part in self.cpus.iter_mut().flatten() {
            part.roster.remember(handle, snapshot);
        }
    }

    /// Works the plans out anew, after a change of the claims. All the work that a switch is
    /// spared is done here.
    pub(super) fn replan(&mut self) {
        let Self { table, tasks, .. } = self;
        let task_of = |claim: &super::Claim| claim.request.scope.task();
        let has_claims = |task| table.iter().any(|(_, claim)| task_of(claim) == Some(task));
        tasks
            .update(|task| !has_claims(task), table.iter().filter_map(|(_, claim)| task_of(claim)));
        self.revision = self.revision.wrapping_add(1);
        (0..=u16::MAX).take(CPUS).map(CpuId).for_each(|cpu| self.plan(cpu));
    }

    /// The same for one CPU, if its part is here.
    fn plan(&mut self, cpu: CpuId) {
        let Self { config, table, cpus, tasks, revision, .. } = self;
        let Some(Some(part)) = cpus.get_mut(cpu.index()) else { return };
        part.revision = *revision;
        for (index, plan, task) in tasks.places() {
            part.set_plan(index, plan, task);
        }
        let before = part.current().wanted.clone();
        for (activity, plan) in part.plans_mut() {
            plan.rebuild(cpu, config.widest, table.iter(), activity);
        }
        part.end_laziness_unless_wanted(&before);
        part.look_for_released();
        part.widest = config.widest;
        part.roster.follow(table);
    }
}
