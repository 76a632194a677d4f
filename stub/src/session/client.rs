//! What is known about the client: all that a fresh gdbstub state machine has to be told, and
//! what it takes to do what it asks at most once.
//!
//! # Repeats
//!
//! A client whose `+` was lost on the way acknowledges our reply, throws it away, and sends its
//! request again, two seconds after that (gdb). The protocol has no numbers, so the same
//! request can also be a new one. To carry out a resume twice would be a wrong result: a step too
//! many, a breakpoint passed. So a packet that resumes the target is taken for a repeat if it is
//! byte for byte the last packet that came, nothing else came in between, and about the client's
//! time-out has passed since our stop reply; it is answered again by that, and nothing moves.
//!
//! What remains: a client that resumes in the same words after more than that time and has looked
//! at nothing in between is answered by the stop that it knows. gdb and lldb do not do that: both
//! read registers after each stop. They may not have to any more where stop replies carry registers;
//! whoever adds these has to look here, and to keep them few enough that a client still asks.
//!
//! Without a clock every such packet is a repeat, because to do nothing is the lesser evil: the
//! client is told that the target has stopped, where it is.
//!
//! Other requests may be carried out twice: to read, write or set a breakpoint twice is to do it
//! once, in memory that is memory. A `monitor` command whose second time is not like the first is
//! not protected.

use core::num::NonZeroUsize;

use heapless::Vec;

use crate::event::{self, Event};
use crate::packet::{Purpose, Selection, Thread, ThreadIds};
use crate::stop::Vocabulary;

/// Longer resume packets name more CPUs than a line of text holds; a repeat of one is then
/// taken for a new client, which stops the target and asks what it is.
const LONGEST_RESUME: usize = 64;

/// Where the client and the target are with one another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    /// None has come, or the last one has said goodbye.
    Absent,
    /// It sends commands to a stopped target.
    Commanding,
    /// It has resumed the target and waits for the stop reply.
    Waiting,
}

pub(super) struct Client {
    pub phase: Phase,
    /// It has not acknowledged what was said, however often, and has not been heard of since.
    pub is_deaf: bool,
    /// A `+` has come while there was none.
    pub may_have_come: bool,
    pub thread_ids: ThreadIds,
    pub vocabulary: Vocabulary,
    /// The thread whose registers and memory it looks at.
    pub access: NonZeroUsize,
    /// The thread that a step without a thread means.
    pub stepping: NonZeroUsize,
    /// The packet that resumed the target last, if nothing else has come since.
    resumed_with: Vec<u8, LONGEST_RESUME>,
    /// When it was answered by a stop reply, if there is a clock.
    answered_at: Option<u64>,
}

impl Client {
    pub const fn new() -> Self {
        Self {
            phase: Phase::Absent,
            is_deaf: false,
            may_have_come: false,
            thread_ids: ThreadIds::Plain,
            vocabulary: Vocabulary { swbreak: false, hwbreak: false },
            access: NonZeroUsize::MIN,
            stepping: NonZeroUsize::MIN,
            resumed_with: Vec::new(),
            answered_at: None,
        }
    }

    /// A new client introduces itself with this `qSupported`.
    pub fn arrive(&mut self, supported: &[u8], thread_ids: ThreadIds) {
        let offers = |feature: &[u8]| {
            supported.split(|&byte| byte == b';' || byte == b':').any(|offer| offer == feature)
        };
        self.phase = Phase::Commanding;
        self.thread_ids = thread_ids;
        self.vocabulary = Vocabulary { swbreak: offers(b"swbreak+"), hwbreak: offers(b"hwbreak+") };
        event::emit(&Event::SessionOpened);
    }

    /// It has said goodbye, or is taken to be gone.
    pub fn leave(&mut self) {
        if self.phase != Phase::Absent {
            event::emit(&Event::SessionClosed);
        }
        *self = Self::new();
    }

    /// It has chosen a thread. *Any* leaves the choice as it is.
    pub fn select(&mut self, Selection { purpose, thread }: Selection) {
        match (purpose, thread) {
            (Purpose::Access, Thread::One(id)) => self.access = id,
            (Purpose::Resume, Thread::One(id)) => self.stepping = id,
            (Purpose::Access | Purpose::Resume, Thread::Any | Thread::All) => {}
        }
    }

    /// It resumes the target with this packet.
    pub fn resume(&mut self, packet: &[u8]) {
        self.phase = Phase::Waiting;
        self.resumed_with = Vec::from_slice(packet).unwrap_or_default();
    }

    /// It is told of the stop.
    pub fn is_answered(&mut self, now: Option<u64>) {
        self.answered_at = now;
    }

    /// It has said something else.
    pub fn go_on(&mut self) {
        self.is_deaf = false;
        self.resumed_with.clear();
    }

    /// Whether this packet, which came while the target runs, is the one that resumed it.
    pub fn is_repeating(&self, packet: &[u8]) -> bool {
        self.phase == Phase::Waiting && self.has_resumed_with(packet)
    }

    /// Whether this packet, which came while the target is stopped, is the one that resumed it
    /// before that, once more: its stop reply did not arrive.
    pub fn has_missed_the_stop(&self, packet: &[u8], now: Option<u64>, patience: u64) -> bool {
        let is_late = match (self.answered_at, now) {
            (Some(before), Some(now)) => now.saturating_sub(before) >= patience,
            (None, _) | (_, None) => true,
        };
        self.phase == Phase::Commanding && is_late && self.has_resumed_with(packet)
    }

    fn has_resumed_with(&self, packet: &[u8]) -> bool {
        !packet.is_empty() && packet == self.resumed_with
    }
}
