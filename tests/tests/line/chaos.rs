//! Clients that are killed at any point, and bytes that are no client's.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::thread;

use anyhow::{Context, Result, ensure};
use tetrarch_tests::conversation::Echo;
use tetrarch_tests::proxy::{Direction, Noise, Proxy};
use tetrarch_tests::{Boot, Gdb, Qemu, poll};

use crate::support::{same, table, to_next_turn};

/// What a gdb does, in no particular order, until it is killed.
const WORK: [&str; 11] = [
    "hbreak control_loop",
    "watch demo::ticks",
    "awatch demo::status",
    "break read_setpoint",
    "continue",
    "stepi",
    "next",
    "x/32bx &demo::scratch",
    "set variable demo::setpoint = 41",
    "info registers",
    "monitor dr",
];

/// Attaching takes about 12,000 bytes in both directions, each further command some hundreds.
const LONGEST: u32 = 20_000;

/// A line on which gdb dies when so many bytes have passed, and no more come from it.
fn killing(after: u32, kill: impl Fn() + Send + 'static) -> Noise {
    let mut left = after;
    Box::new(move |direction, byte, arrives| {
        left = left.saturating_sub(1);
        match (left, direction) {
            (0, Direction::ToStub) => kill(),
            (0, Direction::ToClient) => {
                kill();
                arrives.push(byte);
            }
            (1.., _) => arrives.push(byte),
        }
    })
}

/// What a random test began with, to be had again by setting the variable of this name.
fn seed() -> Result<u64> {
    match std::env::var("TETRARCH_SEED") {
        Ok(seed) => Ok(seed.parse()?),
        Err(_) => Ok(fastrand::u64(..)),
    }
}

/// The guards are where they were, and nobody else has anything.
fn only_guards_are_there(gdb: &mut Gdb) -> Result<()> {
    let owners = table(gdb)?.map(|row| row.map(|row| row.owners));
    let guards = ["null-guard", "config-guard"].map(|guard| Some(guard.to_owned()));
    let [first, second] = guards;
    same("owners", owners, [first, second, None, None])
}

/// The image counts, and its guards do what they are for.
fn is_well(qemu: &Qemu) -> Result<()> {
    let mut gdb = Gdb::start(qemu.image(), Echo::Silent)?;
    let attached = gdb.attach(qemu)?;
    ensure!(!attached.contains("rror") && !attached.contains("warning"), "{attached}");
    let mut check = || -> Result<()> {
        only_guards_are_there(&mut gdb)?;
        to_next_turn(&mut gdb)?;
        let [ticks, writes] = [gdb.number("ticks")?, gdb.number("config_writes")?];
        gdb.command("set variable provoke = 2")?;
        to_next_turn(&mut gdb)?;
        same("writes that the guard has seen", gdb.number("config_writes")?, writes + 1)?;
        ensure!(gdb.number("ticks")? > ticks, "the image counts");
        gdb.command("set variable provoke = 1")?;
        gdb.expect("continue", "stopped by null-guard")?;
        gdb.command("detach")?;
        Ok(())
    };
    let checked = check();
    checked.with_context(|| gdb.evidence())
}

#[test]
fn a_gdb_that_is_killed_at_any_point_leaves_nothing_behind() -> Result<()> {
    const TIMES: u32 = 200;
    let seed = seed()?;
    let mut random = fastrand::Rng::with_seed(seed);
    let qemu = Boot::new("demo")?.start()?;
    let mut killed = 0;
    for visit in 0..TIMES {
        let after = random.u32(1..LONGEST);
        let context = || format!("TETRARCH_SEED={seed}, visit {visit}, killed after {after} bytes");
        let mut gdb = Gdb::start(qemu.image(), Echo::Silent)?;
        let proxy = Proxy::start(qemu.address(), killing(after, gdb.killer()?))?;
        if gdb.attach_to(proxy.address()).is_ok() {
            let checked = only_guards_are_there(&mut gdb);
            checked.or_else(|error| unless_killed(&mut gdb, error)).with_context(context)?;
            // Something that stops at each turn; then it goes on until it dies of it.
            let _ = gdb.command("break step_once");
            while gdb.command(random.choice(WORK).context("there is work")?).is_ok() {}
        }
        killed += u32::from(gdb.command("echo still here").is_err());
    }
    same("killed", killed, TIMES)?;
    is_well(&qemu).with_context(|| format!("TETRARCH_SEED={seed}"))
}

