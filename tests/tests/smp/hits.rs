//! Hits on several CPUs: each is told, once, and of the CPU that it came on.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use tetrarch_tests::{Gdb, under_gdb};

use crate::support::{CPUS, boot, have_write, order, same, selected, tally};

/// Runs until the image ends, and counts the stops of each CPU at a write of `shared`. An access
/// watchpoint, because gdb goes on silently from a write that has left what was there at the last
/// stop; and there it was, if two CPUs have written before they were stopped.
fn count_stops(gdb: &mut Gdb) -> Result<BTreeMap<u64, u64>> {
    let mut stops = BTreeMap::new();
    loop {
        let output = gdb.command("continue")?;
        if output.contains("Temporary breakpoint") {
            return Ok(stops);
        }
        if !output.contains("hit Hardware access (read/write) watchpoint") {
            bail!("what stop is this? {output}");
        }
        let cpu = selected(gdb)?;
        same("the CPU that the function was called on", gdb.number("cpu")?, cpu)?;
        *stops.entry(cpu).or_default() += 1;
        if stops.values().sum::<u64>() == CPUS * WRITES {
            // What was told is all that was written: nothing is told twice.
            gdb.command("set variable smp::work::end = 1")?;
        }
    }
}

const WRITES: u64 = 25;

#[test]
fn each_write_of_each_cpu_is_told_once() -> Result<()> {
    for cpus in [4, 2] {
        under_gdb(boot(cpus)?, |session| {
            let gdb = &mut session.gdb;
            let cpus = u64::from(cpus);
            gdb.expect("awatch smp::work::shared", "watchpoint")?;
            gdb.expect("tbreak finish", "Temporary breakpoint")?;
            // Together they write as often, however many they are.
            let times = CPUS * WRITES / cpus;
            for cpu in 0..cpus {
                have_write(gdb, cpu, times)?;
            }
            let stops = count_stops(gdb)?;
            same("stops by CPU", stops, (0..cpus).map(|cpu| (cpu, times)).collect())?;
            let tally = tally(gdb)?;
            for cpu in 0..cpus {
                same("the image's own count", tally[&format!("shared-{cpu}")], times)?;
            }
            same("right", gdb.value("right")?, "true")?;
            gdb.command("detach")?;
            session.qemu.wait_for_success()
        })?;
    }
    Ok(())
}

#[test]
fn a_watchpoint_that_was_set_on_one_cpu_fires_on_another() -> Result<()> {
    under_gdb(boot(4)?, |session| {
        let gdb = &mut session.gdb;
        gdb.command("thread 1")?;
        gdb.expect("watch smp::work::shared", "Hardware watchpoint")?;
        for cpu in [3, 1, 2, 0] {
            have_write(gdb, cpu, 1)?;
            gdb.expect("continue", "Hardware watchpoint")?;
            same("the CPU", selected(gdb)?, cpu)?;
        }
        Ok(())
    })
}

#[test]
fn a_claim_of_one_cpu_fires_there_and_nowhere_else() -> Result<()> {
    under_gdb(boot(4)?, |session| {
        let gdb = &mut session.gdb;
        for cpu in 0..CPUS {
            order(gdb, cpu, 1)?;
            let output = gdb.expect("continue", "SIGTRAP")?;
            let guard = format!("tetrarch: stopped by cpu-guard-{cpu}: write at");
            ensure!(output.contains(&guard), "{output}");
            same("the CPU", selected(gdb)?, cpu)?;
        }
        let mut tally = tally(gdb)?;
        while (0..CPUS).any(|cpu| tally[&format!("written-{cpu}")] < 100) {
            gdb.resume()?;
            gdb.interrupt()?;
            tally = self::tally(gdb)?;
        }
        same("hits where they do not belong", tally["strays"], 0)?;
        // One may be under way.
        for cpu in 0..CPUS {
            let [written, seen] = ["written", "seen"].map(|what| tally[&format!("{what}-{cpu}")]);
            ensure!(written - seen <= 1, "cpu {cpu}: {written} written, {seen} seen");
        }
        Ok(())
    })
}

