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
    Arbiter, Claim, CpuId, Handle, Owner, PlanId, Region, Snapshot, Verdict, Window,
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
    /// windows that were hit up to date: for each exception, if several were put off.
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
        for exception in exceptions {
            self.deliver_one(cpu, exception, memory, &mut delivery);
        }
        delivery
    }

    fn deliver_one(
        &mut self,
        cpu: CpuId,
        exception: &DebugException,
        memory: &mut impl Memory,
        delivery: &mut Delivery<CLAIMS>,
    ) {
        let slots: Vec<(Slot, Window), 4> = attribute(exception.status, &exception.live).collect();
        // More than fit come only of several exceptions that were put off; the list is for
        // saying that there were some, and owners are told all the same.
        delivery.windows.extend(slots.iter().copied().take(8 - delivery.windows.len()));
        // By handle, because counting the hits changes the claims.
        let mut claims: Vec<Handle, CLAIMS> = Vec::new();
        for (handle, _) in self.claims() {
            let pushed = claims.push(handle);
            debug_assert!(pushed.is_ok(), "more claims than places");
        }
        for handle in &claims {
            let windows = self.windows_hit(*handle, cpu, &slots, exception.plan);
            if let Some(first) = windows.first() {
                self.deliver_to(*handle, *first, &windows, (cpu, exception.rip), memory, delivery);
            }
        }
    }

    /// Those of the slots' windows that belong to the claim.
    fn windows_hit(
        &self,
        handle: Handle,
        cpu: CpuId,
        slots: &[(Slot, Window)],
        plan: PlanId,
    ) -> Vec<Window, 4> {
        let mut windows = Vec::new();
        for (_, window) in slots {
            if self.get(handle).is_some_and(|claim| self.is_owner(claim, cpu, window, plan)) {
                let pushed = windows.push(*window);
                debug_assert!(pushed.is_ok(), "a fifth slot");
            }
        }
        windows
    }

    fn deliver_to(
        &mut self,
        handle: Handle,
        first: Window,
        windows: &[Window],
        (cpu, rip): (CpuId, usize),
        memory: &mut impl Memory,
        delivery: &mut Delivery<CLAIMS>,
    ) {
        self.count_hit(cpu, handle);
        let Some(claim) = self.table.get_mut(handle) else {
            return;
        };
        let request = *claim.request();
        let (region, condition) = (request.region, request.condition);
        let old = *claim.snapshot();
        let new = Snapshot::take(&region, condition, memory);
        for window in windows {
            claim.snapshot.renew(&region, window, &new);
        }
        event::emit(&Event::Hit { handle, request: &request, window: &first, cpu, rip });
        match request.owner {
            Owner::Debugger => {
                let change = change(&region, windows, &old, &new);
                delivery.add(DebuggerHit { handle, window: first, change });
            }
            Owner::System(owner) => {
                let hits = claim.hits();
                let (old, new) = (old.bytes(), new.bytes());
                let verdict = claim.handler()(&Hit {
                    handle,
                    owner,
                    region,
                    condition,
                    windows,
                    cpu,
                    rip,
                    hits,
                    old,
                    new,
                });
                let stopped = Stopped { handle, owner, region, condition, window: first };
                match verdict {
                    Verdict::Continue => {}
                    Verdict::Stop if delivery.stops.push(stopped).is_ok() => {}
                    Verdict::Stop => delivery.further_stops += 1,
                }
            }
        }
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
