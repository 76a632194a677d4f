//! `cargo xtask run`: boots an image and leaves it running for anybody's gdb.

use std::fs::File;
use std::io::Write;
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Context, Result, bail};
use tetrarch_tests::qemu::{self, OnReset};
use tetrarch_tests::report::{self, Report};
use tetrarch_tests::serial::Serial;
use tetrarch_tests::{Boot, Image};

use crate::tools;

#[derive(clap::Args)]
pub struct Options {
    /// The image: the name of a file in examples/src/bin. No gdb attaches to `semantics`, which
    /// prints its report and ends
    image: String,
    /// Where gdb's serial port comes out: unix:PATH, tcp:HOST:PORT or pty
    #[arg(long, default_value = "tcp:127.0.0.1:1234")]
    serial: Port,
    /// The number of CPUs; `smp` knows four, `rendezvous` as many as four; the others use the first one only
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=8))]
    smp: u8,
    /// Write the image's log to this file and not to the terminal
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Have the image wait for gdb before it does its work (demo only)
    #[arg(long)]
    wait: bool,
    /// Words for the image's command line
    #[arg(last = true)]
    arguments: Vec<String>,
}

/// `--serial`, as it is typed.
#[derive(Clone)]
struct Port(Serial);

impl FromStr for Port {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.split_once(':') {
            None if text == "pty" => Ok(Self(Serial::Pty)),
            Some(("unix", path)) => Ok(Self(Serial::Unix(path.into()))),
            Some(("tcp", rest)) => {
                let (host, port) = rest.rsplit_once(':').context("tcp needs HOST:PORT")?;
                let port: NonZeroU16 = port.parse().context("PORT is 1 to 65535")?;
                Ok(Self(Serial::Tcp { host: host.to_owned(), port: port.get() }))
            }
            _ => bail!("not unix:PATH, tcp:HOST:PORT or pty"),
        }
    }
}

pub fn run(options: Options) -> Result<()> {
    tools::for_running()?;
    let image = tools::with_progress("building the image", || Image::build(&options.image))?;
    if image.name() == report::IMAGE {
        println!("{}", Report::from_qemu()?.text());
        return Ok(());
    }
    let mut boot =
        Boot::image(image).serial(options.serial.0).cpus(options.smp).on_reset(OnReset::Reboot);
    if options.wait {
        boot = boot.argument("wait");
    }
    for word in options.arguments {
        boot = boot.argument(word);
    }
    boot = match options.log {
        None => boot.listener(Box::new(|line| println!("{line}"))),
        Some(path) => {
            let mut file =
                File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
            boot.listener(Box::new(move |line| {
                if let Err(error) = writeln!(file, "{line}") {
                    eprintln!("the log is lost: {error}");
                }
            }))
        }
    };
    let mut qemu = boot.start()?;
    // So that QEMU and its directory go away with us, whoever ends us.
    ctrlc::set_handler(qemu.stopper()?)?;
    println!("Running until you press Ctrl-C. Attach with:\n");
    println!("    gdb {} -ex 'target remote {}'\n", qemu.image().path().display(), qemu.address());
    let status = qemu.wait()?;
    match status.code() {
        Some(qemu::SUCCESS) => println!("The image has ended by itself, with success."),
        Some(0) => println!("QEMU was told to end."),
        _ => bail!("the image failed: {status}"),
    }
    Ok(())
}
