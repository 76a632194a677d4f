//! The line as the firmware's console: with gdb, without it, and in between.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use anyhow::{Context, Result, ensure};
use tetrarch_tests::{Boot, Qemu, poll, under_gdb};

use crate::support::{same, to_next_turn};

/// What the image says when it is asked to.
fn said(times: u32, turns: u64) -> String {
    let line = |time| format!("turn {turns}, said {time} of {times} times\n");
    (1..=times).map(line).collect()
}

#[test]
fn what_the_image_says_while_it_runs_is_printed_by_gdb() -> Result<()> {
    under_gdb(Boot::new("demo")?, |session| {
        let gdb = &mut session.gdb;
        to_next_turn(gdb)?;
        for times in [1, 2, 50] {
            gdb.command(&format!("set variable say = {times}"))?;
            gdb.expect("tbreak step_once", "Temporary breakpoint")?;
            gdb.command("up")?;
            let turns = gdb.number("turn")?;
            gdb.command("down")?;
            let output = gdb.command("continue")?;
            ensure!(output.contains(&said(times, turns)), "{turns}: {output}");
        }
        // A stop in the middle is told after what was said before it.
        gdb.command("set variable say = 100000")?;
        gdb.resume()?;
        let output = gdb.interrupt()?;
        ensure!(output.contains("SIGINT"), "{output}");
        gdb.command("detach")?;
        session.replace_gdb()?;
        session.gdb.expect("monitor dr", "null-guard")?;
        Ok(())
    })
}

/// Somebody with a terminal on the line.
struct Terminal(UnixStream);

impl Terminal {
    fn connect(qemu: &Qemu) -> Result<Self> {
        let stream = UnixStream::connect(qemu.address())?;
        stream.set_read_timeout(Some(poll::LIMIT))?;
        Ok(Self(stream))
    }

    /// Types a line, and reads what the image makes of it.
    fn type_line(&mut self, line: &str) -> Result<String> {
        write!(self.0, "{line}\r")?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"\n") {
            let mut byte = [0];
            self.0.read_exact(&mut byte).with_context(|| format!("{line}: {answer:?}"))?;
            answer.extend(byte);
        }
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }
}

#[test]
fn what_is_typed_without_gdb_is_the_images_whatever_it_is() -> Result<()> {
    let qemu = Boot::new("demo")?.start()?;
    let mut terminal = Terminal::connect(&qemu)?;
    for line in ["hello", "ls -l +x", "echo $HOME", "a\u{3}b", "}*", ""] {
        same(line, terminal.type_line(line)?, format!("typed: {line}\n"))?;
    }
    // Nobody was taken for a client, and the image runs.
    let log = qemu.log().lines();
    ensure!(!log.iter().any(|line| line.contains("session opened")), "{log:?}");
    Ok(())
}

#[test]
fn the_console_is_there_again_when_gdb_has_gone() -> Result<()> {
    under_gdb(Boot::new("demo")?, |session| {
        session.gdb.expect("monitor dr", "null-guard")?;
        session.gdb.command("detach")?;
        let mut terminal = Terminal::connect(&session.qemu)?;
        same("again", terminal.type_line("again")?, "typed: again\n".to_owned())?;
        drop(terminal);
        session.replace_gdb()?;
        session.gdb.expect("monitor dr", "null-guard")?;
        Ok(())
    })
}
