//! The three kinds of watchpoints: what stops, where, and with which values.
//!
//! `rwatch` is the delicate one. A debug register cannot watch for reads alone, so the stub
//! lets reads *and* writes trap and keeps the writes to itself; it takes for a write what has
//! changed the bytes.

use anyhow::Result;
use tetrarch_tests::{Boot, under_gdb};

use crate::support::{Row, address, same, statement, stops, table, to_next_turn, to_turn};

/// How often the debugger's only claim was hit, reported or not.
fn hits(rows: &[Option<Row>; 4]) -> Vec<u64> {
    let debuggers = rows.iter().flatten().filter(|row| row.owners == "debugger");
    debuggers.map(|row| row.hits).collect()
}

#[test]
fn watch_stops_after_each_store_with_the_old_and_the_new_value() -> Result<()> {
    under_gdb(Boot::new("demo")?, |session| {
        let gdb = &mut session.gdb;
        to_next_turn(gdb)?;
        let start = gdb.number("ticks")?;
        gdb.command("watch ticks")?;
        for old in start..start + 5 {
            let values = [format!("Old value = {old}"), format!("New value = {}", old + 1)];
            stops(
                gdb,
                "continue",
                &[
                    "Hardware watchpoint 2: ticks",
                    &values[0],
                    &values[1],
                    "demo::step_once",
                    statement::AFTER_TICKS,
                ],
            )?;
            same("ticks at the stop", gdb.number("ticks")?, old + 1)?;
        }
        let ticks = address(gdb, "ticks")?;
        same("the row", table(gdb)?[2].clone(), Some(Row::held(ticks, 8, "write", 5)))
    })
}

#[test]
fn rwatch_stops_after_each_load_with_the_value() -> Result<()> {
    under_gdb(Boot::new("demo")?, |session| {
        let gdb = &mut session.gdb;
        to_next_turn(gdb)?;
        gdb.command("rwatch setpoint")?;
        for value in [40, 40, 41, 41] {
            // Written by gdb while stopped: no access of the image's, but the value changes.
            gdb.command(&format!("set var setpoint = {value}"))?;
            let value = format!("Value = {value}");
            let expected = [
                "Hardware read watchpoint 2: setpoint",
                &value,
                "demo::read_setpoint",
                statement::END,
            ];
            stops(gdb, "continue", &expected)?;
        }
        let setpoint = address(gdb, "setpoint")?;
        same("the row", table(gdb)?[2].clone(), Some(Row::held(setpoint, 4, "read/write", 4)))
    })
}

#[test]
fn awatch_reports_writes_with_both_values_and_reads_with_one() -> Result<()> {
    under_gdb(Boot::new("demo")?, |session| {
        let gdb = &mut session.gdb;
        to_next_turn(gdb)?;
        gdb.command("set var ticks = 100")?;
        gdb.command("awatch ticks")?;
        gdb.command("awatch setpoint")?;
        let ticks = "Hardware access (read/write) watchpoint 2: ticks";
        let setpoint = "Hardware access (read/write) watchpoint 3: setpoint";
        for old in [100, 101] {
            stops(
                gdb,
                "continue",
                &[setpoint, "Value = 40", "demo::read_setpoint", statement::END],
            )?;
            let old_and_new = [format!("Old value = {old}"), format!("New value = {}", old + 1)];
            stops(
                gdb,
                "continue",
                &[
                    ticks,
                    &old_and_new[0],
                    &old_and_new[1],
                    "demo::step_once",
                    statement::AFTER_TICKS,
                ],
            )?;
            let read = format!("Value = {}", old + 1);
            stops(gdb, "continue", &[ticks, &read, "demo::step_once", statement::AFTER_TICKS])?;
        }
        Ok(())
    })
}

#[test]
fn rwatch_is_not_fooled_by_a_write_before_the_read() -> Result<()> {
    under_gdb(Boot::new("demo")?, |session| {
        let gdb = &mut session.gdb;
        to_next_turn(gdb)?;
        gdb.command("set var ticks = 100")?;
        gdb.command("rwatch ticks")?;
        // Each turn increments it, and then reads it.
        for value in ["Value = 101", "Value = 102", "Value = 103"] {
            let expected = [
                "Hardware read watchpoint 2: ticks",
                value,
                "demo::step_once",
                statement::AFTER_TICKS,
            ];
            stops(gdb, "continue", &expected)?;
        }
        same("hits, three of them writes", hits(&table(gdb)?), vec![6])
    })
}

