//! A client as gdb is, over a line that loses acknowledgements and whole packets: every pattern of
//! losses there is, up to a length.
//!
//! The client repeats what is not acknowledged, up to three times in all. A reply that comes while it
//! waits for an acknowledgement it acknowledges and throws away; one that does not come it asks for
//! by `-`, but for a stop reply, for which it waits. Three losses of the same thing are too many for it;
//! fewer are not.

use std::collections::VecDeque;

use tetrarch::link::frame;
use tetrarch::session::Next;

use crate::bench::{BASE, Bench, CPU, STEP, hex, whole_frame};
use crate::machine::PATIENCE;

/// What goes over the line is lost or not as the bits of a pattern say; after so many nothing is.
const DEPTH: u32 = 12;
/// After so long the client does something about it: later than the stub does.
const TIMEOUT: u64 = PATIENCE + PATIENCE / 4;
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

struct Line {
    bench: Bench,
    pattern: u32,
    passed: u32,
    to_client: VecDeque<Unit>,
    said: Vec<u8>,
    /// Steps that were carried out.
    steps: usize,
}

impl Line {
    fn new(pattern: u32) -> Self {
        let mut bench = Bench::attached(2, 0);
        bench.machine.now = Some(0);
        Self { bench, pattern, passed: 0, to_client: VecDeque::new(), said: Vec::new(), steps: 0 }
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

    /// The stub hears a byte. A step is over at once.
    fn hear(&mut self, byte: u8) {
        if matches!(self.bench.receive(byte), Next::Run(_)) {
            self.bench.let_go();
            self.steps += 1;
            *self.bench.rip(CPU) += 1;
            self.bench.debug_exceptions_unheard(&[STEP]);
        }
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
            assert_eq!(self.bench.pass_time(), Next::Stay);
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
    fn session(&mut self) -> (usize, Result<(), GaveUp>) {
        for told in 0..4 {
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
        (4, Ok(()))
    }
}

#[test]
fn whatever_is_lost_no_step_is_taken_twice_and_none_is_lost_in_silence() {
    let mut given_up = 0;
    for pattern in 0..1 << DEPTH {
        let mut line = Line::new(pattern);
        let (told, result) = line.session();
        let steps = line.steps;
        match result {
            Ok(()) => assert_eq!((told, steps), (4, 4), "losses {pattern:012b}"),
            Err(GaveUp) => {
                // What was under way may have been done or not; the client knows that it does not.
                assert!((told..=told + 1).contains(&steps), "losses {pattern:012b}: {steps}");
                assert!(pattern.count_ones() >= TRIES as u32, "losses {pattern:012b}");
                given_up += 1;
            }
        }
    }
    println!("of {} patterns, gdb gives up in {given_up}", 1 << DEPTH);
}
