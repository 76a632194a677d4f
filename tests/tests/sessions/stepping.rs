//! Steps that arrive where they should, with a timer running.

use anyhow::{Context, Result, ensure};
use tetrarch_tests::Gdb;

use crate::asking::{bytes, go_to, on_demo, on_steps, still_turns, ticks, words};
use crate::support::{address, same, stops, told};

/// Where a turn is spent.
const LOOP: [&str; 3] = ["demo::control_loop", "demo::step_once", "demo::read_setpoint"];

/// Steps by instructions, and gives where each led: an address, and gdb's name for it.
fn step_instructions(gdb: &mut Gdb, count: usize) -> Result<Vec<(u64, String)>> {
    gdb.command(&format!("set $left = {count}"))?;
    let script = [
        "while $left > 0",
        "set $left = $left - 1",
        "stepi",
        "echo PC:",
        "output/a $pc",
        "echo \\n",
        "end",
    ];
    let output = gdb.command(&script.join("\n"))?;
    let places = output.lines().filter_map(|line| line.strip_prefix("PC:"));
    places
        .map(|place| {
            let (address, name) = place.split_once(" <").context("a place without a name")?;
            let name = name.split(['+', '>']).next().unwrap_or_default();
            Ok((u64::from_str_radix(address.trim_start_matches("0x"), 16)?, name.to_owned()))
        })
        .collect()
}

#[test]
fn a_thousand_steps_go_round_the_loop_and_never_into_the_interrupt_handler() -> Result<()> {
    on_demo(|gdb| {
        let start = gdb.number("$pc")?;
        let turns_before = ticks(gdb)?;
        let timer = address(gdb, "timer_ticks")?;
        let timer_before = words(gdb, timer, 1)?[0];

        let places = step_instructions(gdb, 1000)?;
        same("steps", places.len(), 1000)?;
        for (address, name) in &places {
            ensure!(LOOP.contains(&name.as_str()), "a step led to {address:#x}, in {name}");
        }
        same("the timer's count", words(gdb, timer, 1)?, vec![timer_before])?;

        // Each turn begins once, and counts once.
        let begun = places.iter().filter(|(address, _)| *address == start).count() as u64;
        ensure!(begun > 10, "a thousand instructions are more than {begun} turns");
        go_to(gdb, "step_once")?;
        same("turns", ticks(gdb)?, turns_before + begun + 1)?;

        // The interrupt that was held off has come, and others will.
        gdb.command(&format!(
            "tbreak step_once if *({timer:#x} as *mut u64) >= {}",
            timer_before + 5
        ))?;
        gdb.expect("continue", "Temporary breakpoint")?;
        still_turns(gdb)
    })
}

#[test]
fn step_enters_a_function_and_next_does_not() -> Result<()> {
    on_demo(|gdb| {
        let turns = ticks(gdb)?;
        stops(gdb, "step", &["let wanted = read_setpoint();"])?;
        stops(gdb, "step", &["demo::read_setpoint", "let wanted = unsafe { setpoint };"])?;
        stops(gdb, "step", &["}"])?;
        stops(gdb, "step", &["demo::step_once", "ticks += 1;"])?;
        go_to(gdb, "step_once")?;
        stops(gdb, "step", &["let wanted = read_setpoint();"])?;
        stops(gdb, "next", &["ticks += 1;"])?;
        same("ticks before they are counted", ticks(gdb)?, turns + 1)?;
        stops(gdb, "next", &["frame[ticks as usize % 32] = wanted as u8;"])?;
        same("ticks after they were counted", ticks(gdb)?, turns + 2)
    })
}

#[test]
fn stepi_enters_a_function_and_nexti_does_not() -> Result<()> {
    on_demo(|gdb| {
        stops(gdb, "step", &["let wanted = read_setpoint();"])?;
        let call = gdb.number("$pc")?;
        let stack = gdb.number("$rsp")?;
        let callee = address(gdb, "read_setpoint")?;
        // `e8` and four bytes.
        let after = call + 5;

        gdb.command("stepi")?;
        same("where the call leads", gdb.number("$pc")?, callee)?;
        same("what it pushed", gdb.number("*($rsp as *mut u64)")?, after)?;
        same("where that is", gdb.number("$rsp")?, stack - 8)?;

        go_to(gdb, "step_once")?;
        stops(gdb, "step", &["let wanted = read_setpoint();"])?;
        gdb.command("nexti")?;
        let found = (gdb.number("$pc")?, gdb.number("$rsp")?, gdb.number("$eax")?);
        same("after the call", found, (after, stack, 40))
    })
}

