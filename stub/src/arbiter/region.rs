//! Regions, and how they are cut into windows.
//!
//! A slot holds a naturally aligned piece of 1, 2, 4 or 8 bytes. A region of any length
//! and alignment is tiled with such windows *exactly*: never a byte more (a hit outside
//! the region would be a lie), never a byte less. Taking the largest window that is
//! aligned and fits, again and again, gives the fewest.
//!
//! Step 6 of the road: a request's region arrives here, windows go on to `admission`.

use core::fmt;

use crate::dr::{Condition, Length, Window};

#[cfg(test)]
mod tests;

/// The widest window that the CPU supports: a property found at start, not of the build.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Widest {
    /// Four bytes: old 32-bit parts, where LEN = 10b is undefined.
    Four,
    /// Eight bytes: all 64-bit parts.
    Eight,
}

impl Widest {
    const fn bytes(self) -> usize {
        match self {
            Widest::Four => 4,
            Widest::Eight => 8,
        }
    }

    /// No access to an I/O port is wider than four bytes.
    pub(super) const fn for_condition(self, condition: Condition) -> Widest {
        match condition {
            Condition::Io => Widest::Four,
            Condition::Execute | Condition::Write | Condition::ReadWrite => self,
        }
    }
}

/// Why there is no such region.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum RegionError {
    /// It has no byte.
    Empty,
    /// It goes beyond the last address.
    Wraps,
}

impl fmt::Display for RegionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RegionError::Empty => "the region has no byte",
            RegionError::Wraps => "the region goes beyond the last address",
        })
    }
}

impl core::error::Error for RegionError {}

/// The bytes that a request asks for: at least one, and no wrap-around.
///
/// ```
/// use tetrarch::arbiter::{Region, RegionError, Widest};
/// use tetrarch::dr::Condition;
///
/// let region = Region::new(0x1001, 7)?;
/// let windows = region.windows(Condition::Write, Widest::Eight);
/// // 0x1001+1, 0x1002+2, 0x1004+4
/// assert_eq!(windows.count(), region.window_count(Widest::Eight));
/// assert_eq!(Region::new(usize::MAX, 2), Err(RegionError::Wraps));
/// # Ok::<(), RegionError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Region {
    address: usize,
    length: usize,
}

impl Region {
    /// The `length` bytes from `address` on; for I/O, ports.
    pub const fn new(address: usize, length: usize) -> Result<Region, RegionError> {
        match length {
            0 => Err(RegionError::Empty),
            1.. => match address.checked_add(length - 1) {
                Some(_) => Ok(Region { address, length }),
                None => Err(RegionError::Wraps),
            },
        }
    }

    /// Address of the first byte.
    pub const fn address(&self) -> usize {
        self.address
    }

    /// Number of bytes; at least 1.
    pub const fn length(&self) -> usize {
        self.length
    }

    /// Address of the last byte. (The address after it may not exist.)
    pub const fn last(&self) -> usize {
        self.address.wrapping_add(self.length - 1)
    }

    /// Whether the byte at `address` is in it.
    pub const fn contains(&self, address: usize) -> bool {
        self.address <= address && address <= self.last()
    }

    /// Whether the two have a byte in common.
    pub const fn overlaps(&self, other: &Region) -> bool {
        self.address <= other.last() && other.address <= self.last()
    }

    /// How many windows [`windows`](Self::windows) gives, without counting them: a region
    /// may be 2^64 − 1 bytes long.
    pub const fn window_count(&self, widest: Widest) -> usize {
        let widest = widest.bytes();
        let (first_block, last_block) = (self.address / widest, self.last() / widest);
        // Offsets in their blocks: 0 <= start < widest, 0 < end <= widest.
        let start = self.address % widest;
        let end = self.last() % widest + 1;
        if first_block == last_block {
            // The two offsets agree above the highest bit in which they differ; what lies
            // on either side of the point where that bit changes is counted by its bits.
            let highest = match (start ^ end).checked_ilog2() {
                Some(bit) => 1 << bit,
                None => return 0, // Never: the end is after the start.
            };
            let split = end & !(highest - 1);
            ones(split - start) + ones(end - split)
        } else {
            ones(widest - start) + (last_block - first_block - 1) + ones(end)
        }
    }

    /// The fewest aligned windows that cover it exactly, in ascending order.
    ///
    /// For I/O no window is wider than four bytes. For execute breakpoints the region must
    /// be one byte long; the arbiter refuses others.
    pub const fn windows(&self, condition: Condition, widest: Widest) -> Windows {
        Windows { rest: Some(*self), condition, widest: widest.for_condition(condition) }
    }
}

const fn ones(number: usize) -> usize {
    number.count_ones() as usize
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}+{}", self.address, self.length)
    }
}

impl Window {
    /// The bytes that the window covers.
    pub const fn region(&self) -> Region {
        Region { address: self.address(), length: self.length().bytes() }
    }
}

/// The windows of a region; see [`Region::windows`].
#[derive(Clone, Debug)]
pub struct Windows {
    rest: Option<Region>,
    condition: Condition,
    widest: Widest,
}

impl Iterator for Windows {
    type Item = Window;

    fn next(&mut self) -> Option<Window> {
        let Region { address, length: left } = self.rest?;
        let length = [Length::Eight, Length::Four, Length::Two]
            .into_iter()
            .filter(|length| length.bytes() <= self.widest.bytes())
            .find(|length| address.is_multiple_of(length.bytes()) && length.bytes() <= left)
            .unwrap_or(Length::One);
        // Both are absent at the end, also where the region ends with the last address.
        self.rest = address
            .checked_add(length.bytes())
            .and_then(|next| Region::new(next, left - length.bytes()).ok());
        Some(Window::covered(address, length, self.condition))
    }
}
