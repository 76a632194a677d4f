//! The claims that are live, each in its place, named by handles.

use core::fmt;

use super::claim::{Class, Handle, Handler, Owner, Request};
use super::snapshot::Snapshot;

/// The handle names no claim (any more).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Stale;

impl fmt::Display for Stale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the claim was released before")
    }
}

impl core::error::Error for Stale {}

/// A live request, and what happened to it.
#[derive(Clone, Debug)]
pub struct Claim {
    pub(super) request: Request,
    pub(super) handler: Handler,
    pub(crate) hits: u64,
    /// The number of its count.
    pub(super) count: u32,
    pub(super) standing: Standing,
    pub(crate) snapshot: Snapshot,
}

/// Whether a claim is in force.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Standing {
    /// It is.
    Live,
    /// Its owner wants it off for a while: it counts, but is not armed.
    Disabled,
    /// The debugger released it while the machine was stopped: it counts, but is not
    /// armed. The number tells which was released first.
    Held(u32),
}

impl Claim {
    pub(super) fn new(request: Request, handler: Handler) -> Claim {
        let (standing, snapshot) = (Standing::Live, Snapshot::EMPTY);
        Claim { request, handler, hits: 0, count: 0, standing, snapshot }
    }

    /// What was asked for.
    pub const fn request(&self) -> &Request {
        &self.request
    }

    /// Who is told of a hit. Not called for the debugger's claims.
    pub const fn handler(&self) -> Handler {
        self.handler
    }

    /// How often it was hit. An access that spans two of its windows counts once.
    pub const fn hits(&self) -> u64 {
        self.hits
    }

    /// Whether it is a deferred release: counted, but not armed.
    pub const fn is_held(&self) -> bool {
        match self.standing {
            Standing::Live | Standing::Disabled => false,
            Standing::Held(_) => true,
        }
    }

    /// Whether it is switched off by its owner: counted, but not armed.
    pub const fn is_disabled(&self) -> bool {
        match self.standing {
            Standing::Live | Standing::Held(_) => false,
            Standing::Disabled => true,
        }
    }

    /// Whether it is in force: neither held nor disabled.
    pub const fn is_live(&self) -> bool {
        match self.standing {
            Standing::Live => true,
            Standing::Disabled | Standing::Held(_) => false,
        }
    }

    /// What its region held when it was last looked at.
    pub const fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }
}

#[cfg(test)]
impl Claim {
    /// The number of its deferred release.
    pub(super) fn held_since(&self) -> Option<u32> {
        match self.standing {
            Standing::Live | Standing::Disabled => None,
            Standing::Held(number) => Some(number),
        }
    }
}

#[cfg(test)]
impl PartialEq for Claim {
    fn eq(&self, other: &Claim) -> bool {
        self.request == other.request
            // Under Miri a function has an address each time that it is named.
            && (cfg!(miri) || core::ptr::fn_addr_eq(self.handler, other.handler))
            && self.hits == other.hits
            && self.standing == other.standing
            && self.snapshot == other.snapshot
    }
}

/// A place for a claim. The generation changes when a claim leaves, so that its handle
/// does not name the next one; it comes round after 2^32 claims in the same place.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone, PartialEq))]
struct Place {
    generation: u32,
    claim: Option<Claim>,
}

/// All claims.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone, PartialEq))]
pub(crate) struct Table<const CLAIMS: usize> {
    places: [Place; CLAIMS],
}

impl<const CLAIMS: usize> Table<CLAIMS> {
    pub(super) const fn new() -> Self {
        Table { places: [const { Place { generation: 0, claim: None } }; CLAIMS] }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Handle, &Claim)> + Clone {
        self.places.iter().zip(0..=u16::MAX).filter_map(|(place, index)| {
            let handle = Handle { index, generation: place.generation };
            place.claim.as_ref().map(|claim| (handle, claim))
        })
    }

    pub(super) fn get(&self, handle: Handle) -> Option<&Claim> {
        let place = self.places.get(usize::from(handle.index))?;
        place.claim.as_ref().filter(|_| place.generation == handle.generation)
    }

    pub(crate) fn get_mut(&mut self, handle: Handle) -> Option<&mut Claim> {
        let place = self.places.get_mut(usize::from(handle.index))?;
        place.claim.as_mut().filter(|_| place.generation == handle.generation)
    }

    /// How many places are free.
    pub(super) fn vacancies(&self) -> usize {
        self.places.iter().zip(0..=u16::MAX).filter(|(place, _)| place.claim.is_none()).count()
    }

    /// Puts the claim into the first free place.
    pub(super) fn insert(&mut self, claim: Claim) -> Option<Handle> {
        let mut places = self.places.iter_mut().zip(0..=u16::MAX);
        let (place, index) = places.find(|(place, _)| place.claim.is_none())?;
        place.claim = Some(claim);
        Some(Handle { index, generation: place.generation })
    }

    pub(super) fn remove(&mut self, handle: Handle) -> Option<Claim> {
        let place = self.places.get_mut(usize::from(handle.index))?;
        if place.generation != handle.generation {
            return None;
        }
        let claim = place.claim.take()?;
        place.generation = place.generation.wrapping_add(1);
        Some(claim)
    }

    /// The first claim for which `matches`, live or held.
    pub(super) fn find(&self, matches: impl Fn(&Claim) -> bool) -> Option<Handle> {
        self.iter().find(|(_, claim)| matches(claim)).map(|(handle, _)| handle)
    }

    /// The debugger's claim, live or held, that was made with this very request. Claims of
    /// the system are never taken for one another: each has its own handler and handle.
    pub(super) fn identical(&self, request: &Request) -> Option<Handle> {
        match request.owner {
            Owner::Debugger => self.find(|claim| claim.request == *request),
            Owner::System(_) => None,
        }
    }

    /// The requests of all claims; held ones are counted for everybody but a newcomer of
    /// the debugger, who may displace them.
    pub(super) fn requests_seen_by(&self, class: Class) -> impl Iterator<Item = &Request> + Clone {
        self.iter()
            .filter(move |(_, claim)| class == Class::System || !claim.is_held())
            .map(|(_, claim)| &claim.request)
    }
}
