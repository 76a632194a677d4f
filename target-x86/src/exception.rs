//! From the saved frame to the session and back.
//!
//! [`dispatch`](crate::dispatch) comes here with DR7 off and interrupts off. What may come:
//!
//! | came | while this CPU was at rest | while it was at work |
//! | --- | --- | --- |
//! | #DB | hit or step: to the session | noted; the step goes on to the end of the work |
//! | #BP | ours, a patch or the firmware's: to the session | a patch: takes itself away; else fatal |
//! | #PF, #GP, … | to the session as a fault | in a guarded copy: ends it; else fatal |
//! | NMI, a leader's | waits for the leader; noted in a step, or where it interrupted the stub | noted |
//! | NMI, another | to the firmware's handler, or to the session; noted likewise | noted |
//! | serial port | listened to; to the session if a client calls | not possible |
//!
//! *At work* means that this exception interrupted the stub, or the firmware in `claim`
//! and the like: code that it cannot wait for. "Fatal" is left for an INT3 or a fault in that
//! code itself, or in a claim's handler.
//!
//! *To the session* means that this CPU leads. If another does, it waits, and what has come is put
//! off: a hit is noted, and told next; what would come again by itself does so, an INT3 or a
//! fault, when the context goes on. The rest is in [`course`](crate::course).
//!
//! A #DB whose saved RIP is on the way into another exception was delivered too early, by an
//! emulator: it is noted, with DR7, which it leaves off. The exception that it interrupted
//! takes DR7 along and, at its end, tells the session what was noted.

use core::sync::atomic::Ordering;

use tetrarch::arbiter::{Condition, CpuId};
use tetrarch::bank::Bank;
use tetrarch::dr::{Dr6, Dr7, Slot};
use tetrarch::hit::DebugException;
use tetrarch::text::Text;

use crate::area::CpuMemory;
use crate::course::{Course, News};
use crate::cpus;
use crate::debug_regs;
use crate::dispatch::{self, Caller, Installed, Interrupted, Unavailable};
use crate::entry;
use crate::frame::{Frame, flag, vector};
use crate::local::{HeldHere, Local, Mine};
use crate::memory;
use crate::own_code::{self, Outcome};
use crate::panic;
use crate::pending::Request;
use crate::stub::Stub;

/// One exception on one CPU, from the entry to the exit.
pub(crate) struct Visit<'v, const CLAIMS: usize, const TASKS: usize, const CPUS: usize> {
    pub stub: &'v Stub<CLAIMS, TASKS, CPUS>,
    pub cpu: CpuId,
    pub local: &'v Local<CLAIMS, TASKS>,
    pub frame: &'v mut Frame,
    /// What DR7 shall hold when the context goes on.
    pub control: Dr7,
    interrupted: Interrupted,
    pub caller: Caller,
    /// The serial port's interrupt has not been ended.
    pub owes_end_of_interrupt: bool,
}

impl<const CLAIMS: usize, const TASKS: usize, const CPUS: usize> Installed
    for Stub<CLAIMS, TASKS, CPUS>
{
    fn handle(
        &self,
        frame: &mut Frame,
        live: Dr7,
        memory: &'static CpuMemory,
        interrupted: Interrupted,
        caller: Caller,
    ) -> Result<Dr7, Unavailable> {
        let cpu = memory.cpu();
        let local = self.local(cpu).ok_or(Unavailable)?;
        if !self.rules() {
            return self.let_go_late(frame, cpu, local);
        }
        let control = match interrupted {
            Interrupted::Firmware => local.pending.take_control().unwrap_or(live),
            Interrupted::Stub => live,
        };
        let is_nmi = frame.vector == vector::NMI;
        match interrupted {
            // Noted until this CPU can wait, or tell of it: after a step, say.
            Interrupted::Firmware if memory.nmi_noted().swap(false, Ordering::Relaxed) | is_nmi => {
                local.pending.note_nmi();
            }
            // For the exception that was interrupted, which looks on its way out.
            Interrupted::Stub if is_nmi => memory.nmi_noted().store(true, Ordering::Relaxed),
            Interrupted::Firmware | Interrupted::Stub => {}
        }
        let owes_end_of_interrupt = frame.vector == vector::SERIAL;
        let mut visit = Visit {
            stub: self,
            cpu,
            local,
            frame,
            control,
            interrupted,
            caller,
            owes_end_of_interrupt,
        };
        visit.handle()?;
        Ok(visit.control)
    }

    fn enter_for_panic(&self, text: Text) -> Result<(), Unavailable> {
        cpus::without_interrupts(|| {
            let (_, local) = self.here().filter(|_| self.rules()).ok_or(Unavailable)?;
            let Ok(mut mine) = local.enter() else {
                // In the stub, or in what it called.
                local.attempt.give_up(text);
                return Err(Unavailable);
            };
            mine.message = text;
            drop(mine);
            self.enter(local, Request::Panic);
            Ok(())
        })
    }

    fn end_of_interrupt(&self) {
        if let Some(end) = self.setup().and_then(|setup| setup.end_of_interrupt) {
            end();
        }
    }

    fn serve_notes(&self) {
        if let Some((_, local)) = self.here()
            && local.pending.has_notes() | self.has_marked(local)
        {
            self.enter(local, Request::Deliver);
        }
    }
}

