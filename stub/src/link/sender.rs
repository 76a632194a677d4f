//! Frames that wait for their `+`: the sending state machine drawn in [`link`](super).

use super::frames::Frames;
use super::{Received, Transport};

/// How often a frame is sent again before the client is taken to be gone, or hopeless.
///
/// gdb refuses a frame at most three times and then takes it as it is.
const RESENDS: u8 = 5;

/// Answers that can wait while a frame goes out. A client has one packet under way at a
/// time; of more than this many only the latest are of use to anyone.
const ANSWERS: usize = 4;

/// What a refusal led to.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum AfterRefusal {
    GoesOn,
    GaveUp,
}

impl From<AfterRefusal> for Received {
    fn from(refusal: AfterRefusal) -> Self {
        match refusal {
            AfterRefusal::GoesOn => Self::Nothing,
            AfterRefusal::GaveUp => Self::GaveUp,
        }
    }
}

/// What became of a reply that was to be sent again.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Replay {
    /// It goes out once more.
    Queued,
    /// It has not been kept.
    Lost,
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

#[derive(Debug)]
pub(super) struct Sender<const QUEUE: usize> {
    pub(super) frames: Frames<QUEUE>,
    state: State,
    resends: u8,
    answers: heapless::Deque<u8, ANSWERS>,
}

impl<const QUEUE: usize> Sender<QUEUE> {
    pub(super) const fn new() -> Self {
        Self {
            frames: Frames::new(),
            state: State::Ready,
            resends: 0,
            answers: heapless::Deque::new(),
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
                let end = self.frames.front_length()?;
                self.hand_out(0, end, afterwards)
            }
        }
    }

    /// Hands out byte `next` of the front frame.
    fn hand_out(&mut self, next: usize, end: usize, afterwards: Afterwards) -> Option<u8> {
        let byte = self.frames.front_byte(next);
        let next = next + 1;
        if next < end {
            self.state = State::Sending { next, end, afterwards };
        } else {
            match afterwards {
                Afterwards::Wait => self.state = State::Waiting { end, since: None },
                Afterwards::Drop => {
                    self.finish_front(end);
                    self.frames.forget_done();
                }
            }
        }
        byte
    }

    /// The first frame, of this length, is not to be sent any more.
    fn finish_front(&mut self, length: usize) {
        self.frames.finish_front(length);
        self.be_ready();
    }

    /// Nothing is to be sent any more.
    fn finish(&mut self) {
        self.frames.finish();
        self.be_ready();
    }

    fn be_ready(&mut self) {
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
            State::Waiting { end, .. } => self.finish_front(end),
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
                self.finish();
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
                self.frames.keep_front(end);
                self.state = State::Sending { next, end, afterwards: Afterwards::Drop };
            }
            State::Ready | State::Waiting { .. } => self.finish(),
        }
    }

    /// Sends the last reply once more, from its first frame, if all of it is still there; behind
    /// `first`, if there is room for that.
    pub(super) fn replay(&mut self, first: Option<&[u8]>) -> Replay {
        match self.state {
            State::Ready if self.frames.bring_back() => {
                if let Some(first) = first {
                    self.frames.send_first(first);
                }
                Replay::Queued
            }
            State::Ready | State::Waiting { .. } | State::Sending { .. } => Replay::Lost,
        }
    }

    /// Answers a frame from the client with `+` or `-`.
    pub(super) fn answer(&mut self, answer: u8) {
        if self.answers.is_full() {
            self.answers.pop_front();
        }
        let _ = self.answers.push_back(answer);
    }

    pub(super) fn is_drained(&self) -> bool {
        self.frames.are_done() && self.answers.is_empty()
    }
}
