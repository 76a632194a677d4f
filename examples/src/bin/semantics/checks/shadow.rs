//! MOV SS, which holds back debug exceptions until after the next instruction.

use core::arch::asm;

use tetrarch::dr::{Condition, Length};

use crate::Check;
use crate::arm::{self, Told};
use crate::event::{Brief, bit};
use crate::page::WATCHED;
use crate::recorder::{self, vector};
use crate::verdict::{self, Verdict};

pub const CHECKS: &[Check] = &[
    ("mov-ss-delays-its-own-hit", own_hit),
    ("mov-ss-does-not-delay-the-next-hit", next_hit),
    ("mov-ss-delays-a-step", step),
    ("mov-ss-then-int-traps-in-the-handler", int),
];

/// Where the selector lies that is loaded.
const START: usize = 768;

/// Puts the selector there, and gives what watches it being read.
fn selector() -> Told {
    let address = WATCHED.at(START);
    // SAFETY: the memory is the checks' own.
    unsafe { asm!("mov word ptr [{}], ss", in(reg) address) };
    (address, Length::Two, Condition::ReadWrite)
}

/// MOV SS reads what is watched; the exception comes an instruction later.
fn own_hit() -> Verdict {
    let (events, next) = arm::with(&[selector()], || {
        let next;
        // SAFETY: the selector is what SS holds already.
        unsafe {
            asm!(
                "mov ss, word ptr [{}]",
                "nop",
                "2:",
                "lea {}, [rip + 2b]",
                in(reg) WATCHED.at(START),
                out(reg) next,
            );
        }
        next
    });
    verdict::events(&events, &[Brief::debug(bit::ZERO, next)])
}

/// What the instruction after it hits is told where it would be anyway.
fn next_hit() -> Verdict {
    let told = arm::write(WATCHED.at(START));
    let (events, next) = arm::with(&[told], || {
        let next;
        // SAFETY: the selector is what SS holds already; the memory is the checks' own.
        unsafe {
            asm!(
                "mov {1:e}, ss",
                "mov ss, {1:e}",
                "mov byte ptr [{0}], 0",
                "2: nop",
                "lea {1}, [rip + 2b]",
                in(reg) WATCHED.at(START),
                out(reg) next,
            );
        }
        next
    });
    verdict::events(&events, &[Brief::debug(bit::ZERO, next)])
}

fn step() -> Verdict {
    let (events, next) = arm::with(&[], || {
        let next;
        // SAFETY: the selector is what SS holds already; what is pushed is popped; TF is
        // cleared by the recorder.
        unsafe {
            asm!(
                "mov {0:e}, ss",
                "pushfq",
                "or qword ptr [rsp], 0x100",
                "popfq",
                "mov ss, {0:e}",
                "nop",
                "2:",
                "lea {0}, [rip + 2b]",
                out(reg) next,
            );
        }
        next
    });
    verdict::events(&events, &[Brief::step(0, next)])
}

/// The exception comes at the handler's first instruction, and so is recorded before the
/// interrupt.
fn int() -> Verdict {
    let (events, next) = arm::with(&[selector()], || {
        let next;
        // SAFETY: the selector is what SS holds already; the recorder handles the interrupt.
        unsafe {
            asm!(
                "mov ss, word ptr [{}]",
                "int {}",
                "2:",
                "lea {}, [rip + 2b]",
                in(reg) WATCHED.at(START),
                const vector::SOFTWARE,
                out(reg) next,
            );
        }
        next
    });
    let hit = Brief::debug(bit::ZERO, recorder::software_entry_address());
    verdict::events(&events, &[hit, Brief::exception(vector::SOFTWARE, next, 0)])
}
