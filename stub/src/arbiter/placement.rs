//! Which slot holds what: decided when a CPU resumes, switches or ticks, and at no other time.
//!
//! While the debugger has the machine stopped, claims come and go, and nothing is written:
//! only the plans are made anew. At resume the windows that are wanted *now* are compared with
//! what the CPU's registers still hold, and only the difference is written; so taking a
//! breakpoint away and putting it back, in any order, writes no address register at all.
//!
//! The bank is brought up to date after each single write. Who is interrupted between two
//! of them (by an NMI, say) finds in the bank what the registers hold, and each slot holds
//! at any moment either a window of the old state, or one of the new, or is off; a hit is
//! attributed by comparing windows, so it is attributed rightly. Only between a write and
//! its record can the two differ; who cannot keep others out for that long must read the
//! registers themselves, and hand a [`Bank`] made of them to
//! [`deliver`](crate::hit::DebugException).

use heapless::Vec;

use super::Arbiter;
use super::claim::{CpuId, TaskId};
use super::config::{Ability, StartError};
use super::cpu::Cpu;
use super::plan::PlanId;
use super::tasks::Task;
use crate::bank::Bank;
use crate::dr::{Dr7, Window};
use crate::machine::DebugRegisters;

static RESET: Bank = Bank::RESET;

