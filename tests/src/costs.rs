//! What a context switch costs: what the image `switch` reports, beside what it should.
//!
//! **The minimum** is worked out by hand here. Each address that the new windows need and that no
//! slot holds costs one write. DR7 costs none if the same slots are on for the same kinds of
//! access before and after; else one, if every slot that gets another address was off or keeps
//! its kind; else two, because such a slot must be off while its address changes.
//!
//! **Linux** is what Linux's `arch_uninstall_hw_breakpoint` and `arch_install_hw_breakpoint`
//! write, called once for each breakpoint that goes (DR7) and that comes (its address, then DR7):
//! `n + 2m`. Counted in its favour: a window that both tasks have counts as one that stays,
//! though in Linux each task has an event of its own.

use anyhow::{Context, Result, ensure};

use crate::{Boot, Image};

/// A way from task to task, by the name that it has in `examples/src/bin/switch/cases.rs`, which
/// says what the tasks watch.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// Its name.
    pub name: &'static str,
    /// The fewest writes in any order.
    pub minimum: u32,
    /// How many windows go.
    pub removed: u32,
    /// How many windows come.
    pub added: u32,
}

impl Case {
    /// What Linux would write.
    pub const fn linux(&self) -> u32 {
        self.removed + 2 * self.added
    }
}

const fn case(name: &'static str, minimum: u32, removed: u32, added: u32) -> Case {
    Case { name, minimum, removed, added }
}

/// All of them, in the image's order.
pub const CASES: [Case; 14] = [
    case("none→none", 0, 0, 0),
    case("A→A", 0, 0, 0),
    // The addresses are still there: DR7.
    case("none→A, after A", 1, 0, 4),
    // Four addresses into slots that are off, and DR7.
    case("none→A, after B", 5, 0, 4),
    // DR7; the addresses may stay.
    case("A→none", 1, 4, 0),
    // Four addresses; DR7 reads the same.
    case("A→B, other addresses", 4, 4, 4),
    // Each slot off, its address, each slot on.
    case("A→B, other addresses and kinds", 6, 4, 4),
    // Two addresses.
    case("A→B, 2 of 4 shared", 2, 2, 2),
    // DR7 off, DR7 on.
    case("A→none→A", 2, 4, 4),
    // DR7 off, four addresses, DR7 on.
    case("A→none→B", 6, 4, 4),
    case("A→none→B, other kinds", 6, 4, 4),
    // Nothing has happened.
    case("A→none→A, lazy", 0, 4, 4),
    // As from A to B directly.
    case("A→none→B, lazy", 4, 4, 4),
    case("A→none→B, other kinds, lazy", 6, 4, 4),
];

/// The name of what the image reports last.
pub const STRAY_HIT: &str = "stray hit";

/// What was seen when one thing was done many times.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seen {
    /// Writes to debug registers, each time.
    pub writes: u32,
    /// What the TSC counted at the least.
    pub least: u64,
    /// Its median.
    pub median: u64,
}

/// What the time-stamp counter counts in the emulator.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Clock {
    /// The host's time, and so how fast the emulator is.
    Host,
    /// Instructions that the image has executed: the same each time.
    Instructions,
}

impl Clock {
    const fn options(self) -> &'static [&'static str] {
        match self {
            Self::Host => &[],
            // Each instruction takes a nanosecond of the machine's time, and the counter counts
            // these.
            Self::Instructions => &["-icount", "shift=0"],
        }
    }
}

/// Boots the image and has it measure: the cases in order, then a stray hit.
pub fn measure(clock: Clock) -> Result<([Seen; CASES.len()], Seen)> {
    let mut qemu = Boot::image(Image::build("switch")?).options(clock.options()).start()?;
    qemu.log().wait_for("switch: done")?;
    qemu.wait_for_success()?;
    let lines = qemu.log().lines();
    let mut cases = [Seen { writes: 0, least: 0, median: 0 }; CASES.len()];
    for (seen, case) in cases.iter_mut().zip(CASES) {
        *seen = find(&lines, case.name)?;
    }
    Ok((cases, find(&lines, STRAY_HIT)?))
}

fn find(lines: &[String], name: &str) -> Result<Seen> {
    let start = format!("switch: {name}: ");
    let line = lines.iter().find_map(|line| Some(line.split_once(&start)?.1));
    let line = line.with_context(|| format!("no line for {name}:\n{}", lines.join("\n")))?;
    let numbers: Vec<u64> = line
        .split(|character: char| !character.is_ascii_digit())
        .filter_map(|digits| digits.parse().ok())
        .collect();
    let [fewest, most, least, median] = numbers[..] else {
        anyhow::bail!("not four numbers: {line}")
    };
    ensure!(fewest == most, "{name}: the writes differ from time to time: {line}");
    Ok(Seen { writes: u32::try_from(most)?, least, median })
}
