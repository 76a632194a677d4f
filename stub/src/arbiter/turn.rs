//! What each flexible claim has had of its turn.
//!
//! One whole turn, or a part of two, and the claim is due to go to the back of its queue; when
//! it does is decided in `plan`.

use crate::dr::Window;

/// A flexible claim, by its place in the table, and its window.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Contender {
    pub place: u16,
    pub window: Window,
    pub turn: Turn,
}

impl Contender {
    /// Whether it is the same claim, with the same window.
    pub fn is(&self, other: &Contender) -> bool {
        (self.place, self.window) == (other.place, other.window)
    }
}

/// How far a context is with its turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Course {
    /// It has never run: its first turn begins when it does.
    ToCome,
    /// A tick found it running, ended its turn and began this one.
    FromTick,
    /// It was switched to in this turn of the CPU, and no tick has found it running since.
    Since(u64),
}

/// What a contender has had since it last went to the back of the queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Turn {
    /// Of the turns that have ended: two for a whole one, one for a part of one.
    pub halves: u8,
    /// In the turn that is under way.
    pub armed: Presence,
}

/// For how much of the turn that is under way a contender has been armed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Presence {
    /// Not at all.
    None,
    /// At some time, but not when it began.
    Later,
    /// When it began.
    FromStart,
}

impl Turn {
    /// Nothing.
    pub const NONE: Turn = Turn { halves: 0, armed: Presence::None };

    /// The turn is over, and it is armed now, or is not.
    pub fn end(&mut self, is_armed: bool) {
        let halves = match self.armed {
            Presence::None => 0,
            Presence::FromStart if is_armed => 2,
            Presence::Later | Presence::FromStart => 1,
        };
        *self = Turn { halves: (self.halves + halves).min(2), armed: Presence::None };
    }

    /// It is armed in the middle of a turn, and its context runs.
    pub fn arm(&mut self) {
        if self.armed == Presence::None {
            self.armed = Presence::Later;
        }
    }

    /// A turn begins, and it is armed now, or is not.
    pub fn begin(&mut self, is_armed: bool) {
        self.armed = if is_armed { Presence::FromStart } else { Presence::None };
    }

    /// Whether it has had its turn.
    pub fn is_over(self) -> bool {
        self.halves == 2
    }
}
