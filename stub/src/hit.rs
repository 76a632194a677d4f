//! DR6 and the bank: whose hit it was.
//!
//! The processor may set Bn for a slot that is off, if only its condition matched. So a
//! hit is believed only for slots that were on in the DR7 that was live when the exception
//! came; one exception may bring several, and each is delivered to every owner of its
//! window (promise 10). Owners are found by their windows, not by slot numbers: what was
//! placed where is the bank's affair alone.

use heapless::Vec;

pub use crate::arbiter::Hit;
use crate::arbiter::{
    Arbiter, Claim, CpuId, Handle, Owner, PlanId, Region, Request, Snapshot, Verdict, Window,
};
use crate::bank::Bank;
use crate::dr::{Dr6, Dr7, Slot};
use crate::event::{self, Event};
use crate::machine::Memory;

mod delivery;
#[cfg(test)]
mod tests;

pub use self::delivery::{Change, DebuggerHit, Delivery, Stopped};

/// What there was to be seen when a debug exception came: all that is needed to tell whose hit
/// it was, also later, when the registers hold something else.
///
/// Usually `live` is the bank of the CPU and `plan` the one in force there. Who had to put the
/// exception off, because it interrupted whoever has the arbiter, notes what the registers held
/// then and the plan that was in force before the code that was interrupted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct DebugException {
    /// DR6, before it was written back to its reset value.
    pub status: Dr6,
    /// DR0–DR3, and DR7 before it was turned off.
    pub live: Bank,
    /// The plan that was in force.
    pub plan: PlanId,
    /// The instruction pointer that was saved: after the access for data and I/O, at the
    /// instruction for execute breakpoints.
    pub rip: usize,
}

/// The slots that hit, and what they watched, by the registers that were `live` when the
/// exception came.
pub fn attribute(dr6: Dr6, live: &Bank) -> impl Iterator<Item = (Slot, Window)> {
    Slot::ALL
        .into_iter()
        .filter(move |slot| dr6.hit(*slot))
        .filter_map(move |slot| live.armed(slot).map(|window| (slot, window)))
}

