//! The way out of a stop: what the session wants of the machine, done to the frame.
//!
//! A step that can be carried out without the processor never leaves the stop, and what has
//! arrived in the meantime keeps the machine in it. Otherwise [`State::serve`] lets the frame
//! go, under the working IDT if it is stepped.

use tetrarch::arbiter::Condition;
use tetrarch::machine::Memory;
use tetrarch::session::{Cause, Go, Motion, Overheard, ResumeFlag};

use crate::area::{self, DebugStack};
use crate::cpus;
use crate::exception::STEPPED;
use crate::fault;
use crate::frame::{Frame, flag, vector};
use crate::memory::Linear;
use crate::pending::Pending;
use crate::state::{State, Tables};
use crate::step::{self, Begun};
use crate::stopped::Stopped;

/// Why the machine does not run after all, and whether anything can be said about it.
pub(crate) enum Departure {
    /// It can be let go.
    Ready,
    /// The session has to be told this first.
    Instead(Cause<'static>),
}

impl<const CLAIMS: usize, const TASKS: usize> State<CLAIMS, TASKS> {
    /// Prepares the frame for what the session wants of it. What arrived in the meantime
    /// comes first, so that a client can interrupt what never leaves here.
    pub fn depart(&mut self, machine: &mut Stopped<'_>, go: Go, pending: &Pending) -> Departure {
        match go.resume_flag {
            ResumeFlag::Keep => {}
            ResumeFlag::Set => machine.frame.set(flag::RESUME),
            ResumeFlag::Clear => machine.frame.clear(flag::RESUME),
        }
        self.drain();
        match self.overhear() {
            Overheard::Nothing => {}
            Overheard::Interrupt => return Departure::Instead(Cause::Interrupt),
            Overheard::Packet => return Departure::Instead(Cause::Packet),
        }
        if pending.take_nmi() {
            return Departure::Instead(Cause::Nmi);
        }
        match go.motion {
            Motion::Continue => Departure::Ready,
            Motion::Step => self.begin_step(machine.frame, pending),
        }
    }

    fn begin_step(&mut self, frame: &mut Frame, pending: &Pending) -> Departure {
        let stepped = Departure::Instead(Cause::Debug(&STEPPED));
        let begun = if self.has_breakpoint_at(frame) {
            step::begin_at_breakpoint(frame)
        } else {
            step::begin(frame, &mut Linear, &self.system())
        };
        match begun {
            Begun::Completed => stepped,
            Begun::LoadedIdt(table) => {
                self.firmware_idt = table;
                stepped
            }
            Begun::Exception(event) => {
                event.describe_in(frame);
                match frame.vector {
                    vector::BREAKPOINT if pending.is_requested() => {
                        // The library's own INT3: its handler knows what it is for.
                        frame.rip = frame.rip.wrapping_sub(1);
                        Departure::Ready
                    }
                    vector::BREAKPOINT => Departure::Instead(Cause::Breakpoint),
                    vector::DEBUG => stepped,
                    _ => Departure::Instead(Cause::Fault(fault::describe(frame))),
                }
            }
            Begun::Impossible(event) => {
                event.describe_in(frame);
                match frame.vector {
                    // The same, and the frame is still at it.
                    vector::BREAKPOINT if pending.is_requested() => Departure::Ready,
                    // Not one that was executed: to be told as a fault.
                    _ => Departure::Instead(Cause::Fault(fault::describe(frame))),
                }
            }
            Begun::Armed(step) => {
                self.step = Some(step);
                Departure::Ready
            }
        }
    }

    /// Whether the next instruction is to be reported before it runs.
    fn has_breakpoint_at(&self, frame: &Frame) -> bool {
        !frame.has(flag::RESUME) && self.arbiter.breaks_at(cpus::current(), frame.rip as usize)
    }

    /// Where the #DB of the coming step shall arrive: see [`DebugStack`].
    pub fn choose_debug_stack(&self, frame: &Frame) {
        let Some(Tables { gates, .. }) = self.tables else { return };
        let watches = self
            .arbiter
            .wanted(cpus::current())
            .iter()
            .any(|window| window.condition() != Condition::Execute);
        let delivers_twice = cpus::is_emulated_by_tcg();
        let ring_0 = frame.cs & 3 == 0;
        let stack = if watches && delivers_twice && ring_0 && has_room_below(frame.rsp) {
            DebugStack::Interrupted
        } else {
            DebugStack::Separate
        };
        area::set_debug_stack(gates, stack);
    }
}

/// Whether two exceptions can be delivered on the interrupted stack.
fn has_room_below(stack_pointer: u64) -> bool {
    const TWO_FRAMES: usize = 2 * 64;
    let mut bytes = [0; TWO_FRAMES];
    let lowest = (stack_pointer as usize & !15).wrapping_sub(TWO_FRAMES);
    Linear.read(lowest, &mut bytes) == TWO_FRAMES && Linear.write(lowest, &bytes) == TWO_FRAMES
}
