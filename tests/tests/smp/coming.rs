//! CPUs that come later, and CPUs that go.

use anyhow::{Result, ensure};
use tetrarch_tests::{Gdb, poll, under_gdb};

use crate::support::{boot, have_write, order, same, selected, tally, threads, told_armed};

#[test]
fn a_cpu_that_is_started_later_has_the_claims_of_all_and_its_own() -> Result<()> {
    under_gdb(boot(4)?.argument("online=3"), |session| {
        let gdb = &mut session.gdb;
        same("threads", threads(gdb)?.len(), 3)?;
        gdb.expect("watch smp::work::shared", "Hardware watchpoint")?;
        gdb.command("set variable smp::hot_start = 3")?;
        have_write(gdb, 3, 1)?;
        gdb.expect("continue", "Hardware watchpoint")?;
        same("the CPU", selected(gdb)?, 3)?;
        same("threads", threads(gdb)?.len(), 4)?;
        let armed = told_armed(gdb, 3)?.iter().flatten().count();
        ensure!(armed >= 2, "the null guard and its own guard: {armed}");
        gdb.command("delete")?;
        order(gdb, 3, 2)?;
        gdb.expect("continue", "stopped by null-guard")?;
        same("the CPU", selected(gdb)?, 3)?;
        order(gdb, 3, 1)?;
        gdb.expect("continue", "stopped by cpu-guard-3")?;
        same("the CPU", selected(gdb)?, 3)
    })
}

#[test]
fn a_cpu_that_goes_offline_is_forgotten_and_may_come_again() -> Result<()> {
    under_gdb(boot(4)?, |session| {
        let gdb = &mut session.gdb;
        for _ in 0..3 {
            order(gdb, 2, 6)?;
            loop {
                gdb.resume()?;
                gdb.interrupt()?;
                if threads(gdb)?.len() == 3 {
                    break;
                }
            }
            ensure!(
                threads(gdb)?.iter().all(|line| !line.contains("cpu 2")),
                "{:?}",
                threads(gdb)?
            );
            gdb.command("set variable smp::hot_start = 2")?;
            gdb.expect("watch smp::work::shared", "Hardware watchpoint")?;
            have_write(gdb, 2, 1)?;
            gdb.expect("continue", "Hardware watchpoint")?;
            same("the CPU", selected(gdb)?, 2)?;
            gdb.command("delete")?;
        }
        same("hits where they do not belong", tally(gdb)?["strays"], 0)
    })
}

/// Another CPU may stop one that is just coming in or going, for a change of the claims.
#[test]
fn a_cpu_may_come_and_go_while_another_changes_the_claims() -> Result<()> {
    under_gdb(boot(4)?.argument("online=3"), |session| {
        let gdb = &mut session.gdb;
        order(gdb, 1, 7)?;
        for _ in 0..3 {
            start_third(gdb)?;
            order(gdb, 3, 6)?;
            poll::until("CPU 3 is offline", || {
                gdb.resume()?;
                gdb.interrupt()?;
                Ok((threads(gdb)?.len() == 3).then_some(()))
            })?;
        }
        start_third(gdb)?;
        order(gdb, 1, 0)?;
        // Before that it may be between switching the null guard off and on.
        poll::until("CPU 1 changes nothing any more", || {
            gdb.resume()?;
            gdb.interrupt()?;
            let is_counting = |line: &String| line.contains("cpu 1 — counting");
            Ok(threads(gdb)?.iter().any(is_counting).then_some(()))
        })?;
        order(gdb, 3, 1)?;
        gdb.expect("continue", "stopped by cpu-guard-3")?;
        same("the CPU", selected(gdb)?, 3)?;
        order(gdb, 3, 2)?;
        gdb.expect("continue", "stopped by null-guard")?;
        same("the CPU", selected(gdb)?, 3)?;
        same("hits where they do not belong", tally(gdb)?["strays"], 0)
    })
}

/// Has CPU 3 started, and waits until it counts.
fn start_third(gdb: &mut Gdb) -> Result<()> {
    gdb.command("set variable smp::hot_start = 3")?;
    let before = tally(gdb)?["counted-3"];
    poll::until("CPU 3 counts", || {
        gdb.resume()?;
        gdb.interrupt()?;
        Ok((tally(gdb)?["counted-3"] > before).then_some(()))
    })
}
