//! What a packet is about, for whoever decides whether it may pass.
//!
//! Read with the same functions as by the fence, so that both mean the same; `None` where the
//! fence will not let it through.

use heapless::Vec;

use super::Name;
use super::field::{after, number, split};
use crate::arbiter::Region;

/// The longest line of `monitor` that is read here, in bytes.
pub(crate) const LINE: usize = 80;

/// The memory that `m`, `M`, `X`, `Z` or `z` names. Nothing if it is empty.
pub(crate) fn memory(payload: &[u8]) -> Option<Region> {
    let (name, arguments) = Name::find(payload)?;
    let has_kind = matches!(name, Name::Insert | Name::Remove);
    let place = if has_kind { split(arguments, b',').ok()?.1 } else { arguments };
    let (address, rest) = split(place, b',').ok()?;
    let end = rest.iter().position(|byte| *byte == b':').unwrap_or(rest.len());
    let length = number(rest.get(..end)?, usize::MAX).ok()?;
    Region::new(number(address, usize::MAX).ok()?, length).ok()
}

/// Whether a `Z` asks for a software breakpoint.
pub(crate) fn is_software_breakpoint(payload: &[u8]) -> bool {
    payload.starts_with(b"Z0")
}

/// The register that `p` names.
pub(crate) fn register(payload: &[u8]) -> Option<usize> {
    let (name, arguments) = Name::find(payload)?;
    (name == Name::ReadRegister).then(|| number(arguments, usize::MAX).ok()).flatten()
}

/// The line that `qRcmd` brings, unless it is too long.
pub(crate) fn command(payload: &[u8]) -> Option<Vec<u8, LINE>> {
    let (_, arguments) = Name::find(payload)?;
    let digits = after(arguments, b',').ok()?;
    let bytes = digits.chunks(2).map(|pair| number(pair, 0xFF).map(|byte| byte as u8));
    let mut line = Vec::new();
    for byte in bytes {
        line.push(byte.ok()?).ok()?;
    }
    Some(line)
}
