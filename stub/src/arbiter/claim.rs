//! What is asked for, by whom, and what is kept of it: requests, claims, handles.
//!
//! A claim is a live request. It is named by a handle that carries a generation, so that
//! a handle kept too long is refused instead of naming somebody else's claim.

use core::fmt::{self, Write};

use super::region::{Region, Widest, Windows};
use crate::dr::{Condition, Window};

/// A CPU, by the number that the firmware gave it: 0 up to the arbiter's `CPUS`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct CpuId(pub u16);

impl CpuId {
    /// The number as an index.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A task, by a number that means something to the firmware only.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TaskId(pub u32);

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task {}", self.0)
    }
}

/// Which side of the reservations an owner is on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Class {
    /// The debugger at the other end of the wire.
    Debugger,
    /// The firmware, the kernel: whatever runs on the machine.
    System,
}

impl Class {
    /// The side that this one shares with.
    pub const fn other(self) -> Class {
        match self {
            Class::Debugger => Class::System,
            Class::System => Class::Debugger,
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Class::Debugger => "debugger",
            Class::System => "system",
        })
    }
}

/// Who wants a debug register.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Owner {
    /// The debugger.
    Debugger,
    /// A part of the system, by the name that people will read: `null-guard`.
    System(&'static str),
}

impl Owner {
    /// Which side it is on.
    pub const fn class(&self) -> Class {
        match self {
            Owner::Debugger => Class::Debugger,
            Owner::System(_) => Class::System,
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Owner::Debugger => "debugger",
            Owner::System(name) => name,
        })
    }
}

/// Where a claim is armed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Scope {
    /// On every CPU, whatever it runs.
    AllCpus,
    /// On one CPU, whatever it runs.
    Cpu(CpuId),
    /// On whichever CPU runs the task.
    Task(TaskId),
    /// On one CPU, while it runs the task.
    TaskOnCpu(TaskId, CpuId),
}

impl Scope {
    /// Whether it reaches `cpu` while that runs `task` (or nothing that is a task).
    pub fn applies(&self, cpu: CpuId, task: Option<TaskId>) -> bool {
        match *self {
            Scope::AllCpus => true,
            Scope::Cpu(on) => on == cpu,
            Scope::Task(of) => Some(of) == task,
            Scope::TaskOnCpu(of, on) => Some(of) == task && on == cpu,
        }
    }

    /// The CPU that it is bound to, if any.
    pub const fn cpu(&self) -> Option<CpuId> {
        match *self {
            Scope::AllCpus | Scope::Task(_) => None,
            Scope::Cpu(cpu) | Scope::TaskOnCpu(_, cpu) => Some(cpu),
        }
    }

    /// The task that it is bound to, if any.
    pub const fn task(&self) -> Option<TaskId> {
        match *self {
            Scope::AllCpus | Scope::Cpu(_) => None,
            Scope::Task(task) | Scope::TaskOnCpu(task, _) => Some(task),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The longest has 28 characters.
        let mut text = heapless::String::<32>::new();
        match self {
            Scope::AllCpus => text.write_str("all cpus"),
            Scope::Cpu(cpu) => write!(text, "cpu {}", cpu.0),
            Scope::Task(task) => write!(text, "{task}"),
            Scope::TaskOnCpu(task, cpu) => write!(text, "{task} on cpu {}", cpu.0),
        }?;
        f.pad(&text)
    }
}

/// Whether a claim is guaranteed or takes turns.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Tenure {
    /// Armed whenever its scope runs, from the claim to the release.
    Pinned,
    /// Takes turns in the slots that no pinned claim has, with one window.
    Flexible,
}

/// What somebody asks the arbiter for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Request {
    /// Who asks.
    pub owner: Owner,
    /// Which bytes, or ports.
    pub region: Region,
    /// What to wait for.
    pub condition: Condition,
    /// Where.
    pub scope: Scope,
    /// Guaranteed or taking turns.
    pub tenure: Tenure,
}

impl Request {
    /// A guaranteed claim on every CPU: what nearly everybody wants.
    pub const fn pinned(owner: Owner, region: Region, condition: Condition) -> Request {
        Request { owner, region, condition, scope: Scope::AllCpus, tenure: Tenure::Pinned }
    }

    /// A claim that takes turns, on every CPU: for counting, see [`Count`](super::Count).
    pub const fn flexible(owner: Owner, region: Region, condition: Condition) -> Request {
        Request { owner, region, condition, scope: Scope::AllCpus, tenure: Tenure::Flexible }
    }

    pub(super) const fn windows(&self, widest: Widest) -> Windows {
        self.region.windows(self.condition, widest)
    }

    /// Whether `window` is one of those that it asks for.
    pub(super) fn has_window(&self, widest: Widest, window: &Window) -> bool {
        // The region first: most claims are elsewhere.
        self.region.contains(window.address()) && self.windows(widest).any(|own| own == *window)
    }

    /// The same request, elsewhere.
    pub const fn on(self, scope: Scope) -> Request {
        Request { scope, ..self }
    }
}

/// Names a claim, until it is released; after that it names nothing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Handle {
    pub(crate) index: u16,
    pub(crate) generation: u32,
}

/// What happens after a system owner was told of a hit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Verdict {
    /// Carry on.
    Continue,
    /// Stop in the debugger, with a message that names the owner.
    Stop,
}

/// What a system owner is told when its claim is hit.
#[derive(Clone, Copy, Debug)]
pub struct Hit<'a> {
    /// The claim that was hit.
    pub handle: Handle,
    /// The owner's name, as in the request.
    pub owner: &'static str,
    /// The region of the claim.
    pub region: Region,
    /// The condition of the claim.
    pub condition: Condition,
    /// The windows of the claim that were hit, at least one; an access that spans two
    /// windows hits both.
    pub windows: &'a [Window],
    /// The CPU that did it.
    pub cpu: CpuId,
    /// Its instruction pointer: after the access for data and I/O, at the instruction for
    /// execute breakpoints.
    pub rip: usize,
    /// How often the claim has been hit on this CPU, this time included.
    pub hits: u64,
    /// What the region held when this CPU last looked at it, from its first byte on; shorter
    /// than the region where that is not known, empty for execute and I/O.
    pub old: &'a [u8],
    /// What the region holds now, likewise.
    pub new: &'a [u8],
}

/// Called for every hit of a system claim, in the debug exception, with the CPU in the state of
/// the exception: it may look and count, but must not wait for anybody. Other CPUs run on, and may
/// be in the same handler.
pub type Handler = fn(&Hit<'_>) -> Verdict;

/// The handler of an owner that wants the debugger to stop at every hit.
pub fn stop(_: &Hit<'_>) -> Verdict {
    Verdict::Stop
}

/// The handler of an owner that only wants its hits counted.
pub fn carry_on(_: &Hit<'_>) -> Verdict {
    Verdict::Continue
}
