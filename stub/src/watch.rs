//! What the client asked to be watched: `Z1`–`Z4` into claims, hits back into its own words.
//!
//! The arbiter knows conditions that a debug register can express; gdb knows four kinds of
//! request. They differ in one place: a register has no read-only, so `Z3` is armed as
//! read-or-write and what it reports is filtered here. A hit counts as a read if the watched
//! bytes still hold what they held at the last resume or at the last hit of the same window.
//! Two cases cannot be told apart this way: a store of the value that was there already looks
//! like a read, and a change by DMA or through another mapping hides one read.
//!
//! Two requests of the client may stand on one claim (`Z3` and `Z4` on the same bytes), so the
//! claim is given up only with the last of them. Giving up is a *hold*: the window keeps its
//! place among the debugger's until the target really continues (DESIGN, promise 5), because
//! gdb takes all its watchpoints out at every stop and puts them back at every resume.

use heapless::Vec;

use crate::arbiter::{self, Arbiter, Handle, Owner, Region, Rejection, Request};
use crate::dr::{Condition, Window};
use crate::machine::Memory;

/// How many requests of the client can be remembered; more than registers, because several may
/// share one and held ones still have their place.
pub(crate) const CAPACITY: usize = 16;

/// The kind of a request, numbered as in the packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Kind {
    /// `Z1`, a hardware breakpoint.
    Execute,
    /// `Z2`, a write watchpoint.
    Write,
    /// `Z3`, a read watchpoint.
    Read,
    /// `Z4`, an access watchpoint.
    Access,
}

impl Kind {
    fn condition(self) -> Condition {
        match self {
            Kind::Execute => Condition::Execute,
            Kind::Write => Condition::Write,
            Kind::Read | Kind::Access => Condition::ReadWrite,
        }
    }
}

/// Why a request of the client was refused.
#[expect(clippy::large_enum_variant, reason = "the arbiter's figures, without allocation")]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WatchError {
    /// The arbiter refused the claim.
    Rejected(Rejection),
    /// More requests than this module remembers.
    TooMany,
}

/// What to tell the client about one hit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Report {
    /// The kind that it asked for.
    pub kind: Kind,
    /// An address inside the region that it asked for.
    pub address: usize,
    /// The claim behind it.
    pub handle: Handle,
    /// What the hit did.
    pub access: Access,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Entry {
    kind: Kind,
    region: Region,
    handle: Handle,
}

/// The client's requests that are in force.
#[derive(Debug, Default)]
pub struct WatchBook {
    entries: Vec<Entry, CAPACITY>,
}

impl WatchBook {
    /// Nothing asked for yet.
    pub const fn new() -> Self {
        Self { entries: Vec::new() }
    }

    /// A `Z` packet. Asking twice for the same thing is one request.
    #[expect(clippy::result_large_err, reason = "the arbiter's figures, without allocation")]
    pub fn insert<const CLAIMS: usize, const CPUS: usize, const TASKS: usize>(
        &mut self,
        claims: &mut Arbiter<CLAIMS, CPUS, TASKS>,
        memory: &mut impl Memory,
        kind: Kind,
        region: Region,
    ) -> Result<(), WatchError> {
        self.entries.retain(|entry| claims.get(entry.handle).is_some());
        if self.entries.iter().any(|entry| entry.kind == kind && entry.region == region) {
            return Ok(());
        }
        if self.entries.is_full() {
            return Err(WatchError::TooMany);
        }
        let request = Request::pinned(Owner::Debugger, region, kind.condition());
        let handle = claims.claim(request, arbiter::stop).map_err(WatchError::Rejected)?;
        claims.remember(handle, memory);
        // There is room: looked at above.
        let _ = self.entries.push(Entry { kind, region, handle });
        Ok(())
    }

    /// A `z` packet. What was never asked for is gone already, so there is no error.
    pub fn remove<const CLAIMS: usize, const CPUS: usize, const TASKS: usize>(
        &mut self,
        arbiter: &mut Arbiter<CLAIMS, CPUS, TASKS>,
        kind: Kind,
        region: Region,
    ) {
        let Some(index) =
            self.entries.iter().position(|entry| entry.kind == kind && entry.region == region)
        else {
            return;
        };
        let handle = self.entries.swap_remove(index).handle;
        if !self.is_wanted(handle) {
            // It is the debugger's own and alive: the entry stood for it.
            let _ = arbiter.hold(handle);
        }
    }

    /// Whether some request still stands on this claim.
    pub fn is_wanted(&self, handle: Handle) -> bool {
        self.entries.iter().any(|entry| entry.handle == handle)
    }

    /// What to report when a window of this claim was hit.
    ///
    /// The address is in the window, which lies inside the region because regions are tiled
    /// exactly. gdb takes it for a hit of every watchpoint around it, so it is, if there is
    /// one, a byte that only requests which `was_hit` are around. `None` if only a read
    /// watchpoint stands on the claim and the bytes have changed.
    pub fn report(
        &self,
        handle: Handle,
        window: Window,
        access: Access,
        was_hit: impl Fn(Handle) -> bool,
    ) -> Option<Report> {
        let entry = self.entries.iter().find(|entry| {
            entry.handle == handle
                && match (entry.kind, access) {
                    (Kind::Read, Access::Changed) => false,
                    (Kind::Read, Access::Unchanged)
                    | (Kind::Execute | Kind::Write | Kind::Access, _) => true,
                }
        })?;
        let misleads = |address: &usize| {
            self.entries
                .iter()
                .any(|other| other.region.contains(*address) && !was_hit(other.handle))
        };
        let address = (window.address()..=window.region().last())
            .find(|address| !misleads(address))
            .unwrap_or(window.address());
        Some(Report { kind: entry.kind, address, handle, access })
    }

    /// Forgets every request; the claims are the caller's to release.
    pub fn clear(&mut self) {
        self.entries.clear();
    }
}

/// What a hit did to the bytes of its window.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// They differ from what was remembered: a write.
    Changed,
    /// They do not: a read, or a store of the same value.
    Unchanged,
}
