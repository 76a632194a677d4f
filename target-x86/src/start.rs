//! Further CPUs: how they come, and how they go.
//!
//! A CPU that firmware has started, by INIT and SIPI, has debug registers as after reset and
//! no exception stacks. It calls in before it runs anything that a claim is about: it gets the
//! memory that its exceptions go through, the stub's IDT, and every claim that is for it, armed.

use core::sync::atomic::Ordering;

use tetrarch::arbiter::{Ability, Against, CpuId, IoBreakpoints, Protected, StartError, Widest};
use tetrarch::dr::{Dr7, Slot};
use tetrarch::hit::Told;
use tetrarch::machine::DebugRegisters;

use crate::area::{CPU_MEMORY, CpuMemory};
use crate::bring_up::Form;
use crate::cpus;
use crate::debug_regs::{self, Registers};
use crate::directory;
use crate::error::{ClaimError, StartCpuError};
use crate::gates::{self, Gates};
use crate::hits::Hits;
use crate::install::Image;
use crate::lead::Lead;
use crate::local::{Local, Own, Tables};
use crate::memory::Linear;
use crate::pending::Request;
use crate::recovery::GivenUp;
use crate::registers::processor;
use crate::state::State;
use crate::stub::{Setup, Stub};
use crate::tables;

/// CR4.DE.
const DEBUG_EXTENSIONS: u64 = 1 << 3;

#[expect(clippy::result_large_err, reason = "a rejection carries its figures")]
impl<const CLAIMS: usize, const TASKS: usize, const CPUS: usize> Stub<CLAIMS, TASKS, CPUS> {
    /// Takes in the CPU that executes the call, under the number `cpu`: not 0, which is that of the
    /// CPU that has installed the stub. When this returns, every claim of all CPUs and of this one
    /// is armed on it, and it is a thread to the debugger; if the machine is stopped at the time,
    /// it waits with the others. It may have been started before, and been reset since.
    ///
    /// If the stub was [installed](Self::install), and not hooked, this CPU is given a TSS if it
    /// has none, and the stub's IDT.
    ///
    /// # Errors
    ///
    /// See [`StartCpuError`]. The CPU is none of the stub's then, and nothing is armed on it.
    ///
    /// # Safety
    ///
    /// The caller must be in ring 0 and 64-bit mode, with its own number, `memory` that no other
    /// CPU uses, and a GDT, an IDT and TR that are valid or empty and stay so; its code segment
    /// must have the selector that it has on the CPU that has installed the stub. Nobody else may
    /// write its debug registers. The local APIC's number must be that of reset, and below 256.
    pub unsafe fn start_cpu(
        &'static self,
        cpu: CpuId,
        memory: &'static CpuMemory,
    ) -> Result<(), StartCpuError> {
        cpus::without_interrupts(|| {
            let setup = self.setup().filter(|_| self.rules());
            let setup = setup.ok_or(StartCpuError::NotInstalled)?;
            let local = self.local(cpu).filter(|_| cpu != CpuId(0));
            let local = local.ok_or(StartCpuError::Refused(StartError::NoSuchCpu(cpu)))?;
            let tables = prepare(setup, memory)?;
            local.restart(memory, tables);
            local.apic.store(cpus::apic_id(), Ordering::Relaxed);
            directory::take_over(memory, cpu, Self::others());
            let before = tables::store_idt();
            if setup.form == Form::Install {
                // SAFETY: its gates lead to this crate's entry, or are the image's own; it is
                // static.
                unsafe { tables::load_idt(gates::normal_idt()) };
            }
            // From here on it waits when another CPU leads.
            self.world.start(cpu);
            let started = self.exclusively(|lead| {
                // It may have waited already, and been given its part then.
                lead.take_in();
                clear_registers();
                let arrived = arrive(lead.state(), cpu, memory);
                if arrived.is_err() {
                    self.world.stop(cpu);
                }
                arrived
            });
            let started = started.unwrap_or(Err(StartCpuError::NotInstalled));
            if started.is_err() {
                self.dismiss(cpu);
                // SAFETY: it was loaded before, and its owner keeps it valid.
                unsafe { tables::load_idt(before) };
            }
            started
        })
    }

