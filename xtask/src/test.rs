//! `cargo xtask test`: runs the tests by groups and counts.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use tetrarch_tests::{Image, image};

use crate::tools;

#[derive(clap::Args)]
pub struct Options {
    /// One group; all of them if none is named
    group: Option<Group>,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Group {
    /// Unit, property, loom and documentation tests; no image runs
    Host,
    /// Images under gdb
    Sessions,
    /// Images and the raw protocol
    Protocol,
    /// Claims that follow tasks, and claims that take turns, under gdb
    Tasks,
    /// Several CPUs under gdb
    Smp,
    /// A line that loses bytes, under gdb
    Line,
    /// The debug hardware of QEMU and Bochs, and an image in Bochs under gdb
    Semantics,
}

impl Group {
    const ALL: [Self; 7] = [
        Self::Host,
        Self::Sessions,
        Self::Protocol,
        Self::Tasks,
        Self::Smp,
        Self::Line,
        Self::Semantics,
    ];

    /// What cargo is asked to test, call by call.
    fn selections(self) -> &'static [&'static [&'static str]] {
        match self {
            Self::Host => &[
                &["--package", "tetrarch", "--package", "tetrarch-x86", "--tests"],
                &["--package", "tetrarch-tests", "--package", "xtask", "--lib", "--bins"],
                &["--workspace", "--exclude", "examples", "--doc"],
            ],
            Self::Sessions => &[&["--package", "tetrarch-tests", "--test", "sessions"]],
            Self::Protocol => &[&["--package", "tetrarch-tests", "--test", "protocol"]],
            Self::Tasks => &[&["--package", "tetrarch-tests", "--test", "tasks"]],
            Self::Smp => &[&["--package", "tetrarch-tests", "--test", "smp"]],
            Self::Line => &[&["--package", "tetrarch-tests", "--test", "line"]],
            Self::Semantics => &[&["--package", "tetrarch-tests", "--test", "semantics"]],
        }
    }

    /// What is tested under loom, which tries out how CPUs can interleave.
    fn under_loom(self) -> &'static [&'static [&'static str]] {
        match self {
            Self::Host => &[&["--package", "tetrarch", "--release", "--test", "rendezvous"]],
            Self::Sessions
            | Self::Protocol
            | Self::Tasks
            | Self::Smp
            | Self::Line
            | Self::Semantics => &[],
        }
    }

    /// Installs what it needs.
    fn prepare(self) -> Result<()> {
        match self {
            Self::Host => Ok(()),
            Self::Sessions | Self::Protocol | Self::Tasks | Self::Smp | Self::Line => {
                tools::for_debugging()
            }
            Self::Semantics => tools::for_everything(),
        }
    }

    /// The images that it runs.
    fn images(self) -> &'static [&'static str] {
        match self {
            Self::Host => &[],
            Self::Sessions => &["minimal", "demo", "steps", "switch"],
            Self::Protocol => &["minimal", "demo", "steps"],
            Self::Tasks => &["tasks"],
            Self::Smp => &["smp", "rendezvous"],
            Self::Line => &["demo"],
            Self::Semantics => &["semantics", "demo", "smp"],
        }
    }
}

/// How many tests went which way.
#[derive(Default)]
struct Count {
    passed: usize,
    failed: usize,
}

pub fn test(options: &Options) -> Result<()> {
    let groups = match options.group {
        Some(group) => vec![group],
        None => Group::ALL.to_vec(),
    };
    for group in &groups {
        group.prepare()?;
        // Here and not in the first test, which would seem slow.
        for name in group.images() {
            tools::with_progress(&format!("building the image {name}"), || Image::build(name))?;
        }
    }
    let mut total = Count::default();
    for group in groups {
        for selection in group.selections() {
            total.add(&run(cargo_test(selection))?);
        }
        for selection in group.under_loom() {
            total.add(&run(loom(cargo_test(selection)))?);
        }
    }
    println!("{} passed, {} failed", total.passed, total.failed);
    if total.failed > 0 {
        std::process::exit(1);
    }
    Ok(())
}

fn cargo_test(selection: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(image::workspace()).args(["test", "--no-fail-fast"]).args(selection);
    command
}

/// With loom's atomics instead of the processor's. What is built for that must not replace what
/// is built for all the rest.
fn loom(mut command: Command) -> Command {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target = target.unwrap_or_else(|| image::workspace().join("target"));
    let flags = std::env::var("RUSTFLAGS").unwrap_or_default();
    command
        .env("RUSTFLAGS", format!("{flags} --cfg loom"))
        .env("CARGO_TARGET_DIR", target.join("loom"))
        // The release profile is that of the images, for which building may take its time.
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
    command
}

/// Runs `cargo test`, passes its output on and counts.
fn run(mut command: Command) -> Result<Count> {
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("cannot run cargo")?;
    let output = child.stdout.take().context("no pipe to cargo")?;
    let mut count = Count::default();
    for line in BufReader::new(output).lines() {
        let line = line?;
        println!("{line}");
        if let Some(result) = line.strip_prefix("test result: ") {
            count.add(&Count::parse(result).with_context(|| format!("cannot read: {line}"))?);
        }
    }
    let status = child.wait()?;
    if !status.success() && count.failed == 0 {
        // It did not compile, or a test program ended before it could count.
        bail!("{command:?} failed ({status})");
    }
    Ok(count)
}

impl Count {
    /// From `ok. 3 passed; 0 failed; ...`.
    fn parse(result: &str) -> Option<Self> {
        let (_, numbers) = result.split_once(". ")?;
        let number = |name: &str| {
            let part = numbers.split("; ").find(|part| part.ends_with(name))?;
            part.split(' ').next()?.parse().ok()
        };
        Some(Self { passed: number(" passed")?, failed: number(" failed")? })
    }

    fn add(&mut self, other: &Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_line_is_read() {
        let line =
            "FAILED. 12 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s";
        let count = Count::parse(line).unwrap();
        assert_eq!((count.passed, count.failed), (12, 3));
    }
}
