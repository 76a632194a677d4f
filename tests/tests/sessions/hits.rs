//! What comes after a watchpoint's hit: conditions and counts, steps, and changes of mind at
//! the stop.
//!
//! QEMU delivers the hit of a stepped instruction as a second exception at the entry of the
//! first one's handler, and leaves B0 set afterwards; processors deliver one. The stub must
//! make the same of both.

use anyhow::{Context, Result};
use tetrarch_tests::{Boot, Gdb, under_gdb};

use crate::support::{Row, address, same, statement, stops, table, to_next_turn, to_turn};

/// Runs to the instruction that increments `ticks`, sets `ticks` to 100 there, and gives the
/// address of the instruction after it.
fn to_increment(gdb: &mut Gdb) -> Result<u64> {
    to_next_turn(gdb)?;
    gdb.command("watch ticks")?;
    gdb.expect("continue", "Old value")?;
    let after = gdb.number("$pc")?;
    gdb.command("delete")?;
    let listing = gdb.command("x/16i step_once")?;
    let addresses = listing.lines().filter_map(|line| {
        let digits = line.trim_start_matches("=>").trim_start().strip_prefix("0x")?;
        u64::from_str_radix(digits.split_once(' ')?.0, 16).ok()
    });
    let increment =
        addresses.filter(|address| *address < after).max().context("an instruction before it")?;
    gdb.command(&format!("tbreak *{increment:#x}"))?;
    gdb.command("continue")?;
    same("the place", gdb.number("$pc")?, increment)?;
    gdb.command("set var ticks = 100")?;
    Ok(after)
}

/// The stop of watchpoint `number` on `ticks`.
fn incremented(gdb: &mut Gdb, command: &str, number: u32, old: u64) -> Result<()> {
    let watchpoint = format!("Hardware watchpoint {number}: ticks");
    let values = [format!("Old value = {old}"), format!("New value = {}", old + 1)];
    stops(
        gdb,
        command,
        &[&watchpoint, &values[0], &values[1], "demo::step_once", statement::AFTER_TICKS],
    )
}

#[test]
fn a_stepped_store_that_is_watched_is_reported_as_a_hit() -> Result<()> {
    under_gdb(Boot::new("demo")?, |session| {
        let gdb = &mut session.gdb;
        let after = to_increment(gdb)?;
        gdb.command("watch ticks")?;
        incremented(gdb, "stepi", 4, 100)?;
        same("the place", gdb.number("$pc")?, after)?;
        // No stale hit: the next step only steps.
        stops(gdb, "stepi", &[statement::AFTER_TICKS])?;
        incremented(gdb, "continue", 4, 101)?;
        let ticks = address(gdb, "ticks")?;
        same("the row", table(gdb)?[2].clone(), Some(Row::held(ticks, 8, "write", 2)))
    })
}

#[test]
fn a_stepped_read_that_is_watched_is_reported_once() -> Result<()> {
    under_gdb(Boot::new("demo")?, |session| {
        let gdb = &mut session.gdb;
        to_increment(gdb)?;
        gdb.command("rwatch ticks")?;
        // The increment is a write, and so no more than a step, to the next statement.
        let output = gdb.command("stepi")?;
        gdb.check("stepi", &output, statement::AFTER_TICKS)?;
        same("a hit is told", output.contains("watchpoint"), false)?;
        let read = [
            "Hardware read watchpoint 4: ticks",
            "Value = 101",
            "demo::step_once",
            statement::AFTER_TICKS,
        ];
        stops(gdb, "stepi", &read)?;
        stops(gdb, "stepi", &[statement::AFTER_TICKS])
    })
}

#[test]
fn next_over_a_statement_that_stores_stops_for_the_watchpoint() -> Result<()> {
    under_gdb(Boot::new("demo")?, |session| {
        let gdb = &mut session.gdb;
        to_increment(gdb)?;
        gdb.command("watch ticks")?;
        incremented(gdb, "next", 4, 100)?;
        gdb.expect("next", statement::AFTER_FRAME)?;
        incremented(gdb, "continue", 4, 101)
    })
}

