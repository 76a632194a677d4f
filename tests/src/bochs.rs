//! Bochs with an image in it: the second opinion, whose debug registers are a processor's.
//!
//! Bochs takes no ELF file; GRUB boots it from a disc ([`iso`]). The serial ports
//! are pseudo-terminals (`line.rs`), the first one for gdb or a report, the second
//! for the log. Debian's Bochs starts in a debugger of its own, which is told to continue. It
//! insists on a screen: a terminal again, because its other ones open a window or a network
//! port.

use std::fs::{self, File};
use std::os::unix::net::UnixListener;
use std::path::Path;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::child::{self, Guard};
use crate::image::Image;
use crate::line::Line;
use crate::log::Log;
use crate::{iso, poll};

/// The emulator's program.
pub const PROGRAM: &str = "bochs";

/// The firmware, from the package bochsbios.
pub const BIOS: &str = "/usr/share/bochs/BIOS-bochs-latest";
/// The graphics card's firmware, from the package vgabios.
pub const VGA_BIOS: &str = "/usr/share/vgabios/vgabios.bin";

/// The screen, from the package bochs-term.
pub const SCREEN: &str = "/usr/lib/x86_64-linux-gnu/bochs/plugins/libbx_term_gui.so";

/// How much of Bochs's own log an error shows.
const LINES_SHOWN: usize = 40;

/// How an image shall be started.
#[derive(Debug)]
pub struct Boot {
    image: Image,
    arguments: Vec<String>,
    cpus: u8,
}

impl Boot {
    /// Builds the image if need be. One CPU, no arguments.
    pub fn new(name: &str) -> Result<Self> {
        Ok(Self { image: Image::build(name)?, arguments: Vec::new(), cpus: 1 })
    }

    /// Adds a word to the image's command line.
    #[must_use]
    pub fn argument(mut self, word: impl Into<String>) -> Self {
        self.arguments.push(word.into());
        self
    }

    /// The number of CPUs. The image is told if it is more than one: `cpus=N`.
    #[must_use]
    pub fn cpus(mut self, count: u8) -> Self {
        self.cpus = count;
        self
    }

    /// Starts Bochs, and returns when the image can be attached to.
    pub fn start(self) -> Result<Bochs> {
        let name = self.image.name().to_owned();
        let mut bochs = self.power_on()?;
        let listener = UnixListener::bind(bochs.address())?;
        bochs.serial.serve(listener)?;
        let running = format!("{name}: running");
        poll::until("the image to run", || {
            if bochs.log.lines().iter().any(|line| line.ends_with(&running)) {
                return Ok(Some(()));
            }
            if bochs.child.0.try_wait()?.is_some() {
                bail!("Bochs has ended");
            }
            Ok(None)
        })
        .with_context(|| bochs.evidence())?;
        Ok(bochs)
    }

    /// Starts Bochs, and gives the lines that the image prints on its first serial port, up to
    /// one for which `is_last` holds.
    pub fn read_lines(self, is_last: impl Fn(&str) -> bool) -> Result<Vec<String>> {
        let mut bochs = self.power_on()?;
        bochs.serial.read_lines(is_last).with_context(|| bochs.evidence())
    }

    fn power_on(mut self) -> Result<Bochs> {
        if self.cpus > 1 {
            self.arguments.push(format!("cpus={}", self.cpus));
        }
        let directory = tempfile::Builder::new().prefix("tetrarch-").tempdir()?;
        let path = directory.path();
        let disc = iso::write(path, &self.image, &self.arguments)?;
        let (serial, log) = (Line::new()?, Line::new()?);
        fs::write(path.join("bochsrc"), settings(&disc, self.cpus, [&serial, &log]))?;
        fs::write(path.join("commands"), "continue\n")?;
        let screen = Line::new()?;
        screen.ignore()?;
        let mut command = child::bound(PROGRAM);
        command
            .current_dir(path)
            .args(["-q", "-f", "bochsrc", "-rc", "commands"])
            .env("TERM", "vt100")
            .stdin(screen.stream()?)
            .stdout(screen.stream()?)
            .stderr(File::create(path.join("errors"))?);
        let child = Guard(command.spawn().with_context(|| format!("cannot run {PROGRAM}"))?);
        let log_reader = log.reader()?;
        let decoded = Log::follow(&fs::read(self.image.path())?, log_reader, Box::new(|_| ()))?;
        Ok(Bochs {
            image: self.image,
            serial,
            log: decoded,
            child,
            _lines: [log, screen],
            directory,
        })
    }
}

/// The configuration. `ips` is how many instructions make a second of the machine's: it sets
/// how fast its serial ports and its timer are, and not how fast it runs. With fewer, what gdb
/// says would overrun a port's FIFO before the stub has looked at the first byte.
fn settings(disc: &Path, cpus: u8, [serial, log]: [&Line; 2]) -> String {
    let (disc, serial, log) = (disc.display(), serial.device(), log.device());
    format!(
        "config_interface: textconfig\n\
         display_library: term\n\
         plugin_ctrl: voodoo=false\n\
         romimage: file={BIOS}\n\
         vgaromimage: file={VGA_BIOS}\n\
         cpu: model=corei7_skylake_x, count={cpus}, ips=50000000, reset_on_triple_fault=0\n\
         megs: 128\n\
         clock: sync=none, time0=local\n\
         ata0-master: type=cdrom, path={disc}, status=inserted\n\
         boot: cdrom\n\
         com1: enabled=1, mode=term, dev={serial}\n\
         com2: enabled=1, mode=term, dev={log}\n\
         log: bochs.log\n\
         panic: action=fatal\n\
         error: action=report\n\
         info: action=report\n\
         debug: action=ignore\n"
    )
}

/// A running Bochs. Dropping it ends it.
#[derive(Debug)]
pub struct Bochs {
    image: Image,
    serial: Line,
    log: Log,
    child: Guard,
    /// They end with Bochs and not before.
    _lines: [Line; 2],
    directory: TempDir,
}

impl Bochs {
    /// The image in it.
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// What to type after gdb's `target remote`.
    pub fn address(&self) -> String {
        self.directory.path().join("gdb").display().to_string()
    }

    /// The image's log.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// What the image and Bochs said.
    pub fn evidence(&self) -> String {
        let said = |name: &str| {
            let text = fs::read(self.directory.path().join(name)).unwrap_or_default();
            let text = String::from_utf8_lossy(&text);
            let lines: Vec<_> = text.lines().collect();
            lines[lines.len().saturating_sub(LINES_SHOWN)..].join("\n")
        };
        format!(
            "---- the image's log:\n{}\n---- Bochs's log:\n{}\n---- Bochs's errors:\n{}\n----",
            self.log.lines().join("\n"),
            said("bochs.log"),
            said("errors")
        )
    }
}
