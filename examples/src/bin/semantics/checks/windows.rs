//! Which bytes a slot covers: LEN, masking, and what is near but outside.

use tetrarch::dr::{Condition, Length};

use crate::Check;
use crate::arm::{self, Told};
use crate::event::{Brief, bit};
use crate::instructions::{load, store};
use crate::page::{SIZE, WATCHED};
use crate::verdict::{self, Verdict};

pub const CHECKS: &[Check] = &[
    ("write-watch-covers-1-byte", || covers(Length::One, Condition::Write, store)),
    ("write-watch-covers-2-bytes", || covers(Length::Two, Condition::Write, store)),
    ("write-watch-covers-4-bytes", || covers(Length::Four, Condition::Write, store)),
    ("write-watch-covers-8-bytes", || covers(Length::Eight, Condition::Write, store)),
    ("read-write-watch-covers-1-byte", || covers(Length::One, Condition::ReadWrite, load)),
    ("read-write-watch-covers-2-bytes", || covers(Length::Two, Condition::ReadWrite, load)),
    ("read-write-watch-covers-4-bytes", || covers(Length::Four, Condition::ReadWrite, load)),
    ("read-write-watch-covers-8-bytes", || covers(Length::Eight, Condition::ReadWrite, load)),
    ("low-address-bits-are-masked-2-bytes", || masked(Length::Two)),
    ("low-address-bits-are-masked-4-bytes", || masked(Length::Four)),
    ("low-address-bits-are-masked-8-bytes", || masked(Length::Eight)),
    ("any-overlap-hits", any_overlap),
    ("access-across-pages-hits-in-the-second", across_pages),
    ("store-higher-up-in-the-page-misses", unaligned_store),
    ("load-just-above-misses", load_above),
];

/// Where the windows begin.
const START: usize = 64;

/// Each byte of the window hits, and those just outside do not.
fn covers(length: Length, condition: Condition, access: fn(usize, Length) -> usize) -> Verdict {
    each_byte_around(length, (WATCHED.at(START), length, condition), access)
}

/// The low bits of DRn do not count: every address in a window stands for the whole of it.
fn masked(length: Length) -> Verdict {
    (1..length.bytes()).try_for_each(|low| {
        let told = (WATCHED.at(START + low), length, Condition::Write);
        each_byte_around(length, told, store)
    })
}

fn each_byte_around(length: Length, told: Told, access: fn(usize, Length) -> usize) -> Verdict {
    let start = START - length.bytes();
    (0..3 * length.bytes()).try_for_each(|offset| {
        let (events, next) = arm::with(&[told], || access(WATCHED.at(start + offset), Length::One));
        let inside = (length.bytes()..2 * length.bytes()).contains(&offset);
        let hit = [Brief::debug(bit::ZERO, next)];
        verdict::events(&events, if inside { &hit } else { &[] })
            .map_err(|difference| difference.in_case(offset))
    })
}

/// A wide access of which one byte is watched, at either end.
fn any_overlap() -> Verdict {
    let told = (WATCHED.at(START), Length::Two, Condition::Write);
    [START - 7, START - 1, START + 1].into_iter().try_for_each(|offset| {
        let (events, next) = arm::with(&[told], || store(WATCHED.at(offset), Length::Eight));
        verdict::events(&events, &[Brief::debug(bit::ZERO, next)])
            .map_err(|difference| difference.in_case(offset))
    })
}

fn across_pages() -> Verdict {
    let told = (WATCHED.at(SIZE), Length::One, Condition::Write);
    let (events, next) = arm::with(&[told], || store(WATCHED.at(SIZE - 4), Length::Eight));
    verdict::events(&events, &[Brief::debug(bit::ZERO, next)])
}

/// Unaligned stores in the same page, right above the window and far from it.
fn unaligned_store() -> Verdict {
    let told = (WATCHED.at(START), Length::Eight, Condition::Write);
    [START + 9, START + 65, SIZE - 9].into_iter().try_for_each(|offset| {
        let (events, _) = arm::with(&[told], || store(WATCHED.at(offset), Length::Eight));
        verdict::events(&events, &[]).map_err(|difference| difference.in_case(offset))
    })
}

/// Loads of four bytes from right above a window of one.
fn load_above() -> Verdict {
    let told = (WATCHED.at(START), Length::One, Condition::ReadWrite);
    (1..8).try_for_each(|distance| {
        let (events, _) = arm::with(&[told], || load(WATCHED.at(START + distance), Length::Four));
        verdict::events(&events, &[]).map_err(|difference| difference.in_case(distance))
    })
}
