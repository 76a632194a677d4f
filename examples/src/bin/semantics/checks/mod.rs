//! The checks, by the part of the hardware that they look at.
//!
//! A check's name says the rule, as the manual has it (Intel SDM vol. 3, 18.2 and 18.3). Where
//! one emulator or the other does not keep it, `tests/tests/semantics/rules.rs` says so.

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