    /// The CPU that executes the call is about to go offline: it is no thread any more, its debug
    /// registers are off, and it runs under the image's IDT again. Claims for it alone stay, for
    /// when it comes back. Not for the CPU that has installed the stub.
    ///
    /// # Errors
    ///
    /// There is no stub in place, or the caller is a handler, or CPU 0.
    pub fn stop_cpu(&self) -> Result<(), ClaimError> {
        cpus::without_interrupts(|| {
            let (cpu, local) = self.here().ok_or(ClaimError::NotInstalled)?;
            if cpu == CpuId(0) {
                return Err(ClaimError::NotInstalled);
            }
            let leave = |lead: &mut Lead<'_, CLAIMS, TASKS, CPUS>| {
                // Owners may be told, and fail.
                lead.mine.load_working_idt();
                let departure = self.leave(lead, local);
                lead.mine.load_firmware_idt();
                departure
            };
            while self.exclusively(leave)? == Departure::PutOff {
                // A hit that came on the way here is for the debugger; so is what it does then.
                self.enter(local, Request::Deliver);
            }
            local.enter()?.load_image_idt();
            directory::forget(local.apic.load(Ordering::Relaxed));
            Ok(())
        })
    }

    /// A CPU has gone without a word: it was reset or switched off. It is no thread any more.
    ///
    /// # Errors
    ///
    /// There is no stub in place, or the caller is a handler.
    ///
    /// # Safety
    ///
    /// `cpu` must not execute anything, nor come back without being reset: what is its own is taken
    /// from it.
    pub unsafe fn forget_cpu(&self, cpu: CpuId) -> Result<(), ClaimError> {
        self.exclusively(|lead| {
            let arbiter = &mut lead.state().arbiter;
            if !arbiter.has_part(cpu) {
                arbiter.renew_part(cpu);
            }
            lead.state().session.departed(cpu);
            self.dismiss(cpu);
        })
    }

    /// This CPU leaves, unless there are hits to be told to the debugger before: its registers are
    /// off, and what it has counted is the arbiter's.
    fn leave(
        &self,
        lead: &mut Lead<'_, CLAIMS, TASKS, CPUS>,
        local: &Local<CLAIMS, TASKS>,
    ) -> Departure {
        let (cpu, now) = (lead.cpu, self.now());
        let Own { part, hits, .. } = &mut *lead.mine;
        if let Some(part) = part {
            part.accrue(now);
            part.suspend(&mut Registers);
            let exceptions = local.pending.debug.take();
            let told = local.attempt.attempt(|| part.tell(cpu, &exceptions, &mut Linear));
            let (told, mishap) = match told {
                Ok(told) => (told, None),
                Err(GivenUp) => (Told::NOTHING, Some(local.attempt.mishap())),
            };
            if mishap.is_some() || !told.concerns_nobody() {
                *hits = Hits { exceptions, told, mishap };
                return Departure::PutOff;
            }
        }
        lead.take_in();
        // Nobody calls it from now on. A call that is on its way finds the stub's IDT yet.
        self.world.stop(cpu);
        lead.state().session.departed(cpu);
        Departure::Done
    }

    /// The CPU is none of the stub's any more.
    fn dismiss(&self, cpu: CpuId) {
        self.world.stop(cpu);
        if let Some(local) = self.local(cpu) {
            directory::forget(local.apic.load(Ordering::Relaxed));
        }
    }
}

/// Whether a CPU that goes offline has left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Departure {
    Done,
    PutOff,
}

/// Takes this CPU into what all share, and arms what there is for it.
fn arrive<const CLAIMS: usize, const TASKS: usize, const CPUS: usize>(
    state: &mut State<CLAIMS, TASKS, CPUS>,
    cpu: CpuId,
    memory: &'static CpuMemory,
) -> Result<(), StartCpuError> {
    let protected = Protected {
        region: memory.region().ok_or(StartCpuError::NoMemory)?,
        name: CPU_MEMORY,
        against: Against::Everything,
    };
    let State { arbiter, session, .. } = state;
    arbiter.protect(protected).map_err(StartCpuError::Protect)?;
    if !arbiter.has_part(cpu) {
        // It was reset, and has taken its part with it.
        arbiter.renew_part(cpu);
    }
    // What was known of it before it was reset.
    session.departed(cpu);
    arbiter.start_cpu(cpu, ability(), &mut Registers).map_err(StartCpuError::Refused)
}

/// Gives this CPU stacks and tables.
fn prepare(setup: &Setup, memory: &'static CpuMemory) -> Result<Tables, StartCpuError> {
    let image = Image::of_this_cpu().map_err(StartCpuError::Tables)?;
    let settled = setup.gates.stacks;
    let stacks = match setup.form {
        Form::Install => {
            image.interrupt_stacks(memory, Some(settled)).map_err(StartCpuError::Tables)?
        }
        Form::Hook => image.interrupt_stacks_if_any(memory),
    };
    let gates = Gates { stacks, ..setup.gates };
    // It may have been given the stub's IDT at once, as a copy of what the first CPU had loaded.
    let idt = image.idt.filter(|idt| *idt != gates::normal_idt()).or(setup.image_idt);
    Ok(Tables { gates, working: memory.fill_working_idt(gates), image: idt })
}

/// As after reset: no other code has them on this CPU.
fn clear_registers() {
    Registers.write_control(Dr7::OFF);
    for (slot, address) in Slot::ALL.into_iter().zip(debug_regs::addresses()) {
        if address != 0 {
            Registers.write_address(slot, 0);
        }
    }
}

/// What this CPU can do: one with 64-bit mode has windows of eight bytes.
fn ability() -> Ability {
    let io = match processor::cr4() & DEBUG_EXTENSIONS {
        0 => IoBreakpoints::Unavailable,
        _ => IoBreakpoints::Available,
    };
    Ability { widest: Widest::Eight, io }
}