impl<const CLAIMS: usize, const CPUS: usize, const TASKS: usize, const SLOTS: usize>
    Arbiter<CLAIMS, CPUS, TASKS, SLOTS>
{
    pub(crate) fn cpu(&self, cpu: CpuId) -> Option<&Cpu<CLAIMS, TASKS, SLOTS>> {
        self.cpus.get(cpu.index())?.as_ref()
    }

    pub(crate) fn cpu_mut(&mut self, cpu: CpuId) -> Option<&mut Cpu<CLAIMS, TASKS, SLOTS>> {
        self.cpus.get_mut(cpu.index())?.as_mut()
    }

    /// What the registers of `cpu` hold, as last written.
    pub fn bank(&self, cpu: CpuId) -> &Bank {
        self.cpu(cpu).map_or(&RESET, |cpu| &cpu.bank)
    }

    /// Takes over what the registers of `cpu` were found to hold. It runs no task.
    pub fn assume_bank(&mut self, cpu: CpuId, bank: Bank) {
        if let Some(cpu) = self.cpu_mut(cpu) {
            cpu.restart(bank);
        }
    }

    /// The registers of `cpu` were reset, by INIT or by sleep, and it runs no task.
    pub fn forget_bank(&mut self, cpu: CpuId) {
        self.assume_bank(cpu, Bank::RESET);
    }

    /// A CPU comes online, with registers as after INIT: to be called on it, before it runs
    /// anything that a claim is about. Everything of scope [`AllCpus`](super::Scope::AllCpus) and its
    /// own is armed when this returns. Claims are admitted for all CPUs, whether they run or
    /// not, so there is always room.
    ///
    /// # Errors
    ///
    /// It has no number here, or cannot do what the others can; nothing is armed on it then.
    pub fn start_cpu(
        &mut self,
        cpu: CpuId,
        ability: Ability,
        registers: &mut impl DebugRegisters,
    ) -> Result<(), StartError> {
        if cpu.index() >= CPUS {
            return Err(StartError::NoSuchCpu(cpu));
        }
        ability.suffices_for(&self.config)?;
        self.forget_bank(cpu);
        self.resume(cpu, registers);
        Ok(())
    }

    /// The distinct windows that are armed on `cpu` when it runs, for the task that it runs:
    /// those of pinned claims first, then those whose turn it is. Admission has seen to it that
    /// there are no more than slots.
    pub fn wanted(&self, cpu: CpuId) -> Vec<Window, SLOTS> {
        self.cpu(cpu).map_or(Vec::new(), |cpu| cpu.current().wanted.clone())
    }

    /// Whether an execute breakpoint is armed at `address` when `cpu` runs, be it one that was left
    /// armed lazily.
    pub fn breaks_at(&self, cpu: CpuId, address: usize) -> bool {
        self.cpu(cpu).is_some_and(|cpu| cpu.breaks_at(address))
    }

    /// The distinct windows that keep their place on `cpu` without being armed.
    pub fn spare_windows(&self, cpu: CpuId) -> Vec<Window, SLOTS> {
        self.cpu(cpu).map_or(Vec::new(), |cpu| cpu.current().spare())
    }

    /// The number that `task` must carry: its own if it has claims, or else
    /// [`PlanId::NONE`]. It changes with the first claim of the task and with the release of
    /// the last.
    pub fn plan_of(&self, task: TaskId) -> PlanId {
        self.tasks.plan_of(task)
    }

    /// The tasks that have claims.
    pub fn tasks(&self) -> impl Iterator<Item = Task> + Clone {
        self.tasks.iter()
    }

    /// The number of the plan in force on `cpu`.
    pub fn in_force(&self, cpu: CpuId) -> PlanId {
        self.cpu(cpu).map_or(PlanId::NONE, Cpu::in_force)
    }

    /// The task that `cpu` runs, if it is one that has claims.
    pub fn running(&self, cpu: CpuId) -> Option<TaskId> {
        self.cpu(cpu)?.current().task
    }

    /// The CPU that calls is about to run the task that carries `plan`: arms what that wants,
    /// in the fewest writes; time until `now` is counted (promise 9). If `plan` is in force,
    /// nothing is done.
    pub fn switch_to(
        &mut self,
        cpu: CpuId,
        plan: PlanId,
        now: u64,
        registers: &mut impl DebugRegisters,
    ) {
        let switching = self.config.switching;
        if let Some(cpu) = self.cpu_mut(cpu) {
            cpu.switch_to(plan, now, switching, registers);
        }
    }

    /// On the CPU that calls, ends the turn of the flexible claims that are armed, if others
    /// wait (promise 8).
    pub fn tick(&mut self, cpu: CpuId, now: u64, registers: &mut impl DebugRegisters) {
        if let Some(cpu) = self.cpu_mut(cpu) {
            cpu.tick(now, registers);
        }
    }

    /// A tick and a switch at the same moment, as a scheduler wants that shares time out: in
    /// one step, so that nothing is written for the moment between the two, and no turn is
    /// counted that lasted no longer.
    pub fn tick_to(
        &mut self,
        cpu: CpuId,
        plan: PlanId,
        now: u64,
        registers: &mut impl DebugRegisters,
    ) {
        let switching = self.config.switching;
        if let Some(cpu) = self.cpu_mut(cpu) {
            cpu.tick_to(plan, now, switching, registers);
        }
    }

    /// Counts the time up to `now` for the flexible claims on `cpu`. Due before a claim is
    /// made, changed or released, or else the time since the last count is counted as if it
    /// had been like that all along.
    pub fn accrue(&mut self, cpu: CpuId, now: u64) {
        if let Some(cpu) = self.cpu_mut(cpu) {
            cpu.accrue(now);
        }
    }

    /// Goes on counting at `now`; what passed since the last count, in a stop for instance,
    /// counts for nobody.
    pub fn skip_to(&mut self, cpu: CpuId, now: u64) {
        if let Some(cpu) = self.cpu_mut(cpu) {
            cpu.skip_to(now);
        }
    }

    /// What each slot of `cpu` will hold when it runs, or holds if it does and nothing was
    /// claimed or released since it resumed.
    pub fn assignment(&self, cpu: CpuId) -> [Option<Window>; 4] {
        self.cpu(cpu).map_or([None; 4], |cpu| *cpu.transition().placement())
    }

    /// Turns all breakpoints off for a stop, on the CPU that calls. Returns what was live,
    /// by which the hits in DR6 are to be judged. Writes nothing if nothing was armed.
    pub fn suspend(&mut self, cpu: CpuId, registers: &mut impl DebugRegisters) -> Dr7 {
        self.cpu_mut(cpu).map_or(Dr7::OFF, |part| part.suspend(registers))
    }

    /// Arms what is wanted on the CPU that calls, in the fewest writes (promise 9).
    pub fn resume(&mut self, cpu: CpuId, registers: &mut impl DebugRegisters) {
        if let Some(part) = self.cpu_mut(cpu) {
            part.resume(cpu, registers);
        }
    }
}
