//! Ranges in which no breakpoint may be set.
//!
//! A watch on what the debug exception itself touches — IDT, GDT, TSS, its stack, the
//! arbiter — hits again before the first hit is dealt with, and never ends. An execute
//! breakpoint in the code of the exception entry does the same. So such requests are
//! refused (promise 7). The debugger may read there, and may not write: what it would change is what
//! it runs on.

use core::fmt;

use super::claim::{Owner, Request};
use super::region::Region;
use crate::dr::Condition;

/// How many ranges can be protected.
pub const PROTECTED_RANGES: usize = 32;

/// Which breakpoints a range is protected from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Against {
    /// All of them: data that the exception path touches.
    Everything,
    /// Execute breakpoints only: its code, which a watchpoint may look at.
    Execute,
}

/// A range in which no breakpoint may be set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Protected {
    /// Where.
    pub region: Region,
    /// What people call it: `idt`.
    pub name: &'static str,
    /// From what.
    pub against: Against,
}

impl Protected {
    /// Whether the request must be refused because of this range. Ports are no addresses.
    pub(super) fn forbids(&self, request: &Request) -> bool {
        let concerned = match (self.against, request.condition) {
            (_, Condition::Io) => false,
            (Against::Everything, Condition::Execute | Condition::Write | Condition::ReadWrite) => {
                true
            }
            (Against::Execute, Condition::Execute) => true,
            (Against::Execute, Condition::Write | Condition::ReadWrite) => false,
        };
        concerned && self.region.overlaps(&request.region)
    }
}

/// Why a range could not be protected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ProtectError {
    /// There are [`PROTECTED_RANGES`] already.
    TooMany,
    /// A claim of this owner is there, and an accepted claim is never taken away.
    InUse(Owner),
}

impl fmt::Display for ProtectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProtectError::TooMany => write!(f, "{PROTECTED_RANGES} ranges are protected already"),
            ProtectError::InUse(owner) => write!(f, "a claim of {owner} is in this range"),
        }
    }
}

impl core::error::Error for ProtectError {}
