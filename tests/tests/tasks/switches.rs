//! A hundred thousand switches, and what the counters make of what they saw.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use tetrarch_tests::{Boot, Gdb, under_gdb};

use crate::support::{Report, TASKS, Turns, same, tally};

/// Writes of each counter in each beat.
const RATES: [(&str, u64); 5] =
    [("steady-1", 1), ("steady-2", 2), ("steady-3", 3), ("only-task-1", 1), ("only-task-3", 2)];

/// Runs until all tasks have ended, and gives what the image has counted.
fn to_the_end(gdb: &mut Gdb) -> Result<BTreeMap<String, u64>> {
    gdb.command("tbreak finish")?;
    gdb.expect("continue", "Temporary breakpoint 1")?;
    same("the image's verdict", gdb.value("right")?, "true")?;
    tally(gdb)
}

#[test]
fn a_hundred_thousand_switches_bring_no_stray_hit_and_lose_none() -> Result<()> {
    let boot = Boot::new("tasks")?.argument("probe").argument("switches=100000");
    under_gdb(boot, |session| {
        let tally = to_the_end(&mut session.gdb)?;
        ensure!(tally["switches"] >= 100_000, "{tally:?}");
        let guards = Report::of(&mut session.gdb)?.guards();
        for (task, (_, hits)) in TASKS.into_iter().zip(guards) {
            let written = tally[&format!("written-{task}")];
            same("hits, by the handler", tally[&format!("seen-{task}")], written)?;
            same("hits, by the arbiter", hits, written)?;
            ensure!(written >= 40_000, "task {task} wrote {written} times");
        }
        let written: u64 = TASKS.iter().map(|task| tally[&format!("written-{task}")]).sum();
        // Three others before and after each two writes of one's own; and twelve at the end.
        same("writes under the stacks of others", tally["foreign"], 3 * written + 12)?;
        same("stray hits", tally["strays"], 0)?;
        session.gdb.command("detach")?;
        session.qemu.wait_for_success()
    })
}

/// The tolerance is that of `profile.rs` in the image: a claim can be wrong by the writes of one
/// beat for each beat that the timer cut in two, and that scaled.
///
/// QEMU's time is counted in instructions here. By the host's clock, a busy host would let the
/// timer cut a burst into as many small turns as it likes, and each turn would look even. When gdb
/// attaches is left to the host all the same, and so is where in a turn a burst begins.
#[test]
fn estimates_are_right_for_what_is_even_and_the_spread_shows_what_is_not() -> Result<()> {
    let boot = Boot::new("tasks")?.argument("switches=20000").options(&["-icount", "shift=2"]);
    under_gdb(boot, |session| {
        let tally = to_the_end(&mut session.gdb)?;
        let report = Report::of(&mut session.gdb)?;
        let count = |name: &str| -> Result<&Turns> {
            report.turns.iter().find(|count| count.name == name).context("a count")
        };
        // How the turn with the most hits compares with the average, in percent.
        let peak = |count: &Turns| count.most * count.turns * 100 / count.hits.max(1);
        let bursts = count("bursts")?;
        for (name, rate) in RATES {
            let truth = tally[name];
            if name.starts_with("steady") {
                same("writes", truth, rate * tally["beats"])?;
            }
            let count = count(name)?;
            ensure!(count.coverage > 0, "{count:?}");
            let tolerance = rate * tally["cut"] * 1000 / count.coverage + 1;
            let error = count.estimate.abs_diff(truth);
            ensure!(error <= tolerance, "{count:?}, but {truth} writes; {tally:?}");
            ensure!(count.hits < truth, "{count:?} was not shared with anybody");
            ensure!(2 * peak(count) < peak(bursts), "{count:?} is as uneven as {bursts:?}");
        }
        // Most turns have none, and one that has any has many times the average: how many of a burst
        // fall into it depends on when the timer ends it.
        same("the turn with the fewest hits", bursts.fewest, 0)?;
        ensure!(peak(bursts) >= 1000, "{bursts:?}");
        ensure!(bursts.estimate != tally["bursts"], "{bursts:?}: right by chance");
        Ok(())
    })
}

#[test]
fn every_counter_has_its_turns_while_the_debugger_uses_its_register() -> Result<()> {
    let boot = Boot::new("tasks")?.argument("busy").argument("switches=400");
    under_gdb(boot, |session| {
        let gdb = &mut session.gdb;
        gdb.command("watch tasks::provoke")?;
        gdb.command("tbreak finish")?;
        gdb.expect("continue", "Temporary breakpoint 2")?;
        let report = Report::of(gdb)?;
        for count in &report.turns {
            ensure!(count.turns > 0 && count.coverage < 1000, "{count:?}");
        }
        same("stray hits", tally(gdb)?["strays"], 0)
    })
}

#[test]
fn the_image_ends_with_success_without_a_debugger() -> Result<()> {
    for words in [&["switches=4000"][..], &["busy", "switches=100"], &["probe", "switches=4000"]] {
        let boot = words.iter().fold(Boot::new("tasks")?, |boot, word| boot.argument(*word));
        let mut qemu = boot.start()?;
        qemu.wait_for_success().with_context(|| format!("{words:?}"))?;
    }
    Ok(())
}
