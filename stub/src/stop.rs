//! Why the machine stopped, in three forms: the cause as the exception brings it, the reason as
//! gdb is told it, the text as a person reads it.
//!
//! The reply to gdb carries a number and, for a watchpoint, an address. It has no place for the
//! firmware's own guards, so what stopped the machine is also written as a line of text: sent
//! to gdb's console with the stop, shown by `monitor stop` and in `info threads` afterwards.

use core::fmt::{self, Write};

use gdbstub::common::{Signal, Tid};
use gdbstub::stub::MultiThreadStopReason;
use gdbstub::target::ext::breakpoints::WatchKind;
use heapless::String;
use num_traits::PrimInt;

use crate::hit::{DebugException, Stopped, Told};
use crate::text::Text;
use crate::watch::{Kind, Report};

/// How many bytes a line about a stop has at the most; what does not fit is cut off.
pub(crate) const LINE: usize = 200;

/// One line about a stop.
pub type StopText = String<LINE>;

/// What brought the machine into the stub.
#[derive(Clone, Copy, Debug)]
pub enum Cause<'a> {
    /// #DB.
    ///
    /// Several, if some were put off; none, if there is nothing to say and the target goes on
    /// with what it was doing.
    Debug(&'a [DebugException]),
    /// #DB likewise, where the CPU has [told](crate::arbiter::Cpu::tell) the system owners.
    Told(&'a [DebugException], &'a Told),
    /// #BP: an INT3 was executed; the program counter is after it.
    Breakpoint,
    /// An exception that the firmware cannot have wanted.
    Fault(Fault<'a>),
    /// The client's Ctrl-C.
    Interrupt,
    /// A packet arrived while the target was running.
    Packet,
    /// The line was hung up while the target was running.
    HangUp,
    /// A non-maskable interrupt that nobody else claimed.
    Nmi,
    /// The firmware panicked.
    Panic(&'a str),
    /// The stub, or a handler that it called, could not go on.
    Mishap(Mishap),
}

/// What came in the way of work of the stub's, or of what it called of the firmware's, and ended it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Mishap {
    /// For instance `page fault`, or `panic`.
    pub what: &'static str,
    /// Where it came, or 0 if that is not known.
    pub address: usize,
    /// What a panic has said; else nothing.
    pub message: Text,
}

impl fmt::Display for Mishap {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "a {}", self.what)?;
        if self.address != 0 {
            write!(out, " at {:#x}", self.address)?;
        }
        out.write_str(" inside the stub or what it called of the firmware's")?;
        if !self.message.is_empty() {
            write!(out, ": {}", self.message.as_str())?;
        }
        Ok(())
    }
}

/// A fault, as a person wants it named.
#[derive(Clone, Copy, Debug)]
pub struct Fault<'a> {
    /// For instance `page fault`.
    pub name: &'a str,
    /// The signal that gdb shows for it.
    pub signal: Signal,
    /// The address that could not be accessed (CR2 after a page fault).
    pub address: Option<usize>,
}

/// What gdb is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reason {
    /// An exception, with the signal that it would be on a Unix.
    Signal(Signal),
    /// Ctrl-C, NMI, or a client that came.
    Interrupted,
    /// A panic.
    Aborted,
    /// A step is done, or the firmware wants it.
    Trapped,
    SoftwareBreakpoint,
    Watch(Report),
}

/// Which stop reasons the client knows, from its `qSupported`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Vocabulary {
    pub swbreak: bool,
    pub hwbreak: bool,
}

