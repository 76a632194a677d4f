//! MOV to and from the debug registers; nothing else.
//!
//! Every access here is a barrier to the compiler: none of the assembly says `nomem`, so a
//! watched store stays between the write that arms and the write that disarms. The `x86`
//! crate's functions for DR0–DR3 and DR7 are such barriers too. Its `Dr6` type drops the
//! active-low and the reserved bits, so DR6 is read and written here.
//!
//! MOV to or from a debug register is #GP outside ring 0. All of this crate runs in ring 0,
//! which is the first promise that [`Stub::install`](crate::Stub::install) asks for.

use core::arch::asm;

use tetrarch::dr::{Dr6, Dr7, Slot};
use tetrarch::machine::DebugRegisters;
use x86::debugregs as raw;

/// The registers of the CPU that executes the call, each write taking effect at once.
pub(crate) struct Registers;

impl DebugRegisters for Registers {
    fn write_address(&mut self, slot: Slot, address: usize) {
        match slot {
            // SAFETY: outside ring 0 this is #GP; the installer guarantees ring 0. What it
            // arms is the arbiter's decision, which refuses what the exception path needs.
            Slot::Zero => unsafe { raw::dr0_write(address) },
            // SAFETY: as for DR0.
            Slot::One => unsafe { raw::dr1_write(address) },
            // SAFETY: as for DR0.
            Slot::Two => unsafe { raw::dr2_write(address) },
            // SAFETY: as for DR0.
            Slot::Three => unsafe { raw::dr3_write(address) },
        }
    }

    fn write_control(&mut self, control: Dr7) {
        // SAFETY: a 1 in the upper half would be #GP, and the value has 32 bits. Otherwise as
        // for DR0.
        unsafe { raw::dr7_write(raw::Dr7(control.bits() as usize)) }
    }
}

/// What DR7 holds now.
pub(crate) fn control() -> Dr7 {
    // SAFETY: reading has no effect; #GP outside ring 0, which the installer guarantees.
    let value = unsafe { raw::dr7() };
    // The upper half reads as zero.
    Dr7::from_bits(value.0 as u32)
}

/// What DR0–DR3 hold now.
pub(crate) fn addresses() -> [usize; 4] {
    Slot::ALL.map(|slot| match slot {
        // SAFETY: reading has no effect; #GP outside ring 0, which the installer guarantees.
        Slot::Zero => unsafe { raw::dr0() },
        // SAFETY: as for DR0.
        Slot::One => unsafe { raw::dr1() },
        // SAFETY: as for DR0.
        Slot::Two => unsafe { raw::dr2() },
        // SAFETY: as for DR0.
        Slot::Three => unsafe { raw::dr3() },
    })
}

/// Reads DR6 and writes its reset value back.
///
/// The processor sets BD, BS and BT and never clears them, so this is done once for every
/// #DB, before anything else (Intel SDM vol. 3, 18.2.3).
pub(crate) fn take_status() -> Dr6 {
    let status: u64;
    // SAFETY: reading has no effect; #GP outside ring 0, which the installer guarantees.
    unsafe { asm!("mov {}, dr6", out(reg) status, options(nostack, preserves_flags)) };
    let reset = u64::from(Dr6::RESET.bits());
    // SAFETY: the reset value is what the processor itself starts with; no other can follow.
    unsafe { asm!("mov dr6, {}", in(reg) reset, options(nostack, preserves_flags)) };
    Dr6::from_bits(status as u32)
}
