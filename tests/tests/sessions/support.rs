//! What several of these tests share: a stop as lines, `monitor dr` as rows, places in a turn.

use std::fmt::Debug;

use anyhow::{Context, Result, bail, ensure};
use tetrarch_tests::Gdb;

/// What gdb says when the target has refused a watchpoint.
pub const TOO_MANY: &str = "You may have requested too many hardware breakpoints/watchpoints.";

/// Fails unless both are the same, and shows both.
pub fn same<T: PartialEq<U> + Debug, U: Debug>(what: &str, found: T, expected: U) -> Result<()> {
    ensure!(found == expected, "{what}:\nfound    {found:#?}\nexpected {expected:#?}");
    Ok(())
}

/// What a stop says, line by line: what triggered with its values, then the function, then the
/// statement. File names, line numbers and addresses are left out.
pub fn told(output: &str) -> Vec<String> {
    let lines = output.lines().filter(|line| !line.is_empty() && *line != "Continuing.");
    lines
        .map(|line| match (line.rsplit_once('\t'), line.rsplit_once(" at ")) {
            (Some((number, statement)), _)
                if number.ends_with(|last: char| last.is_ascii_digit()) =>
            {
                statement.trim()
            }
            (_, Some((place, file))) if file.contains(".rs:") => {
                let name = place.split_once(" in ").map_or(place, |(_, name)| name);
                name.split_once(" (").map_or(name, |(name, _)| name)
            }
            (Some(_) | None, _) => line,
        })
        .map(str::to_owned)
        .collect()
}

/// Gives a command after which the image stops, and checks all that gdb says about the stop.
pub fn stops(gdb: &mut Gdb, command: &str, expected: &[&str]) -> Result<()> {
    let output = gdb.command(command)?;
    same(command, told(&output), expected)
}

/// Runs to the start of a turn. There `ticks` needs no crate's name, and nothing is held.
pub fn to_next_turn(gdb: &mut Gdb) -> Result<()> {
    to_turn(gdb, "true")
}

/// Runs to the start of the first turn in which `condition` holds. A stop before that is an
/// error. It takes no debug register: the breakpoint is one in software.
pub fn to_turn(gdb: &mut Gdb, condition: &str) -> Result<()> {
    let place = gdb.expect(&format!("tbreak step_once if {condition}"), "Temporary breakpoint")?;
    let number = place.split_whitespace().nth(2).context("a breakpoint has a number")?;
    let expected = format!("Temporary breakpoint {number}, demo::step_once");
    stops(gdb, "continue", &[&expected, "let wanted = read_setpoint();"])
}

/// A statement of the demo's turn, as gdb shows it.
pub mod statement {
    /// After the store to `ticks`, and where it is read.
    pub const AFTER_TICKS: &str = "frame[ticks as usize % 32] = wanted as u8;";
    /// After the store to `frame`.
    pub const AFTER_FRAME: &str = "status = RUNNING;";
    /// After the load from `setpoint`, and after the store to `status`.
    pub const END: &str = "}";
}

/// The address of a static, wherever gdb has stopped: by the name that the linker knows.
pub fn address(gdb: &mut Gdb, name: &str) -> Result<u64> {
    let output = gdb.command(&format!("info address {name}"))?;
    let digits = output.split_once("0x").context(output.clone())?.1;
    let end = digits.find(|character: char| !character.is_ascii_hexdigit());
    Ok(u64::from_str_radix(&digits[..end.unwrap_or(digits.len())], 16)?)
}

/// One slot in `monitor dr` that is not free.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    pub address: u64,
    pub length: u64,
    pub condition: String,
    /// `armed` or `held`.
    pub state: String,
    pub hits: u64,
    pub owners: String,
}

impl Row {
    /// A row of the debugger's, as it reads while the machine is stopped.
    pub fn held(address: u64, length: u64, condition: &str, hits: u64) -> Self {
        Self { state: "held".into(), ..Self::armed(address, length, condition, hits, "debugger") }
    }

    pub fn armed(address: u64, length: u64, condition: &str, hits: u64, owners: &str) -> Self {
        Self {
            address,
            length,
            condition: condition.into(),
            state: "armed".into(),
            hits,
            owners: owners.into(),
        }
    }
}

/// The table of `monitor dr`.
pub fn table(gdb: &mut Gdb) -> Result<[Option<Row>; 4]> {
    let text = gdb.command("monitor dr")?;
    let lines: Vec<&str> = text.lines().collect();
    let [_head, rows @ .., _reserved] = lines.as_slice() else { bail!("no table: {text}") };
    let rows: Result<Vec<_>> =
        rows.iter().enumerate().map(|(slot, line)| row(slot, line)).collect();
    rows?.try_into().ok().with_context(|| format!("there are four slots, not:\n{text}"))
}

fn row(slot: usize, line: &str) -> Result<Option<Row>> {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words.as_slice() {
        [number, "-", "-", "-", "free"] if number.parse() == Ok(slot) => Ok(None),
        [number, address, length, condition, state, hits, "all", "cpus", owners @ ..]
            if number.parse() == Ok(slot) =>
        {
            Ok(Some(Row {
                address: u64::from_str_radix(address.trim_start_matches("0x"), 16)?,
                length: length.parse()?,
                condition: (*condition).into(),
                state: (*state).into(),
                hits: hits.parse()?,
                owners: owners.join(" "),
            }))
        }
        _ => bail!("slot {slot} reads {line:?}"),
    }
}
