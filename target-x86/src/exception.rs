//! From the saved frame to the session and back.
//!
//! [`dispatch`](crate::dispatch) comes here with DR7 off and interrupts off. What may come:
//!
//! | came | while the lock was free | while it was held here |
//! | --- | --- | --- |
//! | #DB | hit or step: to the session | noted; the step goes on to the end of the lock |
//! | #BP | ours, a patch or the firmware's: to the session | a patch: takes itself away; else fatal |
//! | #PF, #GP, … | to the session as a fault | in a guarded copy: ends it; else fatal |
//! | NMI | to the session; noted in a step, or where it interrupted the stub | noted |
//! | serial port | listened to; to the session if a client calls | not possible |
//!
//! *Held here* means that this exception interrupted the stub, or the firmware in `claim`
//! and the like: code that it cannot wait for. "Fatal" is left for an INT3 or a fault in that
//! code itself, or in a claim's handler.
//!
//! A #DB whose saved RIP is on the way into another exception was delivered too early, by an
//! emulator: it is noted, with DR7, which it leaves off. The exception that it interrupted
//! takes DR7 along and, at its end, tells the session what was noted.

use tetrarch::arbiter::{Condition, PlanId};
use tetrarch::bank::Bank;
use tetrarch::dr::{Dr6, Dr7, Slot};
use tetrarch::hit::DebugException;
use tetrarch::session::{Cause, Overheard};

use crate::cpus::{self, Guard, HeldHere};
use crate::debug_regs;
use crate::dispatch::{Installed, Interrupted, Unavailable};
use crate::entry;
use crate::fault;
use crate::frame::{Frame, flag, vector};
use crate::memory::{self, Linear};
use crate::notes::{Exceptions, status_of};
use crate::own_code::{self, Outcome};
use crate::panic::{self, Text};
use crate::pending::Request;
use crate::state::State;
use crate::step::{self, Delivery, Finished};
use crate::stub::Stub;

impl<const CLAIMS: usize, const TASKS: usize> Installed for Stub<CLAIMS, TASKS> {
    fn handle(
        &self,
        frame: &mut Frame,
        live: Dr7,
        interrupted: Interrupted,
    ) -> Result<Dr7, Unavailable> {
        if !self.rules() {
            return Err(Unavailable);
        }
        let live = match interrupted {
            Interrupted::Firmware => self.pending.take_control().unwrap_or(live),
            Interrupted::Stub => live,
        };
        // A copy, because the guard below may change the frame.
        let number = frame.vector;
        let control = match number {
            vector::DEBUG => self.debug(frame, live),
            vector::NMI => self.nmi(frame, live, interrupted),
            vector::SERIAL => self.serial(frame, live),
            _ if memory::fixup(frame) => live,
            _ => self.other(frame, live),
        };
        Ok(self.serve_notes(frame, control, interrupted))
    }

    fn enter_for_panic(&self, text: Text) -> Result<(), Unavailable> {
        cpus::without_interrupts(|| {
            if self.state.is_held_here() || !self.rules() {
                return Err(Unavailable);
            }
            self.message.set(text);
            self.enter(Request::Panic);
            Ok(())
        })
    }

    fn end_of_interrupt(&self) {
        if let Ok(State { end_of_interrupt: Some(end), .. }) = self.state.enter().as_deref() {
            end();
        }
    }
}

impl<const CLAIMS: usize, const TASKS: usize> Stub<CLAIMS, TASKS> {
    /// Whether it is installed, and has not handed off.
    fn rules(&self) -> bool {
        match self.state.enter() {
            Ok(state) => state.tables.is_some(),
            // At work, so it does.
            Err(HeldHere) => true,
        }
    }

