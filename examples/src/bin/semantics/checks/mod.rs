//! The checks, by the part of the hardware that they look at.
//!
//! A check's name says the rule. Where it is a row of a table of known differences between
//! processors and emulators, its documentation says which.

mod access;
pub mod control;
mod detect;
mod execute;
mod faults;
mod halt;
mod ports;
mod shadow;
mod sharing;
mod step;
mod strings;
mod windows;

use crate::Check;

/// All of them but those on the values after reset, in the order in which they run.
pub const ALL: &[&[Check]] = &[
    control::CHECKS,
    windows::CHECKS,
    access::CHECKS,
    sharing::CHECKS,
    execute::CHECKS,
    step::CHECKS,
    faults::CHECKS,
    strings::CHECKS,
    shadow::CHECKS,
    ports::CHECKS,
    detect::CHECKS,
    halt::CHECKS,
];
