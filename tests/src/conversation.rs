//! A conversation with a program over pipes: a line in, text until a prompt out.
//!
//! Decision (first landing): not one of the expect crates. They look for new output ten
//! times a second, which makes a test of a few hundred commands take a minute; here a
//! thread reads, and who waits is woken by what arrives. Pipes will do for gdb: it needs
//! no terminal, and without one it neither echoes, pages nor asks questions.

use std::io::{PipeReader, Read, Write};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::child::Guard;
use crate::poll::LIMIT;

/// Who sees the conversation while it goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Echo {
    /// Nobody; it is kept for when something fails.
    Silent,
    /// The terminal, line by line.
    Terminal,
}

/// A program that is talked to. Dropping it ends the program.
#[derive(Debug)]
pub struct Conversation {
    child: Guard,
    input: ChildStdin,
    output: Receiver<Vec<u8>>,
    /// What has arrived and was not asked for yet.
    pending: String,
    /// The first bytes of a character that comes next.
    begun: Vec<u8>,
    /// How much of `pending` the terminal has seen.
    echoed: usize,
    transcript: String,
    echo: Echo,
}

impl Conversation {
    /// Something that kills the program when called, from another thread for instance.
    pub fn killer(&self) -> Result<impl Fn() + Send + 'static> {
        self.child.signaller(Signal::SIGKILL)
    }

    /// Starts the program; its errors come with its output.
    pub fn start(mut command: Command, echo: Echo) -> Result<Self> {
        let (reader, writer) = std::io::pipe()?;
        let what = format!("cannot run {}", command.get_program().to_string_lossy());
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(writer.try_clone()?)
            .stderr(writer)
            .spawn()
            .context(what)?;
        // The command keeps the pipe's writing end open, and we would never see its end.
        drop(command);
        let input = child.stdin.take().context("no pipe to the program")?;
        Ok(Self {
            child: Guard(child),
            input,
            output: follow(reader),
            pending: String::new(),
            begun: Vec::new(),
            echoed: 0,
            transcript: String::new(),
            echo,
        })
    }

    /// Who sees what comes from here on.
    pub fn set_echo(&mut self, echo: Echo) {
        self.echo = echo;
    }

    /// Everything said so far, on both sides.
    pub fn transcript(&self) -> &str {
        &self.transcript
    }

    /// Sends a line.
    pub fn send(&mut self, line: &str) -> Result<()> {
        self.transcript.push_str(line);
        self.transcript.push('\n');
        self.input.write_all(format!("{line}\n").as_bytes()).context("the program has ended")
    }

    /// Sends SIGINT, as Ctrl-C does.
    pub fn interrupt(&self) -> Result<()> {
        let process = Pid::from_raw(i32::try_from(self.child.0.id())?);
        kill(process, Signal::SIGINT).context("the program has ended")
    }

    /// Reads up to `prompt`, and gives what came before it.
    pub fn read_until(&mut self, prompt: &str) -> Result<String> {
        let mut searched = 0;
        loop {
            if let Some(position) = self.pending[searched..].find(prompt) {
                let end = searched + position;
                self.show(end);
                let text = self.pending[..end].to_owned();
                self.pending.drain(..end + prompt.len());
                self.echoed = 0;
                self.transcript.push_str(&text);
                self.transcript.push_str(prompt);
                return Ok(text);
            }
            // Lines before the last one cannot hold the prompt any more.
            searched = self.pending.rfind('\n').map_or(0, |end| end + 1);
            self.show(searched);
            match self.output.recv_timeout(LIMIT) {
                Ok(bytes) => self.take_in(&bytes),
                Err(RecvTimeoutError::Timeout) => {
                    bail!("no {prompt:?} within {} s{}", LIMIT.as_secs(), self.evidence())
                }
                Err(RecvTimeoutError::Disconnected) => {
                    bail!("the program ended before {prompt:?}{}", self.evidence())
                }
            }
        }
    }

    /// Adds what has arrived, but for the beginning of a character whose end has not.
    fn take_in(&mut self, bytes: &[u8]) {
        self.begun.extend_from_slice(bytes);
        let whole = match std::str::from_utf8(&self.begun) {
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            Ok(_) | Err(_) => self.begun.len(),
        };
        let rest = self.begun.split_off(whole);
        self.pending.push_str(&String::from_utf8_lossy(&self.begun));
        self.begun = rest;
    }

    fn evidence(&self) -> String {
        format!(", after:\n{}{}", self.transcript, self.pending)
    }

    /// Shows `pending` up to `end`, less what was shown before.
    fn show(&mut self, end: usize) {
        if self.echo == Echo::Terminal && end > self.echoed {
            let text = &self.pending[self.echoed..end];
            print!("{text}");
            // A terminal that has gone away must not fail the session.
            let _ = std::io::stdout().flush();
            self.echoed = end;
        }
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("---- the conversation:\n{}{}\n----", self.transcript, self.pending);
        }
    }
}

fn follow(mut reader: PipeReader) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = reader.read(&mut buffer) {
            if sender.send(buffer[..count].to_vec()).is_err() {
                break;
            }
        }
    });
    receiver
}