    /// The state, if the firmware was interrupted where it can be stopped, by a stub that rules
    /// (still: it may have handed off in the exception that is being handled).
    fn at_rest(&self, interrupted: Interrupted) -> Option<Guard<'_, State<CLAIMS, TASKS>>> {
        match (interrupted, self.state.enter()) {
            (Interrupted::Firmware, Ok(state))
                if state.step.is_none() && state.tables.is_some() =>
            {
                Some(state)
            }
            (Interrupted::Firmware | Interrupted::Stub, _) => None,
        }
    }

    /// Tells what was noted on the way in and since, as far as the firmware can be stopped
    /// for it. The rest waits for the end of the step, or of the exception that was
    /// interrupted; a note of its last few instructions, for the next exception.
    fn serve_notes(&self, frame: &mut Frame, live: Dr7, interrupted: Interrupted) -> Dr7 {
        let mut control = live;
        if self.pending.has_notes()
            && let Some(state) = self.at_rest(interrupted)
        {
            let exceptions = self.pending.debug.take();
            if !exceptions.is_empty() {
                control = self.serve(state, frame, control, Cause::Debug(&exceptions));
            }
        }
        if self.pending.has_nmi() { self.nmi(frame, control, interrupted) } else { control }
    }

    fn debug(&self, frame: &mut Frame, live: Dr7) -> Dr7 {
        let status = debug_regs::take_status();
        if entry::way_in().contains(&frame.rip) {
            self.pending.debug.add(self.as_found(frame, status, live));
            self.pending.note_control(live);
            return Dr7::OFF;
        }
        let Ok(state) = self.state.enter() else {
            self.note_debug(frame, status, live);
            return live;
        };
        let mut exceptions = self.pending.debug.take();
        // There is room for one more than can be noted.
        let _ = exceptions.push(state.arbiter.exception(
            cpus::current(),
            status,
            live,
            frame.rip as usize,
        ));
        self.stop(state, frame, live, exceptions)
    }

    /// A #DB whose hits cannot be attributed now: with what the registers hold, because the
    /// interrupted code may be about to change them, and the plan that it may be about to leave.
    fn as_found(&self, frame: &Frame, status: Dr6, live: Dr7) -> DebugException {
        DebugException {
            status,
            live: Bank::new(debug_regs::addresses(), live),
            plan: self.in_force(),
            rip: frame.rip as usize,
        }
    }

    /// A #DB in code that holds the lock. A mere step trap needs no note: TF is still set in
    /// the frame, and the first trap after the lock ends the step.
    fn note_debug(&self, frame: &mut Frame, status: Dr6, live: Dr7) {
        let hits = |slot: &Slot| status.hit(*slot) && live.is_armed(*slot);
        if Slot::ALL.iter().any(hits) {
            self.pending.debug.add(self.as_found(frame, status, live));
        }
        let executes = |slot: &Slot| hits(slot) && live.condition(*slot) == Condition::Execute;
        if Slot::ALL.iter().any(executes) {
            // It is reported later; without RF it would come again for ever.
            frame.set(flag::RESUME);
        }
    }

    fn nmi(&self, frame: &mut Frame, live: Dr7, interrupted: Interrupted) -> Dr7 {
        let Some(state) = self.at_rest(interrupted) else {
            self.pending.note_nmi();
            return live;
        };
        self.pending.take_nmi();
        self.serve(state, frame, live, Cause::Nmi)
    }

    fn serial(&self, frame: &mut Frame, live: Dr7) -> Dr7 {
        let Ok(mut state) = self.state.enter() else { return live };
        let overheard = state.overhear();
        // Now that the bytes are taken, so that they do not ask for another interrupt.
        if let Some(end_of_interrupt) = state.end_of_interrupt {
            end_of_interrupt();
        }
        match overheard {
            Overheard::Nothing => live,
            Overheard::Interrupt => self.serve(state, frame, live, Cause::Interrupt),
            Overheard::Packet => self.serve(state, frame, live, Cause::Packet),
        }
    }

    /// #BP and the faults.
    fn other(&self, frame: &mut Frame, live: Dr7) -> Dr7 {
        let Ok(state) = self.state.enter() else {
            let is_breakpoint = frame.vector == vector::BREAKPOINT;
            if is_breakpoint && own_code::step_aside(frame) == Outcome::Gone {
                return live;
            }
            panic::fatal(frame)
        };
        self.stop(state, frame, live, Exceptions::new())
    }

    /// Ends the step that is under way, if there is one, and tells the session what came.
    fn stop(
        &self,
        mut state: Guard<'_, State<CLAIMS, TASKS>>,
        frame: &mut Frame,
        live: Dr7,
        exceptions: Exceptions,
    ) -> Dr7 {
        let status = status_of(&exceptions);
        let news = match state.step.take() {
            None => exceptions.as_slice(),
            Some(pending) => match step::finish(pending, frame, &mut Linear, status) {
                Finished::Debug => exceptions.as_slice(),
                Finished::Exception(event) => {
                    match step::deliver(frame, &mut Linear, &state.system(), event) {
                        Delivery::Handler => frame.vector = vector::DEBUG,
                        Delivery::Own(event) | Delivery::Impossible(event) => {
                            event.describe_in(frame);
                        }
                    }
                    &STEPPED
                }
            },
        };
        match frame.vector {
            vector::DEBUG => self.serve(state, frame, live, Cause::Debug(news)),
            vector::BREAKPOINT => self.breakpoint(state, frame, live),
            _ => {
                let fault = fault::describe(frame);
                self.serve(state, frame, live, Cause::Fault(fault))
            }
        }
    }

    /// An INT3: what the library itself wants, or news for the session.
    fn breakpoint(
        &self,
        mut state: Guard<'_, State<CLAIMS, TASKS>>,
        frame: &mut Frame,
        live: Dr7,
    ) -> Dr7 {
        let (text, exceptions);
        let cause = match self.pending.take_request() {
            None => Cause::Breakpoint,
            Some(Request::Attend) => match state.session.overheard() {
                Overheard::Interrupt => Cause::Interrupt,
                Overheard::Packet => Cause::Packet,
                // Attended to meanwhile, in an NMI that came between.
                Overheard::Nothing => Cause::Debug(&[]),
            },
            Some(Request::Panic) => {
                text = self.message.get();
                Cause::Panic(text.as_str())
            }
            // An NMI is told after that.
            Some(Request::Deliver) => {
                exceptions = self.pending.debug.take();
                Cause::Debug(&exceptions)
            }
            Some(Request::HandOff) => return state.hand_off(frame, live),
        };
        self.serve(state, frame, live, cause)
    }

    fn serve(
        &self,
        mut state: Guard<'_, State<CLAIMS, TASKS>>,
        frame: &mut Frame,
        live: Dr7,
        cause: Cause<'_>,
    ) -> Dr7 {
        state.serve(frame, live, cause, &self.pending)
    }
}

/// A step that ended without the processor's help.
pub(crate) static STEPPED: [DebugException; 1] = [DebugException {
    // BS.
    status: Dr6::from_bits(Dr6::RESET.bits() | 1 << 14),
    live: Bank::RESET,
    plan: PlanId::NONE,
    rip: 0,
}];

/// Stops in the debugger, as an INT3 that is compiled into the firmware. Without a stub in
/// place it does what INT3 does.
#[inline(always)]
pub fn breakpoint() {
    // SAFETY: #BP is handled by the stub, which returns here with every register as it was
    // unless the debugger changed it; an image without one has its own handler or wants none.
    unsafe { core::arch::asm!("int3", options(nostack)) };
}
