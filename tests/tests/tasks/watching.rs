//! gdb's own breakpoints across switches: one register is kept for it.

use std::collections::BTreeSet;

use anyhow::Result;
use tetrarch_tests::{Boot, Gdb, under_gdb};

use crate::support::{TASKS, current, same, to_beat_of};

/// Continues through `count` writes of `name`, each of which adds 1. Gives who wrote.
fn writers(gdb: &mut Gdb, name: &str, first: u64, count: u64) -> Result<Vec<u64>> {
    let mut writers = Vec::new();
    for old in first..first + count {
        let output = gdb.command("continue")?;
        let values = format!(": {name}\n\nOld value = {old}\nNew value = {}\n", old + 1);
        gdb.check("continue", &output, &values)?;
        writers.push(current(gdb)?);
    }
    Ok(writers)
}

/// How often the debugger's claims were hit, by the table.
fn hits(gdb: &mut Gdb) -> Result<Vec<String>> {
    let text = gdb.command("monitor dr")?;
    let rows = text.lines().filter(|line| line.ends_with("  debugger"));
    Ok(rows.filter_map(|row| row.split_whitespace().nth(5)).map(str::to_owned).collect())
}

#[test]
fn a_watch_stops_for_every_write_of_every_task() -> Result<()> {
    under_gdb(Boot::new("tasks")?, |session| {
        let gdb = &mut session.gdb;
        to_beat_of(gdb, 1)?;
        let first = gdb.number("tasks::shared")?;
        gdb.command("watch tasks::shared")?;
        let writers = writers(gdb, "tasks::shared", first, 40)?;
        same("writers", BTreeSet::from_iter(writers), BTreeSet::from(TASKS))?;
        same("hits", hits(gdb)?, ["40"])?;
        same("writes", gdb.number("tasks::shared")?, first + 40)
    })
}

/// Each task has such a variable, at the same place on its own stack.
#[test]
fn a_watch_of_a_local_variable_stops_for_its_own_task_only() -> Result<()> {
    under_gdb(Boot::new("tasks")?, |session| {
        let gdb = &mut session.gdb;
        to_beat_of(gdb, 3)?;
        gdb.expect("up", "tasks::work::work")?;
        let first = gdb.number("own_beats")?;
        gdb.command("watch own_beats")?;
        same("writers", writers(gdb, "own_beats", first, 10)?, vec![3; 10])?;
        same("hits", hits(gdb)?, ["10"])
    })
}

#[test]
fn an_hbreak_stops_every_task() -> Result<()> {
    under_gdb(Boot::new("tasks")?, |session| {
        let gdb = &mut session.gdb;
        gdb.expect("hbreak beat", "Hardware assisted breakpoint 1")?;
        let mut stopped = BTreeSet::new();
        for _ in 0..40 {
            gdb.expect("continue", "Breakpoint 1, tasks::work::beat")?;
            let task = current(gdb)?;
            same("whose beat it is", gdb.number("task")?, task)?;
            stopped.insert(task);
        }
        same("hits", hits(gdb)?, ["40"])?;
        same("tasks", stopped, BTreeSet::from(TASKS))
    })
}

#[test]
fn a_second_watch_is_refused_and_monitor_why_says_why() -> Result<()> {
    under_gdb(Boot::new("tasks")?, |session| {
        let gdb = &mut session.gdb;
        to_beat_of(gdb, 2)?;
        gdb.command("watch tasks::shared")?;
        let first = gdb.number("tasks::shared")?;
        writers(gdb, "tasks::shared", first, 1)?;
        gdb.command("watch tasks::provoke")?;
        gdb.expect(
            "continue",
            "You may have requested too many hardware breakpoints/watchpoints.",
        )?;
        let provoke = gdb.number("&tasks::provoke")?;
        let shared = gdb.number("&tasks::shared")?;
        // gdb asks in the order of the addresses.
        let (armed, refused) = (provoke.min(shared), provoke.max(shared));
        let why = format!(
            "write watchpoint on {refused:#x}+8 refused: needs 1 debug register, 0 are available \
             to the debugger on cpu 0, 2 kept for others; slot 0: 0x0+8 read/write, null-guard; \
             slot 1: {armed:#x}+8 write, debugger; slot 2: "
        );
        // What takes turns in the other two is a matter of when.
        let found = gdb.command("monitor why")?;
        same("monitor why", found.get(..why.len()), Some(why.as_str()))?;
        // The first is as it was.
        gdb.command("delete 3")?;
        writers(gdb, "tasks::shared", first + 1, 8).map(drop)
    })
}
