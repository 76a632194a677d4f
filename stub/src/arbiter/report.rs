//! The table of who holds what, for people.
//!
//! A slot is shown as *armed* if it is when the CPU runs on, as *held* if the debugger has taken
//! its breakpoint away while the machine is stopped, and as *off* if its owner has: the
//! slot is off, but nobody else can have it. The slots are those of the task that the CPU runs.
//! Below them stand, where there are some, the claims of tasks, and what the claims that take
//! turns have counted (`report/lists.rs`).

use core::fmt;

use super::admission::Context;
use super::claim::{Class, CpuId, Handle, Scope, Tenure};
use super::plan::PlanId;
use super::rejection::{Holder, HolderState};
use super::{Arbiter, Claim};
use crate::bank;
use crate::dr::{Slot, Window};

mod lists;

pub use lists::TaskList;

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
    /// Off, and kept for its owner to come back to this.
    Disabled(Window),
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
pub struct Table<'a, const CLAIMS: usize, const CPUS: usize, const TASKS: usize, const SLOTS: usize>
{
    arbiter: &'a Arbiter<CLAIMS, CPUS, TASKS, SLOTS>,
    cpu: CpuId,
    plan: PlanId,
}

impl<const CLAIMS: usize, const CPUS: usize, const TASKS: usize, const SLOTS: usize>
    Arbiter<CLAIMS, CPUS, TASKS, SLOTS>
{
    /// The slots of `cpu` and their owners, for the task that it runs.
    pub fn table(&self, cpu: CpuId) -> Table<'_, CLAIMS, CPUS, TASKS, SLOTS> {
        Table { arbiter: self, cpu, plan: self.in_force(cpu) }
    }

    /// Who holds which slot in a context, for a refusal.
    pub(super) fn holders(&self, context: Context) -> [Option<Holder>; 4] {
        let plan = context.task.map_or(PlanId::NONE, |task| self.plan_of(task));
        let table = Table { arbiter: self, cpu: context.cpu, plan };
        table.rows().map(|row| {
            let (window, state) = match row.state {
                SlotState::Free => return None,
                SlotState::Armed(window) => (window, HolderState::Armed),
                SlotState::Held(window) => (window, HolderState::Held),
                SlotState::Disabled(window) => (window, HolderState::Disabled),
            };
            let mut claims = table.claims(window);
            let owner = claims.next()?.1.request().owner;
            Some(Holder { window, owner, others: claims.count(), state })
        })
    }
}

impl<'a, const CLAIMS: usize, const CPUS: usize, const TASKS: usize, const SLOTS: usize>
    Table<'a, CLAIMS, CPUS, TASKS, SLOTS>
{
    /// The four slots, in order.
    pub fn rows(&self) -> [Row; 4] {
        let mut rows = Slot::ALL.map(|slot| Row { slot, state: SlotState::Free });
        let Some(cpu) = self.arbiter.cpu(self.cpu) else { return rows };
        let plan = cpu.at(self.plan);
        let spare = plan.spare();
        let transition = bank::transition(&cpu.bank, &plan.wanted, &spare, SLOTS);
        for (row, window) in rows.iter_mut().zip(transition.placement()) {
            row.state = window.map_or(SlotState::Free, SlotState::Armed);
        }
        for window in &spare {
            // Where its address still is, or else anywhere: it has no slot until it is back.
            let at_home = |slot: Slot| cpu.bank.address(slot) == window.address();
            let is_free = |row: &&mut Row| row.state == SlotState::Free;
            let home = rows.iter_mut().filter(is_free).find(|row| at_home(row.slot));
            let place = match home {
                Some(row) => Some(row),
                None => rows.iter_mut().find(is_free),
            };
            if let Some(row) = place {
                row.state = self.off(*window);
            }
        }
        rows
    }

    /// Why a window that keeps its place is off.
    fn off(&self, window: Window) -> SlotState {
        if self.claims(window).any(|(_, claim)| claim.is_held()) {
            SlotState::Held(window)
        } else {
            SlotState::Disabled(window)
        }
    }

    /// The claims that share a window on this CPU: those in force first, then the others.
    pub fn claims(
        &self,
        window: Window,
    ) -> impl Iterator<Item = (Handle, &'a Claim)> + use<'a, CLAIMS, CPUS, TASKS, SLOTS> {
        let (arbiter, cpu) = (self.arbiter, self.cpu);
        let task = arbiter.cpu(cpu).and_then(|state| state.at(self.plan).task);
        let widest = arbiter.config.widest;
        let all = move || {
            arbiter.claims().filter(move |(_, claim)| {
                let request = claim.request();
                request.scope.applies(cpu, task) && request.has_window(widest, &window)
            })
        };
        all()
            .filter(|(_, claim)| claim.is_live())
            .chain(all().filter(|(_, claim)| !claim.is_live()))
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
            SlotState::Disabled(window) => (window, "off"),
        };
        let hits = self.claims(window).map(|(_, claim)| claim.hits()).max().unwrap_or(0);
        write!(f, " {}    {:#0ADDRESS$x}", row.slot, window.address())?;
        write!(f, "  {:>3}  {:10}", window.length().bytes(), window.condition())?;
        write!(f, "  {state:5}  {hits:>8}  ")?;
        // The widest scope of those that share the slot.
        let scopes = self.claims(window).map(|(_, claim)| claim.request().scope);
        if let Some(widest) = scopes.max_by_key(breadth) {
            write!(f, "{widest:8}")?;
        }
        let mut separator = "  ";
        for (_, claim) in self.claims(window) {
            write!(f, "{separator}{}{}", claim.request().owner, remark(claim, row.state))?;
            separator = ", ";
        }
        writeln!(f)
    }
}

fn breadth(scope: &Scope) -> u8 {
    match scope {
        Scope::AllCpus => 3,
        Scope::Cpu(_) => 2,
        Scope::Task(_) => 1,
        Scope::TaskOnCpu(_, _) => 0,
    }
}

/// What a claim is, beyond what its slot says.
fn remark(claim: &Claim, slot: SlotState) -> &'static str {
    match slot {
        SlotState::Held(_) | SlotState::Free => "",
        SlotState::Armed(_) | SlotState::Disabled(_) if claim.is_held() => " (held)",
        SlotState::Armed(_) if claim.is_disabled() => " (disabled)",
        SlotState::Armed(_) | SlotState::Disabled(_) => match claim.request().tenure {
            Tenure::Pinned => "",
            Tenure::Flexible => " (takes turns)",
        },
    }
}

/// `0x` and two digits a byte.
const ADDRESS: usize = 2 + usize::BITS as usize / 4;

impl<const CLAIMS: usize, const CPUS: usize, const TASKS: usize, const SLOTS: usize> fmt::Display
    for Table<'_, CLAIMS, CPUS, TASKS, SLOTS>
{
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
        write!(f, "reserved: system {}, debugger {}", reserved.system(), reserved.debugger())?;
        if reserved.flexible() > 0 {
            write!(f, ", turns {}", reserved.flexible())?;
        }
        let available = |class| self.arbiter.available(class);
        writeln!(
            f,
            "; available: debugger {}, system {}",
            available(Class::Debugger),
            available(Class::System)
        )?;
        lists::claims_of_tasks(self.arbiter, f)?;
        lists::claims_that_take_turns(self.arbiter, f)
    }
}
