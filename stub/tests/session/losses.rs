//! A client as gdb is, over a line that loses acknowledgements and whole packets: every pattern of
//! losses there is, up to a length.
//!
//! The client repeats what is not acknowledged, up to three times in all. A reply that comes while it
//! waits for an acknowledgement it acknowledges and throws away; one that does not come it asks for
//! by `-`, but for a stop reply, for which it waits. Three losses of the same thing are too many for it;
//! fewer are not.

use std::cell::Cell;
use std::collections::VecDeque;

use tetrarch::link::frame;
use tetrarch::session::{Next, Overheard};
use tetrarch::target::monitor::{Command, Effect};

use crate::bench::{BASE, Bench, CPU, STEP, WRITABLE, console, hex, whole_frame};
use crate::machine::PATIENCE;
use crate::repeats::NOTICE;

/// What goes over the line is lost or not as the bits of a pattern say; after so many nothing is.
const DEPTH: u32 = 12;
/// After so long the client does something about it: later than the stub does.
const TIMEOUT: u64 = PATIENCE + PATIENCE / 4;
/// How often the client does what it does.
const ROUNDS: usize = 4;
/// How often the client sends a packet.
const TRIES: usize = 3;
/// A client that waits for a stop reply is waited for so long.
const FOREVER: u64 = 20 * PATIENCE;

/// What comes over the line in one piece.
#[derive(Debug, PartialEq)]
enum Unit {
    Acknowledged,
    Refused,
    Reply(String),
}

/// The client has given up.
#[derive(Debug, PartialEq)]
struct GaveUp;

thread_local! {
    /// Commands that were carried out.
    static CARRIED_OUT: Cell<usize> = const { Cell::new(0) };
}

const COMMANDS: &[Command] = &[Command {
    name: "count",
    help: "counts how often it is carried out",
    effect: Effect::Changes,
    run: |_, out| {
        CARRIED_OUT.set(CARRIED_OUT.get() + 1);
        writeln!(out, "number {}", CARRIED_OUT.get()).expect("there is room");
    },
}];

struct Line {
    bench: Bench,
    pattern: u32,
    passed: u32,
    to_client: VecDeque<Unit>,
    said: Vec<u8>,
    /// Steps that were carried out.
    steps: usize,
    /// How long a step takes, and when the one under way ends.
    duration: u64,
    steps_until: Option<u64>,
}

impl Line {
    fn new(pattern: u32, duration: u64) -> Self {
        let mut bench = Bench::attached(2, 0);
        bench.machine.now = Some(0);
        bench.session.set_commands(COMMANDS);
        CARRIED_OUT.set(0);
        Self {
            bench,
            pattern,
            passed: 0,
            to_client: VecDeque::new(),
            said: Vec::new(),
            steps: 0,
            duration,
            steps_until: None,
        }
    }

    fn is_lost(&mut self) -> bool {
        let place = self.passed;
        self.passed += 1;
        place < DEPTH && self.pattern >> place & 1 == 1
    }

    /// The client says something.
    fn say(&mut self, bytes: impl Iterator<Item = u8>) {
        if !self.is_lost() {
            bytes.for_each(|byte| self.hear(byte));
        }
        self.collect();
    }

    /// The stub hears a byte.
    fn hear(&mut self, byte: u8) {
        let now = self.bench.machine.now.expect("there is a clock");
        if self.steps_until.is_some() {
            self.bench.session.keep_time(now, PATIENCE);
            assert_eq!(self.bench.session.overhear(byte), Overheard::Nothing);
        } else if matches!(self.bench.receive(byte), Next::Run(_)) {
            self.bench.let_go();
            self.steps_until = Some(now + self.duration);
            self.end_step();
        }
    }

    /// The end of the step, if it has come.
    fn end_step(&mut self) {
        if self.steps_until.take_if(|end| self.bench.machine.now >= Some(*end)).is_some() {
            self.steps += 1;
            *self.bench.rip(CPU) += 1;
            self.bench.debug_exceptions_unheard(&[STEP]);
        }
    }

    /// Time has passed for the stub.
    fn pass_time(&mut self) {
        match (self.steps_until, self.bench.machine.now) {
            (Some(_), Some(now)) => self.bench.session.pass_time_running(now, PATIENCE),
            _ => assert_eq!(self.bench.pass_time(), Next::Stay),
        }
        self.end_step();
    }

    /// What the stub says arrives, if it is not lost.
    fn collect(&mut self) {
        while let Some(byte) = self.bench.session.next_byte() {
            self.said.push(byte);
            let unit = match self.said.as_slice() {
                b"+" => Unit::Acknowledged,
                b"-" => Unit::Refused,
                said => match whole_frame(said) {
                    Some(payload) => Unit::Reply(payload),
                    None => continue,
                },
            };
            self.said.clear();
            if !self.is_lost() {
                self.to_client.push_back(unit);
            }
        }
    }

    /// What arrives next, within this time.
    fn next(&mut self, time: u64) -> Option<Unit> {
        let end = self.bench.machine.now? + time;
        while self.to_client.is_empty() && self.bench.machine.now < Some(end) {
            self.bench.machine.now = self.bench.machine.now.map(|now| now + PATIENCE / 8);
            self.pass_time();
            self.collect();
        }
        self.to_client.pop_front()
    }

    /// Sends a packet until it is acknowledged.
    fn send(&mut self, payload: &str) -> Result<(), GaveUp> {
        for _ in 0..TRIES {
            self.say(frame(payload.as_bytes()));
            loop {
                match self.next(TIMEOUT) {
                    Some(Unit::Acknowledged) => return Ok(()),
                    Some(Unit::Reply(_)) => self.say(b"+".iter().copied()),
                    Some(Unit::Refused) | None => break,
                }
            }
        }
        Err(GaveUp)
    }

