//! Long sessions over a line that damages bytes: right results, or an error of gdb's own, and
//! nothing twice.
//!
//! What gdb says is compared with what QEMU says of the image's memory, command by command. gdb
//! gives a command up when three copies of a reply have been damaged, and at once when a reply
//! ends in what is no checksum at all; it says so, and goes on. A stop that it has given up so it
//! waits for without end: then it has to connect again.

use anyhow::{Context, Result, bail, ensure};
use tetrarch_tests::conversation::Echo;
use tetrarch_tests::noise::{Account, Ledger, damage};
use tetrarch_tests::proxy::Proxy;
use tetrarch_tests::{Boot, Gdb, Qemu};

use crate::script::{COMMANDS, Image, command};
use crate::support::same;

/// What gdb says when it gives something up.
const COMPLAINTS: [&str; 12] = [
    "Ignoring packet error",
    "Invalid run length encoding",
    "Invalid hex digit",
    "Command aborted",
    "in remote 'g' packet",
    "'g' packet reply",
    "Remote failure reply",
    "Remote communication error",
    "<unreadable>",
    LOST[0],
    LOST[1],
    LOST[2],
];

/// What it says when it still waits for a stop that it has given up.
const LOST: [&str; 3] = [
    "while the selected thread is running",
    "while the target is running",
    "Selected thread is running",
];

/// What came of a session.
struct Course {
    /// What gdb said to each command.
    outputs: Vec<String>,
    /// The commands, by their number, that gdb has given up.
    given_up: Vec<u64>,
    /// How often it had to connect again.
    reconnected: u64,
    account: Account,
}

/// gdb at the other end of a bad line.
struct Session {
    gdb: Gdb,
    qemu: Qemu,
    image: Image,
    proxy: Proxy,
    ledger: Ledger,
}

impl Session {
    /// Begins over a good line, with everything where it is in every session.
    fn start(rate: f64, seed: u64) -> Result<Self> {
        let qemu = Boot::new("counted")?.start()?;
        let ledger = Ledger::default();
        let proxy = Proxy::start(qemu.address(), damage(rate, seed, ledger.clone()))?;
        let mut gdb = Gdb::start(qemu.image(), Echo::Silent)?;
        gdb.attach_to(proxy.address())?;
        let image = Image::prepare(&mut gdb)?;
        // Longer than a busy host takes: an answer that is late, and not lost, is one too many.
        gdb.command("set remotetimeout 2")?;
        ledger.begin();
        Ok(Self { gdb, qemu, image, proxy, ledger })
    }

    /// All commands, one after the other.
    fn run(mut self) -> Result<Course> {
        let (mut outputs, mut given_up, mut reconnected) = (Vec::new(), Vec::new(), 0);
        let mut interrupted = 0;
        for number in 0..COMMANDS {
            let command = command(number);
            let undetected = self.ledger.read().undetected;
            let before = self.image.look(&mut self.qemu)?;
            let output = self.gdb.command(&command.line)?;
            let after = self.image.look(&mut self.qemu)?;
            // A byte of noise that is a Ctrl-C stops what runs, or what is to run next.
            let is_interrupt = output.contains("SIGINT");
            interrupted += u64::from(is_interrupt);
            ensure!(interrupted <= self.ledger.read().interrupts, "{number}: {output}");
            if is_interrupt || COMPLAINTS.iter().any(|complaint| output.contains(complaint)) {
                given_up.push(number);
                self.image.may_have_done(&command, &before, &after)?;
            } else if self.ledger.read().undetected == undetected {
                let done = self.image.has_done(&command, &before, &after, &output);
                done.with_context(|| format!("{number}: {}", command.line))
                    .with_context(|| self.gdb.evidence())?;
            } else {
                // Nobody can be right about that one; but what it may have set may be seen later.
                self.image.may_have_set(&command);
            }
            if LOST.iter().any(|complaint| output.contains(complaint)) {
                reconnected += 1;
                self.connect_again()?;
            }
            outputs.push(output);
        }
        Ok(Course { outputs, given_up, reconnected, account: self.ledger.end() })
    }

    /// A user who sees that gdb has lost the stop; it may take several attempts.
    fn connect_again(&mut self) -> Result<()> {
        for _ in 0..20 {
            self.gdb.command("disconnect")?;
            let output = self.gdb.attach_to(self.proxy.address())?;
            if !COMPLAINTS.iter().any(|complaint| output.contains(complaint))
                && self.gdb.command("print $rip")?.contains("round")
            {
                return Ok(());
            }
        }
        bail!("gdb cannot connect again: {}", self.gdb.evidence())
    }
}

/// A session over a bad line.
fn course(rate: f64, seed: u64) -> Result<Course> {
    let course = Session::start(rate, seed).and_then(Session::run);
    let course = course.with_context(|| format!("rate {rate}, TETRARCH_SEED={seed}"))?;
    let Course { given_up, reconnected, account, .. } = &course;
    println!(
        "rate {rate}, seed {seed}: gave up {given_up:?}, {reconnected} times anew, {account:?}"
    );
    Ok(course)
}

/// The seeds of a test: some that are always the same, or the one that is asked for.
fn seeds(count: u64) -> Result<Vec<u64>> {
    match std::env::var("TETRARCH_SEED") {
        Ok(seed) => Ok(vec![seed.parse()?]),
        Err(_) => Ok((1..=count).collect()),
    }
}

/// The transcripts are the same, but for what gdb has left out without a word: of a reply that ends in
/// no checksum it gives up, it may say nothing.
fn same_transcript(course: &Course, clean: &Course, commands: usize) -> Result<()> {
    let pairs = course.outputs.iter().zip(&clean.outputs).take(commands);
    let differing: Vec<_> = pairs.filter(|(found, expected)| found != expected).collect();
    ensure!(differing.len() as u64 <= course.account.hopeless, "{differing:#?}");
    same("commands", course.outputs.len(), clean.outputs.len())
}

#[test]
fn one_byte_in_a_hundred_thousand_is_not_noticed() -> Result<()> {
    let clean = course(0.0, 0)?;
    same("damaged", clean.account.damaged, 0)?;
    let mut damaged = 0;
    for seed in seeds(4)? {
        let course = course(1e-5, seed)?;
        same_transcript(&course, &clean, course.outputs.len())?;
        damaged += course.account.damaged;
    }
    ensure!(damaged > 0, "nothing was damaged");
    Ok(())
}

#[test]
fn one_byte_in_ten_thousand_is_not_noticed_but_where_gdb_gives_up() -> Result<()> {
    let clean = course(0.0, 0)?;
    for seed in seeds(3)? {
        let course = course(1e-4, seed)?;
        ensure!(course.account.damaged > 0, "nothing was damaged");
        let given_up = &course.given_up;
        // From there on, what it counts is behind.
        let end = given_up.first().map_or(course.outputs.len(), |number| *number as usize);
        same_transcript(&course, &clean, end)?;
        ensure!(given_up.len() <= 5, "gave up {given_up:?}");
    }
    Ok(())
}

#[test]
fn one_byte_in_a_thousand_makes_nothing_wrong() -> Result<()> {
    for seed in seeds(2)? {
        let Course { outputs, given_up, reconnected, account } = course(1e-3, seed)?;
        ensure!(account.damaged > 50, "little was damaged: {account:?}");
        let outputs: Vec<_> = given_up.iter().map(|number| &outputs[*number as usize]).collect();
        ensure!(given_up.len() < 25 && reconnected < 10, "gave up {given_up:?}: {outputs:#?}");
    }
    Ok(())
}
