//! `m`, `M`, `X` and the memory map.
//!
//! Reads return the readable part, as the protocol allows, and nothing readable is an error.
//! A write is all or an error; the bytes before the first unwritable one are written all the
//! same, because no stub can know that beforehand without a second walk over the pages. Where the
//! stub itself would be changed, its tables, its state or its code, nothing is written at all.

use gdbstub::arch::Arch;
use gdbstub::target::TargetResult;
use gdbstub::target::ext::memory_map::MemoryMap;

use super::machine::Machine;
use super::refusal::Refusal;
use super::{Debuggee, linear};
use crate::arbiter::Region;

impl<M: Machine, const CLAIMS: usize, const CPUS: usize, const TASKS: usize>
    Debuggee<'_, M, CLAIMS, CPUS, TASKS>
{
    pub(super) fn read_memory(
        &mut self,
        address: <M::Arch as Arch>::Usize,
        into: &mut [u8],
    ) -> TargetResult<usize, Self> {
        let address = linear::<M::Arch>(address);
        let length = into.len();
        let read = self.machine.read(address, into).min(length);
        if read == 0 && length > 0 {
            return Err(self.refuse(Refusal::Read { address }));
        }
        self.debugger.patches.hide(address, into.get_mut(..read).unwrap_or_default());
        Ok(read)
    }

    pub(super) fn write_memory(
        &mut self,
        address: <M::Arch as Arch>::Usize,
        bytes: &[u8],
    ) -> TargetResult<(), Self> {
        let address = linear::<M::Arch>(address);
        let region = Region::new(address, bytes.len()).ok();
        if let Some(range) = region.and_then(|region| self.arbiter.protected_range(&region)) {
            return Err(self.refuse(Refusal::WriteProtected { address, range }));
        }
        let Self { machine, debugger, .. } = self;
        let written = machine.write(address, bytes).min(bytes.len());
        let done = bytes.get(..written).unwrap_or_default();
        debugger.patches.settle(*machine, address, done);
        if written < bytes.len() {
            let address = address.wrapping_add(written);
            return Err(self.refuse(Refusal::Write { address }));
        }
        Ok(())
    }
}

impl<M: Machine, const CLAIMS: usize, const CPUS: usize, const TASKS: usize> MemoryMap
    for Debuggee<'_, M, CLAIMS, CPUS, TASKS>
{
    fn memory_map_xml(
        &self,
        offset: u64,
        length: usize,
        into: &mut [u8],
    ) -> TargetResult<usize, Self> {
        let map = self.firmware.memory_map.as_bytes();
        let rest = usize::try_from(offset).ok().and_then(|offset| map.get(offset..));
        let rest = rest.unwrap_or_default();
        let count = rest.len().min(length).min(into.len());
        for (to, from) in into.iter_mut().zip(rest.iter().take(count)) {
            *to = *from;
        }
        Ok(count)
    }
}

/// The map for firmware that has not given one: all of it can be read and written.
///
/// Without a map gdb would think the same; with one that leaves something out it refuses to
/// look there at all.
pub(crate) const EVERYTHING: &str = "<memory-map><memory type=\"ram\" start=\"0x0\" \
     length=\"0xffffffffffffffff\"/></memory-map>";
