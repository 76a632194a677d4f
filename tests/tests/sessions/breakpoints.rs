//! Where the image stops: break, tbreak, hbreak, until, finish.

use anyhow::Result;
use tetrarch_tests::{Boot, Gdb, poll, under_gdb};

use crate::asking::{bytes, go_to, on_demo, physical, still_turns, ticks};
use crate::support::{address, same, stops, told};

/// What is compiled in for a breakpoint, and what one in software puts in its place.
const INT3: u8 = 0xCC;

/// The line that a breakpoint on `step_once` stops at.
const FIRST_LINE: &str = "let wanted = read_setpoint();";

/// The number of times that gdb says it met breakpoint `number`.
fn hits(gdb: &mut Gdb, number: u32, times: u64) -> Result<()> {
    let expected =
        format!("breakpoint already hit {times} time{}", if times == 1 { "" } else { "s" });
    gdb.expect(&format!("info breakpoints {number}"), &expected)?;
    Ok(())
}

/// Sets a breakpoint on `step_once` and goes `turns` turns by it.
fn turn_by_turn(gdb: &mut Gdb, command: &str, turns: u64) -> Result<()> {
    gdb.command(&format!("{command} step_once"))?;
    // Two for the one that `on_demo` went by.
    let number = 2;
    let before = ticks(gdb)?;
    for turn in 0..turns {
        stops(gdb, "continue", &[&format!("Breakpoint {number}, demo::step_once"), FIRST_LINE])?;
        same("ticks", ticks(gdb)?, before + turn)?;
        hits(gdb, number, turn + 1)?;
    }
    Ok(())
}

#[test]
fn break_stops_once_a_turn_and_counts() -> Result<()> {
    on_demo(|gdb| turn_by_turn(gdb, "break", 5))
}

#[test]
fn hbreak_stops_once_a_turn_and_counts() -> Result<()> {
    on_demo(|gdb| turn_by_turn(gdb, "hbreak", 5))
}

/// Continues ten times from a breakpoint at the very instruction that is next.
fn ten_turns_from_here(gdb: &mut Gdb, command: &str) -> Result<()> {
    let (place, before) = (gdb.number("$pc")?, ticks(gdb)?);
    gdb.command(&format!("{command} *$pc"))?;
    for turn in 1..=10 {
        gdb.expect("continue", "Breakpoint 2, demo::step_once")?;
        same("place and ticks", (gdb.number("$pc")?, ticks(gdb)?), (place, before + turn))?;
    }
    hits(gdb, 2, 10)
}

#[test]
fn an_hbreak_on_the_next_instruction_continued_ten_times_makes_ten_turns() -> Result<()> {
    on_demo(|gdb| ten_turns_from_here(gdb, "hbreak"))
}

#[test]
fn a_break_on_the_next_instruction_continued_ten_times_makes_ten_turns() -> Result<()> {
    on_demo(|gdb| ten_turns_from_here(gdb, "break"))
}

#[test]
fn an_hbreak_left_in_while_stopped_makes_ten_turns_all_the_same() -> Result<()> {
    on_demo(|gdb| {
        gdb.command("set breakpoint always-inserted on")?;
        ten_turns_from_here(gdb, "hbreak")
    })
}

#[test]
fn both_kinds_of_breakpoint_on_one_instruction_stop_once_a_turn() -> Result<()> {
    on_demo(|gdb| {
        gdb.command("hbreak *step_once")?;
        gdb.command("break *step_once")?;
        let before = ticks(gdb)?;
        for turn in 1..=5 {
            gdb.expect("continue", "Breakpoint 2, demo::step_once")?;
            same("ticks", ticks(gdb)?, before + turn)?;
        }
        // Either alone still works: neither took the other away.
        gdb.command("delete 2")?;
        gdb.expect("continue", "Breakpoint 3, demo::step_once")?;
        gdb.command("hbreak *step_once")?;
        gdb.command("delete 3")?;
        gdb.expect("continue", "Breakpoint 4, demo::step_once")?;
        same("ticks", ticks(gdb)?, before + 7)
    })
}

#[test]
fn tbreak_and_thbreak_stop_once_and_are_gone() -> Result<()> {
    on_demo(|gdb| {
        for (number, command) in [(2, "tbreak"), (3, "thbreak")] {
            gdb.command(&format!("{command} step_once"))?;
            stops(
                gdb,
                "continue",
                &[&format!("Temporary breakpoint {number}, demo::step_once"), FIRST_LINE],
            )?;
            gdb.expect("info breakpoints", "No breakpoints or watchpoints.")?;
        }
        let before = ticks(gdb)?;
        // Nothing else stops it before the hundredth turn from here.
        gdb.command(&format!("tbreak read_setpoint if demo::ticks == {}", before + 100))?;
        gdb.expect("continue", "Temporary breakpoint 4, demo::read_setpoint")?;
        same("ticks", ticks(gdb)?, before + 100)
    })
}

