//! One register of many: where it is in the block that `g` and `G` carry.
//!
//! gdbstub moves all registers of a CPU as one block, in the order of the target
//! description, and numbers them in that order. For `p` and `P` one of them must be found
//! in the block. All that takes is the sizes, so an architecture gives those
//! ([`RegisterFile::SIZES`]), and numbers, places and lengths follow from them; there is no
//! second table to go stale.
//!
//! **Not all of them are in the block that `g` and `G` carry.** gdb sends `g` at every stop, and asks
//! for what a short reply leaves out by `p`, when it wants it. On a line that damages bytes a short
//! reply arrives where a long one does not; on a slow one the stop is shown sooner.

#[cfg(test)]
mod tests;

use core::ops::Range;

use gdbstub::arch::Registers;

/// The registers of a CPU, as a block.
pub trait RegisterFile: Registers {
    /// The size of each register in bytes, in the order of the target description.
    const SIZES: &'static [u8];

    /// How many of them, from the first on, are in the block of `g` and `G`: what
    /// [`Registers::gdb_serialize`] writes, and [`Registers::gdb_deserialize`] takes and leaves the
    /// others as they are.
    const IN_BLOCK: usize;

    /// Room for all registers.
    type All: AsRef<[u8]> + AsMut<[u8]>;

    /// Such a room, cleared.
    const ALL: Self::All;

    /// Writes the bytes of all registers.
    fn serialize_all(&self, write_byte: impl FnMut(Option<u8>));

    /// Takes the bytes of all registers.
    ///
    /// # Errors
    ///
    /// There are more or fewer; nothing changes then.
    fn deserialize_all(&mut self, bytes: &[u8]) -> Result<(), WrongRegister>;
}

/// The sizes of the registers in the block.
pub fn block<R: RegisterFile>() -> &'static [u8] {
    R::SIZES.get(..R::IN_BLOCK).unwrap_or(R::SIZES)
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
    registers.serialize_all(|byte| {
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
    let mut all = bytes_of(registers);
    for (to, from) in all.as_mut().iter_mut().skip(place.start).zip(value) {
        *to = *from;
    }
    registers.deserialize_all(all.as_ref())
}

/// Takes the registers of the block from `from`.
pub fn copy_block<R: RegisterFile>(registers: &mut R, from: &R) -> Result<(), WrongRegister> {
    let (mut all, block) = (bytes_of(registers), bytes_of(from));
    let length = length(self::block::<R>());
    for (to, from) in all.as_mut().iter_mut().zip(block.as_ref()).take(length) {
        *to = *from;
    }
    registers.deserialize_all(all.as_ref())
}

fn bytes_of<R: RegisterFile>(registers: &R) -> R::All {
    let mut all = R::ALL;
    let mut position = 0;
    registers.serialize_all(|byte| {
        if let Some(to) = all.as_mut().get_mut(position) {
            *to = byte.unwrap_or(0);
        }
        position += 1;
    });
    all
}
