//! Why something that the firmware asked for could not be done.

use core::fmt;

use tetrarch::arbiter::{CpuId, ProtectError, Rejection, StartError};
use tetrarch::session::Mishap;

use crate::local::HeldHere;
use crate::uart::PortError;

/// Why the stub could not be installed. No breakpoint is armed then, and the IDT is the
/// image's own.
///
/// The rest may have been changed already, and stays so: the serial port is set up; the image
/// has the stub's copy of its GDT and a TSS, or interrupt stacks of the stub's in its own;
/// ranges are protected in the arbiter, so that a second attempt can run out of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum InstallError {
    /// A stub is in place already.
    AlreadyInstalled,
    /// The serial port cannot be used.
    Port(PortError),
    /// DR7 has breakpoints armed that no claim stands for; they would be lost. An image that
    /// uses the registers itself claims them, after the installation.
    RegistersInUse,
    /// The image has no TSS, and more than 32 descriptors in its GDT.
    GdtTooLarge,
    /// TR names no TSS that could be read and written.
    TaskState,
    /// The image's TSS has fewer than three interrupt stacks left.
    NoInterruptStacks,
    /// The serial port's vector is that of an exception.
    SerialVector,
    /// There are claims already.
    ClaimsLive,
    /// A range that the exception path needs could not be protected.
    Protect(ProtectError),
    /// The stub has no room for any CPU.
    NoRoom,
}

impl fmt::Display for InstallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AlreadyInstalled => "a stub is already installed",
            Self::Port(error) => return error.fmt(f),
            Self::RegistersInUse => "debug registers are armed that nobody has claimed",
            Self::GdtTooLarge => "the GDT has more descriptors than can be copied",
            Self::TaskState => "the task register names no usable TSS",
            Self::NoInterruptStacks => "the TSS has fewer than three unused interrupt stacks",
            Self::SerialVector => "the serial port's vector is that of an exception",
            Self::ClaimsLive => "there are claims already",
            Self::Protect(ProtectError::TooMany) => "there are too many protected ranges",
            Self::Protect(ProtectError::InUse(_)) => {
                "a claim covers what the debug exception needs"
            }
            Self::NoRoom => "the stub has room for no cpu",
        })
    }
}

impl core::error::Error for InstallError {}

/// Why a CPU could not be taken in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum StartCpuError {
    /// There is no stub in place, or the caller is a handler.
    NotInstalled,
    /// The arbiter has no place for it, or it cannot do what the others can.
    Refused(StartError),
    /// Its TSS or its GDT cannot be used.
    Tables(InstallError),
    /// What its exceptions need could not be protected.
    Protect(ProtectError),
    /// The memory that it was given wraps around the address space.
    NoMemory,
}

impl fmt::Display for StartCpuError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotInstalled => f.write_str("the stub is not installed"),
            Self::Refused(error) => error.fmt(f),
            Self::Tables(error) => error.fmt(f),
            Self::Protect(error) => InstallError::Protect(*error).fmt(f),
            Self::NoMemory => f.write_str("the memory of the cpu wraps"),
        }
    }
}

impl core::error::Error for StartCpuError {}

/// Why a claim could not be made, changed or released.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ClaimError {
    /// There is nobody to handle a hit: the stub has not been installed, or has handed off, or
    /// this CPU has not been started.
    NotInstalled,
    /// The call comes out of a claim's handler or a monitor command, which may not change
    /// what they were called about.
    Busy,
    /// The request names the debugger as its owner: those are made by gdb.
    DebuggersRequest,
    /// The arbiter refused.
    Rejected(Rejection),
    /// This CPU did not stop for the change in time, so nothing was changed on any.
    NotResponding(CpuId),
    /// Because of this it could not be finished. The debugger was told; what it was about to change
    /// may have been changed or not.
    GivenUp(Mishap),
}

impl fmt::Display for ClaimError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotInstalled => f.write_str("the stub is not installed"),
            Self::Busy => f.write_str("the stub is in the middle of an exception"),
            Self::DebuggersRequest => f.write_str("the debugger makes its requests itself"),
            Self::Rejected(rejection) => rejection.fmt(f),
            Self::NotResponding(cpu) => write!(f, "cpu {} does not respond", cpu.0),
            Self::GivenUp(mishap) => write!(f, "given up because of {mishap}"),
        }
    }
}

impl core::error::Error for ClaimError {}

impl From<HeldHere> for ClaimError {
    fn from(_: HeldHere) -> Self {
        Self::Busy
    }
}
