//! Single steps: where the trap comes, and who sees TF.

use core::arch::asm;

use crate::event::{Brief, flag};
use crate::recorder::{Reaction, vector};
use crate::verdict::{self, Verdict, same};
use crate::{Check, arm, stepped};

pub const CHECKS: &[Check] = &[
    ("step-traps-after-one-instruction", one),
    ("steps-trap-after-each-instruction", three),
    ("step-of-pushf-pushes-tf", pushf),
    ("step-of-popf-that-clears-tf-traps", popf),
    ("step-of-sti-is-not-delayed", sti),
    ("step-of-int-pushes-tf-and-skips-the-handler", int),
];

fn one() -> Verdict {
    let (events, next) = arm::with(&[], stepped::nothing);
    verdict::events(&events, &[Brief::step(0, next)])
}

fn three() -> Verdict {
    let reaction = Reaction { steps: 3, ..Reaction::PLAIN };
    let (events, next) = arm::reacting(reaction, &[], || {
        let (first, second, third): (usize, usize, usize);
        // SAFETY: what is pushed is popped; TF is cleared by the recorder.
        unsafe {
            asm!(
                "lea {first}, [rip + 2f]",
                "lea {second}, [rip + 3f]",
                "lea {third}, [rip + 4f]",
                "pushfq",
                "or qword ptr [rsp], 0x100",
                "popfq",
                "nop",
                "2: nop",
                "3: nop",
                "4:",
                first = out(reg) first,
                second = out(reg) second,
                third = out(reg) third,
            );
        }
        [first, second, third]
    });
    verdict::events(&events, &next.map(|next| Brief::step(0, next)))
}

fn pushf() -> Verdict {
    let (events, (next, flags)) = arm::with(&[], || {
        let next;
        let flags: u64;
        // SAFETY: what is pushed is popped; TF is cleared by the recorder.
        unsafe {
            asm!(
                "pushfq",
                "or qword ptr [rsp], 0x100",
                "popfq",
                "pushfq",
                "2: pop {flags}",
                "lea {next}, [rip + 2b]",
                flags = out(reg) flags,
                next = out(reg) next,
            );
        }
        (next, flags)
    });
    verdict::events(&events, &[Brief::step(0, next)])?;
    same("TF as pushed", flags & flag::TRAP, flag::TRAP)
}

/// TF counts as it was when the instruction began. The frame has what POPF loaded.
fn popf() -> Verdict {
    let (events, next) = arm::with(&[], || {
        let next;
        // SAFETY: what is pushed is popped, and TF is clear in the end.
        unsafe {
            asm!(
                "pushfq",
                "pushfq",
                "or qword ptr [rsp], 0x100",
                "popfq",
                "popfq",
                "2:",
                "lea {next}, [rip + 2b]",
                next = out(reg) next,
            );
        }
        next
    });
    verdict::events(&events, &[Brief { flags: 0, ..Brief::step(0, next) }])
}

/// STI holds back interrupts until after the next instruction, but not a step's trap.
fn sti() -> Verdict {
    let (events, next) = arm::with(&[], || {
        let next;
        // SAFETY: what is pushed is popped, and TF and IF are clear in the end; an interrupt
        // in between is the timer's, which has its handler.
        unsafe {
            asm!(
                "pushfq",
                "or qword ptr [rsp], 0x100",
                "popfq",
                "sti",
                "2: cli",
                "lea {next}, [rip + 2b]",
                next = out(reg) next,
            );
        }
        next
    });
    verdict::events(&events, &[Brief::step(0, next)])
}

/// The handler runs with TF clear; IRET loads it again, and the trap comes an instruction later.
fn int() -> Verdict {
    let (events, [after, next]) = arm::with(&[], || {
        let (after, next);
        // SAFETY: what is pushed is popped; TF is cleared by the recorder, which also handles
        // the software interrupt.
        unsafe {
            asm!(
                "lea {after}, [rip + 2f]",
                "lea {next}, [rip + 3f]",
                "pushfq",
                "or qword ptr [rsp], 0x100",
                "popfq",
                "int {number}",
                "2: nop",
                "3:",
                after = out(reg) after,
                next = out(reg) next,
                number = const vector::SOFTWARE,
            );
        }
        [after, next]
    });
    let interrupt = Brief::exception(vector::SOFTWARE, after, flag::TRAP);
    verdict::events(&events, &[interrupt, Brief::step(0, next)])
}
