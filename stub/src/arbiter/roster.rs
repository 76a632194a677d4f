//! The claims as one CPU knows them: all that it takes to tell the owner of a hit.
//!
//! A debug exception must neither wait for whoever changes the claims on another CPU, nor see half
//! of a change. So each CPU has a copy, made together with its plans, and counts by itself; what
//! it has counted comes to the claims when its part does ([`sharing`](super::sharing)).

use super::claim::Handle;
use super::snapshot::Snapshot;
use super::table::{Claim, Table};

/// The copies, each in the place of its claim.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone, PartialEq))]
pub(crate) struct Roster<const CLAIMS: usize>([Option<Entry>; CLAIMS]);

/// One claim, with the hits and the snapshot of this CPU.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone, PartialEq))]
pub(crate) struct Entry {
    pub handle: Handle,
    pub claim: Claim,
    /// Hits that the table does not know of.
    fresh: u64,
}

impl Entry {
    /// A hit on this CPU.
    pub fn count_hit(&mut self) {
        self.claim.hits = self.claim.hits.saturating_add(1);
        self.fresh = self.fresh.saturating_add(1);
    }

    /// Follows a change of the claim. What was remembered of another place says nothing.
    fn follow(&mut self, claim: &Claim) {
        let hits = self.claim.hits;
        let snapshot =
            if self.claim.request == claim.request { self.claim.snapshot } else { claim.snapshot };
        self.claim = Claim { hits, snapshot, ..claim.clone() };
    }

    /// Tells the claim what has come since the last time.
    fn report(&mut self, claim: &mut Claim) {
        if self.fresh > 0 {
            claim.hits = claim.hits.saturating_add(core::mem::take(&mut self.fresh));
            claim.snapshot = self.claim.snapshot;
        }
    }
}

impl<const CLAIMS: usize> Roster<CLAIMS> {
    pub const EMPTY: Self = Self([const { None }; CLAIMS]);

    /// The claim in this place, if it is in force.
    pub fn live(&self, place: usize) -> Option<&Claim> {
        let entry = self.0.get(place)?.as_ref();
        entry.map(|entry| &entry.claim).filter(|claim| claim.is_live())
    }

    /// What is in this place.
    pub fn entry(&self, place: usize) -> Option<&Entry> {
        self.0.get(place)?.as_ref()
    }

    /// The same, to be changed.
    pub fn entry_mut(&mut self, place: usize) -> Option<&mut Entry> {
        self.0.get_mut(place)?.as_mut()
    }

    /// Follows a change of the claims.
    pub fn follow(&mut self, table: &Table<CLAIMS>) {
        for place in &mut self.0 {
            if place.as_ref().is_some_and(|entry| table.get(entry.handle).is_none()) {
                *place = None;
            }
        }
        for (handle, claim) in table.iter() {
            match self.0.get_mut(usize::from(handle.index)) {
                Some(Some(entry)) => entry.follow(claim),
                Some(place) => {
                    let claim = Claim { hits: 0, ..claim.clone() };
                    *place = Some(Entry { handle, claim, fresh: 0 });
                }
                // There are as many places.
                None => {}
            }
        }
    }

    /// Tells the claims what this CPU has counted and seen since the last time.
    pub fn report(&mut self, table: &mut Table<CLAIMS>) {
        for entry in self.0.iter_mut().flatten() {
            if let Some(claim) = table.get_mut(entry.handle) {
                entry.report(claim);
            }
        }
    }

    /// The region of a claim was looked at.
    pub fn remember(&mut self, handle: Handle, snapshot: Snapshot) {
        let entry = self.entry_mut(usize::from(handle.index));
        if let Some(entry) = entry.filter(|entry| entry.handle == handle) {
            entry.claim.snapshot = snapshot;
        }
    }
}
