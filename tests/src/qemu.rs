//! QEMU with an image in it.
//!
//! Three sockets lead into it: the image's first serial port, for gdb; its second, for the
//! log, where we listen and QEMU connects, so that no byte is lost; and QEMU's monitor.
//! Each image logs `NAME: running` when it has set itself up. Only then can it be attached
//! to: what arrives earlier is lost in a serial port that nobody listens to yet.

use std::fmt;
use std::fs::{self, File};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::child::{self, Guard};
use crate::image::Image;
use crate::log::{Listener, Log};
use crate::monitor::Monitor;
use crate::poll;
use crate::serial::Serial;

/// The emulator's program.
pub const PROGRAM: &str = "qemu-system-x86_64";

/// QEMU's exit status when an image ends by itself with success (`examples/src/exit.rs`).
pub const SUCCESS: i32 = 33;

/// What happens when the image resets the machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnReset {
    /// QEMU ends.
    Exit,
    /// The image boots again.
    Reboot,
}

/// How an image shall be started.
pub struct Boot {
    image: Image,
    arguments: Vec<String>,
    options: &'static [&'static str],
    cpus: u8,
    serial: Serial,
    on_reset: OnReset,
    listener: Listener,
}

impl fmt::Debug for Boot {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Boot({} {:?})", self.image.name(), self.arguments)
    }
}

impl Boot {
    /// Builds the image if need be. One CPU, no arguments, a private socket.
    pub fn new(name: &str) -> Result<Self> {
        Ok(Self::image(Image::build(name)?))
    }

    /// The same for an image that has been built.
    pub fn image(image: Image) -> Self {
        Self {
            image,
            arguments: Vec::new(),
            options: &[],
            cpus: 1,
            serial: Serial::Private,
            on_reset: OnReset::Exit,
            listener: Box::new(|_| ()),
        }
    }

    /// Adds a word to the image's command line.
    #[must_use]
    pub fn argument(mut self, word: impl Into<String>) -> Self {
        self.arguments.push(word.into());
        self
    }

    /// Words for QEMU itself.
    #[must_use]
    pub fn options(mut self, options: &'static [&'static str]) -> Self {
        self.options = options;
        self
    }

    /// The number of CPUs. The image is told if it is more than one: `cpus=N`.
    #[must_use]
    pub fn cpus(mut self, count: u8) -> Self {
        self.cpus = count;
        self
    }

    /// Where gdb's serial port comes out.
    #[must_use]
    pub fn serial(mut self, serial: Serial) -> Self {
        self.serial = serial;
        self
    }

    /// What happens when the image resets the machine.
    #[must_use]
    pub fn on_reset(mut self, on_reset: OnReset) -> Self {
        self.on_reset = on_reset;
        self
    }

    /// Called with each line of the image's log.
    #[must_use]
    pub fn listener(mut self, listener: Listener) -> Self {
        self.listener = listener;
        self
    }

    /// Starts QEMU, and returns when the image can be attached to.
    pub fn start(mut self) -> Result<Qemu> {
        let directory = tempfile::Builder::new().prefix("tetrarch-").tempdir()?;
        let log_path = directory.path().join("log");
        let monitor_path = directory.path().join("monitor");
        let error_path = directory.path().join("error");
        let log_listener = UnixListener::bind(&log_path)?;

        let mut command = machine(self.cpus);
        if self.cpus > 1 {
            self.arguments.push(format!("cpus={}", self.cpus));
        }
        command
            .args(self.options)
            .arg("-kernel")
            .arg(self.image.path())
            .args(["-append", &self.arguments.join(" ")])
            .arg("-chardev")
            .arg(self.serial.chardev(&directory))
            .args(["-serial", "chardev:serial"])
            .arg("-chardev")
            .arg(format!("socket,id=log,path={}", log_path.display()))
            .args(["-serial", "chardev:log"])
            .arg("-qmp")
            .arg(format!("unix:{},server=on,wait=off", monitor_path.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&error_path)?);
        if self.on_reset == OnReset::Exit {
            command.arg("-no-reboot");
        }
        let child = command.spawn().with_context(|| format!("cannot run {PROGRAM}"))?;
        let mut child = Guard(child);

        let stream = poll::until("QEMU's monitor", || {
            if child.0.try_wait()?.is_some() {
                let error = fs::read_to_string(&error_path)?;
                bail!("QEMU ended at once (is the port in use?): {error}");
            }
            Ok(UnixStream::connect(&monitor_path).ok())
        })?;
        let mut monitor = Monitor::greet(stream)?;
        let log_stream = log_listener.accept()?.0;
        let log = Log::follow(&fs::read(self.image.path())?, log_stream, self.listener)?;
        let address = self.serial.address(&directory, &mut monitor)?;
        poll::until("the image to run", || {
            let running = log.lines().iter().any(|line| line.ends_with(": running"));
            let failed = log.lines().iter().any(|line| line.contains("panicked"))
                || child.0.try_wait()?.is_some();
            if !running && failed {
                bail!("the image failed before it ran; its log:\n{}", log.lines().join("\n"));
            }
            Ok(running.then_some(()))
        })?;
        Ok(Qemu { image: self.image, address, log, monitor, child, _directory: directory })
    }
}

/// QEMU with nothing in it: the options that all images run under. Each CPU has a thread of its
/// own, so that they interleave in all the ways that real ones do.
pub(crate) fn machine(cpus: u8) -> Command {
    let accelerator = if cpus > 1 { "tcg,thread=multi" } else { "tcg" };
    let mut command = child::bound(PROGRAM);
    command
        .args(["-nodefaults", "-display", "none", "-cpu", "max", "-m", "64"])
        .args(["-accel", accelerator, "-smp", &cpus.to_string()])
        .args(["-device", "isa-debug-exit,iobase=0xf4,iosize=4"]);
    command
}

/// A running QEMU. Dropping it ends it.
#[derive(Debug)]
pub struct Qemu {
    image: Image,
    address: String,
    log: Log,
    monitor: Monitor,
    child: Guard,
    _directory: TempDir,
}

impl Qemu {
    /// The image in it.
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// What to type after gdb's `target remote`: a path, or HOST:PORT.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The image's log.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// QEMU's monitor.
    pub fn monitor(&mut self) -> &mut Monitor {
        &mut self.monitor
    }

    /// Whether QEMU has not ended.
    pub fn is_running(&mut self) -> Result<bool> {
        Ok(self.child.0.try_wait()?.is_none())
    }

    /// Waits until the image has ended by itself, and checks that it ended with success.
    pub fn wait_for_success(&mut self) -> Result<()> {
        let status = poll::until("the image's end", || Ok(self.child.0.try_wait()?))?;
        if status.code() != Some(SUCCESS) {
            bail!("the image failed ({status}); its log:\n{}", self.log.lines().join("\n"));
        }
        Ok(())
    }

    /// Something that ends QEMU when called, from a signal handler for instance.
    pub fn stopper(&self) -> Result<impl Fn() + Send + 'static> {
        self.child.signaller(Signal::SIGTERM)
    }

    /// Waits until QEMU ends, however long that takes.
    pub fn wait(&mut self) -> Result<ExitStatus> {
        Ok(self.child.0.wait()?)
    }
}
