//! Faults inside the stub, in what it calls of the firmware's: the machine is not lost.

use std::io::Write;
use std::os::unix::net::UnixStream;

use anyhow::{Result, ensure};
use tetrarch_tests::{Boot, Gdb, poll, under_gdb};

use crate::support::{same, to_next_turn};

/// Everything works as it did.
fn all_is_well(gdb: &mut Gdb) -> Result<()> {
    gdb.expect("monitor dr", "null-guard")?;
    to_next_turn(gdb)?;
    gdb.expect("watch ticks", "Hardware watchpoint")?;
    let start = gdb.number("ticks")?;
    gdb.expect("continue", &format!("New value = {}", start + 1))?;
    gdb.command("delete")?;
    gdb.command("stepi")?;
    let writes = gdb.number("demo::config_writes")?;
    gdb.command("set variable demo::provoke = 2")?;
    to_next_turn(gdb)?;
    to_next_turn(gdb)?;
    same("writes that the guard has seen", gdb.number("config_writes")?, writes + 1)
}

#[test]
fn a_command_of_the_firmwares_that_fails_costs_its_answer_and_nothing_else() -> Result<()> {
    under_gdb(Boot::new("demo")?, |session| {
        let gdb = &mut session.gdb;
        to_next_turn(gdb)?;
        for (way, what) in [
            ("fault", "given up because of a page fault at 0x"),
            ("division", "given up because of a divide error at 0x"),
            (
                "panic",
                "called of the firmware's: provoked in a command (examples/src/bin/demo/faulty.rs:",
            ),
        ] {
            let place = gdb.number("$rip")?;
            let output = gdb.command(&format!("monitor fail {way}"))?;
            ensure!(output.contains("rotocol error with Rcmd"), "{way}: {output}");
            gdb.expect("monitor why", what)?;
            same("the target has not moved", gdb.number("$rip")?, place)?;
            all_is_well(gdb)?;
        }
        // A mere mistake is none.
        gdb.expect("monitor fail so", "no such way: so")?;
        all_is_well(gdb)
    })
}

#[test]
fn a_handler_that_fails_stops_in_the_debugger() -> Result<()> {
    under_gdb(Boot::new("demo")?, |session| {
        let gdb = &mut session.gdb;
        for _ in 0..3 {
            gdb.command("set variable demo::claim = 4")?;
            to_next_turn(gdb)?;
            to_next_turn(gdb)?;
            gdb.command("set variable provoke = 2")?;
            let output = gdb.expect("continue", "tetrarch: stopped by a page fault at 0x")?;
            ensure!(output.contains("SIGABRT") && output.contains("write_config"), "{output}");
            gdb.command("set variable demo::claim = 2")?;
            to_next_turn(gdb)?;
            to_next_turn(gdb)?;
            gdb.command("set variable claim = 1")?;
            to_next_turn(gdb)?;
            all_is_well(gdb)?;
        }
        Ok(())
    })
}

/// The call comes back with an error, and the debugger is told before.
#[test]
fn a_call_of_the_firmwares_that_fails_stops_in_the_debugger_and_is_given_up() -> Result<()> {
    under_gdb(Boot::new("demo")?, |session| {
        let gdb = &mut session.gdb;
        let log = "config-guard: not changed: given up because of";
        for (order, what, logged) in [
            (5, "a page fault at 0x", 1),
            (6, "a panic inside the stub or what it called of the firmware's: provoked in", 2),
            (7, "a page fault at 0x", 2),
            (5, "a page fault at 0x", 3),
        ] {
            to_next_turn(gdb)?;
            let table = gdb.command("monitor dr")?;
            gdb.command(&format!("set variable demo::claim = {order}"))?;
            let output = gdb.expect("continue", &format!("tetrarch: stopped by {what}"))?;
            ensure!(output.contains("SIGABRT"), "{order}: {output}");
            gdb.expect("backtrace", "demo::guards::Guards::obey")?;
            same("the claims", gdb.command("monitor dr")?, table)?;
            all_is_well(gdb)?;
            let lines = session.qemu.log().lines();
            let lines = lines.iter().filter(|line| line.contains(log)).count();
            same("lines in the log", lines, logged)?;
        }
        Ok(())
    })
}

/// There is no debugger then; the next one is told.
#[test]
fn a_reader_of_the_console_that_fails_stops_for_the_next_debugger() -> Result<()> {
    under_gdb(Boot::new("demo")?, |session| {
        let ticks = session.gdb.number("&demo::ticks")?;
        session.gdb.command("set variable demo::claim = 8")?;
        to_next_turn(&mut session.gdb)?;
        to_next_turn(&mut session.gdb)?;
        session.gdb.command("detach")?;
        let mut terminal = UnixStream::connect(session.qemu.address())?;
        terminal.write_all(b"x")?;
        // The image turns many times from one look to the next.
        let mut seen = [0, 1, 2];
        poll::until("the image to stand still", || {
            seen.rotate_left(1);
            seen[2] = session.qemu.monitor().number(ticks)?;
            Ok((seen[0] == seen[2]).then_some(()))
        })?;
        drop(terminal);
        session.replace_gdb()?;
        session.gdb.expect("monitor stop", "stopped by a page fault at 0x")?;
        all_is_well(&mut session.gdb)
    })
}
