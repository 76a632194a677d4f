//! What came of a debug exception: who was hit, and who wants to stop.

use heapless::Vec;

use crate::arbiter::{Condition, Handle, Region, Window};
use crate::dr::Slot;

/// What came of a debug exception, or of several that were put off.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Delivery<const CLAIMS: usize> {
    /// The slots that hit, as many as fit. One that is in here but belonged to nobody was
    /// released since, or left armed for nobody ([`Switching::Lazy`](crate::arbiter::Switching)).
    pub windows: Vec<(Slot, Window), 8>,
    /// The system owners that want to stop, in the order of their claims.
    pub stops: Vec<Stopped, 4>,
    /// How many more of them want it.
    pub further_stops: usize,
    /// The debugger's claims that were hit, each once, in the order of their handles.
    pub debugger: Vec<DebuggerHit, CLAIMS>,
}

impl<const CLAIMS: usize> Delivery<CLAIMS> {
    /// Whether a system owner wants to stop.
    pub fn stopped_by_system(&self) -> bool {
        !self.stops.is_empty()
    }
}

/// A system owner that wants to stop in the debugger.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Stopped {
    /// Its claim.
    pub handle: Handle,
    /// Its name.
    pub owner: &'static str,
    /// Its region.
    pub region: Region,
    /// Its condition.
    pub condition: Condition,
    /// The first of its windows that was hit.
    pub window: Window,
}

/// A claim of the debugger that was hit: by one access, or by several that were put off. Of these
/// it is the first that may have been a read, if there is one: whoever waits for writes wants to
/// know of it as well as of another, whoever waits for reads of no other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct DebuggerHit {
    /// The claim.
    pub handle: Handle,
    /// The first of its windows that was hit.
    pub window: Window,
    /// What became of the bytes of its windows that were hit.
    pub change: Change,
}

impl DebuggerHit {
    /// Which of two is told.
    pub(super) fn or(self, later: DebuggerHit) -> DebuggerHit {
        if self.change.or(later.change) == self.change { self } else { later }
    }
}

/// Whether watched bytes are what they were when last looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Change {
    /// They are not: there was a write.
    Changed,
    /// They are: a read, or a write of the same value.
    Unchanged,
    /// They could not be read, now or then, or there are none: execute, I/O.
    Unknown,
}

impl Change {
    /// Which of two hits is told: see [`DebuggerHit`].
    pub(super) fn or(self, later: Change) -> Change {
        match (self, later) {
            (Change::Changed, Change::Unchanged | Change::Unknown) => later,
            (Change::Changed, Change::Changed) | (Change::Unchanged | Change::Unknown, _) => self,
        }
    }

    /// Of both together.
    pub(super) fn and(self, other: Change) -> Change {
        match (self, other) {
            (Change::Changed, _) | (_, Change::Changed) => Change::Changed,
            (Change::Unknown, _) | (_, Change::Unknown) => Change::Unknown,
            (Change::Unchanged, Change::Unchanged) => Change::Unchanged,
        }
    }
}
