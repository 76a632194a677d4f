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
    Arbiter, Claim, Cpu, CpuId, Handle, Owner, PlanId, Region, Request, Snapshot, Window,
};
use crate::bank::Bank;
use crate::dr::{Dr6, Dr7, Slot};
use crate::event::{self, Event};
use crate::gather::gather;
use crate::machine::Memory;

mod delivery;
mod telling;
#[cfg(test)]
mod tests;

pub use self::delivery::{Change, DebuggerHit, Delivery, Stopped};
pub use self::telling::{Rest, Told};

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
        match self.cpu(cpu) {
            Some(part) => part.exception(status, live, rip),
            None => DebugException { status, live: Bank::RESET, plan: PlanId::NONE, rip },
        }
    }

    /// The claims, in force on `cpu`, that a hit of this window belongs to.
    pub fn owners(&self, cpu: CpuId, window: Window) -> impl Iterator<Item = (Handle, &Claim)> {
        let plan = self.in_force(cpu);
        let part = self.cpu(cpu);
        self.claims().filter(move |(_, claim)| {
            let asks = |part: &Cpu<_, _, _>| {
                part.asks_for(cpu, claim.request(), &window, plan) && !part.is_stray(&window, plan)
            };
            claim.is_live() && part.is_some_and(asks)
        })
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
        let part = self.cpu_mut(cpu);
        let told = part.map_or(Told::NOTHING, |part| part.tell(cpu, exceptions, memory));
        self.conclude(cpu, exceptions, &told, memory)
    }

    /// The rest, where the CPU has [told](Cpu::tell) the system owners by itself: it must have
    /// given its part back since.
    pub fn conclude(
        &mut self,
        cpu: CpuId,
        exceptions: &[DebugException],
        told: &Told,
        memory: &mut impl Memory,
    ) -> Delivery<CLAIMS> {
        self.collect_reports(cpu);
        let Told { windows, stops, further_stops, .. } = told.clone();
        let mut delivery = Delivery { windows, stops, further_stops, debugger: Vec::new() };
        // By handle, because counting the hits changes the claims.
        let claims = self.claims().filter(|(_, claim)| claim.request().owner == Owner::Debugger);
        let debugger: Vec<Handle, CLAIMS> = gather(claims.map(|(handle, _)| handle));
        for handle in debugger.iter().copied() {
            let hit = self.deliver_to_debugger(handle, cpu, exceptions, memory);
            if let Some(hit) = hit {
                let change = told.change(handle).unwrap_or(hit.change);
                let hit = DebuggerHit { change, ..hit };
                let pushed = delivery.debugger.push(hit);
                debug_assert!(pushed.is_ok(), "more claims than places");
            }
        }
        delivery
    }

    /// Those of the windows that hit that belong to the claim; counts the hit, if there are any.
    fn hit(&mut self, handle: Handle, cpu: CpuId, exception: &DebugException) -> Vec<Window, 4> {
        let claim = self.get(handle).filter(|claim| claim.is_live());
        let windows = match (self.cpu(cpu), claim) {
            (Some(part), Some(claim)) => {
                let is_own =
                    |one: &&Window| part.asks_for(cpu, claim.request(), one, exception.plan);
                gather(part.wanted_hits(exception).iter().filter(is_own).copied())
            }
            (None, _) | (_, None) => Vec::new(),
        };
        if let (Some(window), Some(claim)) = (windows.first(), self.get(handle)) {
            let (request, rip) = (claim.request(), exception.rip);
            event::emit(&Event::Hit { handle, request, window, cpu, rip });
            self.count_hit(cpu, handle);
        }
        windows
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
            self.set_snapshot(handle, renewed);
        }
        told
    }

    /// Looks at the region of one claim, usually right after it was made.
    pub fn remember(&mut self, handle: Handle, memory: &mut impl Memory) {
        let Some(claim) = self.get(handle) else { return };
        let snapshot = Snapshot::take(&claim.request().region, claim.request().condition, memory);
        self.set_snapshot(handle, snapshot);
    }

    /// Looks at the regions of all claims: due at every resume, when the debugger may have
    /// written to memory.
    pub fn refresh_snapshots(&mut self, memory: &mut impl Memory) {
        let handles: Vec<Handle, CLAIMS> = gather(self.claims().map(|(handle, _)| handle));
        handles.iter().for_each(|handle| self.remember(*handle, memory));
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
