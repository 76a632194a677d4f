//! What was refused last, for `monitor why`.
//!
//! gdb reads memory by itself, too: an unwinder that looks at one address too many must not hide why a
//! person's watchpoint was refused. So reads have a place of their own.

use core::fmt;

use super::refusal::Refusal;

/// The last refusals.
#[derive(Debug)]
pub(crate) struct Refusals {
    /// Of anything but a read.
    request: Option<Refusal>,
    /// Of a read, since then.
    read: Option<Refusal>,
}

impl Refusals {
    /// Nothing was refused.
    pub const fn new() -> Self {
        Self { request: None, read: None }
    }

    /// Something was refused.
    pub fn note(&mut self, refusal: Refusal) {
        if matches!(refusal, Refusal::Read { .. }) {
            self.note_read(refusal);
        } else {
            *self = Self { request: Some(refusal), read: None };
        }
    }

    /// Memory was not read, for whatever reason.
    pub fn note_read(&mut self, refusal: Refusal) {
        self.read = Some(refusal);
    }
}

impl fmt::Display for Refusals {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.request, &self.read) {
            (None, None) => out.write_str("nothing was refused in this session"),
            (Some(refusal), None) | (None, Some(refusal)) => refusal.fmt(out),
            (Some(request), Some(read)) => write!(out, "{request}\nafter that, {read}"),
        }
    }
}
