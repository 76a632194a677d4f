//! Why a request was refused: with figures, for people and for programs.
//!
//! A refusal says all of it at once — how many windows are needed, how many are available,
//! who holds the rest, what is kept for whom — because whoever reads it at a serial
//! console cannot ask again. It borrows nothing and allocates nothing, which makes it
//! large; refusals are rare and never on a hot path.

use core::fmt;

use super::claim::{Class, CpuId, Handle, Owner, TaskId, Tenure};
use crate::dr::Window;

/// Why a request was refused. Nothing was changed.
#[expect(clippy::large_enum_variant, reason = "the figures, without allocation")]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Rejection {
    /// An execute breakpoint covers exactly one byte, not so many.
    ExecuteLength(usize),
    /// I/O breakpoints need CR4.DE.
    IoUnavailable,
    /// There are 65 536 ports.
    PortRange,
    /// A hit there would recurse for ever; this is the name of the range.
    Protected(&'static str),
    /// Too few slots.
    Full(Shortage),
    /// The arbiter's table of claims is full: it has so many entries.
    TableFull(usize),
    /// There is no CPU with this number.
    NoSuchCpu(CpuId),
    /// So many tasks have claims already: no more can be kept apart.
    TooManyTasks(usize),
    /// A claim that takes turns has exactly one window, not so many.
    FlexibleWindows(usize),
    /// The claim would become a second copy of this one of the debugger's.
    Duplicate(Handle),
    /// The handle names no claim (any more).
    StaleHandle,
}

/// Too few slots on some CPU.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Shortage {
    /// The side that asked.
    pub class: Class,
    /// Whether it asked for a guaranteed claim or for turns.
    pub tenure: Tenure,
    /// A CPU on which the request does not fit.
    pub cpu: CpuId,
    /// And the task that must run there for it not to fit, if it is one's.
    pub task: Option<TaskId>,
    /// How many windows the request needs, shared ones included; if it asked for turns, how
    /// many slots are to be kept for all who take turns.
    pub needed: usize,
    /// How many claims of one new window each would still be admitted, with this owner
    /// and scope.
    pub available: usize,
    /// How many slots nobody uses that are kept for others all the same.
    pub kept: usize,
    /// Who holds which slot of that CPU.
    pub holders: [Option<Holder>; 4],
}

/// What a slot is taken by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Holder {
    /// What the slot watches.
    pub window: Window,
    /// The first of its owners.
    pub owner: Owner,
    /// How many more claims share it.
    pub others: usize,
    /// Armed, or only counted.
    pub state: HolderState,
}

/// Whether a slot that is taken does anything.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum HolderState {
    /// Armed whenever the CPU runs.
    Armed,
    /// Released by the debugger for the time being; counted, not armed.
    Held,
    /// Switched off by its owner; counted, not armed.
    Disabled,
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rejection::ExecuteLength(length) => {
                write!(f, "an execute breakpoint covers exactly 1 byte, not {length}")
            }
            Rejection::IoUnavailable => {
                f.write_str("i/o breakpoints need CR4.DE, which is not set")
            }
            Rejection::PortRange => f.write_str("i/o ports end at 0xffff"),
            Rejection::Protected(name) => {
                write!(f, "overlaps the protected range {name}, where a hit would recurse for ever")
            }
            Rejection::Full(shortage) => shortage.fmt(f),
            Rejection::TableFull(entries) => {
                write!(f, "all {entries} entries of the table of claims are in use")
            }
            Rejection::NoSuchCpu(cpu) => write!(f, "there is no cpu {}", cpu.0),
            Rejection::TooManyTasks(tasks) => {
                write!(f, "{tasks} tasks have claims, and there is room for no more")
            }
            Rejection::FlexibleWindows(count) => write!(
                f,
                "a claim that takes turns is for one debug register, and this needs {count}"
            ),
            Rejection::Duplicate(_) => {
                f.write_str("the debugger has a claim with the same region, condition and scope")
            }
            Rejection::StaleHandle => f.write_str("the claim was released before"),
        }
    }
}

impl core::error::Error for Rejection {}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let registers = if self.needed == 1 { "register" } else { "registers" };
        let are = if self.available == 1 { "is" } else { "are" };
        match self.tenure {
            Tenure::Pinned => write!(f, "needs {} debug {registers}, ", self.needed)?,
            Tenure::Flexible => write!(
                f,
                "{} debug {registers} would be kept for claims that take turns, ",
                self.needed
            )?,
        }
        write!(
            f,
            "{} {are} available to the {} on cpu {}",
            self.available, self.class, self.cpu.0
        )?;
        if let Some(task) = self.task {
            write!(f, " in {task}")?;
        }
        write!(f, ", {} kept for others", self.kept)?;
        for (slot, holder) in self.holders.iter().enumerate() {
            if let Some(holder) = holder {
                write!(f, "; slot {slot}: {holder}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}", self.window, self.owner)?;
        if self.others > 0 {
            write!(f, " and {} more", self.others)?;
        }
        match self.state {
            HolderState::Armed => Ok(()),
            HolderState::Held => f.write_str(" (held)"),
            HolderState::Disabled => f.write_str(" (disabled)"),
        }
    }
}
