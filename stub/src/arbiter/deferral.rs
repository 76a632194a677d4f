//! Making room: deferred releases, and who has to go for whom.
//!
//! Each time gdb stops it takes its breakpoints away, and before it continues it puts them
//! back. In between a handler of the system might claim the registers, and the debugger
//! would lose at the prompt what it was once promised. So while the machine is stopped its
//! releases are *deferred* (promise 5): such a claim is held, which means it is not armed,
//! but keeps counting against the debugger's side. Only the debugger itself can take its
//! place, with a new claim or by making the same one again.

use core::fmt;

use super::admission;
use super::claim::{Class, Handle, Handler, Request, TaskId, Tenure};
use super::table::Standing;
use super::{Arbiter, Displaced, Rejection, Shortage};
use crate::event::{self, Event};

/// Why a release could not be deferred.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum HoldError {
    /// The handle names no claim (any more).
    Stale,
    /// Only the debugger's releases are deferred.
    NotTheDebuggers,
}

impl fmt::Display for HoldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HoldError::Stale => "the claim was released before",
            HoldError::NotTheDebuggers => "only the debugger's claims can be held",
        })
    }
}

impl core::error::Error for HoldError {}

impl<const CLAIMS: usize, const CPUS: usize, const TASKS: usize, const SLOTS: usize>
    Arbiter<CLAIMS, CPUS, TASKS, SLOTS>
{
    /// Releases one of the debugger's claims when the deferrals end; until then it is held.
    /// Holding what is held changes nothing.
    pub fn hold(&mut self, handle: Handle) -> Result<(), HoldError> {
        let number = self.next_held;
        let claim = self.table.get_mut(handle).ok_or(HoldError::Stale)?;
        match (claim.request.owner.class(), claim.standing) {
            (Class::System, _) => return Err(HoldError::NotTheDebuggers),
            (Class::Debugger, Standing::Held(_)) => return Ok(()),
            (Class::Debugger, Standing::Live | Standing::Disabled) => {
                claim.standing = Standing::Held(number);
            }
        }
        event::emit(&Event::ClaimHeld { handle, request: &claim.request });
        self.next_held = number.wrapping_add(1);
        self.replan();
        Ok(())
    }

    /// Releases everything that is held: the stopped context continues, or the debugger
    /// detaches.
    pub fn end_deferrals(&mut self) {
        while let Some(handle) = self.table.find(|claim| claim.is_held()) {
            self.remove(handle);
        }
        self.next_held = 0;
        self.replan();
    }

    /// Puts a claim in force, held or not. It was counted all the time, so it fits.
    pub(super) fn revive(&mut self, handle: Handle, handler: Handler) {
        if let Some(claim) = self.table.get_mut(handle) {
            claim.standing = Standing::Live;
            claim.handler = handler;
        }
        self.replan();
    }

    /// Finds out which held claims must go so that `request` fits in, in place of the claim
    /// `replaced` if there is one; decides only, changes nothing.
    pub(super) fn make_room(
        &self,
        request: &Request,
        replaced: Option<Handle>,
    ) -> Result<Displaced<CLAIMS>, Rejection> {
        let mut displaced = Displaced::new();
        while let Err(rejection) = self.fits_without(&displaced, request, replaced) {
            let next = match request.owner.class() {
                Class::System => None,
                Class::Debugger => self.oldest_held_not_in(&displaced),
            };
            match next.map(|handle| displaced.push(handle)) {
                Some(Ok(())) => {}
                Some(Err(_)) | None => return Err(rejection),
            }
        }
        // An older one may be on another CPU, where it helps nobody: let it stay.
        for handle in displaced.clone().iter().rev() {
            let mut fewer = displaced.clone();
            fewer.retain(|other| other != handle);
            if self.fits_without(&fewer, request, replaced).is_ok() {
                displaced = fewer;
            }
        }
        Ok(displaced)
    }

    fn fits_without(
        &self,
        displaced: &Displaced<CLAIMS>,
        request: &Request,
        replaced: Option<Handle>,
    ) -> Result<(), Rejection> {
        let others = self
            .table
            .iter()
            .filter(|(handle, _)| Some(*handle) != replaced && !displaced.contains(handle));
        let requests = others.map(|(_, claim)| &claim.request).chain(core::iter::once(request));
        if admission::first_misfit(requests.clone(), Self::EXTENT, &self.config).is_some() {
            return Err(Rejection::Full(self.shortage(request, replaced)));
        }
        if count_tasks(requests) > TASKS {
            return Err(Rejection::TooManyTasks(TASKS));
        }
        let places = self.table.vacancies() + displaced.len() + usize::from(replaced.is_some());
        if places > 0 { Ok(()) } else { Err(Rejection::TableFull(CLAIMS)) }
    }

    fn oldest_held_not_in(&self, displaced: &Displaced<CLAIMS>) -> Option<Handle> {
        let held = self.table.iter().filter_map(|(handle, claim)| match claim.standing {
            Standing::Live | Standing::Disabled => None,
            Standing::Held(number) => Some((number, handle)),
        });
        let left = held.filter(|(_, handle)| !displaced.contains(handle));
        left.min_by_key(|(number, _)| *number).map(|(_, handle)| handle)
    }

    /// The figures of a refusal: what the request's own side could still get where it asked.
    fn shortage(&self, request: &Request, replaced: Option<Handle>) -> Shortage {
        let class = request.owner.class();
        let others = self.table.iter().filter(|(handle, claim)| {
            Some(*handle) != replaced && (class == Class::System || !claim.is_held())
        });
        let requests = others.map(|(_, claim)| &claim.request);
        let Request { scope, tenure, region, condition, .. } = *request;
        let room = admission::room(requests, Self::EXTENT, &self.config, class, scope, tenure);
        let needed = match tenure {
            Tenure::Pinned => region.window_count(self.config.widest.for_condition(condition)),
            Tenure::Flexible => usize::from(self.config.reservations.flexible()),
        };
        Shortage {
            class,
            tenure,
            cpu: room.context.cpu,
            task: room.context.task,
            needed,
            available: room.available,
            kept: room.kept,
            holders: self.holders(room.context),
        }
    }
}

/// How many different tasks the requests name.
fn count_tasks<'a>(requests: impl Iterator<Item = &'a Request> + Clone) -> usize {
    let tasks = requests.filter_map(|request| request.scope.task());
    let is_first = |(index, task): &(usize, TaskId)| {
        !tasks.clone().take(*index).any(|earlier| earlier == *task)
    };
    tasks.clone().enumerate().filter(is_first).count()
}
