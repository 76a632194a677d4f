//! Breakpoints at unusual places: in an interrupt handler, compiled into the firmware, and
//! where there can be none.

use anyhow::{Context, Result};
use tetrarch_tests::{Boot, Gdb, under_gdb};

use crate::asking::{bytes, go_to, on_demo, still_turns, ticks, words};
use crate::support::{address, same};

const INTERRUPT: u64 = 1 << 9;
const CODE_SELECTOR: u64 = 0x08;
const STACK_SELECTOR: u64 = 0x10;

/// The address of the timer's handler, whose name is a mangled one.
fn timer_handler(gdb: &mut Gdb) -> Result<u64> {
    let output = gdb.command("info functions timer_interrupt")?;
    let line = output.lines().find(|line| line.contains("timer_interrupt::"));
    let address = line.and_then(|line| line.split_whitespace().next()).context(output.clone())?;
    Ok(u64::from_str_radix(address.trim_start_matches("0x"), 16)?)
}

/// Stops in the handler and steps out of it, back to what it interrupted.
fn through_the_handler(command: &str) -> Result<()> {
    on_demo(|gdb| {
        let handler = timer_handler(gdb)?;
        let timer = address(gdb, "timer_ticks")?;
        gdb.command(&format!("{command} *{handler:#x}"))?;
        for _ in 0..3 {
            gdb.expect("continue", "Breakpoint 2, ")?;
            same("the place", gdb.number("$pc")?, handler)?;
            let count = words(gdb, timer, 1)?[0];
            let stack = gdb.number("$rsp")?;
            let frame = words(gdb, stack, 5)?;
            let flags = gdb.number("$eflags")?;
            same("selectors pushed", [frame[1], frame[4]], [CODE_SELECTOR, STACK_SELECTOR])?;
            same("the handler's flags", flags, frame[2] & !INTERRUPT)?;

            // `push`, `inc`, `mov`, `out`, `pop`, `iretq`
            gdb.command("stepi 2")?;
            same("the timer's count", words(gdb, timer, 1)?, vec![count + 1])?;
            gdb.command("stepi 3")?;
            same("the stack pointer before iretq", gdb.number("$rsp")?, stack)?;
            let place = gdb.number("$pc")?;
            same("iretq", bytes(gdb, place, 2)?, vec![0x48, 0xCF])?;
            gdb.command("stepi")?;
            let found = [gdb.number("$pc")?, gdb.number("$eflags")?, gdb.number("$rsp")?];
            same("place, flags and stack pointer after it", found, [frame[0], frame[2], frame[3]])?;
        }
        gdb.command("delete")?;
        still_turns(gdb)
    })
}

#[test]
fn a_break_in_the_timers_handler_can_be_stepped_out_of() -> Result<()> {
    through_the_handler("break")
}

#[test]
fn an_hbreak_in_the_timers_handler_can_be_stepped_out_of() -> Result<()> {
    through_the_handler("hbreak")
}

#[test]
fn a_breakpoint_instruction_of_the_firmwares_is_reported_behind_it_and_continues() -> Result<()> {
    under_gdb(Boot::new("demo")?.argument("wait"), |session| {
        let gdb = &mut session.gdb;
        let after = gdb.number("$pc")?;
        same("what has been executed", bytes(gdb, after - 1, 1)?, vec![0xCC])?;
        same("ticks", ticks(gdb)?, 0)?;

        // Once more, with gdb there from the beginning.
        gdb.command("set var $pc = $pc - 1")?;
        gdb.expect("continue", "Program received signal SIGTRAP")?;
        same("the place", gdb.number("$pc")?, after)?;
        // And by a step, which ends behind it too.
        gdb.command("set var $pc = $pc - 1")?;
        gdb.command("stepi")?;
        same("the place", gdb.number("$pc")?, after)?;

        go_to(gdb, "step_once")?;
        same("ticks in the first turn", ticks(gdb)?, 0)?;
        still_turns(gdb)
    })
}

#[test]
fn a_breakpoint_is_refused_where_none_can_be_written() -> Result<()> {
    on_demo(|gdb| {
        let unmapped = address(gdb, "unmapped_page")?;
        let before = ticks(gdb)?;
        // Nothing there; above what is mapped; not canonical; mapped, but the BIOS's ROM.
        for place in [unmapped, 0xFFFF_FFF0, 0x8000_0000_0000_0000, 0xF_F000] {
            gdb.command(&format!("break *{place:#x}"))?;
            let output = gdb.command("continue")?;
            gdb.check("continue", &output, "Cannot insert breakpoint")?;
            gdb.check("continue", &output, &format!("Cannot access memory at address {place:#x}"))?;
            gdb.command("delete")?;
        }
        same("ticks", ticks(gdb)?, before)?;
        still_turns(gdb)
    })
}