/// That a gdb which was killed meanwhile has not answered is no error.
fn unless_killed(gdb: &mut Gdb, error: anyhow::Error) -> Result<()> {
    if gdb.command("echo still here").is_ok() { Err(error.context(gdb.evidence())) } else { Ok(()) }
}

/// Sends noise, and takes what comes back.
fn make_noise(qemu: &Qemu, random: &mut fastrand::Rng, length: usize) -> Result<()> {
    let mut line = UnixStream::connect(qemu.address())?;
    let mut answers = line.try_clone()?;
    let reader = thread::spawn(move || std::io::copy(&mut answers, &mut std::io::sink()));
    let mut buffer = [0; 4096];
    let mut left = length;
    while left > 0 {
        let count = left.min(buffer.len());
        random.fill(&mut buffer[..count]);
        line.write_all(&buffer[..count])?;
        left -= count;
    }
    line.shutdown(std::net::Shutdown::Both)?;
    // It ends with the connection, with an error or without.
    let _ = reader.join();
    Ok(())
}

const NOISE: usize = 1_000_000;

#[test]
fn noise_while_the_image_runs_does_not_stop_it() -> Result<()> {
    let seed = seed()?;
    let mut random = fastrand::Rng::with_seed(seed);
    let mut qemu = Boot::new("demo")?.start()?;
    // gdb knows without attaching.
    let ticks = Gdb::start(qemu.image(), Echo::Silent)?.number("&demo::ticks")?;
    let before = qemu.monitor().number(ticks)?;
    make_noise(&qemu, &mut random, NOISE)?;
    // As QEMU sees it, while nobody is attached: it has counted, and still does.
    let after = qemu.monitor().number(ticks)?;
    ensure!(after > before, "TETRARCH_SEED={seed}: it stands at {after}");
    poll::until("the image to count", || {
        Ok((qemu.monitor().number(ticks)? >= after + 1000).then_some(()))
    })
    .with_context(|| format!("TETRARCH_SEED={seed}"))?;
    let log = qemu.log().lines();
    ensure!(
        !log.iter().any(|line| line.contains("session opened")),
        "TETRARCH_SEED={seed}, {log:?}"
    );
    is_well(&qemu).with_context(|| format!("TETRARCH_SEED={seed}"))
}

#[test]
fn noise_while_the_image_is_stopped_neither_wakes_nor_changes_it() -> Result<()> {
    let seed = seed()?;
    let mut random = fastrand::Rng::with_seed(seed);
    let qemu = Boot::new("demo")?.start()?;
    let attached = || -> Result<(Gdb, [u64; 3])> {
        let mut gdb = Gdb::start(qemu.image(), Echo::Silent)?;
        gdb.attach(&qemu)?;
        let mut seen = [0; 3];
        for (seen, what) in seen.iter_mut().zip(["$rip", "$rsp", "demo::ticks"]) {
            *seen = gdb.number(what)?;
        }
        Ok((gdb, seen))
    };
    let (gdb, before) = attached()?;
    drop(gdb);
    make_noise(&qemu, &mut random, NOISE)?;
    let (gdb, after) = attached().with_context(|| format!("TETRARCH_SEED={seed}"))?;
    drop(gdb);
    same(&format!("what gdb sees, TETRARCH_SEED={seed}"), after, before)?;
    is_well(&qemu).with_context(|| format!("TETRARCH_SEED={seed}"))
}