impl<const CLAIMS: usize, const TASKS: usize, const CPUS: usize> Stub<CLAIMS, TASKS, CPUS> {
    /// The stub has handed off. A CPU that did not respond then has armed what it had; it is found
    /// by the call that it has not taken, or by a hit.
    fn let_go_late(
        &self,
        frame: &mut Frame,
        cpu: CpuId,
        local: &Local<CLAIMS, TASKS>,
    ) -> Result<Dr7, Unavailable> {
        let is_ours = match frame.vector {
            vector::DEBUG => true,
            vector::NMI => self.world.take_call(cpu),
            _ => false,
        };
        let mut mine = local.enter().map_err(|HeldHere| Unavailable)?;
        if !is_ours || mine.part.take().is_none() {
            return Err(Unavailable);
        }
        mine.load_image_idt();
        dispatch::let_go(frame);
        Ok(Dr7::OFF)
    }
}

impl<'v, const CLAIMS: usize, const TASKS: usize, const CPUS: usize>
    Visit<'v, CLAIMS, TASKS, CPUS>
{
    fn handle(&mut self) -> Result<(), Unavailable> {
        match self.frame.vector {
            vector::DEBUG => self.debug(),
            vector::NMI if self.is_for_the_firmware() => return Err(Unavailable),
            vector::NMI => {}
            vector::SERIAL => self.local.pending.note_serial(),
            _ => {
                if !memory::fixup(self.frame) {
                    self.other();
                }
            }
        }
        self.serve_notes();
        self.end_interrupt();
        Ok(())
    }

    /// This CPU's own, if the firmware was interrupted where it can be stopped, by a stub that
    /// rules (still: it may have handed off in the exception that is being handled).
    pub fn at_rest(&self) -> Option<Mine<'v, CLAIMS, TASKS>> {
        match (self.interrupted, self.local.enter()) {
            (Interrupted::Firmware, Ok(mine)) if mine.step.is_none() && self.stub.rules() => {
                Some(mine)
            }
            (Interrupted::Firmware | Interrupted::Stub, _) => None,
        }
    }

    /// Attends to what was noted on the way in and since, as far as the firmware can be stopped
    /// for it. The rest waits for the end of the step, or of the exception that was interrupted.
    fn serve_notes(&mut self) {
        let pending = &self.local.pending;
        while let Some(mut mine) = pending.has_notes().then(|| self.at_rest()).flatten() {
            let exceptions = pending.debug.take();
            if !exceptions.is_empty() {
                self.pause(&mut mine);
                self.tell_owners(&mut mine, exceptions);
                let course = self.after_telling(mine);
                self.run(course);
            } else if pending.take_nmi() {
                self.nmi(mine);
            } else if pending.take_serial() {
                self.listen(mine);
            } else {
                break;
            }
        }
    }

    fn debug(&mut self) {
        let status = debug_regs::take_status();
        if entry::way_in().contains(&self.frame.rip) {
            self.local.pending.debug.add(self.as_found(status));
            self.local.pending.note_control(self.control);
            self.control = Dr7::OFF;
            return;
        }
        let Ok(mut mine) = self.local.enter() else {
            self.note_debug(status);
            return;
        };
        let mut exceptions = self.local.pending.debug.take();
        if let Some(part) = &mine.part {
            // There is room for one more than can be noted.
            let _ = exceptions.push(part.exception(status, self.control, self.frame.rip as usize));
        }
        self.pause(&mut mine);
        self.tell_owners(&mut mine, exceptions);
        let course = if mine.step.is_some() {
            // The session knows whether the step goes on.
            let status = mine.hits.status();
            let news = self.end_step(&mut mine, status, News::Debug);
            Course::Tell(mine, news)
        } else {
            self.after_telling(mine)
        };
        self.run(course);
    }

    /// A #DB whose hits cannot be attributed now: with what the registers hold, because the
    /// interrupted code may be about to change them, and the plan that it may be about to leave.
    fn as_found(&self, status: Dr6) -> DebugException {
        DebugException {
            status,
            live: Bank::new(debug_regs::addresses(), self.control),
            plan: self.local.in_force(),
            rip: self.frame.rip as usize,
        }
    }

    /// A #DB in code that is at work. A mere step trap needs no note: TF is still set in
    /// the frame, and the first trap after the work ends the step.
    fn note_debug(&mut self, status: Dr6) {
        let live = self.control;
        let hits = |slot: &Slot| status.hit(*slot) && live.is_armed(*slot);
        if Slot::ALL.iter().any(hits) {
            self.local.pending.debug.add(self.as_found(status));
        }
        let executes = |slot: &Slot| hits(slot) && live.condition(*slot) == Condition::Execute;
        if Slot::ALL.iter().any(executes) {
            // It is reported later; without RF it would come again for ever.
            self.frame.set(flag::RESUME);
        }
    }

    /// #BP and the faults.
    fn other(&mut self) {
        let Ok(mut mine) = self.local.enter() else {
            let is_breakpoint = self.frame.vector == vector::BREAKPOINT;
            if is_breakpoint && own_code::step_aside(self.frame) == Outcome::Gone {
                return;
            }
            if self.local.attempt.give_up_in(self.frame) {
                return;
            }
            panic::fatal(self.frame)
        };
        self.pause(&mut mine);
        let news = News::of(self.frame);
        let news = self.end_step(&mut mine, Dr6::RESET, news);
        self.run(Course::Tell(mine, news));
    }
}

/// Stops in the debugger, as an INT3 that is compiled into the firmware. Without a stub in
/// place it does what INT3 does.
#[inline(always)]
pub fn breakpoint() {
    // SAFETY: #BP is handled by the stub, which returns here with every register as it was
    // unless the debugger changed it; an image without one has its own handler or wants none.
    unsafe { core::arch::asm!("int3", options(nostack)) };
}
