//! Installs what is missing: the target's core library, QEMU, gdb; Bochs, and GRUB to start it.
//!
//! Where that is not possible (no root, no apt), prints the one command that would do it.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use tetrarch_tests::{bochs, gdb, image, iso, qemu};

/// Something that is not written in Rust, and Debian's package of it.
struct Tool {
    sign: Sign,
    package: &'static str,
}

/// How to tell that it is there.
enum Sign {
    /// It starts with this option.
    Program(&'static str, &'static str),
    /// The file or folder is there.
    Path(&'static str),
}

const QEMU: Tool =
    Tool { sign: Sign::Program(qemu::PROGRAM, "--version"), package: "qemu-system-x86" };
const GDB: Tool = Tool { sign: Sign::Program(gdb::PROGRAM, "--version"), package: "gdb" };

/// Bochs, what it boots from, and what makes that. No package of these asks for all others;
/// left to itself, apt would take a graphical screen and another firmware.
const BOCHS: [Tool; 7] = [
    Tool { sign: Sign::Program(bochs::PROGRAM, "--help"), package: "bochs" },
    Tool { sign: Sign::Path(bochs::SCREEN), package: "bochs-term" },
    Tool { sign: Sign::Path(bochs::BIOS), package: "bochsbios" },
    Tool { sign: Sign::Path(bochs::VGA_BIOS), package: "vgabios" },
    Tool { sign: Sign::Program(iso::PROGRAM, "--version"), package: "grub-common" },
    Tool { sign: Sign::Path(iso::PLATFORM), package: "grub-pc-bin" },
    Tool { sign: Sign::Program("xorriso", "--version"), package: "xorriso" },
];

/// What an image needs to be built.
pub fn for_building() -> Result<()> {
    if has_target()? {
        return Ok(());
    }
    let install = ["rustup", "target", "add", image::TARGET];
    with_progress(&format!("installing the Rust target {}", image::TARGET), || run(&install))
        .with_context(|| format!("please run: {}", install.join(" ")))
}

/// What an image needs to be run.
pub fn for_running() -> Result<()> {
    for_building()?;
    packages([&QEMU])
}

/// What an image needs to be debugged.
pub fn for_debugging() -> Result<()> {
    for_building()?;
    packages([&QEMU, &GDB])
}

/// What an image needs to be debugged in either emulator: all that there is.
pub fn for_everything() -> Result<()> {
    for_building()?;
    packages([&QEMU, &GDB].into_iter().chain(&BOCHS))
}

/// Shows `what` with a spinner while `work` is done.
pub fn with_progress<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let style = ProgressStyle::with_template("{spinner} {msg} ({elapsed})")?;
    let spinner = ProgressBar::new_spinner().with_style(style).with_message(what.to_owned());
    spinner.enable_steady_tick(Duration::from_millis(100));
    let result = work();
    spinner.finish_and_clear();
    result
}

fn has_target() -> Result<bool> {
    let output = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", image::TARGET])
        .output()
        .context("cannot run rustc")?;
    Ok(Path::new(String::from_utf8(output.stdout)?.trim()).is_dir())
}

fn packages<'a>(tools: impl IntoIterator<Item = &'a Tool>) -> Result<()> {
    let missing: Vec<_> = tools.into_iter().filter(|tool| !tool.is_there()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<_> = missing.iter().map(|tool| tool.package).collect();
    let mut install = vec!["apt-get", "install", "--yes", "--no-install-recommends"];
    install.extend(&packages);
    if !works("apt-get", "--version") || !is_root()? {
        bail!("missing programs; please run: sudo {}", install.join(" "));
    }
    with_progress(&format!("installing {}", packages.join(", ")), || {
        run(&["apt-get", "update"])?;
        run(&install)
    })
}

impl Tool {
    fn is_there(&self) -> bool {
        match self.sign {
            Sign::Program(program, option) => works(program, option),
            Sign::Path(path) => Path::new(path).exists(),
        }
    }
}

/// Whether the program is there and starts.
fn works(program: &str, option: &str) -> bool {
    let mut command = Command::new(program);
    command.arg(option).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn is_root() -> Result<bool> {
    Ok(Command::new("id").arg("-u").output()?.stdout.trim_ascii() == b"0")
}

/// Runs a command quietly; its output is the error if it fails.
fn run(words: &[&str]) -> Result<()> {
    let output = Command::new(words[0])
        .args(&words[1..])
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {}", words[0]))?;
    if !output.status.success() {
        bail!(
            "{} failed:\n{}{}",
            words.join(" "),
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}
