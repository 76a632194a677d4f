//! DR7.GD: the next access to a debug register faults.

use core::arch::asm;

use tetrarch::dr::Dr7;

use crate::event::{Brief, bit};
use crate::recorder::Reaction;
use crate::verdict::{self, Verdict, same};
use crate::{Check, arm, registers};

pub const CHECKS: &[Check] =
    &[("gd-faults-at-a-write-and-clears-itself", write), ("gd-faults-at-a-read", read)];

/// General detect.
const GD: u32 = 1 << 13;

fn guarded() -> Dr7 {
    Dr7::from_bits(Dr7::OFF.bits() | GD)
}

/// The handler would never get at DR6 if GD stayed; what is written arrives
/// when the instruction runs again.
fn write() -> Verdict {
    let (events, (at, control)) = arm::controlled(Reaction::PLAIN, &[], guarded(), || {
        let at;
        // SAFETY: the slot is not armed.
        unsafe {
            asm!(
                "lea {at}, [rip + 2f]",
                "2: mov dr0, {value}",
                at = out(reg) at,
                value = in(reg) 0x1234_usize,
            );
        }
        (at, registers::control())
    });
    verdict::events(&events, &[Brief::debug(bit::ACCESS, at)])?;
    same("DR0", registers::address_zero() as u64, 0x1234)?;
    same("DR7", control, Dr7::OFF.bits().into())
}

fn read() -> Verdict {
    let (events, at) = arm::controlled(Reaction::PLAIN, &[], guarded(), || {
        let at;
        // SAFETY: reading has no effect.
        unsafe {
            asm!("lea {at}, [rip + 2f]", "2: mov {value}, dr3", at = out(reg) at, value = out(reg) _);
        }
        at
    });
    verdict::events(&events, &[Brief::debug(bit::ACCESS, at)])
}
