//! What is known about the client: all that a fresh gdbstub state machine has to be told.

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
    pub thread_ids: ThreadIds,
    pub vocabulary: Vocabulary,
    /// The thread whose registers and memory it looks at.
    pub access: NonZeroUsize,
    /// The thread that a step without a thread means.
    pub stepping: NonZeroUsize,
    resumed_with: Vec<u8, LONGEST_RESUME>,
}

impl Client {
    pub const fn new() -> Self {
        Self {
            phase: Phase::Absent,
            thread_ids: ThreadIds::Plain,
            vocabulary: Vocabulary { swbreak: false, hwbreak: false },
            access: NonZeroUsize::MIN,
            stepping: NonZeroUsize::MIN,
            resumed_with: Vec::new(),
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

    /// Whether this packet, which came while the target runs, is the one that resumed it.
    pub fn is_repeating(&self, packet: &[u8]) -> bool {
        self.phase == Phase::Waiting && !packet.is_empty() && packet == self.resumed_with
    }
}
