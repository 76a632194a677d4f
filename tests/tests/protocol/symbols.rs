//! Where the demo's symbols are, looked up by a gdb that attaches to nothing.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};
use tetrarch_tests::conversation::Echo;
use tetrarch_tests::{Gdb, Image};

/// The address of a symbol of the demo.
pub fn address(symbol: &str) -> Result<u64> {
    static KNOWN: Mutex<Option<HashMap<String, u64>>> = Mutex::new(None);
    // A test that panicked while it looked something up leaves the map whole.
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let known = known.get_or_insert_default();
    if let Some(address) = known.get(symbol) {
        return Ok(*address);
    }
    let answer = Gdb::start(&Image::build("demo")?, Echo::Silent)?
        .command(&format!("info address {symbol}"))?;
    let address = answer
        .split_once("0x")
        .and_then(|(_, rest)| rest.split(|character: char| !character.is_ascii_hexdigit()).next())
        .with_context(|| format!("gdb says of {symbol}: {answer}"))?;
    let address = u64::from_str_radix(address, 16)?;
    known.insert(symbol.to_owned(), address);
    Ok(address)
}
