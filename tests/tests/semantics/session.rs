//! A person's session with the demo in Bochs, through its serial port.

use anyhow::{Context, Result, ensure};
use tetrarch_tests::conversation::Echo;
use tetrarch_tests::{Bochs, Gdb, bochs};

use crate::support::{Row, address, same, statement, stops, table, to_next_turn};

/// Runs a test with the demo in Bochs and gdb attached to it. If it fails, the error carries
/// what was said on all sides.
fn in_bochs(test: impl FnOnce(&Bochs, &mut Gdb) -> Result<()>) -> Result<()> {
    let bochs = bochs::Boot::new("demo")?.start()?;
    let mut gdb = Gdb::start(bochs.image(), Echo::Silent)?;
    let attached = gdb.attach_to(&bochs.address()).map(drop);
    attached
        .and_then(|()| test(&bochs, &mut gdb))
        .map_err(|error| error.context(format!("{}\n{}", gdb.evidence(), bochs.evidence())))
}

#[test]
fn gdb_watches_breaks_steps_and_detaches() -> Result<()> {
    in_bochs(|bochs, gdb| {
        to_next_turn(gdb)?;
        let start = gdb.number("ticks")?;
        gdb.expect("watch ticks", "Hardware watchpoint 2: ticks")?;
        for old in [start, start + 1] {
            let values = [format!("Old value = {old}"), format!("New value = {}", old + 1)];
            let expected = [
                "Hardware watchpoint 2: ticks",
                &values[0],
                &values[1],
                "demo::step_once",
                statement::AFTER_TICKS,
            ];
            stops(gdb, "continue", &expected)?;
        }
        let ticks = address(gdb, "ticks")?;
        same("the watchpoint", table(gdb)?[2].clone(), Some(Row::held(ticks, 8, "write", 2)))?;
        gdb.command("delete")?;

        gdb.expect("hbreak read_setpoint", "Hardware assisted breakpoint 3")?;
        let breakpoint = "Breakpoint 3, demo::read_setpoint";
        let place = "let wanted = unsafe { setpoint };";
        stops(gdb, "continue", &[breakpoint, place])?;
        same("ticks", gdb.number("ticks")?, start + 2)?;
        // On and on: a processor that forgot RF would not get past it.
        stops(gdb, "continue", &[breakpoint, place])?;
        same("ticks", gdb.number("ticks")?, start + 3)?;

        let following = second_instruction(gdb)?;
        gdb.command("stepi")?;
        same("rip", gdb.number("$rip")?, following)?;
        gdb.command("delete")?;
        to_next_turn(gdb)?;
        gdb.expect("next", "ticks += 1;")?;
        stops(gdb, "next", &[statement::AFTER_TICKS])?;
        same("ticks", gdb.number("ticks")?, start + 5)?;

        gdb.expect("detach", "detached")?;
        come_back(bochs, start + 5)
    })
}

/// The address of the instruction after the one that gdb has stopped at.
fn second_instruction(gdb: &mut Gdb) -> Result<u64> {
    let listing = gdb.command("x/2i $rip")?;
    let line = listing.lines().nth(1).with_context(|| listing.clone())?;
    let digits = line.trim().trim_start_matches("0x");
    let end = digits.find(|character: char| !character.is_ascii_hexdigit());
    Ok(u64::from_str_radix(&digits[..end.unwrap_or(digits.len())], 16)?)
}

/// Another gdb finds that the image has run on, and exactly its guards in place.
fn come_back(bochs: &Bochs, ticks: u64) -> Result<()> {
    let mut gdb = Gdb::start(bochs.image(), Echo::Silent)?;
    gdb.attach_to(&bochs.address())?;
    let config = address(&mut gdb, "config")?;
    let guards = [
        Some(Row::armed(0, 8, "read/write", 0, "null-guard")),
        Some(Row::armed(config, 8, "write", 0, "config-guard")),
        None,
        None,
    ];
    same("the table", table(&mut gdb)?, guards)?;
    to_next_turn(&mut gdb)?;
    let now = gdb.number("ticks")?;
    ensure!(now > ticks + 1, "ticks was {ticks}, and is {now}{}", gdb.evidence());

    // A guard of the image's still does its work.
    gdb.command("set variable provoke = 1")?;
    gdb.expect("continue", "stopped by null-guard")?;
    gdb.expect("detach", "detached")?;
    Ok(())
}
