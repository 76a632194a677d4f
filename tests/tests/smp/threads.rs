//! CPUs as threads: listed, read, written, stepped and held, each by itself.

use anyhow::{Context, Result, ensure};
use tetrarch_tests::{Gdb, under_gdb};

use crate::support::{CPUS, boot, order, run_until, same, selected, tally, threads};

#[test]
fn each_cpu_is_a_thread_with_a_name() -> Result<()> {
    under_gdb(boot(4)?, |session| {
        let gdb = &mut session.gdb;
        order(gdb, 1, 5)?;
        run_until(gdb, 1, "halted in idle")?;
        let threads = threads(gdb)?;
        same("threads", threads.len() as u64, CPUS)?;
        for (cpu, line) in threads.iter().enumerate() {
            let activity = if cpu == 1 { "halted in idle" } else { "counting" };
            let name = format!("Thread 1.{} (cpu {cpu} — {activity}", cpu + 1);
            ensure!(line.contains(&name), "{name}: {threads:#?}");
        }
        let traces = gdb.command("thread apply all -s bt")?;
        same("backtraces", traces.matches("#0 ").count() as u64, CPUS)?;
        ensure!(traces.contains("smp::orders::sleep"), "{traces}");
        Ok(())
    })
}

#[test]
fn registers_are_those_of_each_cpu() -> Result<()> {
    under_gdb(boot(4)?, |session| {
        let gdb = &mut session.gdb;
        let mut saved = Vec::new();
        for cpu in 0..CPUS {
            gdb.command(&format!("thread {}", cpu + 1))?;
            saved.push(gdb.number("$r15")?);
            gdb.command(&format!("set var $r15 = {:#x}", 0x1111 * (cpu + 1)))?;
            gdb.command(&format!("set var $gs_base = {:#x}", 0x5000 + cpu))?;
        }
        let seen = session.qemu.monitor().all_registers()?;
        same("CPUs", seen.len() as u64, CPUS)?;
        for cpu in 0..CPUS {
            let text = session.qemu.monitor().human("info registers -a")?;
            let of_cpu = text.split("CPU#").nth(cpu as usize + 1).context("no such CPU")?;
            let gs = of_cpu.lines().find(|line| line.starts_with("GS =")).context("no GS")?;
            ensure!(gs.contains(&format!("{:016x}", 0x5000 + cpu)), "cpu {cpu}: {gs}");
        }
        for cpu in 0..CPUS {
            gdb.command(&format!("thread {}", cpu + 1))?;
            same("R15", gdb.number("$r15")?, 0x1111 * (cpu + 1))?;
            same("GS.base", gdb.number("$gs_base")?, 0x5000 + cpu)?;
            same("CR3", gdb.number("$cr3")?, gdb.number("$cr3")?)?;
            gdb.command(&format!("set var $r15 = {:#x}", saved[cpu as usize]))?;
            gdb.command("set var $gs_base = 0")?;
        }
        gdb.resume()?;
        gdb.interrupt()?;
        same("hits where they do not belong", tally(gdb)?["strays"], 0)
    })
}

#[test]
fn while_one_is_stepped_alone_the_others_do_not_move() -> Result<()> {
    under_gdb(boot(4)?, |session| {
        let gdb = &mut session.gdb;
        gdb.command("tbreak turn if cpu == 2")?;
        gdb.expect("continue", "Temporary breakpoint")?;
        same("the CPU", selected(gdb)?, 2)?;
        gdb.command("set scheduler-locking step")?;
        let before = tally(gdb)?;
        for _ in 0..200 {
            gdb.command("stepi")?;
            same("the CPU", selected(gdb)?, 2)?;
        }
        let after = tally(gdb)?;
        for cpu in [0, 1, 3] {
            let name = format!("counted-{cpu}");
            same(&name, after[&name], before[&name])?;
        }
        ensure!(after["counted-2"] > before["counted-2"], "{before:?} {after:?}");

        // With the lock on, also when it runs.
        gdb.command("set scheduler-locking on")?;
        let before = after;
        gdb.resume()?;
        let output = gdb.interrupt()?;
        ensure!(output.contains("SIGINT"), "{output}");
        let after = tally(gdb)?;
        for cpu in [0, 1, 3] {
            let name = format!("counted-{cpu}");
            same(&name, after[&name], before[&name])?;
        }
        ensure!(after["counted-2"] > before["counted-2"], "{before:?} {after:?}");

        gdb.command("set scheduler-locking off")?;
        for cpu in 0..CPUS {
            gdb.command(&format!("tbreak turn if cpu == {cpu}"))?;
            gdb.expect("continue", "Temporary breakpoint")?;
            same("the CPU, which runs again", selected(gdb)?, cpu)?;
        }
        Ok(())
    })
}

#[test]
fn a_software_breakpoint_is_seen_by_all_and_stepped_over_by_one() -> Result<()> {
    under_gdb(boot(4)?, |session| {
        let gdb = &mut session.gdb;
        gdb.expect("break turn", "Breakpoint 1")?;
        let stop = |gdb: &mut Gdb| -> Result<u64> {
            gdb.expect("continue", "Breakpoint 1")?;
            let cpu = selected(gdb)?;
            same("the CPU that the function was called on", gdb.number("cpu")?, cpu)?;
            Ok(cpu)
        };
        stop(gdb)?;
        gdb.command("set scheduler-locking on")?;
        for cpu in 0..CPUS {
            gdb.command(&format!("thread {}", cpu + 1))?;
            same("the CPU that runs alone", stop(gdb)?, cpu)?;
        }
        gdb.command("set scheduler-locking off")?;
        // Between two stops of a CPU it has been through its loop once: nobody slips through.
        let counted = |gdb: &mut Gdb| -> Result<u64> {
            let tally = tally(gdb)?;
            Ok((0..CPUS).map(|cpu| tally[&format!("counted-{cpu}")]).sum())
        };
        let before = counted(gdb)?;
        const TIMES: u64 = 80;
        for _ in 0..TIMES {
            stop(gdb)?;
        }
        let turns = counted(gdb)? - before;
        ensure!(turns.abs_diff(TIMES) <= CPUS, "{turns} turns, {TIMES} stops");
        Ok(())
    })
}
