//! Packets that read or write memory and registers, and breakpoints.

use core::num::NonZeroUsize;

use super::field::{HEX_DIGITS, after, binary, hex, number, region, shown, split};
use super::{Checked, Errno, Limits, Name, Packet, Reply, as_sent, rewritten};
use crate::link::ENVELOPE;

/// `m address,length`
///
/// The answer must fit into one frame, and the policy may end what is readable, so a longer read
/// becomes a shorter one, as the protocol allows: the client asks for the rest. gdb takes
/// PacketSize for the length of the payload alone, so the reads of its large transfers are each a
/// few bytes too long.
pub(super) fn read_memory<'a>(
    arguments: &'a [u8],
    payload: &'a [u8],
    limits: &Limits,
) -> Result<Packet<'a>, Errno> {
    let length = region(arguments, limits)?;
    match NonZeroUsize::new((limits.packet.saturating_sub(ENVELOPE) / 2).min(limits.readable)) {
        Some(longest) if longest.get() < length => {
            let (address, _) = split(arguments, b',')?;
            shorter(address, longest, limits)
        }
        Some(_) | None => Ok(as_sent(Name::ReadMemory, payload)),
    }
}

fn shorter<'a>(address: &[u8], length: NonZeroUsize, limits: &Limits) -> Result<Packet<'a>, Errno> {
    // Zeros in front mean nothing, and there may be as many of them as fit into a packet.
    let zeros = address.iter().take_while(|digit| **digit == b'0').count();
    let address = address.get(zeros..).unwrap_or_default();
    let mut digits = [0; HEX_DIGITS];
    rewritten(Name::ReadMemory, &[b"m0", address, b",", shown(length, &mut digits)], limits)
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

/// `G digits`: the registers of the block, no more and no less. Of more, gdbstub would ignore the rest.
pub(super) fn registers(arguments: &[u8], limits: &Limits) -> Result<(), Errno> {
    hex(arguments, limits.block)
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
