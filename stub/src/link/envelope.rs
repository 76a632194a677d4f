//! `$payload#xx`: what a frame adds to its payload.

/// What a frame adds to its payload: `$`, `#` and two digits.
pub const ENVELOPE: usize = 4;

/// The bytes of the frame that carries `payload`.
///
/// gdbstub wants its input framed; this puts the envelope back on a checked packet.
pub fn frame(payload: &[u8]) -> impl Iterator<Item = u8> + '_ {
    let sum = checksum(payload);
    core::iter::once(b'$').chain(payload.iter().copied()).chain([
        b'#',
        digit(sum >> 4),
        digit(sum & 0xF),
    ])
}

pub(super) fn checksum(payload: &[u8]) -> u8 {
    payload.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
}

/// The hexadecimal digit for 0–15. Larger values do not occur.
pub(crate) const fn digit(value: u8) -> u8 {
    match value {
        0..=9 => b'0' + value,
        _ => b'a' + (value & 0xF) - 10,
    }
}
