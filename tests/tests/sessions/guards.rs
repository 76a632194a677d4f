//! The firmware's own guards, with a debugger there and without.
//!
//! The null guard stops the machine; the config guard counts and carries on. Setting `provoke`
//! makes the demo do what they guard against, or fault, or panic.

use anyhow::{Context, Result};
use tetrarch_tests::conversation::Echo;
use tetrarch_tests::{Boot, Gdb, Session, under_gdb};

use crate::support::{Row, address, same, table, to_next_turn, to_turn};

const CONFIG: u64 = 0x0123_4567_89AB_CDEF;

/// Gives an order for the coming turn.
fn provoke(gdb: &mut Gdb, order: u32) -> Result<()> {
    gdb.command(&format!("set var demo::provoke = {order}"))?;
    Ok(())
}

/// A number of the firmware's, wherever gdb has stopped.
fn number_at(gdb: &mut Gdb, name: &str, of: &str) -> Result<u64> {
    let address = address(gdb, name)?;
    gdb.number(&format!("*({address:#x} as *mut {of})"))
}

/// What the stub says about a stop by the null guard, given where the machine has stopped.
fn null_guard(gdb: &mut Gdb) -> Result<String> {
    let next = gdb.number("$pc")?;
    Ok(format!("stopped by null-guard: read/write at 0x0+8, next instruction {next:#x}"))
}

/// The first two slots: both guards, with so many hits.
fn guards(gdb: &mut Gdb, null: u64, config: u64) -> Result<()> {
    let table_address = address(gdb, "config")?;
    let rows = [
        Row::armed(0, 8, "read/write", null, "null-guard"),
        Row::armed(table_address, 8, "write", config, "config-guard"),
    ];
    same("the guards", table(gdb)?[..2].to_vec(), rows.map(Some).to_vec())
}

/// Starts the image without a debugger, and attaches one when the first guard was hit.
fn under_late_gdb(boot: Boot, test: impl FnOnce(&mut Session) -> Result<()>) -> Result<()> {
    let qemu = boot.start()?;
    qemu.log().wait_for("INFO hit ")?;
    let mut gdb = Gdb::start(qemu.image(), Echo::Silent)?;
    gdb.attach(&qemu)?;
    let mut session = Session { qemu, gdb };
    test(&mut session).map_err(|error| error.context(session.gdb.evidence()))
}

#[test]
fn the_null_guard_stops_in_the_debugger_and_says_so() -> Result<()> {
    under_gdb(Boot::new("demo")?, |session| {
        let gdb = &mut session.gdb;
        to_next_turn(gdb)?;
        for hits in 1..=3 {
            provoke(gdb, 1)?;
            let output = gdb.command("continue")?;
            let text = null_guard(gdb)?;
            let said = output.lines().find_map(|line| line.strip_prefix("tetrarch: "));
            same("the console", said, Some(text.as_str()))?;
            gdb.check("continue", &output, "Program received signal SIGTRAP")?;
            gdb.check("continue", &output, "write_through_null")?;
            same("monitor stop", gdb.command("monitor stop")?, format!("{text}\n"))?;
            guards(gdb, hits, 0)?;
        }
        same("what was written", gdb.number("*(0 as *mut u32)")?, 0x0BAD)?;
        to_next_turn(gdb)
    })
}

#[test]
fn the_config_guard_counts_and_carries_on() -> Result<()> {
    under_gdb(Boot::new("demo")?, |session| {
        let gdb = &mut session.gdb;
        to_next_turn(gdb)?;
        for writes in 1..=3 {
            provoke(gdb, 2)?;
            to_next_turn(gdb)?;
            same("what the guard counted", number_at(gdb, "config_writes", "u32")?, writes)?;
            same("the table", number_at(gdb, "config", "u64")?, CONFIG + writes)?;
            guards(gdb, 0, writes)?;
        }
        Ok(())
    })
}

#[test]
fn the_debugger_may_write_what_a_guard_watches() -> Result<()> {
    under_gdb(Boot::new("demo")?, |session| {
        let gdb = &mut session.gdb;
        to_next_turn(gdb)?;
        gdb.command("set var *(0 as *mut u64) = 7")?;
        same("what was written", gdb.number("*(0 as *mut u64)")?, 7)?;
        to_next_turn(gdb)?;
        guards(gdb, 0, 0)
    })
}

#[test]
fn the_null_guard_stops_the_machine_while_no_debugger_is_there() -> Result<()> {
    under_late_gdb(Boot::new("demo")?.argument("provoke=1"), |session| {
        let gdb = &mut session.gdb;
        let text = null_guard(gdb)?;
        same("monitor stop", gdb.command("monitor stop")?, format!("{text}\n"))?;
        gdb.expect("backtrace 1", "write_through_null")?;
        guards(gdb, 1, 0)?;
        same("ticks, as in the first turn", gdb.number("demo::ticks")?, 1)?;
        to_turn(gdb, "ticks == 1")
    })
}

