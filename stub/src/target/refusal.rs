//! Why the last request was refused, as an errno for gdb and a sentence for people.
//!
//! gdb shows neither reason nor errno of a refused `Z2`; `monitor why` is where a person
//! learns it. So every way to be refused has a variant here, and no variant is without a
//! sentence.

use core::fmt;

use super::machine::RegisterError;
use crate::arbiter::{Region, RegionError, Rejection};
use crate::packet::Errno;
use crate::patch::{self, PatchError};
use crate::policy::Denied;
use crate::stop::Mishap;
use crate::watch::{Kind, WatchError};

/// A request that was answered with an error.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Refusal {
    /// A hardware breakpoint or watchpoint.
    Watch { kind: Kind, region: Region, error: WatchError },
    /// A software breakpoint.
    Patch { address: usize, error: PatchError },
    /// A software breakpoint where one would recurse.
    PatchProtected { address: usize, range: &'static str },
    /// Bytes that cannot be a region at all.
    Region { address: usize, length: usize, error: RegionError },
    /// Memory that the stub itself needs as it is.
    WriteProtected { address: usize, range: &'static str },
    /// Memory that cannot be read from here on.
    Read { address: usize },
    /// Memory that cannot be written from here on.
    Write { address: usize },
    /// A register.
    Register(RegisterError),
    /// A packet that is not well formed, or asks for what no target has.
    Packet(Errno),
    /// A packet longer than the declared PacketSize.
    Oversized,
    /// What the firmware does not allow.
    Policy(Denied),
    /// A packet that came again, which is not carried out twice, and whose reply is lost.
    CameAgain,
    /// The work on it could not be finished.
    GivenUp(Mishap),
}

// Linux's numbers, as those of the fence.
const EPERM: u8 = 1;
const ENOMEM: u8 = 12;
const EACCES: u8 = 13;
const EBUSY: u8 = 16;
const ENODEV: u8 = 19;
const ENOSPC: u8 = 28;
const EROFS: u8 = 30;
const EOPNOTSUPP: u8 = 95;
const ENOKEY: u8 = 126;

impl Refusal {
    /// The number in the `E` reply.
    pub fn errno(&self) -> u8 {
        match self {
            Refusal::Watch { error: WatchError::Rejected(rejection), .. } => errno_of(rejection),
            Refusal::Watch { error: WatchError::TooMany, .. }
            | Refusal::Patch { error: PatchError::TooMany, .. } => ENOMEM,
            Refusal::PatchProtected { .. } => EPERM,
            Refusal::WriteProtected { .. } => EACCES,
            Refusal::Patch { error: PatchError::Unreachable, .. }
            | Refusal::Read { .. }
            | Refusal::Write { .. } => Errno::Address.code(),
            Refusal::Region { .. } => Errno::Invalid.code(),
            Refusal::Register(RegisterError::NotStopped) => EBUSY,
            Refusal::Register(RegisterError::Refused) => Errno::Failed.code(),
            Refusal::Packet(errno) => errno.code(),
            Refusal::Oversized => Errno::TooLong.code(),
            Refusal::CameAgain | Refusal::GivenUp(_) => Errno::Failed.code(),
            Refusal::Policy(Denied::Locked) => ENOKEY,
            Refusal::Policy(Denied::ReadOnly(_)) => EROFS,
            Refusal::Policy(Denied::Range { .. }) => EPERM,
        }
    }
}

/// Full is "no space", protected is "not permitted"; the rest is a request that no register can
/// express, or one that this build has no room for.
const fn errno_of(rejection: &Rejection) -> u8 {
    match rejection {
        Rejection::Full(_) => ENOSPC,
        Rejection::Protected(_) => EPERM,
        Rejection::TableFull(_) | Rejection::TooManyTasks(_) => ENOMEM,
        Rejection::ExecuteLength(_)
        | Rejection::FlexibleWindows(_)
        | Rejection::PortRange
        | Rejection::Duplicate(_)
        | Rejection::StaleHandle => Errno::Invalid.code(),
        Rejection::NoSuchCpu(_) => ENODEV,
        Rejection::IoUnavailable => EOPNOTSUPP,
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Kind::Execute => "hardware breakpoint",
            Kind::Write => "write watchpoint",
            Kind::Read => "read watchpoint",
            Kind::Access => "access watchpoint",
        })
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Watch { kind, region, error: WatchError::Rejected(rejection) } => write!(
                out,
                "{kind} on {:#x}+{} refused: {rejection}",
                region.address(),
                region.length()
            ),
            Refusal::Watch { kind, region, error: WatchError::TooMany } => write!(
                out,
                "{kind} on {:#x}+{} refused: the stub cannot remember another request",
                region.address(),
                region.length()
            ),
            Refusal::Patch { address, error: PatchError::Unreachable } => {
                write!(out, "software breakpoint at {address:#x} refused: no memory can be written there")
            }
            Refusal::Patch { address, error: PatchError::TooMany } => write!(
                out,
                "software breakpoint at {address:#x} refused: {} are set, there is room for no more",
                patch::CAPACITY
            ),
            Refusal::PatchProtected { address, range } => write!(
                out,
                "software breakpoint at {address:#x} refused: {range} runs while a breakpoint is \
                 handled, so one there would never end"
            ),
            Refusal::WriteProtected { address, range } => write!(
                out,
                "write at {address:#x} refused: it overlaps {range}, which the stub itself runs on"
            ),
            Refusal::Region { address, length, error: RegionError::Empty } => {
                write!(out, "{address:#x}+{length} refused: there are no bytes in it")
            }
            Refusal::Region { address, length, error: RegionError::Wraps } => {
                write!(out, "{address:#x}+{length} refused: it goes beyond the last address")
            }
            Refusal::Read { address } => write!(out, "memory at {address:#x} cannot be read"),
            Refusal::Write { address } => write!(out, "memory at {address:#x} cannot be written"),
            Refusal::Register(RegisterError::NotStopped) => {
                out.write_str("registers refused: that CPU has not stopped")
            }
            Refusal::Register(RegisterError::Refused) => out.write_str(
                "register refused: the processor does not take the value, or it would end the session",
            ),
            Refusal::Packet(errno) => {
                write!(
                    out,
                    "packet refused (error {}): it is malformed or asks for what is not there",
                    errno.code()
                )
            }
            Refusal::Oversized => out.write_str("packet refused: it is longer than the declared PacketSize"),
            Refusal::CameAgain => out.write_str(
                "packet refused: it came again, was not carried out again, and its reply is lost",
            ),
            Refusal::GivenUp(mishap) => write!(
                out,
                "given up because of {mishap}; your breakpoints and watchpoints were taken out"
            ),
            Refusal::Policy(denied) => write!(out, "refused: {denied}"),
        }
    }
}
