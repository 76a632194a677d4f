//! INT3, ICEBP, and what a fault pushes.

use core::arch::asm;

use crate::event::{Brief, flag};
use crate::recorder::vector;
use crate::verdict::{self, Verdict};
use crate::{Check, arm};

pub const CHECKS: &[Check] = &[
    ("int3-is-bp-behind-it", int3),
    ("icebp-is-db-without-hit-bits", icebp),
    ("fault-pushes-rf", rf),
    ("fault-in-a-step-pushes-tf-and-is-no-step", tf),
];

fn int3() -> Verdict {
    let (events, next) = arm::with(&[], || {
        let next;
        // SAFETY: the recorder handles it.
        unsafe { asm!("int3", "2:", "lea {}, [rip + 2b]", out(reg) next) };
        next
    });
    verdict::events(&events, &[Brief::exception(vector::BREAKPOINT, next, 0)])
}

/// The byte F1: #DB, a trap.
fn icebp() -> Verdict {
    let (events, next) = arm::with(&[], || {
        let next;
        // SAFETY: the recorder handles it; where it is an invalid opcode, at the label too.
        unsafe {
            asm!(
                "lea r11, [rip + 2f]",
                ".byte 0xF1",
                "2:",
                "mov {}, r11",
                out(reg) next,
                out("r11") _,
            );
        }
        next
    });
    verdict::events(&events, &[Brief::debug(0, next)])
}

fn rf() -> Verdict {
    let (events, at) = arm::with(&[], || {
        let at;
        // SAFETY: the recorder handles it.
        unsafe {
            asm!(
                "lea {at}, [rip + 2f]",
                "lea r11, [rip + 3f]",
                "2: ud2",
                "3:",
                at = out(reg) at,
                out("r11") _,
            );
        }
        at
    });
    verdict::events(&events, &[Brief::exception(vector::INVALID_OPCODE, at, flag::RESUME)])
}

/// An instruction that faults has no step's trap; the handler runs with TF clear.
fn tf() -> Verdict {
    let (events, at) = arm::with(&[], || {
        let at;
        // SAFETY: what is pushed is popped; the recorder handles the fault and clears TF.
        unsafe {
            asm!(
                "lea {at}, [rip + 2f]",
                "lea r11, [rip + 3f]",
                "pushfq",
                "or qword ptr [rsp], 0x100",
                "popfq",
                "2: ud2",
                "3:",
                at = out(reg) at,
                out("r11") _,
            );
        }
        at
    });
    let expected = Brief::exception(vector::INVALID_OPCODE, at, flag::TRAP);
    verdict::events_but_rf(&events, &[expected])
}
