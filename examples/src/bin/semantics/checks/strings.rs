//! Repeated string instructions: a trap for each iteration that hits.

use core::arch::asm;

use tetrarch::dr::{Condition, Length};

use crate::Check;
use crate::arm::{self, Told};
use crate::event::{Brief, Event, Events, bit, flag};
use crate::page::{OTHER, WATCHED};
use crate::verdict::{self, Verdict, same};

pub const CHECKS: &[Check] = &[
    ("rep-movs-traps-for-each-iteration-that-writes", movs_target),
    ("rep-movs-traps-for-each-iteration-that-reads", movs_source),
    ("rep-stos-traps-for-each-iteration", stos),
    ("rep-trap-pushes-rf", rf),
    ("rep-trap-of-the-last-iteration-is-behind-it", last),
];

/// How many bytes are copied or filled.
const COUNT: usize = 16;
/// Which of them are watched: the same in source and target.
const WATCHED_BYTES: core::ops::Range<usize> = 4..8;
/// Where they are copied from and to.
const START: usize = 512;

fn told(address: usize, condition: Condition) -> Told {
    (address + WATCHED_BYTES.start, Length::Four, condition)
}

/// Copies, and gives the addresses of the instruction and of the one after it.
fn movs() -> [usize; 2] {
    let (at, next);
    // SAFETY: the memory is the checks' own.
    unsafe {
        asm!(
            "lea {at}, [rip + 2f]",
            "lea {next}, [rip + 3f]",
            "2: rep movsb",
            "3:",
            at = out(reg) at,
            next = out(reg) next,
            inout("rcx") COUNT => _,
            inout("rsi") OTHER.at(START) => _,
            inout("rdi") WATCHED.at(START) => _,
        );
    }
    [at, next]
}

fn movs_target() -> Verdict {
    let (events, [at, _]) = arm::with(&[told(WATCHED.at(START), Condition::Write)], movs);
    each_iteration(&events, at, OTHER.at(START))
}

fn movs_source() -> Verdict {
    let (events, [at, _]) = arm::with(&[told(OTHER.at(START), Condition::ReadWrite)], movs);
    each_iteration(&events, at, OTHER.at(START))
}

/// RIP is at the instruction; RF is another check's.
fn each_iteration(events: &Events, at: usize, source: usize) -> Verdict {
    verdict::events_but_rf(
        events,
        &[Brief::debug(bit::ZERO, at); WATCHED_BYTES.end - WATCHED_BYTES.start],
    )?;
    for (event, byte) in events.iter().zip(WATCHED_BYTES) {
        let [count, from, to] = event.counters;
        same("RCX", count as u64, (COUNT - 1 - byte) as u64)?;
        same("RSI", from as u64, (source + 1 + byte) as u64)?;
        same("RDI", to as u64, (WATCHED.at(START) + 1 + byte) as u64)?;
    }
    Ok(())
}

fn stos() -> Verdict {
    let (events, at) = arm::with(&[told(WATCHED.at(START), Condition::Write)], || {
        let at;
        // SAFETY: the memory is the checks' own.
        unsafe {
            asm!(
                "lea {at}, [rip + 2f]",
                "2: rep stosb",
                at = out(reg) at,
                inout("rcx") COUNT => _,
                inout("rdi") WATCHED.at(START) => _,
                // Not used; so that the counters are those of a copy.
                in("rsi") 0,
                in("al") 0_u8,
            );
        }
        at
    });
    let as_copied = events.iter().zip(WATCHED_BYTES).map(|(event, byte)| {
        let [count, _, to] = event.counters;
        Event { counters: [count, 1 + byte, to], ..*event }
    });
    each_iteration(&as_copied.collect(), at, 0)
}

/// So that an execute breakpoint at the instruction does not hit again when it goes on.
fn rf() -> Verdict {
    let (events, _) = arm::with(&[told(WATCHED.at(START), Condition::Write)], movs);
    for event in &events {
        same("RF as pushed", event.flags & flag::RESUME, flag::RESUME)?;
    }
    same("traps", events.len() as u64, WATCHED_BYTES.len() as u64)
}

/// When nothing is left to do the instruction is over.
fn last() -> Verdict {
    let told = (WATCHED.at(START + COUNT - 1), Length::One, Condition::Write);
    let (events, [_, next]) = arm::with(&[told], movs);
    verdict::events(&events, &[Brief::debug(bit::ZERO, next)])?;
    let counts = events.iter().map(|event| event.counters[0] as u64);
    same("RCX", counts.sum(), 0)
}
