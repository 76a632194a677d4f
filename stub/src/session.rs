//! Event in, effect out: what the client and the exceptions make of each other.
//!
//! A session never blocks. An exception tells it why the machine stopped ([`Session::stopped`]),
//! the port hands it bytes ([`Session::receive`] while stopped, [`Session::overhear`] while
//! running), and it answers with what happens next. What it has to say to the client waits in
//! the link until the port takes it ([`Session::next_byte`]).
//!
//! ```text
//!              stopped(cause)                receive(byte)
//!    running ───────────────▶ deliver hits ─▶ stopped ◀──────┐ Next::Stay
//!       ▲                         │ nobody wants to stop     │
//!       │ Next::Run(go)           ▼                          │
//!       └──────────────────── placement ◀── resume packet ───┘──▶ Next::Reset
//! ```
//!
//! Decision (2026-11): gdbstub's state machine is built anew for each packet, in `dialogue`.
//! An error makes it unusable and takes its packet buffer with it, which without an allocator
//! could not be had back. What it remembers from packet to packet are three things, and the
//! session keeps those itself; so a dead state machine costs the packet that killed it, and
//! the target stays stopped.

mod answer;
mod client;
mod console;
mod debug;
mod dialogue;
mod entrance;
mod hearing;
mod outcome;
mod places;
mod repeats;
mod run;
mod setup;
mod untold;

use crate::arbiter::{Arbiter, CpuId};
use crate::link::{Link, Received, Transport};
use crate::policy::{Gate, Patience};
use crate::stop::{self, Reason, StopText};
use crate::target::{Actions, Debugger, EVERYTHING, Firmware, Machine};
use client::{Client, Phase};
use places::Place;
use untold::Untold;

pub use crate::stop::{Cause, Fault, Mishap};
pub use console::{PIECE, Said};
pub use outcome::{Heard, Next, Overheard};
pub use run::{Go, Motion, ResumeFlag};

/// The last stop, for as long as the machine is stopped.
struct Stop {
    /// Whose it is.
    cpu: CpuId,
    reason: Reason,
    text: StopText,
    /// Whether there was no other reason for it than a client that came.
    is_for_client: bool,
}

/// One debugging session after the other, over one line.
///
/// `PACKET` is the PacketSize that gdb is told: the longest frame in bytes, 64 at least.
/// `QUEUE` is room for replies that wait for their acknowledgement, in bytes, at least
/// `PACKET`; `monitor` output needs a few times that.
pub struct Session<const PACKET: usize, const QUEUE: usize, const CPUS: usize = 1> {
    link: Link<PACKET, QUEUE>,
    /// gdbstub's packet buffer, used within one packet.
    scratch: [u8; PACKET],
    client: Client,
    gate: Gate,
    debugger: Debugger<CPUS>,
    firmware: Firmware,
    stop: Stop,
    /// Where each CPU was when it stopped.
    places: [Place; CPUS],
    /// What the target was told to do when it last ran.
    running: Actions<CPUS>,
    /// Of each CPU, the hits that one stop reply could not tell.
    untold: [Untold; CPUS],
    /// What arrived while the target was running and has not been acted on.
    overheard: Overheard,
    /// Whether a packet of the client's is being carried out.
    is_answering: bool,
}

impl<const PACKET: usize, const QUEUE: usize, const CPUS: usize> Default
    for Session<PACKET, QUEUE, CPUS>
{
    fn default() -> Self {
        Self::new()
    }
}

impl<const PACKET: usize, const QUEUE: usize, const CPUS: usize> Session<PACKET, QUEUE, CPUS> {
    /// A session that waits for its first client.
    pub const fn new() -> Self {
        Self {
            link: Link::new(),
            scratch: [0; PACKET],
            client: Client::new(),
            gate: Gate::new(),
            debugger: Debugger::new(),
            firmware: Firmware {
                commands: &[],
                memory_map: EVERYTHING,
                transport: Transport::Lossy,
                reader: None,
            },
            stop: Stop {
                cpu: CpuId(0),
                reason: Reason::Interrupted,
                text: StopText::new(),
                is_for_client: false,
            },
            places: [Place::NOWHERE; CPUS],
            running: Actions::CONTINUE,
            untold: [const { Untold::new() }; CPUS],
            overheard: Overheard::Nothing,
            is_answering: false,
        }
    }

    /// Whether a client is there, as far as can be known: it came and did not say goodbye.
    pub fn has_client(&self) -> bool {
        self.client.phase != Phase::Absent
    }

