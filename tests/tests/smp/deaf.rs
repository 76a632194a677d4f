//! A CPU that does not respond: it is named, and everything else works.

use anyhow::{Context, Result, ensure};
use tetrarch_tests::{poll, under_gdb};

use crate::support::{boot, have_write, order, run_until, same, selected, tally, threads};

/// Ticks of the TSC: some hundredths of a second.
const PATIENCE: &str = "patience=200000000";

#[test]
fn a_cpu_that_does_not_respond_is_named_and_everything_else_works() -> Result<()> {
    under_gdb(boot(4)?.argument(PATIENCE), |session| {
        let gdb = &mut session.gdb;
        order(gdb, 2, 4)?;
        run_until(gdb, 2, "not responding")?;
        let cpus = gdb.command("monitor cpus")?;
        let line = cpus.lines().find(|line| line.contains("cpu 2")).context("no cpu 2")?;
        ensure!(
            line.trim() == "-                   cpu 2 — deaf to NMIs, not responding",
            "{cpus}"
        );
        let output = gdb.command("monitor dr 2")?;
        same(
            "monitor dr",
            output.as_str(),
            "cpu 2 does not respond: what its registers hold is not known\n",
        )?;
        // Its registers cannot be had; the others' are there, and so is memory.
        let lines = threads(gdb)?;
        same("threads", lines.len(), 4)?;
        ensure!(
            lines[2].contains("<unavailable>") && !lines[3].contains("<unavailable>"),
            "{lines:#?}"
        );
        let output = gdb.command("thread apply all bt 1")?;
        same("threads", output.matches("\nThread ").count(), 4)?;
        gdb.command("thread 3")?;
        gdb.expect("print $rsp", "<unavailable>")?;
        gdb.command("set variable $rsp = 0")?;
        gdb.expect("monitor why", "registers refused: that CPU has not stopped")?;
        gdb.command("thread 2")?;
        let before = gdb.number("$pc")?;
        gdb.command("stepi")?;
        ensure!(gdb.number("$pc")? != before, "no step");
        gdb.expect("watch smp::work::shared", "Hardware watchpoint")?;
        have_write(gdb, 3, 1)?;
        gdb.expect("continue", "Hardware watchpoint")?;
        same("the CPU", selected(gdb)?, 3)?;

        // It comes back to life while the machine is stopped, and makes no second stop.
        order(gdb, 2, 0)?;
        poll::until("the late CPU", || {
            Ok(threads(gdb)?[2].contains("cpu 2 — deaf to NMIs)").then_some(()))
        })?;
        gdb.command("thread 3")?;
        gdb.expect("bt", "be_deaf")?;
        // A full thread from then on; the watchpoint is armed on it too.
        have_write(gdb, 2, 1)?;
        gdb.expect("continue", "Hardware watchpoint")?;
        same("the CPU", selected(gdb)?, 2)?;
        same("hits where they do not belong", tally(gdb)?["strays"], 0)
    })
}

#[test]
fn a_cpu_that_comes_late_after_all_has_what_was_claimed_meanwhile() -> Result<()> {
    under_gdb(boot(4)?.argument(PATIENCE), |session| {
        let gdb = &mut session.gdb;
        order(gdb, 2, 4)?;
        run_until(gdb, 2, "not responding")?;
        gdb.expect("watch smp::work::shared", "Hardware watchpoint")?;
        gdb.resume()?;
        gdb.interrupt()?;
        ensure!(threads(gdb)?[2].contains("not responding"), "{:#?}", threads(gdb)?);
        // It comes while all run: nobody stops for it, and it arms what it has missed.
        order(gdb, 2, 0)?;
        have_write(gdb, 2, 1)?;
        gdb.expect("continue", "Hardware watchpoint")?;
        same("the CPU", selected(gdb)?, 2)
    })
}
