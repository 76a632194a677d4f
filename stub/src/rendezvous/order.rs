//! Whose turn it is to lead, among CPUs that have to change what all share.
//!
//! Whoever finds no leader may lead, and whoever has a hit to tell does so at once. But a CPU that
//! leads, lets the others go and wants to lead again is always the first to try: the others are
//! still on their way out of their exceptions. So who leads for a change *asks* before, and waits
//! while another that has asked *precedes* it: they go round, in the order of their numbers, from
//! the one that led last. Between two leads of one CPU each of the others that has asked has had
//! its turn.
//!
//! Who has asked and cannot lead is passed over: it is held, or has gone, or does not respond
//! ([`pass_over`](Rendezvous::pass_over), for the caller who has waited long enough).
//!
//! This is about fairness, not safety: whatever these words say, there is one leader at the most.
//! So their order in memory does not matter.

use super::{Rendezvous, Standing};
use crate::arbiter::CpuId;

#[cfg(not(loom))]
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
#[cfg(loom)]
use loom::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// Who has asked, and who led last.
#[derive(Debug)]
pub(super) struct Order<const CPUS: usize> {
    last: AtomicU32,
    asked: [AtomicBool; CPUS],
}

impl<const CPUS: usize> Order<CPUS> {
    #[cfg(not(loom))]
    pub const fn new() -> Self {
        Self { last: AtomicU32::new(0), asked: [const { AtomicBool::new(false) }; CPUS] }
    }

    #[cfg(loom)]
    pub fn new() -> Self {
        let asked = core::array::from_fn(|_| AtomicBool::new(false));
        Self { last: AtomicU32::new(0), asked }
    }

    fn set(&self, cpu: CpuId, asked: bool) {
        if let Some(place) = self.asked.get(usize::from(cpu.0)) {
            place.store(asked, Ordering::Relaxed);
        }
    }
}

impl<const CPUS: usize> Rendezvous<CPUS> {
    /// `cpu`, which executes the call, wants to lead in its turn: to be followed by
    /// [`answered`](Self::answered), or by [`pass_over`](Self::pass_over) if it does not any more.
    pub fn ask(&self, cpu: CpuId) {
        self.order.set(cpu, true);
    }

    /// `cpu`, which executes the call, leads.
    pub fn answered(&self, cpu: CpuId) {
        self.order.set(cpu, false);
        self.order.last.store(cpu.0.into(), Ordering::Relaxed);
    }

    /// The CPU whose turn it is before that of `cpu`, if there is one.
    pub fn precedes(&self, cpu: CpuId) -> Option<CpuId> {
        let last = self.order.last.load(Ordering::Relaxed) as usize;
        let round = (1..=CPUS).map(|distance| (last + distance) % CPUS);
        let before = round.take_while(|&number| number != usize::from(cpu.0));
        let has_asked = |cpu: &CpuId| {
            let asked = self.order.asked.get(usize::from(cpu.0));
            asked.is_some_and(|asked| asked.load(Ordering::Relaxed))
        };
        let can_lead = |cpu: &CpuId| match self.standing(*cpu) {
            Standing::Running | Standing::Parked => true,
            Standing::Offline | Standing::Collected => false,
        };
        // Who leads by an exception may have asked before that came.
        let waits = |cpu: &CpuId| has_asked(cpu) && can_lead(cpu) && self.leader() != Some(*cpu);
        before.map(|number| CpuId(number as u16)).find(waits)
    }

    /// `cpu` has been waited for in vain, or does not want to lead any more: it has lost its turn.
    pub fn pass_over(&self, cpu: CpuId) {
        self.order.set(cpu, false);
    }
}
