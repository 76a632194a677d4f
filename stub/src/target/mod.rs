//! The stopped machine as gdbstub wants to see it: one file a concern.
//!
//! A `Debuggee` lives for one packet. It borrows everything: the arbiter, the hardware, and
//! what the client has set up so far. gdbstub calls its methods; none of them can fail for
//! good, because its error type has no values. What the client asks for in vain is answered by
//! an errno, and the reason is kept for `monitor why`, the only place where gdb shows one.

mod breakpoints;
mod machine;
mod memory;
pub mod monitor;
pub(crate) mod refusal;
mod refusals;
mod registers;
mod resume;

use core::convert::Infallible;
use core::num::NonZeroUsize;

use gdbstub::arch::Arch;
use gdbstub::common::Tid;
use gdbstub::target::Target;
use gdbstub::target::ext::base::BaseOps;
use gdbstub::target::ext::breakpoints::BreakpointsOps;
use gdbstub::target::ext::memory_map::MemoryMapOps;
use gdbstub::target::ext::monitor_cmd::MonitorCmdOps;
use num_traits::NumCast;

use crate::arbiter::{Arbiter, Class, CpuId};
use crate::link::Transport;
use crate::machine::Memory;
use crate::patch::Patches;
use crate::stop::StopText;
use crate::watch::WatchBook;
use monitor::Command;
use refusal::Refusal;
pub(crate) use refusals::Refusals;
use resume::Orders;

pub use machine::{CpuState, Machine, RegisterError};
pub(crate) use memory::EVERYTHING;
pub(crate) use resume::{Action, Actions};

/// What one client has set up; it ends with that client.
pub(crate) struct Debugger<const CPUS: usize> {
    pub watches: WatchBook,
    pub patches: Patches,
    pub orders: Orders<CPUS>,
    pub refusals: Refusals,
}

impl<const CPUS: usize> Debugger<CPUS> {
    pub const fn new() -> Self {
        Self {
            watches: WatchBook::new(),
            patches: Patches::new(),
            orders: Orders::new(),
            refusals: Refusals::new(),
        }
    }

    /// Takes back everything that this client has set up, and nothing else.
    pub fn clear<const CLAIMS: usize, const TASKS: usize>(
        &mut self,
        arbiter: &mut Arbiter<CLAIMS, CPUS, TASKS>,
        memory: &mut impl Memory,
    ) {
        self.patches.remove_all(memory);
        self.watches.clear();
        arbiter.release_class(Class::Debugger);
        self.orders = Orders::new();
        self.refusals = Refusals::new();
    }
}

/// What the firmware has said about itself, for as long as it runs.
#[derive(Clone, Copy)]
pub(crate) struct Firmware {
    pub commands: &'static [Command],
    pub memory_map: &'static str,
    pub transport: Transport,
    /// Takes what is typed on the line while no client is there.
    pub reader: Option<fn(u8)>,
}

/// One packet's view of everything that a packet may touch.
pub(crate) struct Debuggee<'a, M, const CLAIMS: usize, const CPUS: usize, const TASKS: usize> {
    pub arbiter: &'a mut Arbiter<CLAIMS, CPUS, TASKS>,
    pub machine: &'a mut M,
    pub debugger: &'a mut Debugger<CPUS>,
    pub firmware: Firmware,
    /// Whose stop it is.
    pub stopped: CpuId,
    /// How much a `monitor` command may print, in bytes, so that its reply still fits.
    pub console: usize,
    pub stop_text: &'a StopText,
    /// The CPU that the client looks at.
    pub selected: CpuId,
}

impl<M: Machine, const CLAIMS: usize, const CPUS: usize, const TASKS: usize>
    Debuggee<'_, M, CLAIMS, CPUS, TASKS>
{
    /// Remembers why, and gives the errno to answer with.
    fn refuse(&mut self, refusal: Refusal) -> gdbstub::target::TargetError<Infallible> {
        let errno = refusal.errno();
        self.debugger.refusals.note(refusal);
        gdbstub::target::TargetError::Errno(errno)
    }
}

/// An address in gdb's word size as one of ours; the fence has checked that it fits.
fn linear<A: Arch>(address: A::Usize) -> usize {
    NumCast::from(address).unwrap_or(usize::MAX)
}

/// gdb numbers threads from 1, CPUs start at 0.
pub(crate) fn thread_of(cpu: CpuId) -> Tid {
    NonZeroUsize::MIN.saturating_add(cpu.0.into())
}

pub(crate) fn cpu_of(thread: Tid) -> CpuId {
    CpuId(u16::try_from(thread.get() - 1).unwrap_or(u16::MAX))
}

impl<M: Machine, const CLAIMS: usize, const CPUS: usize, const TASKS: usize> Target
    for Debuggee<'_, M, CLAIMS, CPUS, TASKS>
{
    type Arch = M::Arch;
    type Error = Infallible;

    fn base_ops(&mut self) -> BaseOps<'_, Self::Arch, Self::Error> {
        BaseOps::MultiThread(self)
    }

    fn support_breakpoints(&mut self) -> Option<BreakpointsOps<'_, Self>> {
        Some(self)
    }

    fn support_monitor_cmd(&mut self) -> Option<MonitorCmdOps<'_, Self>> {
        Some(self)
    }

    fn support_memory_map(&mut self) -> Option<MemoryMapOps<'_, Self>> {
        Some(self)
    }

    // What is offered; the packet itself does not come here.
    fn use_no_ack_mode(&self) -> bool {
        match self.firmware.transport {
            Transport::Lossy => false,
            Transport::Reliable => true,
        }
    }

    // There are no processes to fork.
    fn use_fork_stop_reason(&self) -> bool {
        false
    }

    fn use_vfork_stop_reason(&self) -> bool {
        false
    }

    fn use_vforkdone_stop_reason(&self) -> bool {
        false
    }
}
