//! `qSupported`, `qRcmd` and `qXfer`.

use super::field::{after, hex, number, split};
use super::{Checked, Errno, Name, Packet, Text, ThreadIds, as_sent};

/// `qSupported[:feature;feature...]`
///
/// gdbstub ends the session when there is no feature, or an empty one.
pub(super) fn supported<'a>(arguments: &'a [u8], payload: &'a [u8]) -> Result<Checked<'a>, Errno> {
    if arguments.is_empty() {
        let mut text = heapless::Vec::new();
        text.extend_from_slice(ThreadIds::Plain.replay()).map_err(|_| Errno::TooLong)?;
        let packet = Packet { name: Name::Supported, text: Text::Rewritten(text) };
        return Ok(Checked::NewClient(packet, ThreadIds::Plain));
    }
    let mut ids = ThreadIds::Plain;
    for feature in after(arguments, b':')?.split(|byte| *byte == b';') {
        match feature {
            b"" => return Err(Errno::Invalid),
            b"multiprocess+" => ids = ThreadIds::WithProcess,
            b"multiprocess-" => ids = ThreadIds::Plain,
            _ => {}
        }
    }
    Ok(Checked::NewClient(as_sent(Name::Supported, payload), ids))
}

/// `qRcmd,digits`
pub(super) fn monitor(arguments: &[u8]) -> Result<(), Errno> {
    let command = after(arguments, b',')?;
    hex(command, command.len() / 2)
}

/// `qXfer:object:read:annex:offset,length`, from the third `:` on.
///
/// The end of the object is known by reading past it, so any offset will do, as long as it
/// can be expressed. A length of 0 is refused: the empty answer would mean the end.
pub(super) fn transfer(arguments: &[u8], annex: &[u8]) -> Result<(), Errno> {
    let (asked, place) = split(after(arguments, b':')?, b':')?;
    if asked != annex {
        return Err(Errno::NoAnnex);
    }
    let (offset, length) = split(place, b',')?;
    number(offset, usize::MAX).map_err(|_| Errno::Invalid)?;
    match number(length, usize::MAX) {
        Ok(0) | Err(_) => Err(Errno::Invalid),
        Ok(_) => Ok(()),
    }
}
