//! Which slot holds what: decided when a CPU resumes, and at no other time.
//!
//! While the debugger has the machine stopped, claims come and go, and nothing is written.
//! At resume the windows that are wanted *now* are compared with what the CPU's registers
//! still hold, and only the difference is written; so taking a breakpoint away and putting
//! it back, in any order, writes no address register at all.
//!
//! The bank is brought up to date after each single write. Who is interrupted between two
//! of them (by an NMI, say) finds in the bank what the registers hold, and each slot holds
//! at any moment either a window of the old state, or one of the new, or is off; a hit is
//! attributed by comparing windows, so it is attributed rightly. Only between a write and
//! its record can the two differ; who cannot keep others out for that long must read the
//! registers themselves, and hand a [`Bank`] made of them to
//! [`attribute`](crate::hit::attribute).

use heapless::Vec;

use super::claim::CpuId;
use super::{Arbiter, Claim};
use crate::bank::{self, Bank};
use crate::dr::{Condition, Dr7, Slot, Window};
use crate::event::{self, Event};
use crate::machine::DebugRegisters;

static RESET: Bank = Bank::RESET;

impl<const CLAIMS: usize, const CPUS: usize> Arbiter<CLAIMS, CPUS> {
    /// What the registers of `cpu` hold, as last written.
    pub fn bank(&self, cpu: CpuId) -> &Bank {
        self.banks.get(cpu.index()).unwrap_or(&RESET)
    }

    /// Takes over what the registers of `cpu` were found to hold.
    pub fn assume_bank(&mut self, cpu: CpuId, bank: Bank) {
        if let Some(slot) = self.banks.get_mut(cpu.index()) {
            *slot = bank;
        }
    }

    /// The registers of `cpu` were reset, by INIT or by sleep.
    pub fn forget_bank(&mut self, cpu: CpuId) {
        self.assume_bank(cpu, Bank::RESET);
    }

    /// The distinct windows that must be armed on `cpu` when it runs. Admission has seen to
    /// it that there are no more than four.
    pub fn wanted(&self, cpu: CpuId) -> Vec<Window, 4> {
        let mut windows = Vec::new();
        for (_, claim) in self.table.iter().filter(|(_, claim)| !claim.is_held()) {
            self.collect(claim, cpu, &mut windows);
        }
        windows
    }

    /// Whether an execute breakpoint is armed at `address` when `cpu` runs.
    pub fn breaks_at(&self, cpu: CpuId, address: usize) -> bool {
        self.wanted(cpu)
            .iter()
            .any(|window| window.condition() == Condition::Execute && window.address() == address)
    }

    /// The distinct windows that are held on `cpu`, and that nobody else wants there.
    pub fn held_windows(&self, cpu: CpuId) -> Vec<Window, 4> {
        let wanted = self.wanted(cpu);
        let mut windows = Vec::new();
        for (_, claim) in self.table.iter().filter(|(_, claim)| claim.is_held()) {
            self.collect(claim, cpu, &mut windows);
        }
        windows.retain(|window| !wanted.contains(window));
        windows
    }

    fn collect(&self, claim: &Claim, cpu: CpuId, windows: &mut Vec<Window, 4>) {
        if cpu.index() >= CPUS || !claim.request.scope.applies(cpu, None) {
            return;
        }
        for window in claim.request.region.windows(claim.request.condition, self.config.widest) {
            if !windows.contains(&window) {
                let pushed = windows.push(window);
                debug_assert!(pushed.is_ok(), "admission let a fifth window in");
            }
        }
    }

    /// Whether `window` is one of the claim's windows.
    pub(crate) fn has_window(&self, claim: &Claim, window: &Window) -> bool {
        let request = claim.request();
        // The region first: most claims are elsewhere.
        request.region.contains(window.address())
            && request
                .region
                .windows(request.condition, self.config.widest)
                .any(|own| own == *window)
    }

    fn transition(&self, cpu: CpuId) -> bank::Transition {
        bank::transition(self.bank(cpu), &self.wanted(cpu), &self.held_windows(cpu), 4)
    }

    /// What each slot of `cpu` will hold when it runs, or holds if it does and nothing was
    /// claimed or released since it resumed.
    pub fn assignment(&self, cpu: CpuId) -> [Option<Window>; 4] {
        *self.transition(cpu).placement()
    }

    /// Turns all breakpoints off for a stop, on the CPU that calls. Returns what was live,
    /// by which the hits in DR6 are to be judged. Writes nothing if nothing was armed.
    pub fn suspend(&mut self, cpu: CpuId, registers: &mut impl DebugRegisters) -> Dr7 {
        match self.banks.get_mut(cpu.index()) {
            Some(bank) => bank.suspend(registers),
            None => Dr7::OFF,
        }
    }

    /// Arms what is wanted on the CPU that calls, in the fewest writes (promise 9).
    pub fn resume(&mut self, cpu: CpuId, registers: &mut impl DebugRegisters) {
        let transition = self.transition(cpu);
        let index = cpu.index();
        let (Some(bank), Some(armed)) = (self.banks.get_mut(index), self.armed.get_mut(index))
        else {
            return;
        };
        bank.apply(&transition, registers);
        for ((slot, before), after) in Slot::ALL.into_iter().zip(armed).zip(transition.placement())
        {
            if let Some(window) = after.filter(|_| before != after) {
                event::emit(&Event::Armed { cpu, slot, window: &window });
            }
            *before = *after;
        }
    }
}
