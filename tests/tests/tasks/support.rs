//! What several of these tests share: places to stop at, and what the monitor commands print.

use std::collections::BTreeMap;
use std::fmt::Debug;

use anyhow::{Context, Result, bail, ensure};
use tetrarch_tests::Gdb;

/// The tasks' numbers.
pub const TASKS: [u64; 4] = [1, 2, 3, 4];

/// Fails unless both are the same, and shows both.
pub fn same<T: PartialEq<U> + Debug, U: Debug>(what: &str, found: T, expected: U) -> Result<()> {
    ensure!(found == expected, "{what}:\nfound    {found:#?}\nexpected {expected:#?}");
    Ok(())
}

/// Runs to the beginning of a beat of `task`. It takes no debug register.
pub fn to_beat_of(gdb: &mut Gdb, task: u64) -> Result<()> {
    gdb.expect(&format!("tbreak beat if tasks::current == {task}"), "Temporary breakpoint")?;
    gdb.expect("continue", "Temporary breakpoint")?;
    same("the task that runs", current(gdb)?, task)
}

/// The task that runs, by the image's own account.
pub fn current(gdb: &mut Gdb) -> Result<u64> {
    gdb.number("tasks::current")
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

/// What `monitor dr` prints, less the reservations.
#[derive(Debug)]
pub struct Report {
    /// Address, state and owners of each slot that is not free.
    pub slots: [Option<(u64, String, String)>; 4],
    /// The claims of tasks.
    pub of_tasks: Vec<OfTask>,
    /// The claims that take turns.
    pub turns: Vec<Turns>,
}

/// A claim of a task: `task 1: 0x140000+8 write, 749 hits, stack-guard-1`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OfTask {
    pub task: u64,
    pub address: u64,
    pub hits: u64,
    pub owner: String,
}

/// A claim that takes turns: `steady-1, all cpus: 0x139000+8 write, 181 hits, armed for 47.1 % of
/// the time, estimate 384, 2 to 16 in each of 25 turns`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Turns {
    pub name: String,
    pub scope: String,
    pub address: u64,
    pub hits: u64,
    /// For how long it was armed, in thousandths of the time, rounded down.
    pub coverage: u64,
    pub estimate: u64,
    pub fewest: u64,
    pub most: u64,
    pub turns: u64,
}

impl Report {
    pub fn of(gdb: &mut Gdb) -> Result<Self> {
        Self::parse(&gdb.command("monitor dr")?)
    }

    fn parse(text: &str) -> Result<Self> {
        let lines: Vec<&str> = text.lines().collect();
        let [_, rows @ .., _] = lines.get(..6).context("no table")? else { bail!("no table") };
        let slots: Vec<_> = rows.iter().map(|row| slot(row)).collect::<Result<_>>()?;
        let (of_tasks, turns) = text
            .split_once("claims of tasks:\n")
            .and_then(|(_, lists)| lists.split_once("claims that take turns:\n"))
            .with_context(|| format!("no lists in:\n{text}"))?;
        Ok(Self {
            slots: slots.try_into().ok().context("four slots")?,
            of_tasks: of_tasks.lines().map(of_task).collect::<Result<_>>()?,
            turns: turns.lines().map(taking_turns).collect::<Result<_>>()?,
        })
    }

    /// Address and hits of each task's stack guard.
    pub fn guards(&self) -> Vec<(u64, u64)> {
        let guards = self.of_tasks.iter().filter(|claim| claim.owner.starts_with("stack-guard"));
        guards.map(|claim| (claim.address, claim.hits)).collect()
    }
}

fn slot(row: &str) -> Result<Option<(u64, String, String)>> {
    let words: Vec<&str> = row.split_whitespace().collect();
    match words.as_slice() {
        [_, "-", "-", "-", "free"] => Ok(None),
        [_, address, _, _, state, _, _, _, owners @ ..] => {
            Ok(Some((hexadecimal(address)?, (*state).to_owned(), owners.join(" "))))
        }
        _ => bail!("no slot: {row}"),
    }
}

fn of_task(line: &str) -> Result<OfTask> {
    let words: Vec<&str> =
        line.split([' ', ':', ',', '+']).filter(|word| !word.is_empty()).collect();
    match words.as_slice() {
        ["task", task, address, "8", "write", hits, "hits", owner] => Ok(OfTask {
            task: task.parse()?,
            address: hexadecimal(address)?,
            hits: hits.parse()?,
            owner: (*owner).to_owned(),
        }),
        _ => bail!("no claim of a task: {line}"),
    }
}

fn taking_turns(line: &str) -> Result<Turns> {
    let (owner, rest) = line.split_once(": ").with_context(|| line.to_owned())?;
    let (name, scope) = owner.trim().split_once(", ").with_context(|| line.to_owned())?;
    let words: Vec<&str> = rest.split([' ', ',', '+']).filter(|word| !word.is_empty()).collect();
    let [address, "8", "write", hits, "hits", count @ ..] = words.as_slice() else {
        bail!("no count: {line}")
    };
    // Before its first turn there is no estimate, and before the end of that no spread.
    let (coverage, estimate, spread) = match count {
        ["armed", "for", percent, "%", "of", "the", "time", "estimate", estimate, spread @ ..] => {
            (percent.replace('.', "").parse()?, estimate.parse()?, spread)
        }
        ["never", "armed", "no", "estimate", spread @ ..] => (0, 0, spread),
        _ => bail!("no count: {line}"),
    };
    let [fewest, most, turns] = match spread {
        [fewest, "to", most, "in", "each", "of", turns, "turns"] => [fewest, most, turns],
        [] => [&"0"; 3],
        _ => bail!("no spread: {line}"),
    };
    Ok(Turns {
        name: name.to_owned(),
        scope: scope.to_owned(),
        address: hexadecimal(address)?,
        hits: hits.parse()?,
        coverage,
        estimate,
        fewest: fewest.parse()?,
        most: most.parse()?,
        turns: turns.parse()?,
    })
}

fn hexadecimal(text: &str) -> Result<u64> {
    Ok(u64::from_str_radix(text.trim_start_matches("0x"), 16)?)
}
