//! The pieces that packets are made of.

use core::num::NonZeroUsize;

use super::{Errno, Limits};
use crate::link::digit;

/// Checks that nothing follows.
pub(super) fn nothing_more(text: &[u8]) -> Result<(), Errno> {
    match text {
        [] => Ok(()),
        [..] => Err(Errno::Invalid),
    }
}

/// Splits at the first `separator`, which must be there.
pub(super) fn split(text: &[u8], separator: u8) -> Result<(&[u8], &[u8]), Errno> {
    let at = text.iter().position(|byte| *byte == separator).ok_or(Errno::Invalid)?;
    let (before, after) = text.split_at(at);
    Ok((before, after.get(1..).unwrap_or_default()))
}

/// What follows `separator`, which must come first.
pub(super) fn after(text: &[u8], separator: u8) -> Result<&[u8], Errno> {
    text.strip_prefix(&[separator]).ok_or(Errno::Invalid)
}

/// A hexadecimal number of at most `highest`.
pub(super) fn number(text: &[u8], highest: usize) -> Result<usize, Errno> {
    if text.is_empty() {
        return Err(Errno::Invalid);
    }
    let mut value = Some(0usize);
    for digit in text {
        let digit = (*digit as char).to_digit(16).ok_or(Errno::Invalid)? as usize;
        value = value.and_then(|value| value.checked_mul(16)?.checked_add(digit));
    }
    match value {
        Some(value) if value <= highest => Ok(value),
        // Too wide for the target, whatever it was meant to be.
        Some(_) | None => Err(Errno::Address),
    }
}

/// `address,length` as a region that does not wrap around. It may be empty.
pub(super) fn region(text: &[u8], limits: &Limits) -> Result<usize, Errno> {
    let (address, length) = split(text, b',')?;
    let address = number(address, limits.highest_address)?;
    let length = number(length, limits.highest_address)?;
    match length.checked_sub(1) {
        Some(beyond_first) if beyond_first > limits.highest_address - address => {
            Err(Errno::Address)
        }
        Some(_) | None => Ok(length),
    }
}

/// Exactly `length` bytes, two digits each.
///
/// gdbstub would take an `x` for a zero here: it stands for *not available* in replies.
pub(super) fn hex(text: &[u8], length: usize) -> Result<(), Errno> {
    let digits = text.iter().all(|byte| byte.is_ascii_hexdigit());
    if digits && length.checked_mul(2) == Some(text.len()) { Ok(()) } else { Err(Errno::Invalid) }
}

/// Exactly `length` bytes of binary data, after `}` was removed wherever it escapes one.
pub(super) fn binary(text: &[u8], length: usize) -> Result<(), Errno> {
    let mut count = 0usize;
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        if *byte == b'}' {
            bytes.next().ok_or(Errno::Invalid)?;
        }
        count += 1;
    }
    if count == length { Ok(()) } else { Err(Errno::Invalid) }
}

/// How many digits the largest number has.
pub(super) const HEX_DIGITS: usize = 2 * size_of::<usize>();

/// The shortest hexadecimal form of a number.
pub(super) fn shown(number: NonZeroUsize, digits: &mut [u8; HEX_DIGITS]) -> &[u8] {
    let count = (usize::BITS - number.leading_zeros()).div_ceil(4) as usize;
    for (place, written) in digits.iter_mut().take(count).enumerate() {
        let value = number.get() >> (4 * (count - 1 - place)) & 0xF;
        *written = digit(value as u8);
    }
    digits.get(..count).unwrap_or_default()
}
