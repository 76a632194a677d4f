//! What it costs to stop all CPUs and to let them go, as the image `rendezvous` measures it.

use anyhow::{Context, Result, ensure};

use crate::image::Image;
use crate::qemu::Boot;
use crate::rsp::Rsp;

/// What is measured, in the order of the reports.
pub const NAMES: [&str; 5] =
    ["hit that is told", "hit to all parked", "resume to all running", "claim", "release"];

/// What the TSC counted when one thing was done many times.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ticks {
    /// At the least.
    pub least: u64,
    /// The median.
    pub median: u64,
}

/// Boots the image on so many CPUs, and lets it go on from each of its stops: of each of [`NAMES`],
/// what it counted.
pub fn measure(cpus: u8, times: u16) -> Result<[Ticks; NAMES.len()]> {
    let boot = Boot::image(Image::build("rendezvous")?).cpus(cpus);
    let mut qemu = boot.argument(format!("times={times}")).start()?;
    let mut client = Rsp::attach(&qemu)?;
    for _ in 0..times {
        let mut reply = client.request("vCont;c")?;
        // The line about the stop, for people.
        while reply.starts_with('O') {
            reply = client.reply()?;
        }
        ensure!(reply.starts_with("T05"), "no stop: {reply}");
    }
    client.send("vCont;c")?;
    qemu.log().wait_for("rendezvous: done")?;
    qemu.wait_for_success()?;
    let lines = qemu.log().lines();
    let mut all = [Ticks { least: 0, median: 0 }; NAMES.len()];
    for (ticks, name) in all.iter_mut().zip(NAMES) {
        *ticks = find(&lines, name)?;
    }
    Ok(all)
}

fn find(lines: &[String], name: &str) -> Result<Ticks> {
    let start = format!("rendezvous: {name}: ticks ");
    let line = lines.iter().find_map(|line| Some(line.split_once(&start)?.1));
    let line = line.with_context(|| format!("no line for {name}:\n{}", lines.join("\n")))?;
    let (least, rest) = line.split_once(" at least, ").with_context(|| line.to_owned())?;
    let median = rest.split(' ').next().with_context(|| line.to_owned())?;
    Ok(Ticks { least: least.parse()?, median: median.parse()? })
}
