//! Whole frames, in the order in which they are sent: those that are done, then those that are not.
//!
//! ```text
//!   ┌ done ──────────────┬ to be sent ─────────────┬ draft ─────┐
//!   │ $..#xx $..#xx      │ $..#xx $..#xx $..#xx    │ $..        │
//!   └────────────────────┴─────────────────────────┴────────────┘
//!                        └ done                    └ whole
//! ```
//!
//! What is done is kept until another frame is written: a client that has not seen our `+` has thrown
//! it away, and asks again.

use super::envelope::{ENVELOPE, checksum, digit};

/// Whether a frame was lost for want of room.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Overflow {
    /// Every frame was queued.
    None,
    /// At least one frame was dropped, whole.
    FrameLost,
}

/// The frame that is being written at the back.
#[derive(Clone, Copy, Debug)]
enum Draft {
    /// There is none.
    None,
    /// It fits so far.
    Open,
    /// It did not fit; what follows of it is dropped.
    Lost,
}

#[derive(Debug)]
pub(super) struct Frames<const QUEUE: usize> {
    /// Envelopes included; behind the frames a draft, or what is left of one, which the next draft
    /// replaces. A frame contains one `#`, which is how its end is found.
    queue: heapless::Deque<u8, QUEUE>,
    /// How many bytes are whole frames.
    whole: usize,
    /// How many of these the client has, or does not wait for.
    done: usize,
    draft: Draft,
    overflow: Overflow,
}

impl<const QUEUE: usize> Frames<QUEUE> {
    pub(super) const fn new() -> Self {
        Self {
            queue: heapless::Deque::new(),
            whole: 0,
            done: 0,
            draft: Draft::None,
            overflow: Overflow::None,
        }
    }

    /// The length of the first frame that is to be sent.
    pub(super) fn front_length(&self) -> Option<usize> {
        let to_be_sent = self.queue.iter().take(self.whole).skip(self.done);
        let mark = to_be_sent.into_iter().position(|byte| *byte == b'#')?;
        Some(mark + b"#xx".len())
    }

    /// A byte of the first frame that is to be sent.
    pub(super) fn front_byte(&self, place: usize) -> Option<u8> {
        self.queue.get(self.done + place).copied()
    }

    /// The first frame that is to be sent, of this length, is done.
    pub(super) fn finish_front(&mut self, length: usize) {
        self.done = self.whole.min(self.done + length);
    }

    /// Everything is done.
    pub(super) fn finish(&mut self) {
        self.draft = Draft::None;
        self.done = self.whole;
    }

    /// Of what is to be sent, only the first frame is, of this length.
    pub(super) fn keep_front(&mut self, length: usize) {
        self.draft = Draft::None;
        self.whole = self.done + length;
    }

    /// Whatever is done is not sent again.
    pub(super) fn forget_done(&mut self) {
        for _ in 0..self.done {
            self.queue.pop_front();
        }
        self.whole -= self.done;
        self.done = 0;
    }

    /// Whatever is done is to be sent again. Returns whether there is any.
    pub(super) fn bring_back(&mut self) -> bool {
        core::mem::take(&mut self.done) > 0
    }

    pub(super) fn are_done(&self) -> bool {
        self.whole == self.done
    }

    /// Queues one frame.
    pub(super) fn send(&mut self, payload: &[u8]) {
        let mut sum = 0u8;
        self.begin();
        for &byte in payload {
            if matches!(byte, b'#' | b'$') {
                self.push(b'}');
                self.push(byte ^ 0x20);
                sum = sum.wrapping_add(checksum(&[b'}', byte ^ 0x20]));
            } else {
                self.push(byte);
                sum = sum.wrapping_add(byte);
            }
        }
        self.push(b'#');
        self.push(digit(sum >> 4));
        self.push(digit(sum & 0xF));
        self.commit();
    }

    /// Queues a frame in front of all others, if there is room. Nothing is done or under way, and
    /// there is nothing to escape.
    pub(super) fn send_first(&mut self, payload: &[u8]) {
        self.queue.truncate(self.whole);
        let length = payload.len() + ENVELOPE;
        if length > QUEUE - self.queue.len() {
            return;
        }
        let sum = checksum(payload);
        let end = [b'#', digit(sum >> 4), digit(sum & 0xF)];
        for &byte in end.iter().rev().chain(payload.iter().rev()).chain(b"$") {
            let _ = self.queue.push_front(byte);
        }
        self.whole += length;
    }

    /// Starts a frame, and forgets one that was started and never finished, and what is done.
    pub(super) fn begin(&mut self) {
        self.queue.truncate(self.whole);
        self.forget_done();
        self.draft = Draft::Open;
        self.push(b'$');
    }

    /// Adds a byte to the frame that was begun.
    pub(super) fn push(&mut self, byte: u8) {
        match self.draft {
            Draft::Open => {
                if self.queue.push_back(byte).is_err() {
                    self.draft = Draft::Lost;
                }
            }
            Draft::None | Draft::Lost => {}
        }
    }

    /// Ends the frame that was begun: from now on it can be sent.
    pub(super) fn commit(&mut self) {
        match self.draft {
            Draft::None => {}
            Draft::Open => self.whole = self.queue.len(),
            Draft::Lost => self.overflow = Overflow::FrameLost,
        }
        self.draft = Draft::None;
    }

    pub(super) fn overflowed(&mut self) -> Overflow {
        core::mem::replace(&mut self.overflow, Overflow::None)
    }
}