#[test]
fn the_config_guard_counts_while_no_debugger_is_there() -> Result<()> {
    under_late_gdb(Boot::new("demo")?.argument("provoke=2"), |session| {
        let gdb = &mut session.gdb;
        to_next_turn(gdb)?;
        same("what the guard counted", number_at(gdb, "config_writes", "u32")?, 1)?;
        same("the table", number_at(gdb, "config", "u64")?, CONFIG + 1)?;
        guards(gdb, 0, 1)
    })
}

#[test]
fn a_guard_and_a_watchpoint_on_the_same_bytes_are_both_told() -> Result<()> {
    under_gdb(Boot::new("demo")?, |session| {
        let gdb = &mut session.gdb;
        to_next_turn(gdb)?;
        let config = address(gdb, "config")?;
        gdb.command(&format!("watch *({config:#x} as *mut u64)"))?;
        provoke(gdb, 2)?;
        let output = gdb.command("continue")?;
        gdb.check(
            "continue",
            &output,
            &format!("Old value = {CONFIG}\nNew value = {}\n", CONFIG + 1),
        )?;
        same("what the guard counted", number_at(gdb, "config_writes", "u32")?, 1)?;
        let row = Row::armed(config, 8, "write", 1, "config-guard, debugger (held)");
        same("the rows", table(gdb)?[1..].to_vec(), vec![Some(row), None, None])?;
        // The debugger's part goes, the firmware's stays.
        gdb.command("delete")?;
        to_next_turn(gdb)?;
        provoke(gdb, 2)?;
        to_next_turn(gdb)?;
        guards(gdb, 0, 2)
    })
}

#[test]
fn the_null_guard_and_a_watchpoint_on_its_bytes_are_both_told() -> Result<()> {
    under_gdb(Boot::new("demo")?, |session| {
        let gdb = &mut session.gdb;
        to_next_turn(gdb)?;
        gdb.command("set var *(0 as *mut u64) = 7")?;
        gdb.command("awatch *(0 as *mut u64)")?;
        provoke(gdb, 1)?;
        let output = gdb.command("continue")?;
        let text = null_guard(gdb)?;
        gdb.check("continue", &output, &format!("tetrarch: {text}\n"))?;
        gdb.check(
            "continue",
            &output,
            "watchpoint 2: *(0 as *mut u64)\n\nOld value = 7\nNew value = 2989\n",
        )?;
        let row = Row::armed(0, 8, "read/write", 1, "null-guard, debugger (held)");
        same("the row", table(gdb)?[0].clone(), Some(row))
    })
}

#[test]
fn a_panic_stops_in_the_debugger_with_its_message() -> Result<()> {
    under_gdb(Boot::new("demo")?, |session| {
        let gdb = &mut session.gdb;
        to_next_turn(gdb)?;
        provoke(gdb, 3)?;
        // It cannot be gone on from, so it comes again.
        for _ in 0..2 {
            let output = gdb.command("continue")?;
            let text = output
                .lines()
                .find_map(|line| line.strip_prefix("tetrarch: "))
                .context(output.clone())?;
            gdb.check("continue", text, "stopped by a panic: provoked (")?;
            gdb.check("continue", &output, "Program received signal SIGABRT")?;
            same("monitor stop", gdb.command("monitor stop")?, format!("{text}\n"))?;
            gdb.expect("backtrace", "control_loop")?;
        }
        Ok(())
    })
}

#[test]
fn a_page_fault_stops_in_the_debugger_with_its_address() -> Result<()> {
    under_gdb(Boot::new("demo")?, |session| {
        let gdb = &mut session.gdb;
        to_next_turn(gdb)?;
        let text = format!("stopped by a page fault at {:#x}", address(gdb, "unmapped_page")?);
        provoke(gdb, 4)?;
        let output = gdb.command("continue")?;
        gdb.check("continue", &output, &format!("tetrarch: {text}\n"))?;
        gdb.check("continue", &output, "Program received signal SIGSEGV")?;
        gdb.check("continue", &output, "touch_unmapped_page")?;
        same("monitor stop", gdb.command("monitor stop")?, format!("{text}\n"))?;
        // Led past the instruction, the image runs on.
        let next = gdb.command("x/2i $pc")?;
        let next = next.lines().nth(1).and_then(|line| line.split_whitespace().next());
        gdb.command(&format!("set var $pc = {}", next.context("a second instruction")?))?;
        to_next_turn(gdb)
    })
}

#[test]
fn the_guards_stay_in_place_after_the_debugger_has_gone() -> Result<()> {
    under_gdb(Boot::new("demo")?, |session| {
        let gdb = &mut session.gdb;
        to_next_turn(gdb)?;
        gdb.command("watch *(&scratch as *mut u64)")?;
        to_next_turn(gdb)?;
        provoke(gdb, 1)?;
        gdb.expect("detach", "Ending remote debugging.")?;
        session.qemu.log().wait_for("INFO hit ")?;
        gdb.attach(&session.qemu)?;
        let text = null_guard(gdb)?;
        same("monitor stop", gdb.command("monitor stop")?, format!("{text}\n"))?;
        guards(gdb, 1, 0)?;
        same("the debugger's rows", table(gdb)?[2..].to_vec(), vec![None, None])?;
        gdb.command("delete")?;
        to_next_turn(gdb)
    })
}
