//! Replies as the client reads them: runs written out, digits as bytes.

use anyhow::{Context, Result, bail};

/// Undoes run-length encoding: a character, `*`, and 29 more than the number of repeats.
pub fn expanded(reply: &str) -> Result<String> {
    const BIAS: u8 = 29;
    let mut text = String::new();
    let mut bytes = reply.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'*' {
            text.push(char::from(byte));
            continue;
        }
        let repeats = bytes.next().and_then(|byte| byte.checked_sub(BIAS));
        let repeated = text.chars().last().zip(repeats);
        let (character, repeats) = repeated.with_context(|| format!("no run: {reply:?}"))?;
        text.extend(std::iter::repeat_n(character, repeats.into()));
    }
    Ok(text)
}

/// The bytes that a string of digits stands for.
pub fn bytes(digits: &str) -> Result<Vec<u8>> {
    if !digits.len().is_multiple_of(2) || !digits.is_ascii() {
        bail!("no bytes: {digits:?}");
    }
    let pairs = (0..digits.len()).step_by(2).map(|start| &digits[start..start + 2]);
    pairs
        .map(|pair| u8::from_str_radix(pair, 16).with_context(|| format!("no bytes: {digits:?}")))
        .collect()
}