#[test]
fn rwatch_never_stops_for_what_is_only_written() -> Result<()> {
    under_gdb(Boot::new("demo")?, |session| {
        let gdb = &mut session.gdb;
        to_turn(gdb, "ticks >= 32")?;
        gdb.command("set var ticks = 96")?;
        gdb.command("rwatch frame[5]")?;
        // Twice round the frame, with another value each time: each write changes its byte.
        for (turn, setpoint) in [(110, 41), (142, 42)] {
            gdb.command(&format!("set var setpoint = {setpoint}"))?;
            to_turn(gdb, &format!("ticks == {turn}"))?;
            same("the byte", gdb.number("frame[5]")?, setpoint)?;
        }
        same("hits, all of them writes", hits(&table(gdb)?), vec![2])
    })
}

/// The documented limit of the filter: nothing distinguishes such a store from a read.
#[test]
fn rwatch_takes_a_store_of_the_same_value_for_a_read() -> Result<()> {
    under_gdb(Boot::new("demo")?, |session| {
        let gdb = &mut session.gdb;
        to_turn(gdb, "ticks >= 1")?;
        gdb.command("rwatch status")?;
        for _ in 0..3 {
            let expected = [
                "Hardware read watchpoint 2: status",
                "Value = 24589",
                "demo::step_once",
                statement::END,
            ];
            stops(gdb, "continue", &expected)?;
        }
        Ok(())
    })
}

#[test]
fn watch_never_stops_for_stores_of_the_same_value() -> Result<()> {
    under_gdb(Boot::new("demo")?, |session| {
        let gdb = &mut session.gdb;
        to_turn(gdb, "ticks >= 1")?;
        gdb.command("set var ticks = 200")?;
        gdb.command("watch status")?;
        to_turn(gdb, "ticks == 210")?;
        same("hits, all of them silent", hits(&table(gdb)?), vec![10])
    })
}

#[test]
fn two_watchpoints_hit_by_one_instruction_are_both_told() -> Result<()> {
    under_gdb(Boot::new("demo")?, |session| {
        let gdb = &mut session.gdb;
        to_next_turn(gdb)?;
        gdb.command("set var ticks = 100")?;
        gdb.command("watch ticks")?;
        gdb.command("awatch *(&ticks as *mut u32)")?;
        let (watch, awatch) = (
            "Hardware watchpoint 2: ticks",
            "Hardware access (read/write) watchpoint 3: *(&ticks as *mut u32)",
        );
        let (old, new) = ("Old value = 100", "New value = 101");
        let both = [watch, old, new, awatch, old, new, "demo::step_once", statement::AFTER_TICKS];
        stops(gdb, "continue", &both)?;
        // The read that follows is one for the second alone.
        stops(gdb, "continue", &[awatch, "Value = 101", "demo::step_once", statement::AFTER_TICKS])
    })
}

#[test]
fn two_watchpoints_on_the_same_bytes_share_a_register_and_are_both_told() -> Result<()> {
    under_gdb(Boot::new("demo")?, |session| {
        let gdb = &mut session.gdb;
        to_next_turn(gdb)?;
        gdb.command("set var ticks = 100")?;
        gdb.command("rwatch ticks")?;
        gdb.command("awatch ticks")?;
        let (rwatch, awatch) = (
            "Hardware read watchpoint 2: ticks",
            "Hardware access (read/write) watchpoint 3: ticks",
        );
        // A write: for the access watchpoint alone.
        let written =
            ["Old value = 100", "New value = 101", "demo::step_once", statement::AFTER_TICKS];
        stops(gdb, "continue", &[&[awatch], &written[..]].concat())?;
        let ticks = address(gdb, "ticks")?;
        let expected = [Some(Row::held(ticks, 8, "read/write", 1)), None];
        same("the debugger's rows", table(gdb)?[2..].to_vec(), expected.to_vec())?;
        let read = "Value = 101";
        stops(
            gdb,
            "continue",
            &[rwatch, read, awatch, read, "demo::step_once", statement::AFTER_TICKS],
        )
    })
}
