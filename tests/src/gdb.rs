//! A stock gdb, driven as a person would: a command, its output.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::conversation::{Conversation, Echo};
use crate::image::Image;
use crate::poll;
use crate::qemu::Qemu;

/// The debugger's program.
pub const PROGRAM: &str = "gdb";

/// What gdb prints when it wants a command; nothing else prints it.
const PROMPT: &str = "(tetrarch-gdb) ";

/// How much of the packet log a failure shows.
const PACKETS_SHOWN: usize = 16 * 1024;

/// A gdb. Dropping it ends it, without a word to the target.
#[derive(Debug)]
pub struct Gdb {
    conversation: Conversation,
    echo: Echo,
    packets: PathBuf,
    _directory: TempDir,
}

impl Gdb {
    /// Starts gdb on an image. Not attached yet.
    pub fn start(image: &Image, echo: Echo) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("tetrarch-").tempdir()?;
        let packets = directory.path().join("packets");
        let mut command = plain(image);
        // Not `set remotelogfile`: gdb 13 closes that one as soon as a resume fails.
        for setting in [
            format!("logging file {}", packets.display()),
            "logging debugredirect on".to_owned(),
            "debug remote on".to_owned(),
            "logging enabled on".to_owned(),
            format!("prompt {PROMPT}"),
        ] {
            command.args(["-ex", &format!("set {setting}")]);
        }
        let mut conversation = Conversation::start(command, Echo::Silent)?;
        conversation.read_until(PROMPT)?;
        // Only now: what gdb says when it starts is of no interest.
        conversation.set_echo(echo);
        Ok(Self { conversation, echo, packets, _directory: directory })
    }

    /// Connects to an image that runs in QEMU, and gives what gdb says.
    pub fn attach(&mut self, qemu: &Qemu) -> Result<String> {
        self.attach_to(qemu.address())
    }

    /// The same wherever it runs.
    pub fn attach_to(&mut self, address: &str) -> Result<String> {
        self.command(&format!("target remote {address}"))
    }

    /// Gives a command and waits until gdb wants the next one.
    pub fn command(&mut self, line: &str) -> Result<String> {
        self.begin(line)?;
        self.finish()
    }

    /// Gives a command whose output must contain `text`.
    pub fn expect(&mut self, line: &str, text: &str) -> Result<String> {
        let output = self.command(line)?;
        self.check(line, &output, text)?;
        Ok(output)
    }

    /// Gives a command and does not wait, for one that lets the image run.
    pub fn begin(&mut self, line: &str) -> Result<()> {
        if self.echo == Echo::Terminal {
            println!("(gdb) {line}");
        }
        self.conversation.send(line)
    }

    /// Waits until gdb wants the next command.
    pub fn finish(&mut self) -> Result<String> {
        let output = self.conversation.read_until(PROMPT);
        output.map_err(|error| error.context(self.evidence()))
    }

    /// Continues, and returns when the target has acknowledged that: from here on a Ctrl-C
    /// is for the image. Earlier, gdb sends it *before* the packet that resumes.
    pub fn resume(&mut self) -> Result<()> {
        let before = fs::metadata(&self.packets).map_or(0, |data| data.len());
        self.begin("continue")?;
        poll::until("gdb to resume the image", || {
            let mut packets = File::open(&self.packets)?;
            packets.seek(SeekFrom::Start(before))?;
            let mut new = Vec::new();
            packets.read_to_end(&mut new)?;
            let new = String::from_utf8_lossy(&new);
            let resumed =
                new.split_once("$vCont;c").is_some_and(|(_, after)| after.contains("Received Ack"));
            Ok(resumed.then_some(()))
        })
        .with_context(|| self.evidence())
    }

    /// Presses Ctrl-C while the image runs, and waits until gdb wants the next command.
    pub fn interrupt(&mut self) -> Result<String> {
        self.conversation.interrupt()?;
        self.finish()
    }

    /// The value of an expression, as `print` shows it.
    pub fn value(&mut self, expression: &str) -> Result<String> {
        let output = self.command(&format!("print {expression}"))?;
        let value = output.trim().split_once(" = ").map(|(_, value)| value.to_owned());
        value.with_context(|| format!("{expression} has no value: {output}{}", self.evidence()))
    }

    /// The value of an expression that is a number.
    pub fn number(&mut self, expression: &str) -> Result<u64> {
        let output = self.value(&format!("/x {expression}"))?;
        let digits = output.trim_start_matches("0x");
        u64::from_str_radix(digits, 16)
            .with_context(|| format!("{expression} is {output}, no number"))
    }

    /// Fails, with what was said on both sides, unless `output` contains `text`.
    pub fn check(&self, line: &str, output: &str, text: &str) -> Result<()> {
        if !output.contains(text) {
            bail!("`{line}` did not say {text:?} but:\n{output}\n{}", self.evidence());
        }
        Ok(())
    }

    /// Something that kills gdb when called, from another thread for instance.
    pub fn killer(&self) -> Result<impl Fn() + Send + 'static> {
        self.conversation.killer()
    }

    /// Both sides' log: what was typed and answered, and the packets.
    pub fn evidence(&self) -> String {
        let packets = self.packets();
        let mut start = packets.len().saturating_sub(PACKETS_SHOWN);
        while !packets.is_char_boundary(start) {
            start += 1;
        }
        format!(
            "---- gdb:\n{}\n---- packets:\n{}\n----",
            self.conversation.transcript(),
            &packets[start..]
        )
    }

    /// The packets so far, as gdb logs them, and its own output between them.
    pub fn packets(&self) -> String {
        // No packet yet, no file.
        fs::read(&self.packets)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }
}

/// gdb on an image, with nothing of the user's own settings and no questions asked.
pub(crate) fn plain(image: &Image) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(["-nx", "-q"]);
    for setting in [
        "pagination off",
        "confirm off",
        "width 0",
        "height 0",
        "style enabled off",
        "debuginfod enabled off",
        // A loaded machine may not run QEMU for two seconds; gdb would send its packet again.
        "remotetimeout 60",
    ] {
        command.args(["-iex", &format!("set {setting}")]);
    }
    command.arg(image.path());
    command
}
