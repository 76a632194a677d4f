//! The debug registers of the one CPU: each MOV is counted.
//!
//! MOV to or from a debug register is #GP outside ring 0; these images run in ring 0. The crate
//! `x86` has the functions for DR0–DR3 and DR7, and each is a barrier to the compiler. Its `Dr6`
//! does not know all bits, so DR6 is read and written here.

use core::arch::asm;

use tetrarch::dr::{Dr6, Dr7, Slot};
use tetrarch::machine::DebugRegisters;
use x86::debugregs as raw;

pub struct Registers {
    written: u32,
}

impl Registers {
    pub const NEW: Self = Self { written: 0 };

    /// How many MOVs to a debug register there have been.
    pub fn written(&self) -> u32 {
        self.written
    }

    /// Why the debug exception came, and what was armed.
    pub fn read(&self) -> (Dr6, Dr7) {
        let status: u64;
        // SAFETY: reading has no effect; without `nomem`, so that it stays where it is.
        unsafe { asm!("mov {}, dr6", out(reg) status, options(nostack, preserves_flags)) };
        // SAFETY: reading has no effect.
        let control = unsafe { raw::dr7() };
        // The upper halves read as zero.
        (Dr6::from_bits(status as u32), Dr7::from_bits(control.0 as u32))
    }

    /// Has DR6 tell of the next exception only.
    pub fn reset_status(&mut self) {
        self.written += 1;
        let status = u64::from(Dr6::RESET.bits());
        // SAFETY: a 1 in the upper half would be #GP, and the value has 32 bits.
        unsafe { asm!("mov dr6, {}", in(reg) status, options(nostack, preserves_flags)) };
    }
}

impl DebugRegisters for Registers {
    fn write_address(&mut self, slot: Slot, address: usize) {
        self.written += 1;
        match slot {
            // SAFETY: what is armed is never accessed, except by `stray`, which has a handler.
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
        self.written += 1;
        // SAFETY: a 1 in the upper half would be #GP, and the value has 32 bits. Otherwise as
        // for DR0.
        unsafe { raw::dr7_write(raw::Dr7(control.bits() as usize)) }
    }
}