#[test]
fn next_goes_round_the_loop_line_by_line() -> Result<()> {
    on_demo(|gdb| {
        gdb.command("finish")?;
        let turns = ticks(gdb)?;
        let mut lines = Vec::new();
        while lines.last().is_none_or(|line: &String| line != "step_once();") {
            ensure!(lines.len() < 20, "no turn in {lines:#?}");
            lines.extend(told(&gdb.command("next")?));
        }
        same("ticks, with the call still to come", ticks(gdb)?, turns)?;
        gdb.command("next")?;
        same("ticks after the call", ticks(gdb)?, turns + 1)?;
        ensure!(
            lines.iter().any(|line| line.starts_with("guards.obey")),
            "not round the loop: {lines:#?}"
        );
        Ok(())
    })
}

#[test]
fn stepi_over_rep_movsb_runs_one_iteration_at_a_time() -> Result<()> {
    const TEXT: &[u8; 16] = b"sixteen letters.";
    on_steps(|gdb| {
        go_to(gdb, "step_rep_movsb")?;
        let (source, target) = (address(gdb, "source")?, address(gdb, "target")?);
        let start = gdb.number("$pc")?;
        for place in (0..16).step_by(8) {
            gdb.command(&format!("set var *(long *) {:#x} = 0", target + place))?;
        }
        for done in 1..=16_u64 {
            gdb.command("stepi")?;
            let counters = ["$rcx", "$rsi", "$rdi"].map(|register| gdb.number(register));
            let [left, from, to] = counters;
            same(
                "RCX, RSI and RDI",
                [left?, from?, to?],
                [16 - done, source + done, target + done],
            )?;
            let expected = if done < 16 { start } else { start + 2 };
            same("the next instruction", gdb.number("$pc")?, expected)?;
            let mut copied = [0; 16];
            copied[..done as usize].copy_from_slice(&TEXT[..done as usize]);
            same("what is copied", bytes(gdb, target, 16)?, copied.to_vec())?;
        }
        go_to(gdb, "step_rep_movsb")
    })
}

/// Without line numbers gdb takes the instructions up to the next symbol for one line: here
/// the string instruction, to be run sixteen times.
#[test]
fn next_over_a_loop_is_one_range_step() -> Result<()> {
    on_steps(|gdb| {
        go_to(gdb, "step_rep_movsb")?;
        let start = gdb.number("$pc")?;
        let before = gdb.packets().len();
        gdb.command("next")?;
        let found = (gdb.number("$pc")?, gdb.number("$rcx")?);
        same("place and counter after it", found, (start + 2, 0))?;
        let said = gdb.packets()[before..].to_owned();
        let resumed: Vec<&str> = said
            .lines()
            .filter_map(|line| line.split_once("$vCont;"))
            .map(|(_, rest)| rest)
            .collect();
        let range = format!("r{start:x},{:x}:", start + 2);
        ensure!(
            matches!(resumed[..], [only] if only.starts_with(&range)),
            "resumed by {resumed:#?}"
        );
        go_to(gdb, "step_rep_movsb")
    })
}

/// Stops before the instruction that counts the turn, and breaks there by `command`.
fn step_over_a_breakpoint(command: &str) -> Result<()> {
    on_demo(|gdb| {
        stops(gdb, "step", &["let wanted = read_setpoint();"])?;
        stops(gdb, "next", &["ticks += 1;"])?;
        let (place, turns) = (gdb.number("$pc")?, ticks(gdb)?);
        gdb.command(&format!("{command} *{place:#x}"))?;
        gdb.command("stepi")?;
        // `inc qword ptr [rip + ticks]`
        same(
            "place and ticks after it",
            (gdb.number("$pc")?, ticks(gdb)?),
            (place + 7, turns + 1),
        )?;
        for turn in 1..=3 {
            gdb.expect("continue", "Breakpoint")?;
            same(
                "place and ticks at it",
                (gdb.number("$pc")?, ticks(gdb)?),
                (place, turns + turn),
            )?;
            stops(gdb, "next", &["frame[ticks as usize % 32] = wanted as u8;"])?;
            same("ticks after it", ticks(gdb)?, turns + turn + 1)?;
        }
        Ok(())
    })
}

#[test]
fn a_step_from_a_software_breakpoint_runs_its_instruction_once() -> Result<()> {
    step_over_a_breakpoint("break")
}

#[test]
fn a_step_from_a_hardware_breakpoint_runs_its_instruction_once() -> Result<()> {
    step_over_a_breakpoint("hbreak")
}

#[test]
fn with_breakpoints_left_in_a_step_runs_the_instruction_under_one() -> Result<()> {
    on_demo(|gdb| {
        gdb.command("set breakpoint always-inserted on")?;
        gdb.command("break *step_once")?;
        let (place, turns) = (gdb.number("$pc")?, ticks(gdb)?);
        gdb.command("stepi")?;
        // `push rbp`
        same("place after it", gdb.number("$pc")?, place + 1)?;
        for turn in 1..=3 {
            gdb.expect("continue", "Breakpoint")?;
            same(
                "place and ticks at it",
                (gdb.number("$pc")?, ticks(gdb)?),
                (place, turns + turn),
            )?;
        }
        Ok(())
    })
}
