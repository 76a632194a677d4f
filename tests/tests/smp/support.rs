//! What several of these tests share.

use std::collections::BTreeMap;
use std::fmt::Debug;

use anyhow::{Context, Result, ensure};
use tetrarch_tests::monitor::Monitor;
use tetrarch_tests::{Boot, Gdb, poll};

/// How many CPUs the image knows.
pub const CPUS: u64 = 4;

/// The image, on that many CPUs.
pub fn boot(cpus: u8) -> Result<Boot> {
    Ok(Boot::new("smp")?.cpus(cpus))
}

/// Fails unless both are the same, and shows both.
pub fn same<T: PartialEq<U> + Debug, U: Debug>(what: &str, found: T, expected: U) -> Result<()> {
    ensure!(found == expected, "{what}:\nfound    {found:#?}\nexpected {expected:#?}");
    Ok(())
}

/// What `monitor tally` prints.
pub fn tally(gdb: &mut Gdb) -> Result<BTreeMap<String, u64>> {
    let text = gdb.command("monitor tally")?;
    let pair = |line: &str| {
        let (name, number) = line.split_once(' ').with_context(|| line.to_owned())?;
        Ok((name.to_owned(), number.parse()?))
    };
    text.lines().map(pair).collect()
}

/// The CPU whose thread gdb looks at.
pub fn selected(gdb: &mut Gdb) -> Result<u64> {
    // Not `$_thread`: gdb gives a thread that comes again another number of its own.
    let text = gdb.command("thread")?;
    let number = text.split("(Thread 1.").nth(1).and_then(|rest| rest.split([' ', ')']).next());
    Ok(number.with_context(|| text.clone())?.parse::<u64>()? - 1)
}

/// Has a CPU write `shared` so many times, when it runs.
pub fn have_write(gdb: &mut Gdb, cpu: u64, times: u64) -> Result<()> {
    gdb.command(&format!("set variable smp::work::to_write[{cpu}] = {times}"))?;
    Ok(())
}

/// Gives a CPU an order of `orders.rs` in the image.
pub fn order(gdb: &mut Gdb, cpu: u64, order: u64) -> Result<()> {
    gdb.command(&format!("set variable smp::orders::orders[{cpu}] = {order}"))?;
    Ok(())
}

/// Lets the image run, in pieces, until a CPU's line of `info threads` says so.
pub fn run_until(gdb: &mut Gdb, cpu: usize, text: &str) -> Result<()> {
    poll::until(text, || {
        gdb.resume()?;
        gdb.interrupt()?;
        Ok(threads(gdb)?[cpu].contains(text).then_some(()))
    })
}

/// The lines of `info threads` that are about threads, without the mark of the selected one.
pub fn threads(gdb: &mut Gdb) -> Result<Vec<String>> {
    let text = gdb.command("info threads")?;
    let lines = text.lines().map(|line| line.trim_start_matches(['*', ' ']).trim().to_owned());
    Ok(lines.filter(|line| line.contains("Thread 1.")).collect())
}

/// The address of each slot that `monitor dr` says is armed on a CPU, or will be when gdb has put
/// back what it takes away at each stop. Without those of tasks, which come and go.
pub fn told_armed(gdb: &mut Gdb, cpu: u64) -> Result<[Option<u64>; 4]> {
    let text = gdb.command(&format!("monitor dr {cpu}"))?;
    let mut slots = [None; 4];
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let [slot, address, _, _, "armed" | "held", _, scope, ..] = words.as_slice()
            && *scope != "task"
        {
            let address = u64::from_str_radix(address.trim_start_matches("0x"), 16)?;
            slots[slot.parse::<usize>()?] = Some(address);
        }
    }
    Ok(slots)
}

/// Waits until QEMU has seen each CPU's registers armed as told; the image runs.
pub fn wait_for_armed(monitor: &mut Monitor, told: &[[Option<u64>; 4]]) -> Result<()> {
    let mut missing: Vec<_> = told.iter().enumerate().collect();
    let mut last = Vec::new();
    let seen = poll::until("the registers to be armed", || {
        last = monitor.all_registers()?.iter().map(|registers| registers.armed()).collect();
        missing.retain(|(cpu, slots)| last.get(*cpu) != Some(*slots));
        Ok(missing.is_empty().then_some(()))
    });
    seen.with_context(|| format!("found {last:x?}, expected {told:x?}"))
}
