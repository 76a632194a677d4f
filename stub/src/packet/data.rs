//! Packets that read or write memory and registers, and breakpoints.

use super::field::{after, binary, hex, number, region, split};
use super::{Checked, Errno, Limits, Name, Reply, as_sent};
use crate::link::ENVELOPE;

/// `m address,length`
///
/// gdbstub sends the answer in pieces of its buffer, but the link keeps it as one frame:
/// it must be as short as any other.
pub(super) fn read_memory(arguments: &[u8], limits: &Limits) -> Result<(), Errno> {
    let length = region(arguments, limits)?;
    let longest = limits.packet.saturating_sub(ENVELOPE) / 2;
    if length > longest { Err(Errno::Invalid) } else { Ok(()) }
}

/// `M address,length:digits`
///
/// gdbstub ignores the length and writes what data there is.
pub(super) fn write_memory(arguments: &[u8], limits: &Limits) -> Result<(), Errno> {
    let (place, data) = split(arguments, b':')?;
    hex(data, region(place, limits)?)
}

/// `X address,length:bytes`
pub(super) fn write_binary(arguments: &[u8], limits: &Limits) -> Result<(), Errno> {
    let (place, data) = split(arguments, b':')?;
    binary(data, region(place, limits)?)
}

/// `G digits`: all registers, no more and no less. Of more, gdbstub would ignore the rest.
pub(super) fn all_registers(arguments: &[u8], limits: &Limits) -> Result<(), Errno> {
    hex(arguments, limits.register_sizes.iter().map(|size| usize::from(*size)).sum())
}

/// `p number`; gives the register's size. gdbstub's reply to an unknown number is the empty
/// one, after which gdb never uses `p` again.
pub(super) fn register_number(text: &[u8], limits: &Limits) -> Result<usize, Errno> {
    let number = number(text, usize::MAX).map_err(|_| Errno::Invalid)?;
    limits.register_sizes.get(number).map(|size| usize::from(*size)).ok_or(Errno::Invalid)
}

/// `P number=digits`: exactly the register's size.
pub(super) fn register_value(arguments: &[u8], limits: &Limits) -> Result<(), Errno> {
    let (number, value) = split(arguments, b'=')?;
    hex(value, register_number(number, limits)?)
}

/// `Z kind,address,length` and `z kind,address,length`
///
/// A kind that does not exist is not supported. Conditions and commands after a `;` are
/// never sent, since they were not offered; to insert the breakpoint without them would be
/// to claim what is not done, so they are an error.
pub(super) fn breakpoint<'a>(
    name: Name,
    arguments: &[u8],
    payload: &'a [u8],
    limits: &Limits,
) -> Result<Checked<'a>, Errno> {
    let place = match arguments {
        [b'0'..=b'4', place @ ..] => after(place, b',')?,
        _ => {
            let (kind, _) = split(arguments, b',')?;
            number(kind, usize::MAX)?;
            return Ok(Checked::Answer(Reply::Empty));
        }
    };
    match region(place, limits)? {
        0 => Err(Errno::Invalid),
        _ => Ok(Checked::Forward(as_sent(name, payload))),
    }
}
