//! The table in `tests/README.md` against the sources: what it names must be there.

use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};
use tetrarch_tests::image::workspace;

const README: &str = include_str!("../../README.md");

/// How many bugs the table is about.
const ROWS: usize = 29;

#[test]
fn every_test_that_the_table_names_exists() -> Result<()> {
    let mut sources = String::new();
    for folder in ["stub", "target-x86", "tests"] {
        collect(&workspace().join(folder), &mut sources)?;
    }
    let rows: Vec<_> = README.lines().filter_map(row).collect();
    let numbers: Vec<_> = rows.iter().map(|(number, _)| *number).collect();
    ensure!(numbers == (1..=ROWS).collect::<Vec<_>>(), "{numbers:?}");
    for (number, tests) in rows {
        let named: Vec<_> =
            tests.split('`').skip(1).step_by(2).filter(|name| name.contains("::")).collect();
        ensure!(
            !named.is_empty() || tests.contains("not provoked: "),
            "{number} has neither a test nor a reason"
        );
        for path in named {
            let name = path.rsplit("::").next().unwrap_or(path);
            ensure!(
                sources.contains(&format!("fn {name}(")),
                "{number} names {path}, which is not there"
            );
        }
    }
    Ok(())
}

/// The number and the last column of a row.
fn row(line: &str) -> Option<(usize, &str)> {
    let (number, rest) = line.strip_prefix("| ")?.split_once(" | ")?;
    Some((number.parse().ok()?, rest.split_once(" | ")?.1))
}

fn collect(folder: &Path, sources: &mut String) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, sources)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push_str(&fs::read_to_string(&path)?);
        }
    }
    Ok(())
}