impl<const CLAIMS: usize, const CPUS: usize, const TASKS: usize, const SLOTS: usize>
    Arbiter<CLAIMS, CPUS, TASKS, SLOTS>
{
    /// A debug exception on `cpu` that has just come: with DR6 as it was read, the DR7 that was
    /// live, and the saved instruction pointer.
    pub fn exception(&self, cpu: CpuId, status: Dr6, live: Dr7, rip: usize) -> DebugException {
        let live = self.bank(cpu).under(live);
        DebugException { status, live, plan: self.in_force(cpu), rip }
    }

    /// The claims, in force on `cpu`, that a hit of this window belongs to.
    pub fn owners(&self, cpu: CpuId, window: Window) -> impl Iterator<Item = (Handle, &Claim)> {
        let plan = self.in_force(cpu);
        self.claims().filter(move |(_, claim)| self.is_owner(claim, cpu, &window, plan))
    }

    /// Whether the claim is in force, now or under the plan that was when the window hit.
    fn is_owner(&self, claim: &Claim, cpu: CpuId, window: &Window, plan: PlanId) -> bool {
        let Some(state) = self.cpu(cpu) else { return false };
        let scope = claim.request().scope;
        let applies = [state.current().task, state.at(plan).task]
            .into_iter()
            .any(|task| scope.applies(cpu, task));
        let is_stray = state.is_stray(window, plan);
        applies && claim.is_live() && !is_stray && self.has_window(claim, window)
    }

    /// Tells every owner of every slot that hit, counts, and brings the snapshots of the
    /// windows that were hit up to date: for each exception, if several were put off. The
    /// debugger's claims come last, each once.
    ///
    /// All handlers of system owners have returned when this does: what stops in the
    /// debugger is decided by the caller, afterwards.
    pub fn deliver(
        &mut self,
        cpu: CpuId,
        exceptions: &[DebugException],
        memory: &mut impl Memory,
    ) -> Delivery<CLAIMS> {
        let mut delivery = Delivery {
            windows: Vec::new(),
            stops: Vec::new(),
            further_stops: 0,
            debugger: Vec::new(),
        };
        // By handle, because counting the hits changes the claims.
        let mut system: Vec<Handle, CLAIMS> = Vec::new();
        let mut debugger: Vec<Handle, CLAIMS> = Vec::new();
        for (handle, claim) in self.claims() {
            let pushed = match claim.request().owner {
                Owner::System(_) => system.push(handle),
                Owner::Debugger => debugger.push(handle),
            };
            debug_assert!(pushed.is_ok(), "more claims than places");
        }
        for exception in exceptions {
            let slots = attribute(exception.status, &exception.live);
            // More than fit come only of several exceptions that were put off; the list is for
            // saying that there were some, and owners are told all the same.
            delivery.windows.extend(slots.take(8 - delivery.windows.len()));
            for handle in &system {
                self.deliver_to_system(*handle, cpu, exception, memory, &mut delivery);
            }
        }
        for handle in &debugger {
            if let Some(hit) = self.deliver_to_debugger(*handle, cpu, exceptions, memory) {
                let pushed = delivery.debugger.push(hit);
                debug_assert!(pushed.is_ok(), "more claims than places");
            }
        }
        delivery
    }

    /// Those of the windows that hit that belong to the claim; counts the hit, if there are any.
    fn hit(&mut self, handle: Handle, cpu: CpuId, exception: &DebugException) -> Vec<Window, 4> {
        let mut windows = Vec::new();
        for (_, window) in attribute(exception.status, &exception.live) {
            let claim = self.get(handle);
            if claim.is_some_and(|claim| self.is_owner(claim, cpu, &window, exception.plan)) {
                let pushed = windows.push(window);
                debug_assert!(pushed.is_ok(), "a fifth slot");
            }
        }
        if let (Some(window), Some(claim)) = (windows.first(), self.get(handle)) {
            let (request, rip) = (claim.request(), exception.rip);
            event::emit(&Event::Hit { handle, request, window, cpu, rip });
            self.count_hit(cpu, handle);
        }
        windows
    }

    fn deliver_to_system(
        &mut self,
        handle: Handle,
        cpu: CpuId,
        exception: &DebugException,
        memory: &mut impl Memory,
        delivery: &mut Delivery<CLAIMS>,
    ) {
        let windows = self.hit(handle, cpu, exception);
        let (Some(first), Some(claim)) = (windows.first(), self.table.get_mut(handle)) else {
            return;
        };
        let Request { owner: Owner::System(owner), region, condition, .. } = *claim.request()
        else {
            return;
        };
        let old = *claim.snapshot();
        let new = Snapshot::take(&region, condition, memory);
        for window in &windows {
            claim.snapshot.renew(&region, window, &new);
        }
        let verdict = claim.handler()(&Hit {
            handle,
            owner,
            region,
            condition,
            windows: &windows,
            cpu,
            rip: exception.rip,
            hits: claim.hits(),
            old: old.bytes(),
            new: new.bytes(),
        });
        let stopped = Stopped { handle, owner, region, condition, window: *first };
        match verdict {
            Verdict::Continue => {}
            Verdict::Stop if delivery.stops.push(stopped).is_ok() => {}
            Verdict::Stop => delivery.further_stops += 1,
        }
    }

    /// All exceptions together: the bytes are looked at after the last of them, and which access
    /// changed them cannot be known, so each that could have is taken for a write.
    fn deliver_to_debugger(
        &mut self,
        handle: Handle,
        cpu: CpuId,
        exceptions: &[DebugException],
        memory: &mut impl Memory,
    ) -> Option<DebuggerHit> {
        let Request { region, condition, .. } = *self.get(handle)?.request();
        let mut new = None;
        let mut told: Option<DebuggerHit> = None;
        let mut renewed = *self.get(handle)?.snapshot();
        for exception in exceptions {
            let windows = self.hit(handle, cpu, exception);
            let Some(first) = windows.first() else { continue };
            let new = new.get_or_insert_with(|| Snapshot::take(&region, condition, memory));
            let change = change(&region, &windows, self.get(handle)?.snapshot(), new);
            windows.iter().for_each(|window| renewed.renew(&region, window, new));
            let hit = DebuggerHit { handle, window: *first, change };
            told = Some(told.map_or(hit, |known| known.or(hit)));
        }
        if told.is_some() {
            self.table.get_mut(handle)?.snapshot = renewed;
        }
        told
    }

    /// Looks at the region of one claim, usually right after it was made.
    pub fn remember(&mut self, handle: Handle, memory: &mut impl Memory) {
        if let Some(claim) = self.table.get_mut(handle) {
            claim.snapshot =
                Snapshot::take(&claim.request().region, claim.request().condition, memory);
        }
    }

    /// Looks at the regions of all claims: due at every resume, when the debugger may have
    /// written to memory.
    pub fn refresh_snapshots(&mut self, memory: &mut impl Memory) {
        for (_, claim) in self.table.iter_mut() {
            claim.snapshot =
                Snapshot::take(&claim.request().region, claim.request().condition, memory);
        }
    }
}

fn change(region: &Region, windows: &[Window], old: &Snapshot, new: &Snapshot) -> Change {
    let changes =
        windows.iter().map(|window| match (old.of(region, window), new.of(region, window)) {
            (Some(old), Some(new)) if old != new => Change::Changed,
            (Some(_), Some(_)) => Change::Unchanged,
            (None, _) | (_, None) => Change::Unknown,
        });
    changes.fold(Change::Unchanged, Change::and)
}
