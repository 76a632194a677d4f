//! What a person sees of tasks and turns, against what the image and QEMU say.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tetrarch_tests::{Boot, poll, under_gdb};

use crate::support::{Report, TASKS, current, same, to_beat_of};

/// DR7 with nothing armed.
const OFF: u64 = 0x400;
/// DR7 with the null guard in slot 0 and writes of 8 bytes in the others.
const ALL: u64 = 0x999B_06AA;
/// RFLAGS.IF: clear in the scheduler and in the stub, set in the tasks.
const INTERRUPTS: u64 = 0x200;

#[test]
fn monitor_dr_shows_each_tasks_claims_and_what_the_counters_have_counted() -> Result<()> {
    under_gdb(Boot::new("tasks")?, |session| {
        let gdb = &mut session.gdb;
        for task in TASKS {
            to_beat_of(gdb, task)?;
            let report = Report::of(gdb)?;
            let claims = report.of_tasks.iter().map(|claim| (claim.task, claim.owner.as_str()));
            let expected = [
                (1, "stack-guard-1"),
                (1, "only-task-1"),
                (2, "stack-guard-2"),
                (3, "stack-guard-3"),
                (3, "only-task-3"),
                (4, "stack-guard-4"),
            ];
            same("claims of tasks", claims.collect::<Vec<_>>(), expected.to_vec())?;
            let turns =
                report.turns.iter().map(|claim| (claim.name.as_str(), claim.scope.as_str()));
            let expected = [
                ("steady-1", "all cpus"),
                ("steady-2", "all cpus"),
                ("steady-3", "all cpus"),
                ("only-task-1", "task 1"),
                ("only-task-3", "task 3"),
                ("bursts", "all cpus"),
            ];
            same("claims that take turns", turns.collect::<Vec<_>>(), expected.to_vec())?;
            let owners: Vec<_> =
                report.slots.iter().flatten().map(|(_, _, owners)| owners.as_str()).collect();
            let guard = format!("stack-guard-{task}");
            let guards = owners.iter().filter(|owner| owner.contains("guard"));
            let guards: BTreeSet<_> = guards.copied().collect();
            same("guards in the slots", guards, BTreeSet::from(["null-guard", &guard]))?;
            let turns = owners.iter().filter(|owner| owner.ends_with(" (takes turns)"));
            same("slots of counters", turns.count(), 2)?;
        }
        Ok(())
    })
}

#[test]
fn monitor_tasks_says_who_runs() -> Result<()> {
    under_gdb(Boot::new("tasks")?, |session| {
        let gdb = &mut session.gdb;
        for task in [2, 4, 1, 3] {
            to_beat_of(gdb, task)?;
            let expected = format!(
                "cpu 0 runs task {task}\ntask 1: 2 claims, plan 1\ntask 2: 1 claim, plan 2\n\
                 task 3: 2 claims, plan 3\ntask 4: 1 claim, plan 4\n"
            );
            same("monitor tasks", gdb.command("monitor tasks")?, expected)?;
        }
        same("threads", gdb.command("info threads")?.matches("Thread").count(), 1)
    })
}

#[test]
fn qemu_agrees_with_monitor_dr_at_a_stop_in_each_task() -> Result<()> {
    under_gdb(Boot::new("tasks")?, |session| {
        for task in TASKS {
            to_beat_of(&mut session.gdb, task)?;
            let report = Report::of(&mut session.gdb)?;
            let registers = session.qemu.monitor().registers()?;
            same("DR7 at a stop", registers.control, OFF)?;
            let addresses: Vec<_> =
                report.slots.iter().flatten().map(|(address, _, _)| *address).collect();
            same("DR0 to DR3", registers.addresses.to_vec(), addresses)?;
        }
        Ok(())
    })
}

#[test]
fn each_task_runs_with_its_own_guard_and_no_other() -> Result<()> {
    under_gdb(Boot::new("tasks")?, |session| {
        let report = Report::of(&mut session.gdb)?;
        let guards: Vec<_> = report.guards().iter().map(|guard| guard.0).collect();
        let where_is_current = session.gdb.number("&tasks::current")?;
        session.gdb.resume()?;
        let monitor = session.qemu.monitor();
        let mut seen = BTreeSet::new();
        poll::until("every task to be found at work", || {
            // All of it at one instant.
            monitor.execute("stop", &json!({}))?;
            let registers = monitor.registers()?;
            let task = monitor.number(where_is_current)?;
            monitor.execute("cont", &json!({}))?;
            if registers.flags & INTERRUPTS == 0 {
                return Ok(None);
            }
            let guard = guards[usize::try_from(task)?.checked_sub(1).context("nobody runs")?];
            let allowed = |claim: &&crate::support::Turns| {
                claim.scope == "all cpus" || claim.scope == format!("task {task}")
            };
            let counters: Vec<_> =
                report.turns.iter().filter(allowed).map(|claim| claim.address).collect();
            same("DR7", format!("{:#x}", registers.control), format!("{ALL:#x}"))?;
            same("DR0", registers.addresses[0], 0)?;
            let (own, others): (Vec<u64>, Vec<u64>) =
                registers.addresses[1..].iter().partition(|address| guards.contains(address));
            same("the guards", own, vec![guard])?;
            ensure!(others[0] != others[1], "one counter has two registers");
            ensure!(others.iter().all(|other| counters.contains(other)), "{others:x?} in {task}");
            seen.insert(task);
            Ok((seen.len() == TASKS.len()).then_some(()))
        })?;
        session.gdb.interrupt()?;
        let task = current(&mut session.gdb)?;
        let runs = format!("cpu 0 runs task {task}\n");
        ensure!(session.gdb.command("monitor tasks")?.starts_with(&runs), "not {runs}");
        Ok(())
    })
}