#[test]
fn until_and_advance_stop_at_their_place() -> Result<()> {
    on_demo(|gdb| {
        stops(
            gdb,
            "advance read_setpoint",
            &["demo::read_setpoint", "let wanted = unsafe { setpoint };"],
        )?;
        // Leaving the function ends it too.
        let output = gdb.command("until write_config")?;
        let place = told(&output);
        same("where until ended", place.first().map(String::as_str), Some("demo::step_once"))?;
        let before = ticks(gdb)?;
        stops(gdb, "until", &["frame[ticks as usize % 32] = wanted as u8;"])?;
        same("ticks", ticks(gdb)?, before + 1)?;
        stops(gdb, "until", &["status = RUNNING;"])
    })
}

#[test]
fn finish_shows_the_value_that_was_read() -> Result<()> {
    on_demo(|gdb| {
        for setpoint in [40, 0, 0xFFFF_FFFF_u32] {
            gdb.command(&format!("set var demo::setpoint = {setpoint}"))?;
            gdb.command("tbreak read_setpoint")?;
            gdb.command("continue")?;
            let output = gdb.command("finish")?;
            gdb.check("finish", &output, "Run till exit from #0  demo::read_setpoint ()")?;
            gdb.check("finish", &output, "demo::step_once () at ")?;
            let value = output.lines().find_map(|line| line.strip_prefix("Value returned is $"));
            let value = value.and_then(|line| line.split_once(" = ")).map(|(_, value)| value);
            same("the value", value, Some(setpoint.to_string().as_str()))?;
        }
        Ok(())
    })
}

#[test]
fn a_condition_lets_all_other_turns_pass() -> Result<()> {
    on_demo(|gdb| {
        gdb.command("break step_once if demo::ticks % 100 == 0")?;
        gdb.expect("continue", "Breakpoint 2, demo::step_once")?;
        let first = ticks(gdb)?;
        same("turns past a hundred", first % 100, 0)?;
        for hundreds in 1..=2 {
            gdb.expect("continue", "Breakpoint 2, demo::step_once")?;
            same("ticks", ticks(gdb)?, first + 100 * hundreds)?;
        }
        hits(gdb, 2, 3)
    })
}

#[test]
fn a_software_breakpoint_does_not_show_in_memory() -> Result<()> {
    under_gdb(Boot::new("demo")?, |session| {
        let (gdb, monitor) = (&mut session.gdb, session.qemu.monitor());
        go_to(gdb, "step_once")?;
        let place = address(gdb, "step_once")?;
        let original = bytes(gdb, place, 8)?;
        let listing = gdb.command("disassemble step_once")?;
        same("what QEMU has", physical(monitor, place, 8)?, original.clone())?;

        gdb.command("set breakpoint always-inserted on")?;
        for breakpoint in ["break *step_once", "break *step_once + 4"] {
            gdb.command(breakpoint)?;
        }
        let mut patched = original.clone();
        (patched[0], patched[4]) = (INT3, INT3);
        same("what QEMU has", physical(monitor, place, 8)?, patched)?;
        same("what gdb shows", bytes(gdb, place, 8)?, original.clone())?;
        for offset in 0..8 {
            let seen = bytes(gdb, place + offset, 1)?;
            same("what gdb shows of one byte", seen[0], original[offset as usize])?;
        }
        same("the instructions", gdb.command("disassemble step_once")?, listing)?;

        gdb.command("delete")?;
        same("what QEMU has in the end", physical(monitor, place, 8)?, original)
    })
}

#[test]
fn a_software_breakpoint_works_in_text_that_is_read_only() -> Result<()> {
    on_demo(|gdb| {
        let place = address(gdb, "read_setpoint")?;
        let original = bytes(gdb, place, 1)?;
        gdb.expect(&format!("set var *({place:#x} as *mut u8) = 0x90"), "Cannot access memory")?;
        same("the byte", bytes(gdb, place, 1)?, original)?;
        gdb.command("break *read_setpoint")?;
        gdb.expect("continue", "Breakpoint 2, demo::read_setpoint")?;
        same("the place", gdb.number("$pc")?, place)
    })
}

#[test]
fn a_deleted_breakpoint_is_gone() -> Result<()> {
    under_gdb(Boot::new("demo")?.argument("no-null-guard").argument("no-config-guard"), |session| {
        let (gdb, monitor) = (&mut session.gdb, session.qemu.monitor());
        let text = address(gdb, "step_once")?;
        let original = physical(monitor, text, 8)?;
        let counter = address(gdb, "ticks")?;
        for command in ["break", "hbreak"] {
            gdb.command(&format!("{command} *step_once"))?;
            gdb.expect("continue", "Breakpoint")?;
            let before = ticks(gdb)?;
            gdb.command("delete")?;
            gdb.resume()?;
            // Seen from outside, while it runs.
            poll::until("a hundred turns", || {
                let now = physical(monitor, counter, 8)?;
                let now = now.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte));
                Ok((now > before + 100).then_some(()))
            })?;
            same("what is armed", monitor.registers()?.armed(), [None; 4])?;
            same("the code", physical(monitor, text, 8)?, original.clone())?;
            let output = gdb.interrupt()?;
            gdb.check("continue", &output, "Program received signal SIGINT")?;
        }
        still_turns(gdb)
    })
}