    /// The stop reply, which gdb does not ask for.
    fn stop_reply(&mut self) -> Result<String, GaveUp> {
        loop {
            match self.next(FOREVER) {
                Some(Unit::Reply(payload)) => {
                    self.say(b"+".iter().copied());
                    return Ok(payload);
                }
                Some(Unit::Acknowledged | Unit::Refused) => {}
                None => return Err(GaveUp),
            }
        }
    }

    /// Any other reply.
    fn reply(&mut self) -> Result<String, GaveUp> {
        for _ in 0..TRIES {
            match self.next(TIMEOUT) {
                Some(Unit::Reply(payload)) => {
                    self.say(b"+".iter().copied());
                    return Ok(payload);
                }
                Some(Unit::Acknowledged | Unit::Refused) => {}
                None => self.say(b"-".iter().copied()),
            }
        }
        Err(GaveUp)
    }

    /// Steps and looks, again and again. Returns how many steps the client was told of.
    fn steps(&mut self) -> (usize, Result<(), GaveUp>) {
        for told in 0..ROUNDS {
            let step = self.send("vCont;s:p1.1").and_then(|()| self.stop_reply());
            match step {
                Ok(reply) => assert_eq!(reply, "T05thread:p01.01;"),
                Err(gave_up) => return (told, Err(gave_up)),
            }
            match self.send("p10").and_then(|()| self.reply()) {
                Ok(reply) => {
                    let rip = BASE + told + 1;
                    assert_eq!(reply, hex(&rip.to_le_bytes()));
                }
                Err(gave_up) => return (told + 1, Err(gave_up)),
            }
        }
        (ROUNDS, Ok(()))
    }

    /// Writes the same to the same place and looks, again and again, as gdb does. Returns how many writes
    /// the client knows of.
    fn writes(&mut self) -> (usize, Result<(), GaveUp>) {
        let packet = format!("M{WRITABLE:x},1:5a");
        for told in 0..ROUNDS {
            match self.send(&packet).and_then(|()| self.reply()) {
                Ok(reply) => assert_eq!(reply, "OK"),
                Err(gave_up) => return (told, Err(gave_up)),
            }
            if let Err(gave_up) = self.send("p10").and_then(|()| self.reply()) {
                return (told + 1, Err(gave_up));
            }
        }
        (ROUNDS, Ok(()))
    }

    /// A person gives the same command again and again. Returns how many were carried out, by what they
    /// print.
    fn commands(&mut self) -> (usize, Result<(), GaveUp>) {
        let mut told = 0;
        while told < ROUNDS {
            let looked = match self.command() {
                Ok(text) if text.ends_with(&format!("number {}\n", told + 1)) => {
                    told += 1;
                    Ok(())
                }
                // It was the first copy of this one that was lost; but it says so. (What is printed
                // comes twice where its acknowledgement is lost.)
                Ok(text) => {
                    assert!(text.starts_with(NOTICE), "{text}");
                    assert!(text.ends_with(&format!("number {told}\n")), "{text}");
                    self.send("p10").and_then(|()| self.reply()).map(drop)
                }
                Err(gave_up) => Err(gave_up),
            };
            if let Err(gave_up) = looked {
                return (told, Err(gave_up));
            }
        }
        (told, Ok(()))
    }

    /// What one of them prints.
    fn command(&mut self) -> Result<String, GaveUp> {
        let mut printed = String::new();
        self.send(&format!("qRcmd,{}", hex(b"count")))?;
        loop {
            let reply = self.reply()?;
            match reply.strip_prefix('O').filter(|_| reply != "OK") {
                Some(text) => printed += &console(text),
                None => return Ok(printed),
            }
        }
    }
}

/// Has a client do something under every pattern of losses. Whatever is lost, it happens as often as
/// the client believes; if that gives up, what was under way may have happened or not.
fn under_all_losses(
    duration: u64,
    session: fn(&mut Line) -> (usize, Result<(), GaveUp>),
    happened: fn(&Line) -> usize,
) {
    let mut given_up = 0;
    for pattern in 0..1 << DEPTH {
        let mut line = Line::new(pattern, duration);
        let (told, result) = session(&mut line);
        let happened = happened(&line);
        let losses = format!("{duration}, losses {pattern:012b}: {happened}");
        match result {
            Ok(()) => assert_eq!((told, happened), (ROUNDS, ROUNDS), "{losses}"),
            Err(GaveUp) => {
                assert!((told..=told + 1).contains(&happened), "{losses}");
                assert!(pattern.count_ones() >= TRIES as u32, "{losses}");
                given_up += 1;
            }
        }
    }
    println!("of {} patterns, gdb gives up in {given_up}", 1 << DEPTH);
}

/// Steps that are over at once, and such as last until about when the client repeats itself.
#[test]
fn whatever_is_lost_no_step_is_taken_twice_and_none_is_lost_in_silence() {
    for duration in [0, TIMEOUT - PATIENCE / 8, TIMEOUT, TIMEOUT + PATIENCE / 8, 3 * TIMEOUT] {
        under_all_losses(duration, Line::steps, |line| line.steps);
    }
}

#[test]
fn whatever_is_lost_no_write_is_done_twice_and_none_is_lost_in_silence() {
    under_all_losses(0, Line::writes, |line| line.bench.machine.stores);
}

#[test]
fn whatever_is_lost_no_command_is_carried_out_twice_and_none_is_lost_in_silence() {
    under_all_losses(0, Line::commands, |_| CARRIED_OUT.get());
}
