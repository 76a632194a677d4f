//! What a context switch costs, counted in an image. Nothing here looks at a clock.

use anyhow::{Context, Result};
use tetrarch_tests::costs::{self, CASES, Clock};
use tetrarch_tests::image::workspace;

use crate::support::same;

/// Writes, the minimum, and what Linux would write: by hand, in the order of the cases.
const COSTS: [(&str, u32, u32, u32); 14] = [
    ("none→none", 0, 0, 0),
    ("A→A", 0, 0, 0),
    ("none→A, after A", 1, 1, 8),
    ("none→A, after B", 5, 5, 8),
    ("A→none", 1, 1, 4),
    ("A→B, other addresses", 4, 4, 12),
    ("A→B, other addresses and kinds", 6, 6, 12),
    ("A→B, 2 of 4 shared", 2, 2, 6),
    ("A→none→A", 2, 2, 12),
    ("A→none→B", 6, 6, 12),
    ("A→none→B, other kinds", 6, 6, 12),
    ("A→none→A, lazy", 0, 0, 12),
    ("A→none→B, lazy", 4, 4, 12),
    ("A→none→B, other kinds, lazy", 6, 6, 12),
];

#[test]
fn promise_9_the_processor_sees_no_more_writes_than_needed() -> Result<()> {
    let (cases, stray) = costs::measure(Clock::Instructions)?;
    let mut found = CASES.iter().zip(&cases);
    let found: [_; CASES.len()] = std::array::from_fn(|_| {
        found.next().map(|(case, seen)| (case.name, seen.writes, case.minimum, case.linux()))
    });
    same("the writes", found, COSTS.map(Some))?;
    same("a stray hit's writes: DR6", stray.writes, 1)?;
    // One compare and one branch, which no clock is needed to see.
    same("none→none and A→A, in instructions", [cases[0].median, cases[1].median], [2, 2])
}

/// The README's table is for reading; what it says about writes is what is asserted here.
#[test]
fn the_readme_tells_these_writes() -> Result<()> {
    let readme = std::fs::read_to_string(workspace().join("README.md"))?;
    for (name, writes, minimum, linux) in COSTS {
        let row = format!("| {name} | {writes} | {minimum} | {linux} | ");
        readme.lines().find(|line| line.starts_with(&row)).with_context(|| row.clone())?;
    }
    Ok(())
}
