//! Several causes in one exception, and what is left of one in the next.

use tetrarch::dr::{Condition, Length};

use crate::arm;
use crate::event::{Brief, bit};
use crate::instructions::store;
use crate::page::WATCHED;
use crate::recorder::{Reaction, Status};
use crate::verdict::{self, Verdict};
use crate::{Check, stepped};

pub const CHECKS: &[Check] = &[
    ("overlapping-windows-hit-together", overlapping),
    ("access-to-two-windows-hits-both", two_windows),
    ("step-and-hit-come-together", step_and_hit),
    ("hit-bits-are-recomputed", recomputed),
    ("bs-sticks-until-it-is-cleared", sticky),
];

/// Where the windows begin.
const START: usize = 256;

/// The same byte is watched twice, in two ways.
fn overlapping() -> Verdict {
    let told = [
        (WATCHED.at(START), Length::One, Condition::Write),
        (WATCHED.at(START), Length::Eight, Condition::ReadWrite),
    ];
    let (events, next) = arm::with(&told, || store(WATCHED.at(START), Length::One));
    verdict::events(&events, &[Brief::debug(bit::ZERO | bit::ONE, next)])
}

/// One store touches two windows that do not overlap.
fn two_windows() -> Verdict {
    let told = [
        (WATCHED.at(START), Length::Four, Condition::Write),
        (WATCHED.at(START + 4), Length::Four, Condition::Write),
    ];
    let (events, next) = arm::with(&told, || store(WATCHED.at(START), Length::Eight));
    verdict::events(&events, &[Brief::debug(bit::ZERO | bit::ONE, next)])
}

/// An instruction that is stepped hits a watch: one exception with both bits.
fn step_and_hit() -> Verdict {
    let told = [arm::write(WATCHED.at(START))];
    let (events, next) = arm::with(&told, || stepped::store(WATCHED.at(START)));
    verdict::events(&events, &[Brief::step(bit::ZERO, next)])
}

/// Nobody clears DR6 between two hits of different slots.
fn recomputed() -> Verdict {
    let told = [arm::write(WATCHED.at(START)), arm::write(WATCHED.at(START + 8))];
    let keep = Reaction { status: Status::AsItIs, ..Reaction::PLAIN };
    let (events, [first, second]) = arm::reacting(keep, &told, || {
        [0, 8].map(|offset| store(WATCHED.at(START + offset), Length::One))
    });
    verdict::events(&events, &[Brief::debug(bit::ZERO, first), Brief::debug(bit::ONE, second)])
}

/// Nobody clears DR6 between a step and a hit that was not stepped.
fn sticky() -> Verdict {
    let told = [arm::write(WATCHED.at(START))];
    let keep = Reaction { status: Status::AsItIs, ..Reaction::PLAIN };
    let (events, [first, second]) =
        arm::reacting(keep, &told, || [stepped::nothing(), store(WATCHED.at(START), Length::One)]);
    verdict::events(&events, &[Brief::step(0, first), Brief::debug(bit::STEP | bit::ZERO, second)])
}
