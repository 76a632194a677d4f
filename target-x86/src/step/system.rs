//! The firmware's side of the CPU: what an instruction that is carried out here looks at.

use core::ops::Not;

use crate::registers::processor;
use crate::tables::{self, DescriptorTable};

/// EFER.SCE: SYSCALL is enabled.
const EFER_SCE: u64 = 1 << 0;
const STAR: u32 = 0xc000_0081;
const LSTAR: u32 = 0xc000_0082;
const SFMASK: u32 = 0xc000_0084;

/// Tables and registers as the firmware loaded them, by value, so that everything which
/// depends on them can be tried out anywhere.
#[derive(Clone, Copy, Debug)]
pub struct System {
    /// The firmware's IDT: not the stub's own, if that is loaded.
    pub idt: DescriptorTable,
    /// The GDT.
    pub gdt: DescriptorTable,
    /// TR.
    pub task: u16,
    /// Where SYSCALL leads, or `None` where it is #UD.
    pub syscall: Option<SyscallTarget>,
    /// Base of FS.
    pub fs_base: u64,
    /// Base of GS.
    pub gs_base: u64,
    /// How many bits of a linear address count: 48, or 57 with five-level paging.
    pub address_bits: u32,
    /// Whether a gate that leads to this address leads into the stub.
    pub is_ours: fn(u64) -> bool,
}

/// The model-specific registers of SYSCALL.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SyscallTarget {
    /// IA32_STAR: the code selector in bits 47:32.
    pub star: u64,
    /// IA32_LSTAR: the address.
    pub entry: u64,
    /// IA32_FMASK: flags to clear.
    pub mask: u64,
}

impl System {
    /// Reads everything but the IDT from the CPU that executes this. Supervisor mode only.
    pub fn of_this_cpu(idt: DescriptorTable, is_ours: fn(u64) -> bool) -> System {
        System {
            idt,
            gdt: tables::store_gdt(),
            task: tables::store_task(),
            syscall: syscall_target(),
            fs_base: msr(processor::FS_BASE),
            gs_base: msr(processor::GS_BASE),
            address_bits: processor::address_bits(),
            is_ours,
        }
    }
}

fn syscall_target() -> Option<SyscallTarget> {
    if msr(processor::EFER) & EFER_SCE == 0 {
        return None;
    }
    Some(SyscallTarget { star: msr(STAR), entry: msr(LSTAR), mask: msr(SFMASK) })
}

/// Registers that every processor with 64-bit mode has; 0 if a hypervisor disagrees.
fn msr(number: u32) -> u64 {
    processor::read_msr(number).unwrap_or(0)
}

/// Whether the bits of `address` above the `bits` that count repeat the highest of these.
pub fn is_canonical(address: u64, bits: u32) -> bool {
    let high = address as i64 >> bits.clamp(1, 64).saturating_sub(1);
    high == 0 || high.not() == 0
}