#[test]
fn the_null_guard_of_all_cpus_stops_each_of_them() -> Result<()> {
    under_gdb(boot(4)?, |session| {
        let gdb = &mut session.gdb;
        for cpu in 0..CPUS {
            order(gdb, cpu, 2)?;
            let output = gdb.command("continue")?;
            ensure!(output.contains("tetrarch: stopped by null-guard: read/write"), "{output}");
            same("the CPU", selected(gdb)?, cpu)?;
        }
        Ok(())
    })
}

#[test]
fn hits_of_all_cpus_at_once_are_told_one_after_the_other() -> Result<()> {
    const TIMES: usize = 5;
    under_gdb(boot(4)?, |session| {
        let gdb = &mut session.gdb;
        for _ in 0..TIMES {
            let mut left = hit_all_at_once(gdb)?;
            while !left.is_empty() {
                gdb.command("continue")?;
                take(&mut left, selected(gdb)?)?;
            }
            nothing_is_left(gdb)?;
        }
        Ok(())
    })
}

/// A hit that waits while its CPU is held is told when the CPU goes on, also if the user interrupts
/// meanwhile: whoever hears that is not the one who was resumed.
#[test]
fn hits_of_cpus_that_are_held_are_told_when_they_go_on() -> Result<()> {
    const TIMES: usize = 5;
    under_gdb(boot(4)?, |session| {
        let gdb = &mut session.gdb;
        for _ in 0..TIMES {
            let mut left = hit_all_at_once(gdb)?;
            gdb.command("set scheduler-locking on")?;
            gdb.resume()?;
            let output = gdb.interrupt()?;
            ensure!(output.contains("SIGINT"), "{output}");
            gdb.command("set scheduler-locking off")?;
            while !left.is_empty() {
                gdb.command("continue")?;
                take(&mut left, selected(gdb)?)?;
            }
            nothing_is_left(gdb)?;
        }
        Ok(())
    })
}

/// Has all CPUs hit the null guard, and returns whose hits are still to be told at the first stop.
fn hit_all_at_once(gdb: &mut Gdb) -> Result<Vec<u64>> {
    for cpu in 0..CPUS {
        order(gdb, cpu, 2)?;
    }
    let output = gdb.command("continue")?;
    ensure!(output.contains("tetrarch: stopped by null-guard: read/write"), "{output}");
    let mut left = (0..CPUS).collect();
    take(&mut left, selected(gdb)?)?;
    Ok(left)
}

fn take(left: &mut Vec<u64>, cpu: u64) -> Result<()> {
    let place = left.iter().position(|one| *one == cpu);
    left.remove(place.with_context(|| format!("cpu {cpu} has stopped, {left:?} are left"))?);
    Ok(())
}

fn nothing_is_left(gdb: &mut Gdb) -> Result<()> {
    gdb.resume()?;
    let output = gdb.interrupt()?;
    ensure!(output.contains("SIGINT") && !output.contains("null-guard"), "{output}");
    Ok(())
}

#[test]
fn no_hit_is_lost_while_another_cpu_is_stepped() -> Result<()> {
    const TIMES: u64 = 10;
    under_gdb(boot(4)?, |session| {
        let gdb = &mut session.gdb;
        gdb.expect("awatch smp::work::shared", "watchpoint")?;
        have_write(gdb, 3, TIMES)?;
        let (mut hits, mut steps) = (0, 0);
        while hits < TIMES || steps < TIMES {
            if selected(gdb)? != 1 {
                gdb.command("thread 2")?;
            }
            let before = gdb.number("$pc")?;
            let output = gdb.command("stepi")?;
            if output.contains("access (read/write) watchpoint") {
                same("the CPU that wrote", selected(gdb)?, 3)?;
                hits += 1;
                ensure!(hits <= TIMES, "a hit was told twice");
            } else {
                same("the CPU that was stepped", selected(gdb)?, 1)?;
                ensure!(gdb.number("$pc")? != before, "a step that did not step: {output}");
                steps += 1;
            }
        }
        same("writes", tally(gdb)?["shared-3"], TIMES)
    })
}
