//! From the saved frame to the session and back.
//!
//! [`entry`] calls [`dispatch`] with DR7 off and interrupts off. What may come:
//!
//! | came | while the lock was free | while it was held here |
//! | --- | --- | --- |
//! | #DB | hit or step: to the session | noted; the step goes on to the end of the lock |
//! | #BP | ours, a patch or the firmware's: to the session | a patch: takes itself away; else fatal |
//! | #PF, #GP, … | to the session as a fault | in a guarded copy: ends it; else fatal |
//! | NMI | to the session | noted |
//! | serial port | listened to; to the session if a client calls | not possible |
//!
//! *Held here* means that this exception interrupted the stub, or the firmware in `claim`
//! and the like: code that it cannot wait for. "Fatal" is left for an INT3 or a fault in that
//! code itself, or in a claim's handler.
//!
//! A #DB whose saved RIP is on the way into another exception was delivered too early, by an
//! emulator: it is noted, and the exception that it interrupted takes the note along.

use spin::Once;
use tetrarch::arbiter::Condition;
use tetrarch::dr::{Dr6, Dr7, Slot};
use tetrarch::machine::DebugRegisters;
use tetrarch::session::{Cause, Overheard};

use crate::area;
use crate::cpus::{self, Guard, HeldHere};
use crate::debug_regs::{self, Registers};
use crate::entry;
use crate::fault;
use crate::frame::{Frame, flag, vector};
use crate::memory::{self, Linear};
use crate::own_code::{self, Outcome};
use crate::panic::{self, Text};
use crate::pending::{Hit, Request};
use crate::state::State;
use crate::step::{self, Delivery, Finished};
use crate::stub::Stub;

/// The stub in place, whatever its capacity is.
static INSTALLED: Once<&'static dyn Installed> = Once::new();

/// What exceptions want of a [`Stub`].
pub(crate) trait Installed: Sync {
    /// Handles the exception in `frame`; `live` is what DR7 held. Returns what it shall hold.
    fn handle(&self, frame: &mut Frame, live: Dr7) -> Dr7;

    /// Enters the debugger, unless the stub is at work already.
    fn enter_for_panic(&self, text: Text) -> Result<(), Unavailable>;
}

/// There is no debugger to enter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Unavailable;

/// Makes `stub` the one that exceptions go to.
pub(crate) fn set_installed(stub: &'static dyn Installed) {
    INSTALLED.call_once(|| stub);
}

/// Whether there is one.
pub(crate) fn is_installed() -> bool {
    INSTALLED.get().is_some()
}

/// Called by the entry, with DR7 off.
pub(crate) fn dispatch(frame: &mut Frame, live: Dr7) -> Dr7 {
    let control = match INSTALLED.get() {
        Some(stub) => stub.handle(frame, live),
        None => live,
    };
    if !area::working_stack_is_intact() {
        panic::stack_overflow()
    }
    control
}

/// Called by the firmware's own handler, with DR7 as it was.
pub(crate) fn from_firmware(frame: &mut Frame) {
    let live = debug_regs::control();
    if live.any_armed() {
        Registers.write_control(Dr7::OFF);
    }
    let control = dispatch(frame, live);
    if control != debug_regs::control() {
        Registers.write_control(control);
    }
}

/// Enters the debugger to show a panic.
pub(crate) fn enter_for_panic(text: Text) -> Result<(), Unavailable> {
    INSTALLED.get().ok_or(Unavailable)?.enter_for_panic(text)
}

impl<const CLAIMS: usize> Installed for Stub<CLAIMS> {
    fn handle(&self, frame: &mut Frame, live: Dr7) -> Dr7 {
        // A copy, because the guard below may change the frame.
        let number = frame.vector;
        let control = match number {
            vector::DEBUG => self.debug(frame, live),
            vector::NMI => self.nmi(frame, live),
            vector::SERIAL => self.serial(frame, live),
            _ if memory::fixup(frame) => live,
            _ => self.other(frame, live),
        };
        if self.pending.has_nmi() { self.nmi(frame, control) } else { control }
    }

    fn enter_for_panic(&self, text: Text) -> Result<(), Unavailable> {
        if self.state.is_held_here() {
            return Err(Unavailable);
        }
        self.message.set(text);
        cpus::without_interrupts(|| self.enter(Request::Panic));
        Ok(())
    }
}

impl<const CLAIMS: usize> Stub<CLAIMS> {
    fn debug(&self, frame: &mut Frame, live: Dr7) -> Dr7 {
        let status = debug_regs::take_status();
        if entry::way_in().contains(&frame.rip) {
            self.pending.note_hit(Hit { status, live });
            return Dr7::OFF;
        }
        let Ok(state) = self.state.enter() else {
            self.note_debug(frame, Hit { status, live });
            return live;
        };
        let hit = match self.pending.take_hit() {
            Some(noted) => Hit { status: status.union(noted.status), live: noted.live },
            None => Hit { status, live },
        };
        self.stop(state, frame, live, hit)
    }

