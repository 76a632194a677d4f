//! `Z` and `z` packets: software breakpoints to the patches, the rest to the watch book.

use gdbstub::arch::Arch;
use gdbstub::target::TargetResult;
use gdbstub::target::ext::breakpoints::{
    Breakpoints, HwBreakpoint, HwBreakpointOps, HwWatchpoint, HwWatchpointOps, SwBreakpoint,
    SwBreakpointOps, WatchKind,
};

use super::machine::Machine;
use super::refusal::Refusal;
use super::{Debuggee, linear};
use crate::arbiter::{Owner, Region, Request};
use crate::dr::Condition;
use crate::watch::Kind;

impl<M: Machine, const CLAIMS: usize, const CPUS: usize, const TASKS: usize>
    Debuggee<'_, M, CLAIMS, CPUS, TASKS>
{
    fn insert(&mut self, kind: Kind, address: usize, length: usize) -> TargetResult<bool, Self> {
        let region = self.region(address, length)?;
        let Self { arbiter, machine, debugger, .. } = self;
        match debugger.watches.insert(arbiter, *machine, kind, region) {
            Ok(()) => Ok(true),
            Err(error) => Err(self.refuse(Refusal::Watch { kind, region, error })),
        }
    }

    fn remove(&mut self, kind: Kind, address: usize, length: usize) -> TargetResult<bool, Self> {
        let region = self.region(address, length)?;
        self.debugger.watches.remove(self.arbiter, kind, region);
        Ok(true)
    }

    fn region(&mut self, address: usize, length: usize) -> TargetResult<Region, Self> {
        Region::new(address, length)
            .map_err(|error| self.refuse(Refusal::Region { address, length, error }))
    }
}

impl<M: Machine, const CLAIMS: usize, const CPUS: usize, const TASKS: usize> Breakpoints
    for Debuggee<'_, M, CLAIMS, CPUS, TASKS>
{
    fn support_sw_breakpoint(&mut self) -> Option<SwBreakpointOps<'_, Self>> {
        Some(self)
    }

    fn support_hw_breakpoint(&mut self) -> Option<HwBreakpointOps<'_, Self>> {
        Some(self)
    }

    fn support_hw_watchpoint(&mut self) -> Option<HwWatchpointOps<'_, Self>> {
        Some(self)
    }
}

impl<M: Machine, const CLAIMS: usize, const CPUS: usize, const TASKS: usize> SwBreakpoint
    for Debuggee<'_, M, CLAIMS, CPUS, TASKS>
{
    fn add_sw_breakpoint(
        &mut self,
        address: <Self::Arch as Arch>::Usize,
        _kind: usize,
    ) -> TargetResult<bool, Self> {
        let address = linear::<M::Arch>(address);
        let region = self.region(address, 1)?;
        let request = Request::pinned(Owner::Debugger, region, Condition::Execute);
        if let Some(range) = self.arbiter.protection(&request) {
            return Err(self.refuse(Refusal::PatchProtected { address, range }));
        }
        let Self { machine, debugger, .. } = self;
        match debugger.patches.insert(*machine, address) {
            Ok(()) => Ok(true),
            Err(error) => Err(self.refuse(Refusal::Patch { address, error })),
        }
    }

    fn remove_sw_breakpoint(
        &mut self,
        address: <Self::Arch as Arch>::Usize,
        _kind: usize,
    ) -> TargetResult<bool, Self> {
        let address = linear::<M::Arch>(address);
        let Self { machine, debugger, .. } = self;
        match debugger.patches.remove(*machine, address) {
            Ok(()) => Ok(true),
            Err(error) => Err(self.refuse(Refusal::Patch { address, error })),
        }
    }
}

impl<M: Machine, const CLAIMS: usize, const CPUS: usize, const TASKS: usize> HwBreakpoint
    for Debuggee<'_, M, CLAIMS, CPUS, TASKS>
{
    // gdb's kind is the length of a software breakpoint on this architecture, always 1; it says
    // nothing about a hardware one.
    fn add_hw_breakpoint(
        &mut self,
        address: <Self::Arch as Arch>::Usize,
        _kind: usize,
    ) -> TargetResult<bool, Self> {
        self.insert(Kind::Execute, linear::<M::Arch>(address), 1)
    }

    fn remove_hw_breakpoint(
        &mut self,
        address: <Self::Arch as Arch>::Usize,
        _kind: usize,
    ) -> TargetResult<bool, Self> {
        self.remove(Kind::Execute, linear::<M::Arch>(address), 1)
    }
}

impl<M: Machine, const CLAIMS: usize, const CPUS: usize, const TASKS: usize> HwWatchpoint
    for Debuggee<'_, M, CLAIMS, CPUS, TASKS>
{
    fn add_hw_watchpoint(
        &mut self,
        address: <Self::Arch as Arch>::Usize,
        length: <Self::Arch as Arch>::Usize,
        kind: WatchKind,
    ) -> TargetResult<bool, Self> {
        self.insert(kind.into(), linear::<M::Arch>(address), linear::<M::Arch>(length))
    }

    fn remove_hw_watchpoint(
        &mut self,
        address: <Self::Arch as Arch>::Usize,
        length: <Self::Arch as Arch>::Usize,
        kind: WatchKind,
    ) -> TargetResult<bool, Self> {
        self.remove(kind.into(), linear::<M::Arch>(address), linear::<M::Arch>(length))
    }
}

impl From<WatchKind> for Kind {
    fn from(kind: WatchKind) -> Self {
        match kind {
            WatchKind::Write => Kind::Write,
            WatchKind::Read => Kind::Read,
            WatchKind::ReadWrite => Kind::Access,
        }
    }
}
