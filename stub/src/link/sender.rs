//! Frames that wait for their `+`: the sending state machine drawn in [`link`](super).

use super::{Transport, checksum, digit};

/// How often a frame is sent again before the client is taken to be gone, or hopeless.
///
/// gdb refuses a frame at most three times and then takes it as it is.
const RESENDS: u8 = 5;

/// Answers that can wait while a frame goes out. A client has one packet under way at a
/// time; of more than this many only the latest are of use to anyone.
const ANSWERS: usize = 4;

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

/// What a refusal led to.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum AfterRefusal {
    GoesOn,
    GaveUp,
}

/// What happens to a frame when its last byte has left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Afterwards {
    /// It is kept until it is acknowledged.
    Wait,
    /// It is forgotten.
    Drop,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Ready,
    /// Some bytes of the front frame have left: `next` is the first that has not, `end` the
    /// length of the frame.
    Sending {
        next: usize,
        end: usize,
        afterwards: Afterwards,
    },
    /// The front frame, of length `end`, has left; `since` is when that was first seen by whoever
    /// has a clock.
    Waiting {
        end: usize,
        since: Option<u64>,
    },
}

/// The frame that is being written at the back of the queue.
#[derive(Clone, Copy, Debug)]
enum Draft {
    /// Everything in the queue is a whole frame.
    None,
    /// It fits so far.
    Open,
    /// It did not fit; what follows of it is dropped.
    Lost,
}

#[derive(Debug)]
pub(super) struct Sender<const QUEUE: usize> {
    /// Whole frames, envelope included; behind them a draft, or what is left of one, which
    /// the next draft replaces. A frame contains one `#`, which is how its end is found.
    queue: heapless::Deque<u8, QUEUE>,
    /// How many bytes of the queue are whole frames.
    whole: usize,
    draft: Draft,
    state: State,
    resends: u8,
    answers: heapless::Deque<u8, ANSWERS>,
    overflow: Overflow,
}

impl<const QUEUE: usize> Sender<QUEUE> {
    pub(super) const fn new() -> Self {
        Self {
            queue: heapless::Deque::new(),
            whole: 0,
            draft: Draft::None,
            state: State::Ready,
            resends: 0,
            answers: heapless::Deque::new(),
            overflow: Overflow::None,
        }
    }

    /// The next byte, of a frame that is kept afterwards or not.
    pub(super) fn next_byte(&mut self, afterwards: Afterwards) -> Option<u8> {
        match self.state {
            State::Sending { next, end, afterwards } => self.hand_out(next, end, afterwards),
            State::Waiting { .. } => self.answers.pop_front(),
            State::Ready => {
                if let Some(answer) = self.answers.pop_front() {
                    return Some(answer);
                }
                let end = self.front_length()?;
                self.hand_out(0, end, afterwards)
            }
        }
    }

    /// Hands out byte `next` of the front frame.
    fn hand_out(&mut self, next: usize, end: usize, afterwards: Afterwards) -> Option<u8> {
        let byte = self.queue.get(next).copied();
        let next = next + 1;
        if next < end {
            self.state = State::Sending { next, end, afterwards };
        } else {
            match afterwards {
                Afterwards::Wait => self.state = State::Waiting { end, since: None },
                Afterwards::Drop => self.drop_front(end),
            }
        }
        byte
    }

    /// The length of the frame at the front.
    fn front_length(&self) -> Option<usize> {
        let mark = self.queue.iter().take(self.whole).position(|byte| *byte == b'#')?;
        Some(mark + b"#xx".len())
    }

    fn drop_front(&mut self, end: usize) {
        for _ in 0..end {
            self.queue.pop_front();
        }
        self.whole = self.whole.saturating_sub(end);
        self.state = State::Ready;
        self.resends = 0;
    }

    /// Whether a frame has left and waits for its acknowledgement.
    pub(super) fn is_waiting(&self) -> bool {
        matches!(self.state, State::Waiting { .. })
    }

    /// The client has the frame.
    pub(super) fn acknowledged(&mut self) {
        match self.state {
            State::Waiting { end, .. } => self.drop_front(end),
            State::Ready | State::Sending { .. } => {}
        }
    }

    /// The client got the frame damaged.
    pub(super) fn refused(&mut self) -> AfterRefusal {
        match self.state {
            State::Waiting { .. } if self.resends < RESENDS => {
                self.resends += 1;
                self.state = State::Ready;
                AfterRefusal::GoesOn
            }
            State::Waiting { .. } => {
                self.clear();
                AfterRefusal::GaveUp
            }
            State::Ready | State::Sending { .. } => AfterRefusal::GoesOn,
        }
    }

    /// The time is `now`: if the acknowledgement has not come for so long, the frame or it was lost,
    /// and the frame goes out again; unless nothing is ever lost.
    pub(super) fn pass_time(
        &mut self,
        now: u64,
        patience: u64,
        transport: Transport,
    ) -> AfterRefusal {
        match self.state {
            State::Waiting { end, since: None } => {
                self.state = State::Waiting { end, since: Some(now) };
                AfterRefusal::GoesOn
            }
            State::Waiting { end, since: Some(since) } if now.saturating_sub(since) >= patience => {
                let after = self.refused();
                match (after, transport) {
                    (AfterRefusal::GoesOn, Transport::Reliable) => {
                        self.state = State::Waiting { end, since: Some(now) };
                    }
                    (AfterRefusal::GaveUp, _) | (_, Transport::Lossy) => {}
                }
                after
            }
            State::Waiting { .. } | State::Ready | State::Sending { .. } => AfterRefusal::GoesOn,
        }
    }

    /// The client said something new: it does not wait for what is queued any more.
    pub(super) fn supersede(&mut self) {
        match self.state {
            State::Sending { next, end, .. } => {
                self.whole = end;
                self.draft = Draft::None;
                self.state = State::Sending { next, end, afterwards: Afterwards::Drop };
            }
            State::Ready | State::Waiting { .. } => self.clear(),
        }
    }

    fn clear(&mut self) {
        self.queue.clear();
        self.whole = 0;
        self.draft = Draft::None;
        self.state = State::Ready;
        self.resends = 0;
    }

    /// Answers a frame from the client with `+` or `-`.
    pub(super) fn answer(&mut self, answer: u8) {
        if self.answers.is_full() {
            self.answers.pop_front();
        }
        let _ = self.answers.push_back(answer);
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

    /// Starts a frame, and forgets one that was started and never finished.
    pub(super) fn begin(&mut self) {
        self.queue.truncate(self.whole);
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

    pub(super) fn is_drained(&self) -> bool {
        self.whole == 0 && self.answers.is_empty()
    }
}
