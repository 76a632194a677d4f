//! What the recorder keeps of an exception, and how it reads in the report.

use core::fmt;

use tetrarch::dr::Dr6;

/// Bits of RFLAGS.
pub mod flag {
    /// TF: a #DB after each instruction.
    pub const TRAP: u64 = 1 << 8;
    /// RF: no execute breakpoint at the next instruction.
    pub const RESUME: u64 = 1 << 16;
}

/// As many as a check may cause.
pub type Events = heapless::Vec<Event, 8>;

/// One exception.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// Which, and why.
    pub cause: Cause,
    /// RIP in its frame.
    pub rip: usize,
    /// TF and RF in its frame.
    pub flags: u64,
    /// RCX, RSI and RDI when it came: what a string instruction counts with.
    pub counters: [usize; 3],
}

/// Which exception.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// #DB, and DR6 then. Bits of slots that are not enabled are left out.
    Debug(Dr6),
    /// Any other.
    Exception {
        /// Its vector.
        vector: u8,
        /// Its error code, or 0.
        error: u64,
    },
}

/// An event without its counters, which only a string instruction has a use for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Brief {
    /// Which, and why.
    pub cause: Cause,
    /// RIP in its frame.
    pub rip: usize,
    /// TF and RF in its frame.
    pub flags: u64,
}

impl Brief {
    /// #DB with these bits of DR6 set besides those that always are, RF and TF clear.
    pub const fn debug(status: u32, rip: usize) -> Self {
        Self { cause: Cause::Debug(Dr6::from_bits(Dr6::RESET.bits() | status)), rip, flags: 0 }
    }

    /// #DB at the end of a step: with TF, because it was set while the instruction ran.
    pub const fn step(status: u32, rip: usize) -> Self {
        Self { flags: flag::TRAP, ..Self::debug(bit::STEP | status, rip) }
    }

    /// Another exception, without an error code.
    pub const fn exception(vector: u8, rip: usize, flags: u64) -> Self {
        Self { cause: Cause::Exception { vector, error: 0 }, rip, flags }
    }
}

/// Bits of DR6.
pub mod bit {
    /// B0: slot 0 has hit.
    pub const ZERO: u32 = 1 << 0;
    /// B1: slot 1 has hit.
    pub const ONE: u32 = 1 << 1;
    /// BD: a debug register is about to be accessed.
    pub const ACCESS: u32 = 1 << 13;
    /// BS: an instruction was stepped.
    pub const STEP: u32 = 1 << 14;
}

impl From<Event> for Brief {
    fn from(event: Event) -> Self {
        Self { cause: event.cause, rip: event.rip, flags: event.flags }
    }
}

impl fmt::Display for Brief {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.cause {
            Cause::Debug(status) => write!(f, "#DB dr6 {:08x}", status.bits())?,
            Cause::Exception { vector, error } => write!(f, "exception {vector} error {error:x}")?,
        }
        write!(f, " rip {:x}", self.rip)?;
        for (name, flag) in [(" TF", flag::TRAP), (" RF", flag::RESUME)] {
            if self.flags & flag != 0 {
                f.write_str(name)?;
            }
        }
        Ok(())
    }
}
