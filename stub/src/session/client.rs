//! What is known about the client: all that a fresh gdbstub state machine has to be told, and
//! what it takes to do what it asks at most once ([`repeats`](super::repeats)).

use core::num::NonZeroUsize;

use super::repeats::{Answer, Request};
use crate::event::{self, Event};
use crate::packet::{Purpose, Selection, Thread, ThreadIds};
use crate::stop::Vocabulary;

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
    /// What it asked last, if that must not be carried out twice.
    pub last: Option<Request>,
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
            last: None,
        }
    }

    /// A new client introduces itself with this `qSupported`, and looks at this thread until it says
    /// otherwise.
    pub fn arrive(&mut self, supported: &[u8], thread_ids: ThreadIds, thread: NonZeroUsize) {
        let offers = |feature: &[u8]| {
            supported.split(|&byte| byte == b';' || byte == b':').any(|offer| offer == feature)
        };
        self.phase = Phase::Commanding;
        self.thread_ids = thread_ids;
        (self.access, self.stepping) = (thread, thread);
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
        self.last = Some(Request::new(packet, Answer::Stop));
    }

    /// It is told of the stop, whatever it has asked.
    pub fn is_told_of_stop(&mut self, now: Option<u64>) {
        self.last = self.last.filter(Request::is_answered_by_stop);
        self.is_answered(now);
    }

    /// What it asked last has its reply, or the stop, now.
    pub fn is_answered(&mut self, now: Option<u64>) {
        if let Some(last) = &mut self.last {
            last.answered_at = now;
        }
    }

    /// Whether this packet, which came while the target runs, is the one that resumed it.
    pub fn is_repeating(&self, packet: &[u8]) -> bool {
        self.phase == Phase::Waiting && self.last.is_some_and(|last| last.is(packet))
    }
}