    /// A #DB in code that holds the lock. A mere step trap needs no note: TF is still set in
    /// the frame, and the first trap after the lock ends the step.
    fn note_debug(&self, frame: &mut Frame, hit: Hit) {
        let hits = |slot: &Slot| hit.status.hit(*slot) && hit.live.is_armed(*slot);
        if Slot::ALL.iter().any(hits) {
            self.pending.note_hit(hit);
        }
        let executes = |slot: &Slot| hits(slot) && hit.live.condition(*slot) == Condition::Execute;
        if Slot::ALL.iter().any(executes) {
            // It is reported later; without RF it would come again for ever.
            frame.set(flag::RESUME);
        }
    }

    fn nmi(&self, frame: &mut Frame, live: Dr7) -> Dr7 {
        let state = self.state.enter();
        match state {
            Ok(state) if state.step.is_none() && !entry::is_ours(frame.rip) => {
                self.pending.take_nmi();
                self.serve(state, frame, live, Cause::Nmi)
            }
            // Later: after the step, at the end of the exception that this one interrupted, or,
            // if it came in the last few instructions of that, with the next one.
            Ok(_) | Err(HeldHere) => {
                self.pending.note_nmi();
                live
            }
        }
    }

    fn serial(&self, frame: &mut Frame, live: Dr7) -> Dr7 {
        let Ok(mut state) = self.state.enter() else { return live };
        if let Some(end_of_interrupt) = state.end_of_interrupt {
            end_of_interrupt();
        }
        match state.overhear() {
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
        self.stop(state, frame, live, Hit { status: Dr6::RESET, live })
    }

    /// Ends the step that is under way, if there is one, and tells the session what came.
    fn stop(
        &self,
        mut state: Guard<'_, State<CLAIMS>>,
        frame: &mut Frame,
        live: Dr7,
        hit: Hit,
    ) -> Dr7 {
        let stepped = Hit { status: single_step(), live: Dr7::OFF };
        let news = match state.step.take() {
            None => hit,
            Some(pending) => match step::finish(pending, frame, &mut Linear, hit.status) {
                Finished::Debug => hit,
                Finished::Exception(event) => {
                    match step::deliver(frame, &mut Linear, &state.system(), event) {
                        Delivery::Handler => frame.vector = vector::DEBUG,
                        Delivery::Own(event) | Delivery::Impossible(event) => {
                            frame.vector = u64::from(event.vector);
                        }
                    }
                    stepped
                }
            },
        };
        match frame.vector {
            vector::DEBUG => {
                let Hit { status, live: hit_live } = news;
                self.serve(state, frame, live, Cause::Debug { status, live: hit_live })
            }
            vector::BREAKPOINT => self.breakpoint(state, frame, live),
            _ => {
                let fault = fault::describe(frame);
                self.serve(state, frame, live, Cause::Fault(fault))
            }
        }
    }

    /// An INT3: what the library itself wants, or news for the session.
    fn breakpoint(&self, mut state: Guard<'_, State<CLAIMS>>, frame: &mut Frame, live: Dr7) -> Dr7 {
        let text;
        let cause = match self.pending.take_request() {
            None => Cause::Breakpoint,
            Some(Request::Interrupt) => Cause::Interrupt,
            Some(Request::Packet) => Cause::Packet,
            Some(Request::Panic) => {
                text = self.message.get();
                Cause::Panic(text.as_str())
            }
            Some(Request::Deliver) => match self.pending.take_hit() {
                Some(Hit { status, live }) => Cause::Debug { status, live },
                None if self.pending.take_nmi() => Cause::Nmi,
                None => return live,
            },
            Some(Request::HandOff) => return state.hand_off(frame, live),
        };
        self.serve(state, frame, live, cause)
    }

    fn serve(
        &self,
        mut state: Guard<'_, State<CLAIMS>>,
        frame: &mut Frame,
        live: Dr7,
        cause: Cause<'_>,
    ) -> Dr7 {
        state.serve(frame, live, cause, &self.pending)
    }
}

/// DR6 of a step that ended without the processor's help.
pub(crate) fn single_step() -> Dr6 {
    const BS: u32 = 1 << 14;
    Dr6::from_bits(Dr6::RESET.bits() | BS)
}

/// Stops in the debugger, as an INT3 that is compiled into the firmware. Without a stub in
/// place it does what INT3 does.
#[inline(always)]
pub fn breakpoint() {
    // SAFETY: #BP is handled by the stub, which returns here with every register as it was
    // unless the debugger changed it; an image without one has its own handler or wants none.
    unsafe { core::arch::asm!("int3", options(nostack)) };
}
