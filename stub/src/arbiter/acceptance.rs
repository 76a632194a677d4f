//! From a request to a claim, or to the reason why not.
//!
//! Everything is decided before anything is changed: first what can be said of the request
//! by itself, then whether there is room, and only then the table is touched. So a refusal
//! leaves no trace, and a change of a claim cannot lose the old one.

use super::claim::{Handle, Handler, Request, Tenure};
use super::config::IoBreakpoints;
use super::region::Region;
use super::rejection::Rejection;
use super::snapshot::Snapshot;
use super::table::Standing;
use super::{Arbiter, Claim, Stale};
use crate::dr::Condition;
use crate::event::{self, Event};

impl<const CLAIMS: usize, const CPUS: usize, const TASKS: usize, const SLOTS: usize>
    Arbiter<CLAIMS, CPUS, TASKS, SLOTS>
{
    /// Makes a claim, or refuses it and changes nothing (promises 1 to 3).
    ///
    /// A request of the debugger that equals one of its claims is that claim (promise 4):
    /// its handle is returned, and if it was held or disabled it is in force again. If there is
    /// no room, a new claim of the debugger takes the place of held ones, the oldest first and as
    /// few as necessary (promise 5).
    pub fn claim(&mut self, request: Request, handler: Handler) -> Result<Handle, Rejection> {
        let result = match self.table.identical(&request) {
            Some(handle) => {
                self.revive(handle, handler);
                Ok(handle)
            }
            None => self.claim_anew(request, handler),
        };
        match &result {
            Ok(handle) => event::emit(&Event::ClaimAccepted { handle: *handle, request: &request }),
            Err(rejection) => event::emit(&Event::ClaimRefused { request: &request, rejection }),
        }
        result
    }

    fn claim_anew(&mut self, request: Request, handler: Handler) -> Result<Handle, Rejection> {
        self.check(&request)?;
        let displaced = self.make_room(&request, None)?;
        self.remove_all(&displaced);
        let inserted = self.table.insert(Claim::new(request, handler));
        let handle = inserted.ok_or(Rejection::TableFull(CLAIMS))?;
        self.forget_counts(handle);
        self.replan();
        Ok(handle)
    }

    /// Changes a claim in place, under the same handle, or refuses and leaves it as it was
    /// (promise 6): its region, condition, scope or tenure, but not its owner. What it gives up
    /// by that is at its disposal.
    ///
    /// Its counts go on, and begin anew if it was pinned and is to take turns: of a pinned claim
    /// no time is counted, to which its hits could be related. What its region held is forgotten
    /// until [`remember`](Self::remember) or [`refresh_snapshots`](Self::refresh_snapshots). A flexible claim with another window
    /// waits for its turn.
    pub fn modify(
        &mut self,
        handle: Handle,
        change: impl FnOnce(Request) -> Request,
    ) -> Result<(), Rejection> {
        let claim = self.table.get(handle).filter(|claim| !claim.is_held());
        let before = claim.ok_or(Rejection::StaleHandle)?.request;
        let request = Request { owner: before.owner, ..change(before) };
        let result = self.modify_to(handle, request);
        match &result {
            Ok(()) => event::emit(&Event::ClaimAccepted { handle, request: &request }),
            Err(rejection) => event::emit(&Event::ClaimRefused { request: &request, rejection }),
        }
        result
    }

    fn modify_to(&mut self, handle: Handle, request: Request) -> Result<(), Rejection> {
        let twin = match self.table.identical(&request) {
            Some(twin) if twin == handle => return Ok(()),
            twin => twin,
        };
        // A held twin is out of force: this claim takes its place.
        if let Some(twin) =
            twin.filter(|twin| self.get(*twin).is_some_and(|claim| !claim.is_held()))
        {
            return Err(Rejection::Duplicate(twin));
        }
        self.check(&request)?;
        let displaced = self.make_room(&request, Some(handle))?;
        self.remove_all(&displaced);
        if let Some(twin) = twin {
            self.remove(twin);
        }
        let mut begins_to_count = false;
        if let Some(claim) = self.table.get_mut(handle) {
            begins_to_count =
                (claim.request.tenure, request.tenure) == (Tenure::Pinned, Tenure::Flexible);
            claim.request = request;
            claim.snapshot = Snapshot::EMPTY;
        }
        if begins_to_count {
            self.forget_counts(handle);
        }
        self.replan();
        Ok(())
    }

    /// Switches a claim off and keeps its place: nobody else gets it, and
    /// [`enable`](Self::enable) never fails for want of room. A flexible claim leaves the
    /// queue, and its time stands still.
    pub fn disable(&mut self, handle: Handle) -> Result<(), Stale> {
        self.set_standing(handle, Standing::Disabled)
    }

    /// Puts a claim that was switched off in force again. A flexible one queues up anew.
    pub fn enable(&mut self, handle: Handle) -> Result<(), Stale> {
        self.set_standing(handle, Standing::Live)
    }

    /// A held claim is one that its owner has released.
    fn set_standing(&mut self, handle: Handle, standing: Standing) -> Result<(), Stale> {
        let claim = self.table.get_mut(handle).filter(|claim| !claim.is_held());
        claim.ok_or(Stale)?.standing = standing;
        self.replan();
        Ok(())
    }

    /// What can be said of a request without looking at other claims.
    fn check(&self, request: &Request) -> Result<(), Rejection> {
        if let Some(cpu) = request.scope.cpu().filter(|cpu| cpu.index() >= CPUS) {
            return Err(Rejection::NoSuchCpu(cpu));
        }
        match (request.condition, self.config.io) {
            (Condition::Execute, _) if request.region.length() != 1 => {
                return Err(Rejection::ExecuteLength(request.region.length()));
            }
            (Condition::Io, IoBreakpoints::Unavailable) => return Err(Rejection::IoUnavailable),
            (Condition::Io, IoBreakpoints::Available) if request.region.last() > 0xffff => {
                return Err(Rejection::PortRange);
            }
            (Condition::Execute | Condition::Write | Condition::ReadWrite | Condition::Io, _) => {}
        }
        let windows = self.config.widest.for_condition(request.condition);
        match (request.tenure, request.region.window_count(windows)) {
            (Tenure::Pinned, _) | (Tenure::Flexible, 1) => {}
            (Tenure::Flexible, count) => return Err(Rejection::FlexibleWindows(count)),
        }
        match self.protection(request) {
            Some(name) => Err(Rejection::Protected(name)),
            None => Ok(()),
        }
    }

    /// The protected range that forbids this request, if one does: also for those who put
    /// breakpoints into code by other means than a debug register.
    pub fn protection(&self, request: &Request) -> Option<&'static str> {
        self.protected.iter().find(|range| range.forbids(request)).map(|range| range.name)
    }

    /// The protected range that this region overlaps, if there is one, whatever it is protected
    /// from: for those who would write there.
    pub fn protected_range(&self, region: &Region) -> Option<&'static str> {
        self.protected.iter().find(|range| range.region.overlaps(region)).map(|range| range.name)
    }
}
