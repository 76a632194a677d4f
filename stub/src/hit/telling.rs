//! What one CPU does about a hit by itself: it tells the system owners.
//!
//! With what is its own and nothing else, so that a hit neither waits for another CPU nor makes one
//! wait. Only if an owner wants to stop, or the debugger was hit, is there more to do, for which the
//! machine may have to stop: [`Arbiter::conclude`].
//!
//! [`Arbiter::conclude`]: crate::arbiter::Arbiter::conclude

use heapless::Vec;

use super::{Change, DebugException, Hit, Stopped, attribute};
use crate::arbiter::{Cpu, CpuId, Handle, Owner, PlanId, Request, Snapshot, Verdict, Window};
use crate::dr::Slot;
use crate::event::{self, Event};
use crate::gather::{append, gather};
use crate::machine::Memory;

/// What came of telling the system owners.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Told {
    /// The slots that hit, as many as fit. One that is in here but belonged to nobody was
    /// released since, or left armed for nobody ([`Switching::Lazy`](crate::arbiter::Switching)).
    pub windows: Vec<(Slot, Window), 8>,
    /// The system owners that want to stop, in the order of their claims.
    pub stops: Vec<Stopped, 4>,
    /// How many more of them want it.
    pub further_stops: usize,
    /// Who else is to be told.
    pub rest: Rest,
    /// What the hits were to claims of the debugger's, as many as fit: looked at now, because the
    /// regions may be looked at again before the debugger is told.
    pub(super) changes: Vec<(Handle, Change), 8>,
}

/// Who is still to be told of a hit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Rest {
    /// Nobody.
    Nobody,
    /// The debugger.
    Debugger,
}

impl Told {
    /// Of no exception.
    pub const NOTHING: Self = Self {
        windows: Vec::new(),
        stops: Vec::new(),
        further_stops: 0,
        rest: Rest::Nobody,
        changes: Vec::new(),
    };

    /// Whether the hits explain the exceptions, and nobody wants more of it than to be told.
    pub fn is_settled(&self) -> bool {
        !self.windows.is_empty() && self.concerns_nobody()
    }

    /// Whether nobody wants to stop because of a hit, nor the debugger to be asked whether it does.
    pub fn concerns_nobody(&self) -> bool {
        self.stops.is_empty() && self.rest == Rest::Nobody
    }

    /// What the hits were to this claim of the debugger's.
    pub(super) fn change(&self, handle: Handle) -> Option<Change> {
        self.changes.iter().find(|(known, _)| *known == handle).map(|(_, change)| *change)
    }

    fn note_change(&mut self, handle: Handle, change: Change) {
        self.rest = Rest::Debugger;
        match self.changes.iter_mut().find(|(known, _)| *known == handle) {
            Some((_, known)) => *known = known.or(change),
            // One for which there is no room is looked at later.
            None => _ = self.changes.push((handle, change)),
        }
    }

    fn stop(&mut self, stopped: Stopped) {
        if self.stops.push(stopped).is_err() {
            self.further_stops += 1;
        }
    }
}

impl<const CLAIMS: usize, const TASKS: usize, const SLOTS: usize> Cpu<CLAIMS, TASKS, SLOTS> {
    /// Tells the system owners of every slot that hit, and counts: for each exception, if several
    /// were put off. `cpu` is the number of the CPU that this is the part of.
    ///
    /// All handlers have returned when this does: what stops in the debugger is decided by the
    /// caller, afterwards.
    pub fn tell(
        &mut self,
        cpu: CpuId,
        exceptions: &[DebugException],
        memory: &mut impl Memory,
    ) -> Told {
        let mut told = Told::NOTHING;
        for exception in exceptions {
            let slots = attribute(exception.status, &exception.live);
            // More than fit come only of several exceptions that were put off; the list is for
            // saying that there were some, and owners are told all the same.
            append(&mut told.windows, slots);
            let wanted = self.wanted_hits(exception);
            // By place, because telling changes the claims.
            for place in (0..CLAIMS).filter(|_| !wanted.is_empty()) {
                let Some(claim) = self.roster.live(place) else { continue };
                let request = *claim.request();
                let is_own =
                    |window: &&Window| self.asks_for(cpu, &request, window, exception.plan);
                let windows: Vec<Window, 4> = gather(wanted.iter().filter(is_own).copied());
                match (windows.first(), request.owner) {
                    (None, _) => {}
                    (Some(_), Owner::Debugger) => {
                        if let Some((handle, change)) = self.look(place, &windows, memory) {
                            told.note_change(handle, change);
                        }
                    }
                    (Some(_), Owner::System(owner)) => {
                        let stopped =
                            self.tell_owner(cpu, place, owner, exception.rip, &windows, memory);
                        stopped.into_iter().for_each(|stopped| told.stop(stopped));
                    }
                }
            }
        }
        told
    }

    /// The windows that hit, but for those that were left armed for nobody.
    pub(super) fn wanted_hits(&self, exception: &DebugException) -> Vec<Window, 4> {
        let hits = attribute(exception.status, &exception.live).map(|(_, window)| window);
        gather(hits.filter(|window| !self.is_stray(window, exception.plan)))
    }

    /// Whether a claim with this request is in force, now or under the plan that was when the
    /// window hit, and asks for it.
    pub(super) fn asks_for(
        &self,
        cpu: CpuId,
        request: &Request,
        window: &Window,
        plan: PlanId,
    ) -> bool {
        let tasks = [self.current().task, self.at(plan).task];
        // The window first: most claims are elsewhere.
        self.has_window(request, window)
            && tasks.into_iter().any(|task| request.scope.applies(cpu, task))
    }

    /// What has become of the bytes that the claim in this place watches.
    fn look(
        &self,
        place: usize,
        windows: &[Window],
        memory: &mut impl Memory,
    ) -> Option<(Handle, Change)> {
        let entry = self.roster.entry(place)?;
        let Request { region, condition, .. } = *entry.claim.request();
        let new = Snapshot::take(&region, condition, memory);
        Some((entry.handle, super::change(&region, windows, entry.claim.snapshot(), &new)))
    }

    /// Tells the owner of the claim in this place. Returns whom to stop for.
    fn tell_owner(
        &mut self,
        cpu: CpuId,
        place: usize,
        owner: &'static str,
        rip: usize,
        windows: &[Window],
        memory: &mut impl Memory,
    ) -> Option<Stopped> {
        let window = windows.first()?;
        let entry = self.roster.entry_mut(place)?;
        let (handle, request) = (entry.handle, *entry.claim.request());
        let Request { region, condition, .. } = request;
        event::emit(&Event::Hit { handle, request: &request, window, cpu, rip });
        entry.count_hit();
        let old = *entry.claim.snapshot();
        let new = Snapshot::take(&region, condition, memory);
        for window in windows {
            entry.claim.snapshot.renew(&region, window, &new);
        }
        let (handler, hits) = (entry.claim.handler(), entry.claim.hits());
        self.count_in_turn(handle);
        let verdict = handler(&Hit {
            handle,
            owner,
            region,
            condition,
            windows,
            cpu,
            rip,
            hits,
            old: old.bytes(),
            new: new.bytes(),
        });
        match verdict {
            Verdict::Continue => None,
            Verdict::Stop => Some(Stopped { handle, owner, region, condition, window: *window }),
        }
    }
}
