//! The FXSAVE64 image (Intel SDM vol. 1, 10.5.1 and 13.5.1).
//!
//! ```text
//!     0    2    4    6    8            16           24     28
//!    FCW  FSW  FTW  FOP  FIP (64 bits) FDP (64 bits) MXCSR  MXCSR_MASK
//!    32 + 16·n   ST(n), 10 bytes       160 + 16·n   XMMn, 16 bytes
//! ```
//!
//! *Tags.* FTW keeps one bit for each *physical* register, 1 unless it is empty. The full tag
//! word, which gdb shows, has two, and says what kind of value is there; as in FSTENV it is
//! worked out from the contents of ST, which are numbered from TOP and not physically.
//!
//! *Pointers.* The 64-bit format has no selectors: it has the whole 64 bits of FIP and FDP
//! instead. gdb's `fiseg` and `foseg` take the upper halves, as in gdb's own native targets,
//! so nothing is lost when the debugger writes back what it read.
//!
//! *Reserved bits.* FXRSTOR raises #GP for an MXCSR with a bit that MXCSR_MASK does not have,
//! and that would be on the way out of the stub: refused here. A mask of 0 stands for FFBF.

use tetrarch::x86_64::X86_64Registers;

/// An image to load or store.
pub type Image = [u8; 512];

/// FXRSTOR would not take it, or the register cannot hold it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unloadable;

const FCW: usize = 0;
const FSW: usize = 2;
const FTW: usize = 4;
const FOP: usize = 6;
const FIP: usize = 8;
const FDP: usize = 16;
const MXCSR: usize = 24;
const MXCSR_MASK: usize = 28;
const ST: usize = 32;
const XMM: usize = 160;

const DEFAULT_MXCSR_MASK: u32 = 0xffbf;
/// FOP has as many bits as two opcode bytes without the five that are the same in all.
const OPCODE_MASK: u32 = 0x7ff;
/// The tag of an empty register.
const EMPTY: u16 = 0b11;

/// The state after FNINIT and a reset of SSE: no exception unmasked, every register empty.
pub const RESET: Image = {
    let mut image = [0; 512];
    [image[FCW], image[FCW + 1]] = 0x037f_u16.to_le_bytes();
    [image[MXCSR], image[MXCSR + 1]] = 0x1f80_u16.to_le_bytes();
    image
};

/// Fills in the x87 and SSE registers.
pub fn decode(image: &Image, registers: &mut X86_64Registers) {
    let core = &mut registers.core;
    for (index, st) in core.st.iter_mut().enumerate() {
        *st = get(image, ST + 16 * index);
    }
    for (index, xmm) in core.xmm.iter_mut().enumerate() {
        *xmm = u128::from_le_bytes(get(image, XMM + 16 * index));
    }
    core.mxcsr = u32::from_le_bytes(get(image, MXCSR));
    let status = u16::from_le_bytes(get(image, FSW));
    let [tags] = get(image, FTW);
    core.fpu.fctrl = u16::from_le_bytes(get(image, FCW)).into();
    core.fpu.fstat = status.into();
    core.fpu.ftag = full_tags(tags, status, &core.st).into();
    core.fpu.fop = u32::from(u16::from_le_bytes(get(image, FOP))) & OPCODE_MASK;
    core.fpu.fioff = u32::from_le_bytes(get(image, FIP));
    core.fpu.fiseg = u32::from_le_bytes(get(image, FIP + 4));
    core.fpu.fooff = u32::from_le_bytes(get(image, FDP));
    core.fpu.foseg = u32::from_le_bytes(get(image, FDP + 4));
}

/// The reverse. What the register file does not know of the image stays; an error leaves all
/// of it alone.
pub fn encode(registers: &X86_64Registers, image: &mut Image) -> Result<(), Unloadable> {
    let core = &registers.core;
    let mask = match u32::from_le_bytes(get(image, MXCSR_MASK)) {
        0 => DEFAULT_MXCSR_MASK,
        mask => mask,
    };
    let control = half(core.fpu.fctrl)?;
    let status = half(core.fpu.fstat)?;
    let tags = half(core.fpu.ftag)?;
    let opcode = half(core.fpu.fop)?;
    if core.mxcsr & !mask != 0 || core.fpu.fop & !OPCODE_MASK != 0 {
        return Err(Unloadable);
    }
    for (index, st) in core.st.iter().enumerate() {
        put(image, ST + 16 * index, st);
    }
    for (index, xmm) in core.xmm.iter().enumerate() {
        put(image, XMM + 16 * index, &xmm.to_le_bytes());
    }
    put(image, MXCSR, &core.mxcsr.to_le_bytes());
    put(image, FCW, &control.to_le_bytes());
    put(image, FSW, &status.to_le_bytes());
    put(image, FTW, &[abridged_tags(tags)]);
    put(image, FOP, &opcode.to_le_bytes());
    put(image, FIP, &core.fpu.fioff.to_le_bytes());
    put(image, FIP + 4, &core.fpu.fiseg.to_le_bytes());
    put(image, FDP, &core.fpu.fooff.to_le_bytes());
    put(image, FDP + 4, &core.fpu.foseg.to_le_bytes());
    Ok(())
}

/// Two bits for each physical register, from one and the contents.
fn full_tags(abridged: u8, status: u16, st: &[[u8; 10]; 8]) -> u16 {
    let top = usize::from(status >> 11 & 7);
    (0..8).fold(0, |tags, physical| {
        let tag = if abridged & 1 << physical == 0 {
            EMPTY
        } else {
            st.get((physical + 8 - top) % 8).map_or(EMPTY, tag)
        };
        tags | tag << (2 * physical)
    })
}

fn abridged_tags(full: u16) -> u8 {
    (0..8).fold(0, |tags, physical| {
        let is_used = full >> (2 * physical) & 0b11 != EMPTY;
        tags | u8::from(is_used) << physical
    })
}

/// Valid 00, zero 01, special 10 (Intel SDM vol. 1, 8.1.7). Valid needs the integer bit set:
/// without it the value is a denormal or no 80-bit number of today.
fn tag(value: &[u8; 10]) -> u16 {
    let [m0, m1, m2, m3, m4, m5, m6, m7, e0, e1] = *value;
    let mantissa = u64::from_le_bytes([m0, m1, m2, m3, m4, m5, m6, m7]);
    let exponent = u16::from_le_bytes([e0, e1]) & 0x7fff;
    match (exponent, mantissa) {
        (0, 0) => 0b01,
        (0 | 0x7fff, _) => 0b10,
        (_, mantissa) if mantissa >> 63 == 0 => 0b10,
        _ => 0b00,
    }
}

/// A 16-bit register in gdb's 32.
fn half(value: u32) -> Result<u16, Unloadable> {
    u16::try_from(value).map_err(|_| Unloadable)
}

/// Bytes `at` and after. All callers are within the image.
fn get<const COUNT: usize>(image: &Image, at: usize) -> [u8; COUNT] {
    image.get(at..).and_then(|rest| rest.first_chunk()).copied().unwrap_or([0; COUNT])
}

fn put(image: &mut Image, at: usize, bytes: &[u8]) {
    if let Some(place) = image.get_mut(at..at + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests;