#[test]
fn stepping_into_a_call_stops_for_the_watchpoint_inside() -> Result<()> {
    under_gdb(Boot::new("demo")?, |session| {
        let gdb = &mut session.gdb;
        to_next_turn(gdb)?;
        gdb.command("rwatch setpoint")?;
        let read = [
            "Hardware read watchpoint 2: setpoint",
            "Value = 40",
            "demo::read_setpoint",
            statement::END,
        ];
        // `next` over the call of `read_setpoint`.
        stops(gdb, "next", &read)?;
        stops(gdb, "continue", &read)
    })
}

#[test]
fn a_condition_stops_once_at_the_right_value() -> Result<()> {
    under_gdb(Boot::new("demo")?, |session| {
        let gdb = &mut session.gdb;
        to_next_turn(gdb)?;
        gdb.command("set var ticks = 900")?;
        gdb.command("watch ticks if ticks > 1000")?;
        incremented(gdb, "continue", 2, 1000)?;
        gdb.expect("info watchpoints", "breakpoint already hit 1 time\n")?;
        let ticks = address(gdb, "ticks")?;
        same("the row", table(gdb)?[2].clone(), Some(Row::held(ticks, 8, "write", 101)))
    })
}

#[test]
fn an_ignore_count_passes_over_so_many_hits() -> Result<()> {
    under_gdb(Boot::new("demo")?, |session| {
        let gdb = &mut session.gdb;
        to_next_turn(gdb)?;
        gdb.command("set var ticks = 500")?;
        gdb.command("watch ticks")?;
        gdb.command("ignore 2 20")?;
        incremented(gdb, "continue", 2, 520)?;
        incremented(gdb, "continue", 2, 521)
    })
}

#[test]
fn a_watchpoint_deleted_at_its_own_stop_never_fires_again() -> Result<()> {
    under_gdb(Boot::new("demo")?, |session| {
        let gdb = &mut session.gdb;
        to_next_turn(gdb)?;
        gdb.command("set var ticks = 100")?;
        gdb.command("watch ticks")?;
        incremented(gdb, "continue", 2, 100)?;
        gdb.command("delete")?;
        to_turn(gdb, "ticks == 110")?;
        same("the debugger's rows", table(gdb)?[2..].to_vec(), vec![None, None])
    })
}

#[test]
fn a_breakpoint_set_at_the_stop_of_a_deleted_watchpoint_fires() -> Result<()> {
    under_gdb(Boot::new("demo")?, |session| {
        let gdb = &mut session.gdb;
        to_next_turn(gdb)?;
        gdb.command("set var ticks = 100")?;
        gdb.command("watch ticks")?;
        incremented(gdb, "continue", 2, 100)?;
        let here = gdb.number("$pc")?;
        gdb.command("delete")?;
        // On the instruction that comes next, which gdb steps over first.
        gdb.command("hbreak *$pc")?;
        let expected = ["Breakpoint 3, demo::step_once", statement::AFTER_TICKS];
        for ticks in [102, 103] {
            stops(gdb, "continue", &expected)?;
            same("ticks", gdb.number("ticks")?, ticks)?;
        }
        same("the row", table(gdb)?[2].clone(), Some(Row::held(here, 1, "execute", 2)))
    })
}

#[test]
fn a_watchpoint_set_at_the_stop_of_a_breakpoint_fires() -> Result<()> {
    under_gdb(Boot::new("demo")?, |session| {
        let gdb = &mut session.gdb;
        to_next_turn(gdb)?;
        gdb.command("hbreak read_setpoint")?;
        gdb.expect("continue", "Breakpoint 2, demo::read_setpoint")?;
        gdb.command("delete")?;
        gdb.command("set var demo::ticks = 100")?;
        gdb.command("watch ticks")?;
        incremented(gdb, "continue", 3, 100)?;
        incremented(gdb, "continue", 3, 101)
    })
}
