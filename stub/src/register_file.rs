//! One register of many: where it is in the block that `g` and `G` carry.
//!
//! gdbstub moves all registers of a CPU as one block, in the order of the target
//! description, and numbers them in that order. For `p` and `P` one of them must be found
//! in the block. All that takes is the sizes, so an architecture gives those
//! ([`RegisterFile::SIZES`]), and numbers, places and lengths follow from them; there is no
//! second table to go stale.

#[cfg(test)]
mod tests;

use core::ops::Range;

use gdbstub::arch::Registers;

/// The registers of a CPU, as a block.
pub trait RegisterFile: Registers {
    /// The size of each register in bytes, in the order of the target description. What
    /// [`Registers::gdb_serialize`] writes is exactly that long.
    const SIZES: &'static [u8];

    /// Room for all registers.
    type Block: AsRef<[u8]> + AsMut<[u8]>;

    /// Such a room, cleared.
    const BLOCK: Self::Block;
}

/// A register cannot be written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum WrongRegister {
    /// There is no register of that number.
    Unknown,
    /// The value is longer or shorter than the register.
    Size,
}

/// How many bytes the registers take together.
pub const fn length(sizes: &[u8]) -> usize {
    let mut length = 0;
    let mut rest = sizes;
    while let [size, more @ ..] = rest {
        length += *size as usize;
        rest = more;
    }
    length
}

/// Where register `number` is in the block.
pub fn place(sizes: &[u8], number: usize) -> Option<Range<usize>> {
    let size = usize::from(*sizes.get(number)?);
    let start = length(sizes.get(..number)?);
    Some(start..start + size)
}

/// Copies one register to the beginning of `into`, in the order of its bytes in memory.
///
/// Returns the size of the register, or 0 if there is no such register or no room for it.
pub fn read_register<R: RegisterFile>(registers: &R, number: usize, into: &mut [u8]) -> usize {
    let Some(place) = place(R::SIZES, number) else {
        return 0;
    };
    let size = place.len();
    if into.len() < size {
        return 0;
    }
    let mut position = 0;
    registers.gdb_serialize(|byte| {
        if place.contains(&position)
            && let Some(to) = into.get_mut(position - place.start)
        {
            // A byte that is not available reads as zero.
            *to = byte.unwrap_or(0);
        }
        position += 1;
    });
    size
}

/// Gives one register a new value, whose bytes are in the order of memory.
///
/// The others stay as they are. In case of an error nothing changes.
pub fn write_register<R: RegisterFile>(
    registers: &mut R,
    number: usize,
    value: &[u8],
) -> Result<(), WrongRegister> {
    let place = place(R::SIZES, number).ok_or(WrongRegister::Unknown)?;
    if value.len() != place.len() {
        return Err(WrongRegister::Size);
    }
    let mut block = R::BLOCK;
    let mut position = 0;
    registers.gdb_serialize(|byte| {
        if let Some(to) = block.as_mut().get_mut(position) {
            *to = byte.unwrap_or(0);
        }
        position += 1;
    });
    for (to, from) in block.as_mut().iter_mut().skip(place.start).zip(value) {
        *to = *from;
    }
    // The block is as long as the registers say, so they take it back.
    registers.gdb_deserialize(block.as_ref()).map_err(|()| WrongRegister::Size)
}
