//! Counts, put together from what each CPU has counted.

use super::Arbiter;
use super::claim::{CpuId, Handle, Request, Tenure};
use super::count::{Count, Counter};

impl<const CLAIMS: usize, const CPUS: usize, const TASKS: usize, const SLOTS: usize>
    Arbiter<CLAIMS, CPUS, TASKS, SLOTS>
{
    /// What a flexible claim has counted; time up to the last [`accrue`](Self::accrue), switch
    /// or tick of each CPU whose part is here. `None` if the handle is stale or the claim pinned: a pinned claim is
    /// armed all the time, and its hits need no scaling.
    pub fn count(&self, handle: Handle) -> Option<Count> {
        let claim = self.table.get(handle)?;
        let Request { tenure: Tenure::Flexible, .. } = claim.request else { return None };
        let mut count = Count::ZERO;
        for cpu in self.cpus.iter().flatten() {
            cpu.counters.get(usize::from(handle.index))?.add_to(&mut count);
        }
        Some(count)
    }

    /// Begins to count anew. A CPU that has its part itself does so when it comes back with it.
    pub(super) fn forget_counts(&mut self, handle: Handle) {
        let number = self.next_count;
        self.next_count = number.wrapping_add(1);
        if let Some(claim) = self.table.get_mut(handle) {
            claim.count = number;
        }
        for cpu in self.cpus.iter_mut().flatten() {
            if let Some(counter) = cpu.counters.get_mut(usize::from(handle.index)) {
                *counter = Counter::of(number);
            }
        }
    }

    /// Counts a hit on `cpu` for the claim.
    pub(crate) fn count_hit(&mut self, cpu: CpuId, handle: Handle) {
        if let Some(claim) = self.table.get_mut(handle) {
            claim.hits = claim.hits.saturating_add(1);
        }
        if let Some(part) = self.cpu_mut(cpu) {
            part.count_in_turn(handle);
        }
    }

    /// Counters of claims that have begun to count anew while the part was not here.
    pub(super) fn restart_counts(&mut self, cpu: CpuId) {
        let Self { table, cpus, .. } = self;
        let Some(Some(part)) = cpus.get_mut(cpu.index()) else { return };
        for (handle, claim) in table.iter() {
            let counter = part.counters.get_mut(usize::from(handle.index));
            if let Some(counter) = counter.filter(|counter| !counter.is_of(claim.count)) {
                *counter = Counter::of(claim.count);
            }
        }
    }
}
