//! What the arbiter has to know of the machine, and what is kept for whom.

use core::fmt;

use super::claim::CpuId;
use super::region::Widest;

/// How many slots are promised to each side even while it uses fewer; at most 4 in sum.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Reservations {
    debugger: u8,
    system: u8,
    flexible: u8,
}

/// More than four slots would be promised.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TooManyReserved;

impl fmt::Display for TooManyReserved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("more debug registers would be reserved than the four that a CPU has")
    }
}

impl core::error::Error for TooManyReserved {}

impl Reservations {
    /// First come, first served.
    pub const NONE: Reservations = Reservations { debugger: 0, system: 0, flexible: 0 };

    /// Slots for pinned claims of the debugger, for pinned claims of the system, and for
    /// flexible claims while there are any.
    pub const fn new(
        debugger: u8,
        system: u8,
        flexible: u8,
    ) -> Result<Reservations, TooManyReserved> {
        // In u16, where three bytes cannot wrap.
        if debugger as u16 + system as u16 + flexible as u16 <= 4 {
            Ok(Reservations { debugger, system, flexible })
        } else {
            Err(TooManyReserved)
        }
    }

    /// For the debugger.
    pub const fn debugger(&self) -> u8 {
        self.debugger
    }

    /// For the system.
    pub const fn system(&self) -> u8 {
        self.system
    }

    /// For flexible claims, on a CPU where one is live.
    pub const fn flexible(&self) -> u8 {
        self.flexible
    }
}

/// Whether the CPU can be asked for I/O breakpoints.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum IoBreakpoints {
    /// CR4.DE is set, and stays set.
    Available,
    /// It is not: R/W = 10b would be undefined.
    Unavailable,
}

/// What becomes of a task's registers when a task without claims follows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Switching {
    /// They are disarmed: no hit of another task's window ever comes.
    Exact,
    /// They stay as they are, and a stray hit is dropped: no write on the way to a task
    /// without claims, fewer on the way back, and an exception for each stray hit. It ends with
    /// the next [`resume`](super::Arbiter::resume): if the handler of the debug exception
    /// suspends and resumes, with the first stray hit. It ends also with the first tick or switch
    /// after one of their claims was released.
    Lazy,
}

/// What the arbiter goes by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Config {
    /// What is kept for whom.
    pub reservations: Reservations,
    /// The widest window that every CPU supports.
    pub widest: Widest,
    /// Whether CR4.DE is set on every CPU.
    pub io: IoBreakpoints,
    /// How tasks without claims are switched to.
    pub switching: Switching,
}

impl Config {
    /// No reservations, a 64-bit CPU, CR4.DE clear as after reset, exact switches.
    pub const DEFAULT: Config = Config {
        reservations: Reservations::NONE,
        widest: Widest::Eight,
        io: IoBreakpoints::Unavailable,
        switching: Switching::Exact,
    };
}

impl Default for Config {
    fn default() -> Config {
        Config::DEFAULT
    }
}

/// What a CPU that comes online can do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Ability {
    /// The widest window that it supports.
    pub widest: Widest,
    /// Whether its CR4.DE is set.
    pub io: IoBreakpoints,
}

impl Ability {
    /// Whether it can arm whatever may be claimed under this configuration.
    pub(super) fn suffices_for(self, config: &Config) -> Result<(), StartError> {
        match (self.widest, config.widest) {
            (Widest::Four, Widest::Eight) => return Err(StartError::Narrow),
            (Widest::Four | Widest::Eight, Widest::Four) | (Widest::Eight, Widest::Eight) => {}
        }
        match (self.io, config.io) {
            (IoBreakpoints::Unavailable, IoBreakpoints::Available) => Err(StartError::NoIo),
            (IoBreakpoints::Available, _)
            | (IoBreakpoints::Unavailable, IoBreakpoints::Unavailable) => Ok(()),
        }
    }
}

/// Why a CPU cannot come online with the claims that there are or may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum StartError {
    /// The arbiter has no place for a CPU with this number.
    NoSuchCpu(CpuId),
    /// Windows of eight bytes are in use, and it does not support them.
    Narrow,
    /// I/O breakpoints are in use, and its CR4.DE is clear.
    NoIo,
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::NoSuchCpu(cpu) => write!(f, "there is no place for cpu {}", cpu.0),
            StartError::Narrow => f.write_str("the cpu has no windows of 8 bytes, others have"),
            StartError::NoIo => f.write_str("the cpu has CR4.DE clear, others have it set"),
        }
    }
}

impl core::error::Error for StartError {}

/// The configuration cannot change while there are claims: they were admitted under it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ClaimsLive;

impl fmt::Display for ClaimsLive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there are claims, admitted under the old configuration")
    }
}

impl core::error::Error for ClaimsLive {}
