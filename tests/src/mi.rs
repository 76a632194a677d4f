//! The same gdb through its machine interface, as development environments use it.
//!
//! A command is answered by one result record (`^done`, `^running`, `^error`); stops come
//! by themselves, as `*stopped` records.

use std::collections::VecDeque;

use anyhow::{Result, bail};

use crate::conversation::{Conversation, Echo};
use crate::gdb::plain;
use crate::image::Image;
use crate::qemu::Qemu;

/// Ends each group of records.
const PROMPT: &str = "(gdb) \n";

/// A gdb in MI mode. Dropping it ends it.
#[derive(Debug)]
pub struct Mi {
    conversation: Conversation,
    stops: VecDeque<Record>,
}

/// One line of gdb's, such as `*stopped,reason="watchpoint-trigger",...`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record(String);

impl Record {
    /// The whole line.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// The text of the first field with this name, at any depth.
    pub fn field(&self, name: &str) -> Option<&str> {
        let start = self.0.find(&format!("{name}=\""))? + name.len() + 2;
        let end = self.0[start..].find('"')?;
        Some(&self.0[start..start + end])
    }
}

impl Mi {
    /// Starts gdb on an image and attaches to it.
    pub fn attach(image: &Image, qemu: &Qemu) -> Result<Self> {
        let mut command = plain(image);
        command.arg("--interpreter=mi3");
        let mut mi = Self {
            conversation: Conversation::start(command, Echo::Silent)?,
            stops: VecDeque::new(),
        };
        mi.conversation.read_until(PROMPT)?;
        mi.command("-gdb-set mi-async on")?;
        mi.command(&format!("-target-select remote {}", qemu.address()))?;
        mi.wait_for_stop()?;
        Ok(mi)
    }

    /// Gives a command, and fails if gdb answers `^error`.
    pub fn command(&mut self, line: &str) -> Result<Record> {
        let result = self.try_command(line)?;
        if result.text().starts_with("^error") {
            bail!("`{line}`: {}\n{}", result.text(), self.conversation.transcript());
        }
        Ok(result)
    }

    /// Gives a command and its result record, whatever it is.
    pub fn try_command(&mut self, line: &str) -> Result<Record> {
        self.conversation.send(line)?;
        loop {
            let record = self.next()?;
            if record.text().starts_with('^') {
                return Ok(record);
            }
            self.keep(record);
        }
    }

    /// Waits for the next stop that was not asked for yet.
    pub fn wait_for_stop(&mut self) -> Result<Record> {
        loop {
            if let Some(stop) = self.stops.pop_front() {
                return Ok(stop);
            }
            let record = self.next()?;
            self.keep(record);
        }
    }

    /// What was said so far, on both sides.
    pub fn transcript(&self) -> &str {
        self.conversation.transcript()
    }

    fn keep(&mut self, record: Record) {
        if record.text().starts_with("*stopped") {
            self.stops.push_back(record);
        }
    }

    fn next(&mut self) -> Result<Record> {
        Ok(Record(self.conversation.read_until("\n")?.trim_end().to_owned()))
    }
}
