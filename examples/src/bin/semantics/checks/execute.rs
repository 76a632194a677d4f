//! Execute breakpoints, and RF, which lets an instruction run in spite of one.

use core::arch::global_asm;

use tetrarch::dr::{Condition, Length};

use crate::Check;
use crate::arm::{self, execute};
use crate::event::{Brief, bit, flag};
use crate::page::WATCHED;
use crate::recorder::Reaction;
use crate::verdict::{self, Verdict, same};

pub const CHECKS: &[Check] = &[
    ("execute-breakpoint-is-a-fault-and-rf-gets-past-it", once),
    ("execute-breakpoint-without-rf-faults-again", again),
    ("rf-is-for-one-instruction", neighbours),
    ("popf-does-not-load-rf", popf),
    ("execute-breakpoint-at-a-prefix-hits", at_prefix),
    ("execute-breakpoint-behind-a-prefix-misses", behind_prefix),
    ("execute-breakpoint-then-step", then_step),
    ("execute-breakpoint-and-data-hit-in-one-instruction", with_data),
    ("execute-breakpoint-at-rep-hits-once", at_rep),
];

unsafe extern "C" {
    /// Counts from its argument, twice.
    fn count(from: u64) -> u64;
    static count_first: u8;
    static count_second: u8;
    /// Sets RF with POPF and then gives 1.
    fn count_after_popf() -> u64;
    static count_popped: u8;
    /// Increments a word with an instruction that has a prefix.
    fn locked(word: usize);
    static locked_prefix: u8;
    static locked_end: u8;
    /// Gives 1, with TF set before the instruction that does it.
    fn count_stepped() -> u64;
    static count_in_step: u8;
    static count_in_step_end: u8;
    /// Fills 8 bytes with a string instruction.
    fn fill(bytes: usize);
    static fill_rep: u8;
}

/// The addresses of the instructions in `count`.
fn counting() -> [usize; 2] {
    [&raw const count_first as usize, &raw const count_second as usize]
}

/// RIP is at the instruction, RF is not set in the frame, and it has not run.
fn once() -> Verdict {
    let [first, _] = counting();
    let (events, counted) = arm::with(&[execute(first)], || {
        // SAFETY: it keeps to the C calling convention.
        unsafe { count(0) }
    });
    verdict::events(&events, &[Brief::debug(bit::ZERO, first)])?;
    same("the count", counted, 2)
}

fn again() -> Verdict {
    let [first, _] = counting();
    let reaction = Reaction { repeats: 2, ..Reaction::PLAIN };
    let (events, counted) = arm::reacting(reaction, &[execute(first)], || {
        // SAFETY: it keeps to the C calling convention.
        unsafe { count(0) }
    });
    verdict::events(&events, &[Brief::debug(bit::ZERO, first); 3])?;
    same("the count", counted, 2)
}

/// There is a breakpoint at the next instruction too.
fn neighbours() -> Verdict {
    let [first, second] = counting();
    let (events, counted) = arm::with(&[execute(first), execute(second)], || {
        // SAFETY: it keeps to the C calling convention.
        unsafe { count(0) }
    });
    verdict::events(&events, &[Brief::debug(bit::ZERO, first), Brief::debug(bit::ONE, second)])?;
    same("the count", counted, 2)
}

fn popf() -> Verdict {
    let at = &raw const count_popped as usize;
    let (events, counted) = arm::with(&[execute(at)], || {
        // SAFETY: it keeps to the C calling convention.
        unsafe { count_after_popf() }
    });
    verdict::events(&events, &[Brief::debug(bit::ZERO, at)])?;
    same("the count", counted, 1)
}

/// The address of an instruction is that of its first prefix.
fn at_prefix() -> Verdict {
    let at = &raw const locked_prefix as usize;
    let (events, ()) = arm::with(&[execute(at)], || {
        // SAFETY: it keeps to the C calling convention, and the memory is the checks' own.
        unsafe { locked(WATCHED.at(0)) }
    });
    verdict::events(&events, &[Brief::debug(bit::ZERO, at)])
}

fn behind_prefix() -> Verdict {
    let at = &raw const locked_prefix as usize + 1;
    let (events, ()) = arm::with(&[execute(at)], || {
        // SAFETY: it keeps to the C calling convention, and the memory is the checks' own.
        unsafe { locked(WATCHED.at(0)) }
    });
    verdict::events(&events, &[])
}

/// With TF set the breakpoint comes first, with TF in its frame, and the step's trap after it.
fn then_step() -> Verdict {
    let at = &raw const count_in_step as usize;
    let (events, counted) = arm::with(&[execute(at)], || {
        // SAFETY: it keeps to the C calling convention; the recorder clears TF.
        unsafe { count_stepped() }
    });
    let breakpoint = Brief { flags: flag::TRAP, ..Brief::debug(bit::ZERO, at) };
    let step = Brief::step(0, &raw const count_in_step_end as usize);
    verdict::events(&events, &[breakpoint, step])?;
    same("the count", counted, 1)
}

/// The instruction that a breakpoint is at writes what is watched: two exceptions.
fn with_data() -> Verdict {
    let at = &raw const locked_prefix as usize;
    let end = &raw const locked_end as usize;
    let told = [execute(at), (WATCHED.at(0), Length::Eight, Condition::Write)];
    let (events, ()) = arm::with(&told, || {
        // SAFETY: it keeps to the C calling convention, and the memory is the checks' own.
        unsafe { locked(WATCHED.at(0)) }
    });
    verdict::events(&events, &[Brief::debug(bit::ZERO, at), Brief::debug(bit::ONE, end)])
}

/// RF holds for all iterations.
fn at_rep() -> Verdict {
    let at = &raw const fill_rep as usize;
    let (events, ()) = arm::with(&[execute(at)], || {
        // SAFETY: it keeps to the C calling convention, and the memory is the checks' own.
        unsafe { fill(WATCHED.at(0)) }
    });
    verdict::events(&events, &[Brief::debug(bit::ZERO, at)])
}

global_asm!(
    r#"
    .text
    count:
        mov rax, rdi
    count_first:
        inc rax
    count_second:
        inc rax
        ret

    count_after_popf:
        xor eax, eax
        pushfq
        or dword ptr [rsp], 0x10000     # RF
        popfq
    count_popped:
        inc rax
        ret

    locked:
    locked_prefix:
        lock inc qword ptr [rdi]
    locked_end:
        ret

    count_stepped:
        xor eax, eax
        pushfq
        or dword ptr [rsp], 0x100       # TF
        popfq
    count_in_step:
        inc rax
    count_in_step_end:
        ret

    fill:
        mov ecx, 8
    fill_rep:
        rep stosb
        ret
    "#
);
