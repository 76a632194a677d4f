//! What one debug register can be told: the words that DR7 encodes.
//!
//! A [`Window`] is what a slot holds: address, length, condition. Two claims share a slot
//! if and only if their windows are equal.

use core::fmt;

/// One of the four address registers DR0–DR3 of a CPU.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Slot {
    /// DR0.
    Zero,
    /// DR1.
    One,
    /// DR2.
    Two,
    /// DR3.
    Three,
}

impl Slot {
    /// All four, in order.
    pub const ALL: [Slot; 4] = [Slot::Zero, Slot::One, Slot::Two, Slot::Three];

    /// The number in the register's name: 0–3.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The slot with this number, if there is one.
    pub const fn from_index(index: usize) -> Option<Slot> {
        match index {
            0 => Some(Slot::Zero),
            1 => Some(Slot::One),
            2 => Some(Slot::Two),
            3 => Some(Slot::Three),
            4.. => None,
        }
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.index().fmt(f)
    }
}

/// How many bytes one slot covers; its address is aligned to as many.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Length {
    /// One byte; the only length of an execute breakpoint.
    One,
    /// Two bytes.
    Two,
    /// Four bytes.
    Four,
    /// Eight bytes: undefined on old 32-bit parts, see [`Widest`](crate::arbiter::Widest).
    Eight,
}

impl Length {
    /// 1, 2, 4 or 8.
    pub const fn bytes(self) -> usize {
        match self {
            Length::One => 1,
            Length::Two => 2,
            Length::Four => 4,
            Length::Eight => 8,
        }
    }

    /// The length that covers exactly so many bytes, if a slot can.
    pub const fn from_bytes(bytes: usize) -> Option<Length> {
        match bytes {
            1 => Some(Length::One),
            2 => Some(Length::Two),
            4 => Some(Length::Four),
            8 => Some(Length::Eight),
            _ => None,
        }
    }

    /// The two LEN bits.
    pub(super) const fn bits(self) -> u32 {
        match self {
            Length::One => 0b00,
            Length::Two => 0b01,
            Length::Four => 0b11,
            Length::Eight => 0b10,
        }
    }
}

/// What a slot waits for: all that R/Wn can express. There is no read-only.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Condition {
    /// An instruction that begins at the address, prefixes included. A fault.
    Execute,
    /// A data write. A trap, as are the following.
    Write,
    /// A data read or write, but not an instruction fetch.
    ReadWrite,
    /// An access to an I/O port. Undefined unless CR4.DE is set.
    Io,
}

impl Condition {
    /// The two R/W bits.
    pub(super) const fn bits(self) -> u32 {
        match self {
            Condition::Execute => 0b00,
            Condition::Write => 0b01,
            Condition::Io => 0b10,
            Condition::ReadWrite => 0b11,
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Condition::Execute => "execute",
            Condition::Write => "write",
            Condition::ReadWrite => "read/write",
            Condition::Io => "i/o",
        })
    }
}

/// What one slot can hold: a naturally aligned piece of 1, 2, 4 or 8 bytes, and a condition.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Window {
    address: usize,
    length: Length,
    condition: Condition,
}

impl Window {
    /// A window, if the address is aligned to the length and an execute breakpoint is one
    /// byte long: what the processor would take otherwise is not what was asked for.
    pub const fn new(address: usize, length: Length, condition: Condition) -> Option<Window> {
        let aligned = address & (length.bytes() - 1) == 0;
        let sound = match condition {
            Condition::Execute => matches!(length, Length::One),
            Condition::Write | Condition::ReadWrite | Condition::Io => true,
        };
        if aligned && sound { Some(Window { address, length, condition }) } else { None }
    }

    /// What a slot covers that holds these values: the processor ignores the low address bits.
    pub(crate) const fn covered(address: usize, length: Length, condition: Condition) -> Window {
        Window { address: address & !(length.bytes() - 1), length, condition }
    }

    /// Linear address of the first byte, or the port number.
    pub const fn address(&self) -> usize {
        self.address
    }

    /// How many bytes.
    pub const fn length(&self) -> Length {
        self.length
    }

    /// What it waits for.
    pub const fn condition(&self) -> Condition {
        self.condition
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}+{} {}", self.address, self.length.bytes(), self.condition)
    }
}
