//! What an image finds by itself and reports on its first serial port, rule by rule.
//!
//! Lines of text: `pass NAME`, or `fail NAME: what was expected and what came`, and in the end
//! `done: N passed, M failed`.

use anyhow::{Context, Result, ensure};

use crate::conversation::{Conversation, Echo};
use crate::image::Image;
use crate::{bochs, qemu};

/// The image that does.
pub const IMAGE: &str = "semantics";

/// How the last line begins.
const LAST: &str = "done: ";

/// A whole report.
#[derive(Debug)]
pub struct Report {
    lines: Vec<String>,
    passed: Vec<String>,
    failed: Vec<String>,
}

impl Report {
    /// Runs the image in QEMU until it says that it is done.
    pub fn from_qemu() -> Result<Self> {
        let image = Image::build(IMAGE)?;
        let mut command = qemu::machine(1);
        command.arg("-no-reboot").arg("-kernel").arg(image.path());
        // The log goes nowhere.
        command.args(["-serial", "stdio", "-serial", "null"]);
        let mut conversation = Conversation::start(command, Echo::Silent)?;
        let lines = conversation.read_until(LAST)?;
        let last = conversation.read_until("\n")?;
        Self::parse(format!("{lines}{LAST}{last}").lines().map(str::to_owned).collect())
    }

    /// Runs the image in Bochs until it says that it is done.
    pub fn from_bochs() -> Result<Self> {
        Self::parse(bochs::Boot::new(IMAGE)?.read_lines(|line| line.starts_with(LAST))?)
    }

    fn parse(lines: Vec<String>) -> Result<Self> {
        let (mut passed, mut failed) = (Vec::new(), Vec::new());
        let (last, results) = lines.split_last().context("nothing was reported")?;
        for line in results {
            match line.split_once(' ') {
                Some(("pass", name)) => passed.push(name.to_owned()),
                Some(("fail", rest)) if rest.contains(": ") => {
                    failed.extend(rest.split(": ").next().map(str::to_owned));
                }
                _ => anyhow::bail!("{line:?} is no result"),
            }
        }
        let counted = format!("{LAST}{} passed, {} failed", passed.len(), failed.len());
        ensure!(*last == counted, "counted {counted:?}, reported {last:?}");
        Ok(Self { lines, passed, failed })
    }

    /// The names of the rules that were found to hold.
    pub fn passed(&self) -> &[String] {
        &self.passed
    }

    /// The names of those that were not.
    pub fn failed(&self) -> &[String] {
        &self.failed
    }

    /// As it was printed.
    pub fn text(&self) -> String {
        self.lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Report> {
        Report::parse(text.lines().map(str::to_owned).collect())
    }

    #[test]
    fn a_report_is_taken_apart() {
        let report = parse("pass a\nfail b: x: 1\npass c\ndone: 2 passed, 1 failed").unwrap();
        assert_eq!(report.passed(), ["a", "c"]);
        assert_eq!(report.failed(), ["b"]);
    }

    #[test]
    fn a_report_that_lost_a_line_is_an_error() {
        parse("pass a\ndone: 2 passed, 0 failed").unwrap_err();
        parse("pass a\npas b\ndone: 2 passed, 0 failed").unwrap_err();
        parse("pass a").unwrap_err();
    }
}