impl Reason {
    /// The reply, in words that the client has said it understands.
    pub fn reply<U: PrimInt>(self, tid: Tid, client: Vocabulary) -> MultiThreadStopReason<U> {
        let signal = |signal| MultiThreadStopReason::SignalWithThread { tid, signal };
        let trap = signal(Signal::SIGTRAP);
        match self {
            Reason::Signal(other) => signal(other),
            Reason::Interrupted => signal(Signal::SIGINT),
            Reason::Aborted => signal(Signal::SIGABRT),
            Reason::Trapped => trap,
            Reason::SoftwareBreakpoint if client.swbreak => MultiThreadStopReason::SwBreak(tid),
            Reason::SoftwareBreakpoint => trap,
            Reason::Watch(Report { kind, address, .. }) => {
                let kind = match kind {
                    Kind::Execute if client.hwbreak => return MultiThreadStopReason::HwBreak(tid),
                    Kind::Execute => return trap,
                    Kind::Write => WatchKind::Write,
                    Kind::Read => WatchKind::Read,
                    Kind::Access => WatchKind::ReadWrite,
                };
                let addr = U::from(address).unwrap_or_else(U::max_value);
                MultiThreadStopReason::Watch { tid, kind, addr }
            }
        }
    }
}

/// Writes as much as there is room for. (A heapless string takes all of a piece or nothing.)
struct Cut<'a>(&'a mut StopText);

impl Write for Cut<'_> {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        piece.chars().try_for_each(|character| self.0.push(character).map_err(|_| fmt::Error))
    }
}

/// A line about a stop that one of the firmware's own guards asked for.
pub(crate) fn by_owner(stopped: &Stopped, further: usize, program_counter: usize) -> StopText {
    let mut text = StopText::new();
    let mut line = Cut(&mut text);
    let Stopped { owner, condition, window, .. } = stopped;
    // A line that is cut off is better than none.
    let _ = write!(
        line,
        "stopped by {owner}: {condition} at {:#x}+{}, next instruction {program_counter:#x}",
        window.address(),
        window.length().bytes(),
    );
    if further > 0 {
        let _ = write!(line, ", and by {further} more");
    }
    text
}

/// A line about any other stop.
pub(crate) fn by(reason: Reason, cause: &Cause<'_>) -> StopText {
    let mut text = StopText::new();
    let mut line = Cut(&mut text);
    // A line that is cut off is better than none.
    let _ = match cause {
        Cause::Fault(Fault { name, address: Some(address), .. }) => {
            write!(line, "stopped by a {name} at {address:#x}")
        }
        Cause::Mishap(mishap) => write!(line, "stopped by {mishap}"),
        Cause::Fault(Fault { name, address: None, .. }) => write!(line, "stopped by a {name}"),
        Cause::Panic(message) => write!(line, "stopped by a panic: {message}"),
        Cause::Nmi => write!(line, "stopped by an NMI"),
        Cause::Interrupt => write!(line, "interrupted by the debugger"),
        Cause::Packet => write!(line, "stopped because a debugger attached"),
        Cause::HangUp => write!(line, "stopped because the line was hung up"),
        // BS sticks, but for any other cause than a step there is another reason.
        Cause::Debug(exceptions) | Cause::Told(exceptions, _)
            if reason == Reason::Trapped
                && exceptions.iter().any(|exception| exception.status.single_step()) =>
        {
            write!(line, "stopped after a step")
        }
        Cause::Breakpoint | Cause::Debug(_) | Cause::Told(..) => return by_trap(reason),
    };
    text
}

/// A line about a stop of which the reason says all.
pub(crate) fn by_trap(reason: Reason) -> StopText {
    let mut text = StopText::new();
    let mut line = Cut(&mut text);
    // A line that is cut off is better than none.
    let _ = match reason {
        Reason::Watch(report) => {
            let article = match report.kind {
                Kind::Access => "an",
                Kind::Execute | Kind::Write | Kind::Read => "a",
            };
            write!(line, "stopped by {article} {} at {:#x}", report.kind, report.address)
        }
        Reason::SoftwareBreakpoint => write!(line, "stopped by a software breakpoint"),
        Reason::Signal(_) | Reason::Interrupted | Reason::Aborted | Reason::Trapped => {
            write!(line, "stopped by a breakpoint instruction of the firmware")
        }
    };
    text
}
