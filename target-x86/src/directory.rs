//! Which memory is whose: how an exception finds what its CPU has.
//!
//! By the number of the local APIC, because in an exception there is no register that could be
//! trusted; where there is room for one CPU only, nothing need be looked up.

use core::sync::atomic::{AtomicPtr, Ordering};

use tetrarch::arbiter::CpuId;

use crate::area::CpuMemory;
use crate::cpus;

/// How many numbers of local APICs there may be: those of eight bits.
const APICS: usize = 256;

/// The memory of each CPU, by the number of its local APIC; null for one that was not started.
pub(crate) static MEMORIES: [AtomicPtr<CpuMemory>; APICS] =
    [const { AtomicPtr::new(core::ptr::null_mut()) }; APICS];
/// The memory of the only CPU that can be started, or null.
pub(crate) static ONLY: AtomicPtr<CpuMemory> = AtomicPtr::new(core::ptr::null_mut());

/// Whether the stub has room for other CPUs than the one that installs it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Others {
    None,
    Some,
}

/// From now on exceptions of the CPU that executes the call find this memory.
pub(crate) fn take_over(memory: &'static CpuMemory, cpu: CpuId, others: Others) {
    memory.set_cpu(cpu);
    let pointer = (&raw const *memory).cast_mut();
    if let Some(place) = MEMORIES.get(cpus::apic_id() as usize) {
        place.store(pointer, Ordering::Release);
    }
    if others == Others::None {
        ONLY.store(pointer, Ordering::Release);
    }
}

/// Exceptions of the CPU with this local APIC find no memory any more.
pub(crate) fn forget(apic: u32) {
    if let Some(place) = MEMORIES.get(apic as usize) {
        place.store(core::ptr::null_mut(), Ordering::Release);
    }
}

/// The memory of the CPU that executes the call, if it was started.
pub(crate) fn of_this_cpu() -> Option<&'static CpuMemory> {
    let only = ONLY.load(Ordering::Acquire);
    let pointer = match only.is_null() {
        false => only,
        true => MEMORIES.get(cpus::apic_id() as usize)?.load(Ordering::Acquire),
    };
    // SAFETY: only references to statics are ever stored there.
    unsafe { pointer.as_ref() }
}
