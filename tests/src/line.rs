//! A line into an emulator that wants a terminal at its end: a pseudo-terminal.
//!
//! The emulator opens the device; what it sends and gets is ours to read and write. One
//! client at a time can be let onto the line through a socket, which outlives its clients
//! as a wire would.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::Stdio;
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::openpty;
use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};
use nix::unistd::ttyname;

use crate::poll::LIMIT;

/// A line, seen from the other end than the emulator's.
#[derive(Debug)]
pub struct Line {
    ours: File,
    device: PathBuf,
    /// Kept open: we could not read while nobody has the device open.
    theirs: OwnedFd,
}

impl Line {
    /// A new line that passes bytes on as they are.
    pub fn new() -> Result<Self> {
        let pair = openpty(None, None)?;
        let mut settings = tcgetattr(&pair.slave)?;
        cfmakeraw(&mut settings);
        tcsetattr(&pair.slave, SetArg::TCSANOW, &settings)?;
        let device = ttyname(&pair.slave)?;
        Ok(Self { ours: File::from(pair.master), device, theirs: pair.slave })
    }

    /// What the emulator shall open.
    pub fn device(&self) -> String {
        self.device.display().to_string()
    }

    /// The device, opened for a program that wants it for its standard streams.
    pub fn stream(&self) -> Result<Stdio> {
        Ok(self.theirs.try_clone()?.into())
    }

    /// Has what comes thrown away, so that nobody waits for it to be read.
    pub fn ignore(&self) -> Result<()> {
        let mut ours = self.reader()?;
        // An error here is the end of the line, which is no error.
        thread::spawn(move || io::copy(&mut ours, &mut io::sink()));
        Ok(())
    }

    /// Something to read from what the emulator sends. It ends when the line is dropped and
    /// the emulator has ended.
    pub fn reader(&self) -> Result<File> {
        Ok(self.ours.try_clone()?)
    }

    /// Reads up to a line of text for which `is_last` holds, and gives all lines.
    pub fn read_lines(&mut self, is_last: impl Fn(&str) -> bool) -> Result<Vec<String>> {
        let mut received = Vec::new();
        let start = Instant::now();
        loop {
            let text = String::from_utf8_lossy(&received).into_owned();
            // What comes after the last newline is not a line yet.
            let whole = text.rfind('\n').map_or("", |end| &text[..end]);
            let lines: Vec<_> = whole.lines().map(str::to_owned).collect();
            if lines.last().is_some_and(|line| is_last(line)) {
                return Ok(lines);
            }
            let left = LIMIT.checked_sub(start.elapsed()).unwrap_or_default();
            let mut wanted = [PollFd::new(self.ours.as_fd(), PollFlags::POLLIN)];
            if poll(&mut wanted, PollTimeout::try_from(left)?)? == 0 {
                bail!("the last line did not come within {} s, but:\n{text}", LIMIT.as_secs());
            }
            let mut buffer = [0; 4096];
            let count = self.ours.read(&mut buffer).context("the emulator has ended")?;
            received.extend_from_slice(&buffer[..count]);
        }
    }

    /// Lets clients onto the line, one at a time, the latest one first. What comes while
    /// there is none is lost. Ends as [`Line::reader`] does.
    pub fn serve(&self, listener: UnixListener) -> Result<()> {
        let mut ours = self.ours.try_clone()?;
        thread::spawn(move || {
            let mut client = None;
            // An error here is the end of the line, which is no error.
            while pass_on(&mut ours, &listener, &mut client).is_ok() {}
        });
        Ok(())
    }
}

/// Waits until there is something to do, and does it.
fn pass_on(
    line: &mut File,
    listener: &UnixListener,
    client: &mut Option<UnixStream>,
) -> Result<()> {
    let mut buffer = [0; 4096];
    let mut wanted = vec![
        PollFd::new(line.as_fd(), PollFlags::POLLIN),
        PollFd::new(listener.as_fd(), PollFlags::POLLIN),
    ];
    wanted.extend(client.iter().map(|client| PollFd::new(client.as_fd(), PollFlags::POLLIN)));
    poll(&mut wanted, PollTimeout::NONE)?;
    let ready: Vec<bool> = wanted.iter().map(|fd| fd.any().unwrap_or(false)).collect();

    if ready[0] {
        let count = line.read(&mut buffer)?;
        let lost =
            client.as_mut().is_some_and(|client| client.write_all(&buffer[..count]).is_err());
        if lost {
            *client = None;
        }
    }
    if ready.get(2) == Some(&true)
        && let Some(stream) = client
    {
        match stream.read(&mut buffer) {
            Ok(count @ 1..) => line.write_all(&buffer[..count])?,
            Ok(0) | Err(_) => *client = None,
        }
    }
    if ready[1] {
        *client = Some(listener.accept()?.0);
    }
    Ok(())
}
