//! What a watched region held when it was last looked at.
//!
//! The hardware has no read-only condition: a hit that left the bytes as they were is
//! taken for a read. And people want to see the old value beside the new one.

use super::region::Region;
use crate::dr::{Condition, Window};
use crate::machine::Memory;

/// Four windows of eight bytes: no region that was accepted is longer.
const CAPACITY: usize = 32;

/// The bytes of a region from its start on, as far as they are known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Snapshot {
    bytes: [u8; CAPACITY],
    known: usize,
}

impl Snapshot {
    /// Nothing is known.
    pub const EMPTY: Snapshot = Snapshot { bytes: [0; CAPACITY], known: 0 };

    /// The bytes of `region` now; of execute breakpoints and ports there are none.
    pub(crate) fn take(
        region: &Region,
        condition: Condition,
        memory: &mut impl Memory,
    ) -> Snapshot {
        let mut snapshot = Snapshot::EMPTY;
        let length = match condition {
            Condition::Write | Condition::ReadWrite => region.length().min(CAPACITY),
            Condition::Execute | Condition::Io => 0,
        };
        if let Some(into) = snapshot.bytes.get_mut(..length).filter(|into| !into.is_empty()) {
            snapshot.known = memory.read(region.address(), into).min(length);
        }
        snapshot
    }

    /// The bytes that are known, from the region's first on.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.known).unwrap_or(&[])
    }

    /// The bytes of one window of the region, if all of them are known.
    pub(crate) fn of(&self, region: &Region, window: &Window) -> Option<&[u8]> {
        let start = window.address().checked_sub(region.address())?;
        self.bytes().get(start..)?.get(..window.length().bytes())
    }

    /// Takes over one window of the region from a newer snapshot, and nothing else: what
    /// another CPU changed elsewhere in the region is reported by a hit of its own.
    pub(crate) fn renew(&mut self, region: &Region, window: &Window, newer: &Snapshot) {
        let Some(start) = window.address().checked_sub(region.address()) else {
            return;
        };
        let end = start.saturating_add(window.length().bytes());
        match (newer.of(region, window), self.bytes.get_mut(start..end)) {
            (Some(from), Some(into)) => {
                into.iter_mut().zip(from).for_each(|(into, from)| *into = *from);
                // With a gap before it, it cannot be told from what is not known.
                if start <= self.known {
                    self.known = self.known.max(end);
                }
            }
            (None, _) | (_, None) => self.known = self.known.min(start),
        }
    }
}