    /// The machine has stopped, with DR7 off: deliver what hit, and find out who wants what.
    ///
    /// On [`Next::Stay`] the target stays stopped until [`receive`](Self::receive) says
    /// otherwise.
    pub fn stopped<M: Machine, const CLAIMS: usize, const TASKS: usize>(
        &mut self,
        arbiter: &mut Arbiter<CLAIMS, CPUS, TASKS>,
        machine: &mut M,
        cause: Cause<'_>,
    ) -> Next {
        if self.overheard == Overheard::HangUp {
            self.close(arbiter, machine);
        }
        let cpu = machine.cpu();
        // After an INT3 it may be before that that it is.
        let place = machine.program_counter(cpu).ok();
        if let Some(place) = place.filter(|_| !matches!(cause, Cause::Breakpoint)) {
            self.come_to(cpu, place);
        }
        match cause {
            Cause::Debug(exceptions) => {
                let delivery = arbiter.deliver(cpu, exceptions, machine);
                self.debug_exception(arbiter, machine, exceptions, &delivery)
            }
            Cause::Told(exceptions, told) => {
                let delivery = arbiter.conclude(cpu, exceptions, told, machine);
                self.debug_exception(arbiter, machine, exceptions, &delivery)
            }
            Cause::Breakpoint => self.breakpoint(arbiter, machine),
            Cause::Packet => self.visit(arbiter, machine),
            Cause::HangUp => self.go_on(arbiter, machine),
            Cause::Fault(Fault { signal, .. }) => {
                let reason = Reason::Signal(signal);
                self.announce(arbiter, machine, reason, stop::by(reason, &cause))
            }
            Cause::Panic(_) => {
                let reason = Reason::Aborted;
                self.announce(arbiter, machine, reason, stop::by(reason, &cause))
            }
            Cause::Mishap(_) => {
                // It may have been the owner of a breakpoint here, which would come again for ever.
                if let Some(place) = place {
                    let reported = Place { program_counter: Some(place), reported: Some(place) };
                    self.remember(cpu, reported);
                }
                let reason = Reason::Aborted;
                self.announce(arbiter, machine, reason, stop::by(reason, &cause))
            }
            Cause::Nmi => {
                let reason = Reason::Interrupted;
                self.announce(arbiter, machine, reason, stop::by(reason, &cause))
            }
            Cause::Interrupt => {
                let reason = Reason::Interrupted;
                self.enter(arbiter, machine, reason, stop::by(reason, &cause))
            }
        }
    }

    /// A byte has arrived while the target is stopped, and is acted on.
    pub fn receive<M: Machine, const CLAIMS: usize, const TASKS: usize>(
        &mut self,
        arbiter: &mut Arbiter<CLAIMS, CPUS, TASKS>,
        machine: &mut M,
        byte: u8,
    ) -> Next {
        match self.hear(machine, byte) {
            Some(heard) => self.act(arbiter, machine, heard),
            None => Next::Stay,
        }
    }

    /// A byte has arrived while the target is stopped. What it completes is to be
    /// [acted on](Self::act), when what is to be sent now has been sent: the client's packet has been
    /// acknowledged, and it waits for an answer longer than for that.
    pub fn hear<M: Machine>(&mut self, machine: &M, byte: u8) -> Option<Heard> {
        self.link.keep_time(machine.now(), machine.client_patience());
        match self.link.receive(byte) {
            Received::Nothing | Received::Unframed(_) => None,
            Received::GaveUp => {
                self.lose_client();
                None
            }
            Received::Interrupt => Some(Heard::Interrupt),
            Received::Oversized => Some(Heard::Oversized),
            Received::Packet => Some(Heard::Packet),
        }
    }

    /// Acts on what was heard last.
    pub fn act<M: Machine, const CLAIMS: usize, const TASKS: usize>(
        &mut self,
        arbiter: &mut Arbiter<CLAIMS, CPUS, TASKS>,
        machine: &mut M,
        heard: Heard,
    ) -> Next {
        match heard {
            Heard::Interrupt => self.interrupt_while_stopped(arbiter, machine),
            Heard::Oversized => self.answer_oversized(),
            Heard::Packet => {
                let next = self.answer(arbiter, machine);
                self.link.answered(machine.now());
                next
            }
        }
    }

    /// Time has passed without a byte from the client while the target is stopped: what it has not
    /// acknowledged for too long is sent again, a few times, and one that stays locked for too long
    /// is sent away. To be called again and again.
    pub fn pass_time<M: Machine, const CLAIMS: usize, const TASKS: usize>(
        &mut self,
        arbiter: &mut Arbiter<CLAIMS, CPUS, TASKS>,
        machine: &mut M,
    ) -> Next {
        let Some(now) = machine.now() else { return Next::Stay };
        // A client that is given up may come back; the target stays stopped.
        if self.link.pass_time(now, machine.client_patience()) == Received::GaveUp {
            self.lose_client();
        }
        match self.gate.patience(Some(now)) {
            Patience::Left => Next::Stay,
            Patience::Exhausted => self.dismiss(arbiter, machine),
        }
    }

    /// The time is `now`, for what is [overheard](Self::overhear) next; see
    /// [`Link::keep_time`](crate::link::Link::keep_time).
    pub fn keep_time(&mut self, now: u64, patience: u64) {
        self.link.keep_time(Some(now), patience);
    }

    /// The port has found that something was lost or damaged on the line
    /// ([`Link::damage`](crate::link::Link::damage)), before the next byte.
    pub fn damage(&mut self) {
        self.link.damage();
    }

    /// The next byte for the client, if there is one to send now.
    pub fn next_byte(&mut self) -> Option<u8> {
        self.link.next_byte()
    }

    /// Ends the client's session from this side: its claims and its software breakpoints go.
    ///
    /// For hand-off, when nobody will be there to answer it. It is also what happens on detach
    /// and when a new client comes.
    pub fn close<M: Machine, const CLAIMS: usize, const TASKS: usize>(
        &mut self,
        arbiter: &mut Arbiter<CLAIMS, CPUS, TASKS>,
        machine: &mut M,
    ) {
        self.debugger.clear(arbiter, machine);
        self.untold.iter_mut().for_each(Untold::clear);
        self.overheard = Overheard::Nothing;
        self.running = Actions::CONTINUE;
        self.client.leave();
        self.gate.close();
    }
}
