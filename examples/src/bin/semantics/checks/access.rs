//! What counts as a write, a read, or neither.

use core::arch::asm;

use examples::paging;
use tetrarch::dr::{Condition, Dr7, Length, Slot};

use crate::Check;
use crate::arm::{self, Told, write};
use crate::event::{Brief, bit};
use crate::instructions::{
    failing_exchange, flush, increment, load, prefetch, push, store, store_same,
};
use crate::page::{SIZE, WATCHED};
use crate::recorder::Reaction;
use crate::verdict::{self, Verdict};

pub const CHECKS: &[Check] = &[
    ("write-watch-hits-each-store", each_store),
    ("read-modify-write-hits-once", || one_hit(Condition::Write, increment)),
    ("read-modify-write-hits-a-read-write-watch-once", || one_hit(Condition::ReadWrite, increment)),
    ("failing-cmpxchg-hits-a-write-watch", || one_hit(Condition::Write, failing_exchange)),
    ("store-of-the-same-value-hits", || one_hit(Condition::Write, store_same)),
    ("push-hits-a-write-watch", pushing),
    ("load-misses-a-write-watch", loading),
    ("fetch-misses-a-read-write-watch", fetching),
    ("clflush-hits-a-read-write-watch", || one_hit(Condition::ReadWrite, flush)),
    ("prefetch-misses-a-read-write-watch", prefetching),
    ("alias-of-the-memory-misses", alias),
    ("disabled-slot-is-silent", disabled),
    ("local-and-global-enable-are-equal", enables),
];

/// Where the windows begin.
const START: usize = 128;

fn watched(condition: Condition) -> Told {
    (WATCHED.at(START), Length::One, condition)
}

fn one_hit(condition: Condition, act: fn(usize) -> usize) -> Verdict {
    let (events, next) = arm::with(&[watched(condition)], || act(WATCHED.at(START)));
    verdict::events(&events, &[Brief::debug(bit::ZERO, next)])
}

/// A hit does not disarm anything.
fn each_store() -> Verdict {
    let (events, [first, second]) = arm::with(&[watched(Condition::Write)], || {
        [0, 0].map(|_: u8| store(WATCHED.at(START), Length::One))
    });
    verdict::events(&events, &[Brief::debug(bit::ZERO, first), Brief::debug(bit::ZERO, second)])
}

/// What a stack guard relies on.
fn pushing() -> Verdict {
    let top = SIZE;
    let told = (WATCHED.at(top - 8), Length::Eight, Condition::Write);
    let (events, next) = arm::with(&[told], || push(WATCHED.at(top)));
    verdict::events(&events, &[Brief::debug(bit::ZERO, next)])
}

fn loading() -> Verdict {
    let (events, _) =
        arm::with(&[watched(Condition::Write)], || load(WATCHED.at(START), Length::One));
    verdict::events(&events, &[])
}

/// Code is fetched from the watched address, and run.
fn fetching() -> Verdict {
    const RET: u8 = 0xC3;
    let told = (WATCHED.at(START), Length::One, Condition::ReadWrite);
    // SAFETY: the memory is the checks' own; all of it may be executed; RET changes nothing.
    unsafe { asm!("mov byte ptr [{}], {}", in(reg) WATCHED.at(START), const RET) };
    let (events, ()) = arm::with(&[told], || crate::instructions::call(WATCHED.at(START)));
    verdict::events(&events, &[])
}

fn prefetching() -> Verdict {
    let (events, ()) = arm::with(&[watched(Condition::ReadWrite)], || prefetch(WATCHED.at(START)));
    verdict::events(&events, &[])
}

/// Linear addresses are compared, not physical ones.
fn alias() -> Verdict {
    // SAFETY: it shows memory that only the checks use, and in assembly.
    let alias = unsafe { paging::show(WATCHED.at(START) as u64) };
    let (events, _) = arm::with(&[watched(Condition::ReadWrite)], || store(alias, Length::One));
    verdict::events(&events, &[])?;
    let (events, next) =
        arm::with(&[(alias, Length::One, Condition::ReadWrite)], || store(alias, Length::One));
    verdict::events(&events, &[Brief::debug(bit::ZERO, next)])
}

fn disabled() -> Verdict {
    let told = [watched(Condition::Write)];
    let control = arm::control(&told);
    let off = Dr7::from_bits(control.bits() & !0xFF);
    let (events, _) =
        arm::controlled(Reaction::PLAIN, &told, off, || store(WATCHED.at(START), Length::One));
    verdict::events(&events, &[])
}

/// Ln, Gn or both arm a slot; LE and GE change nothing.
fn enables() -> Verdict {
    let told = [write(WATCHED.at(START))];
    let kind = arm::control(&told).bits() & !0x3FF;
    (0..16).try_for_each(|bits: u32| {
        let control = Dr7::from_bits(kind | bits & 0b11 | (bits >> 2) << 8);
        let (events, next) = arm::controlled(Reaction::PLAIN, &told, control, || {
            store(WATCHED.at(START), Length::One)
        });
        let hit = [Brief::debug(bit::ZERO, next)];
        verdict::events(&events, if control.is_armed(Slot::Zero) { &hit } else { &[] })
            .map_err(|difference| difference.in_case(bits as usize))
    })
}
