//! The guards: each stops its own task, and none another's.

use anyhow::Result;
use tetrarch_tests::{Boot, under_gdb};

use crate::support::{Report, TASKS, current, same, to_beat_of};

#[test]
fn a_task_that_overruns_its_stack_is_stopped_by_its_own_guard() -> Result<()> {
    under_gdb(Boot::new("tasks")?, |session| {
        let gdb = &mut session.gdb;
        let addresses: Vec<_> = Report::of(gdb)?.guards();
        let mut hits = [0; 4];
        // Each twice, and not in the order in which they run.
        for task in [3, 1, 4, 2, 2, 4, 1, 3] {
            gdb.command(&format!("set var tasks::provoke = {task}"))?;
            let output = gdb.command("continue")?;
            let index = task as usize - 1;
            let text = format!(
                "stopped by stack-guard-{task}: write at {:#x}+8, next instruction {:#x}",
                addresses[index].0,
                gdb.number("$rip")?
            );
            gdb.check("continue", &output, &format!("tetrarch: {text}\n"))?;
            gdb.check("continue", &output, "Program received signal SIGTRAP")?;
            same("monitor stop", gdb.command("monitor stop")?, format!("{text}\n"))?;
            same("the task that runs", current(gdb)?, task)?;
            same("the stack pointer", gdb.number("$rsp")?, addresses[index].0)?;
            hits[index] += 1;
            let found: Vec<_> = Report::of(gdb)?.guards().iter().map(|guard| guard.1).collect();
            same("hits of the guards", found, hits.to_vec())?;
        }
        // They all go on.
        TASKS.into_iter().try_for_each(|task| to_beat_of(gdb, task))
    })
}

#[test]
fn the_null_guard_stops_every_task() -> Result<()> {
    under_gdb(Boot::new("tasks")?, |session| {
        let gdb = &mut session.gdb;
        for task in TASKS {
            gdb.command(&format!("set var tasks::provoke = {}", 10 + task))?;
            let output = gdb.command("continue")?;
            gdb.check("continue", &output, "tetrarch: stopped by null-guard: read/write at 0x0+8")?;
            same("the task that runs", current(gdb)?, task)?;
        }
        let hits: Vec<_> = Report::of(gdb)?.guards().iter().map(|guard| guard.1).collect();
        same("hits of the stack guards", hits, vec![0; 4])
    })
}
