//! A packet that is there twice because it was late, not because it was lost.
//!
//! A client whose packet is not acknowledged within its time-out sends it again. If nothing was
//! lost and the target did not run for so long (an emulator that is not scheduled, a virtual
//! machine that was suspended), both copies are read one right after the other, and the client, who sees the
//! first `+` and the first reply, takes the second ones for those of its next request: from then on it is
//! a reply behind, for good. So a packet that is byte for byte the last one, comes sooner than any
//! time-out, and before the client has acknowledged the reply, is neither acknowledged nor answered: who
//! has not seen the reply has had no reason to ask for the same again.
//!
//! If the one answer is lost after all, the client asks once more, later.

use crate::fingerprint::Fingerprint;

/// What was taken last.
#[derive(Clone, Copy, Debug)]
struct Last {
    payload: Fingerprint,
    at: u64,
}

/// Tells late copies from packets.
#[derive(Debug)]
pub(super) struct Copies {
    last: Option<Last>,
    /// The time, and how long a client waits at least before it repeats itself.
    clock: Option<(u64, u64)>,
}

impl Copies {
    pub(super) const fn new() -> Self {
        Self { last: None, clock: None }
    }

    /// The time is `now`.
    pub(super) fn keep_time(&mut self, now: Option<u64>, patience: u64) {
        self.clock = now.map(|now| (now, patience));
    }

    /// Whether this packet is the last one, late; without a clock none is. If it is not, it is the
    /// last one from now on.
    pub(super) fn is_late(&mut self, payload: &[u8]) -> bool {
        let payload = Fingerprint::of(payload);
        let Some((now, patience)) = self.clock else {
            self.last = None;
            return false;
        };
        let is_late = self
            .last
            .is_some_and(|last| last.payload == payload && now.saturating_sub(last.at) < patience);
        if !is_late {
            self.last = Some(Last { payload, at: now });
        }
        is_late
    }

    /// The packet has been answered now: copies of it that came meanwhile are read from now on.
    pub(super) fn answered(&mut self, now: Option<u64>) {
        if let (Some(last), Some(now)) = (&mut self.last, now) {
            last.at = now;
        }
    }

    /// The client has seen a frame that came after the packet.
    pub(super) fn acknowledged(&mut self) {
        self.last = None;
    }
}
