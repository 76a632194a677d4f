//! `cargo xtask bench`: what the arbiter costs.
//!
//! Three parts. The image `switch` counts the writes to debug registers of each switch, which are
//! the same everywhere, and measures it twice: in instructions, which the emulator counts and
//! which are the same each time the same image runs, and in ticks of the emulator's time, which
//! say how slow an emulator is and nothing about a processor. The image `rendezvous` measures in
//! such ticks what it costs to stop all CPUs. Then the benchmarks of `stub/benches/`, on the host,
//! in the host's time.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tetrarch_tests::costs::{self, CASES, Clock, STRAY_HIT, Seen};
use tetrarch_tests::image::workspace;
use tetrarch_tests::rendezvous;
use tetrarch_tests::{Boot, Image, Rsp};

use crate::tools;

pub fn bench() -> Result<()> {
    tools::for_running()?;
    tools::with_progress("building the image", || Image::build("switch"))?;
    let (counted, stray) =
        tools::with_progress("counting instructions", || costs::measure(Clock::Instructions))?;
    let (timed, stray_timed) = tools::with_progress("measuring", || costs::measure(Clock::Host))?;

    println!("a context switch in the emulated image; ticks are the emulator's");
    println!();
    row(["", "DR writes", "minimum", "Linux", "instructions", "ticks"].map(str::to_owned));
    for ((case, counted), timed) in CASES.iter().zip(&counted).zip(&timed) {
        let sides = [case.minimum.to_string(), case.linux().to_string()];
        print_case(case.name, counted, sides, timed);
    }
    print_case(STRAY_HIT, &stray, ["", ""].map(str::to_owned), &stray_timed);
    println!();
    print_lazy(&counted, &stray)?;
    println!();
    print_rendezvous()?;
    println!();
    print_line()?;
    println!();
    on_the_host()
}

/// What it costs to stop all CPUs and to let them go, on one, two and four.
fn print_rendezvous() -> Result<()> {
    const CPUS: [u8; 3] = [1, 2, 4];
    const TIMES: u16 = 501;
    let measured = tools::with_progress("stopping CPUs", || -> Result<Vec<_>> {
        CPUS.into_iter().map(|cpus| rendezvous::measure(cpus, TIMES)).collect()
    })?;
    let heads = CPUS.map(|cpus| format!("{cpus} {}", if cpus == 1 { "CPU" } else { "CPUs" }));
    println!("several CPUs, in ticks of the emulator: the least of {TIMES} times, and the median");
    println!();
    println!("{:24} {:>20} {:>20} {:>20}", "", heads[0], heads[1], heads[2]);
    for (index, name) in rendezvous::NAMES.into_iter().enumerate() {
        print!("{name:24}");
        for ticks in measured.iter().filter_map(|all| all.get(index)) {
            print!(" {:>20}", format!("{} {}", ticks.least, ticks.median));
        }
        println!();
    }
    Ok(())
}

/// For how long the stub does not look at the port: from a request until it has been answered by
/// a `+`, which goes out when the request has been carried out.
fn print_line() -> Result<()> {
    const TIMES: usize = 301;
    /// Ten bits a byte at 115,200 bits per second.
    const BYTE: f64 = 10.0 / 115_200.0;
    // The longest of each kind; `monitor help`, `monitor dr`.
    const PACKETS: [&str; 7] =
        ["g", "m100000,fc", "p3f", "Z2,200000,1f", "z2,200000,1f", "qRcmd,68656c70", "qRcmd,6472"];
    let qemu = Boot::new("demo")?.start()?;
    let mut client = Rsp::attach(&qemu)?;
    println!(
        "until a request is answered, in the emulator: microseconds, and bytes of 115,200 baud"
    );
    println!();
    println!("{:24} {:>20} {:>20}", "", "least", "median");
    for packet in PACKETS {
        let mut times = Vec::new();
        for _ in 0..TIMES {
            let start = Instant::now();
            client.send(packet)?;
            times.push(start.elapsed());
            // Console output comes before the reply.
            while matches!(client.reply()?.as_bytes(), [b'O', rest @ ..] if rest != b"K") {}
        }
        times.sort_unstable();
        let shown = |time: Duration| {
            format!("{} µs, {:.1} bytes", time.as_micros(), time.as_secs_f64() / BYTE)
        };
        println!("{packet:24} {:>20} {:>20}", shown(times[0]), shown(times[TIMES / 2]));
    }
    Ok(())
}

fn print_case(name: &str, counted: &Seen, [minimum, linux]: [String; 2], timed: &Seen) {
    let [writes, instructions, ticks] =
        [u64::from(counted.writes), counted.median, timed.median].map(|number| number.to_string());
    row([name.to_owned(), writes, minimum, linux, instructions, ticks]);
}

fn row([name, writes, minimum, linux, instructions, ticks]: [String; 6]) {
    println!("{name:32} {writes:>9} {minimum:>8} {linux:>6} {instructions:>13} {ticks:>8}");
}

/// When the lazy variant pays.
fn print_lazy(counted: &[Seen], stray: &Seen) -> Result<()> {
    let find = |name: &str| {
        let index = CASES.iter().position(|case| case.name == name);
        index.and_then(|index| counted.get(index)).with_context(|| format!("no case {name}"))
    };
    for (exact, lazy) in [
        ("A→none→A", "A→none→A, lazy"),
        ("A→none→B", "A→none→B, lazy"),
        ("A→none→B, other kinds", "A→none→B, other kinds, lazy"),
    ] {
        let (exactly, lazily) = (find(exact)?, find(lazy)?);
        println!(
            "{exact}: lazily {} writes instead of {} and {} instructions instead of {}; \
             each stray hit costs {} and {}",
            lazily.writes,
            exactly.writes,
            lazily.median,
            exactly.median,
            stray.writes,
            stray.median,
        );
    }
    Ok(())
}

fn on_the_host() -> Result<()> {
    let status = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .current_dir(workspace())
        .args(["bench", "--package", "tetrarch", "--bench", "arbiter"])
        .status()
        .context("cannot run cargo")?;
    ensure!(status.success(), "the benchmarks failed ({status})");
    Ok(())
}
