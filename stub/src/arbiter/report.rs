//! The table of who holds what, for people.
//!
//! A slot is shown as *armed* if it is when the CPU runs, and as *held* if the debugger
//! has taken its breakpoint away while the machine is stopped: the slot is off, but only
//! the debugger can have it.

use core::fmt;

use super::claim::{Class, CpuId, Handle, Scope};
use super::rejection::{Holder, HolderState};
use super::{Arbiter, Claim};
use crate::dr::{Slot, Window};

/// What one slot is used for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum SlotState {
    /// Nobody's.
    Free,
    /// Watches this whenever the CPU runs.
    Armed(Window),
    /// Off, and kept for the debugger to come back to this.
    Held(Window),
}

/// One line of the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Row {
    /// Which slot.
    pub slot: Slot,
    /// What it is used for.
    pub state: SlotState,
}

/// The slots of one CPU and their owners; `Display` prints it.
#[derive(Debug)]
pub struct Table<'a, const CLAIMS: usize, const CPUS: usize> {
    arbiter: &'a Arbiter<CLAIMS, CPUS>,
    cpu: CpuId,
}

impl<const CLAIMS: usize, const CPUS: usize> Arbiter<CLAIMS, CPUS> {
    /// The slots of `cpu` and their owners.
    pub const fn table(&self, cpu: CpuId) -> Table<'_, CLAIMS, CPUS> {
        Table { arbiter: self, cpu }
    }

    /// Who holds which slot of `cpu`, for a refusal.
    pub(super) fn holders(&self, cpu: CpuId) -> [Option<Holder>; 4] {
        let table = self.table(cpu);
        table.rows().map(|row| {
            let (window, state) = match row.state {
                SlotState::Free => return None,
                SlotState::Armed(window) => (window, HolderState::Armed),
                SlotState::Held(window) => (window, HolderState::Held),
            };
            let mut claims = table.claims(window);
            let owner = claims.next()?.1.request().owner;
            Some(Holder { window, owner, others: claims.count(), state })
        })
    }
}

impl<'a, const CLAIMS: usize, const CPUS: usize> Table<'a, CLAIMS, CPUS> {
    /// The four slots, in order.
    pub fn rows(&self) -> [Row; 4] {
        let mut states = self.arbiter.assignment(self.cpu).map(|window| match window {
            Some(window) => SlotState::Armed(window),
            None => SlotState::Free,
        });
        let bank = self.arbiter.bank(self.cpu);
        for window in &self.arbiter.held_windows(self.cpu) {
            // Where its address still is, or else anywhere: it has no slot until it is back.
            let mut free = Slot::ALL.into_iter().zip(&mut states);
            let at_home = |slot: Slot| bank.address(slot) == window.address();
            let home =
                free.by_ref().find(|(slot, state)| **state == SlotState::Free && at_home(*slot));
            let place = match home {
                Some((_, state)) => Some(state),
                None => states.iter_mut().find(|state| **state == SlotState::Free),
            };
            if let Some(state) = place {
                *state = SlotState::Held(*window);
            }
        }
        let mut rows = Slot::ALL.map(|slot| Row { slot, state: SlotState::Free });
        for (row, state) in rows.iter_mut().zip(states) {
            row.state = state;
        }
        rows
    }

    /// The claims that share a window on this CPU: those in force first, then held ones.
    pub fn claims(
        &self,
        window: Window,
    ) -> impl Iterator<Item = (Handle, &'a Claim)> + use<'a, CLAIMS, CPUS> {
        let (arbiter, cpu) = (self.arbiter, self.cpu);
        let all = move || {
            arbiter.claims().filter(move |(_, claim)| {
                claim.request().scope.applies(cpu, None) && arbiter.has_window(claim, &window)
            })
        };
        all()
            .filter(|(_, claim)| !claim.is_held())
            .chain(all().filter(|(_, claim)| claim.is_held()))
    }

    fn line(&self, f: &mut fmt::Formatter<'_>, row: &Row) -> fmt::Result {
        let (window, state) = match row.state {
            SlotState::Free => {
                return writeln!(
                    f,
                    " {}    {:ADDRESS$}  {:>3}  {:10}  free",
                    row.slot, "-", "-", "-"
                );
            }
            SlotState::Armed(window) => (window, "armed"),
            SlotState::Held(window) => (window, "held"),
        };
        let hits = self.claims(window).map(|(_, claim)| claim.hits()).max().unwrap_or(0);
        write!(f, " {}    {:#0ADDRESS$x}", row.slot, window.address())?;
        write!(f, "  {:>3}  {:10}", window.length().bytes(), window.condition())?;
        write!(f, "  {state:5}  {hits:>8}  ")?;
        // The widest scope of those that share the slot.
        match self.claims(window).find(|(_, claim)| claim.request().scope == Scope::AllCpus) {
            Some(_) => write!(f, "{:8}", Scope::AllCpus)?,
            None => write!(f, "cpu {:<4}", self.cpu.0)?,
        }
        let mut separator = "  ";
        for (_, claim) in self.claims(window) {
            write!(f, "{separator}{}", claim.request().owner)?;
            if claim.is_held() && state != "held" {
                f.write_str(" (held)")?;
            }
            separator = ", ";
        }
        writeln!(f)
    }
}

/// `0x` and two digits a byte.
const ADDRESS: usize = 2 + usize::BITS as usize / 4;

impl<const CLAIMS: usize, const CPUS: usize> fmt::Display for Table<'_, CLAIMS, CPUS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "slot  {:ADDRESS$}  len  condition   state      hits  scope     owners",
            "address"
        )?;
        for row in &self.rows() {
            self.line(f, row)?;
        }
        let reserved = self.arbiter.config().reservations;
        write!(f, "reserved: system {}, debugger {}; ", reserved.system(), reserved.debugger())?;
        let available = |class| self.arbiter.available(class);
        writeln!(
            f,
            "available: debugger {}, system {}",
            available(Class::Debugger),
            available(Class::System)
        )
    }
}
