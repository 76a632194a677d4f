//! The registers as QEMU's monitor prints them, for the tests to compare with gdb's.
//!
//! At a stop that is the CPU inside the stub: system registers and selectors are the
//! firmware's there, general ones are not.

use anyhow::{Context, Result};
use tetrarch_tests::monitor::Monitor;

/// The text of `info registers`.
pub struct View(String);

impl View {
    /// What the first CPU holds now.
    pub fn of(monitor: &mut Monitor) -> Result<Self> {
        // `R8 =…` and `CS =…` are filled up to three characters.
        Ok(Self(monitor.human("info registers")?.replace(" =", "=")))
    }

    /// The number after `NAME=`, in whatever case the name is given.
    pub fn word(&self, name: &str) -> Result<u64> {
        Ok(self.words(name)?[0])
    }

    /// The base of a segment, which follows its selector.
    pub fn base(&self, name: &str) -> Result<u64> {
        self.words(name)?.get(1).copied().with_context(|| format!("{name} has no base"))
    }

    /// Low and high half of a vector register.
    pub fn vector(&self, number: usize) -> Result<[u64; 2]> {
        match self.words(&format!("XMM{number:02}"))?[..] {
            [high, low] => Ok([low, high]),
            ref other => anyhow::bail!("XMM{number} is {other:?}"),
        }
    }

    /// The numbers after `NAME=`: one at least.
    fn words(&self, name: &str) -> Result<Vec<u64>> {
        let start = format!("{}=", name.to_uppercase());
        let mut fields = self.0.split_whitespace().skip_while(|field| !field.starts_with(&start));
        let first = fields.next().and_then(|field| field.strip_prefix(&start));
        let first = first.with_context(|| format!("no {name} in:\n{}", self.0))?;
        let number = |digits| u64::from_str_radix(digits, 16);
        let mut words = vec![number(first)?];
        words.extend(fields.map_while(|field| number(field).ok()));
        Ok(words)
    }
}
