//! The gate: what becomes of a packet, by its name.

use core::fmt;

use heapless::Vec;

use super::names::{Need, locked, needs};
use super::{Access, Grant, Lock, PACKETS, Policy, Range, Rights, TRIES};
use crate::arbiter::Region;
use crate::packet::{Name, peek};

/// How often the delay is doubled at the most.
const DOUBLINGS: u32 = 16;

/// What is to be done with a packet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Ruling {
    /// It goes on. If it reads memory, so many bytes at the most.
    Pass { readable: usize },
    /// The answer is a register, or all of them (`None`), that hold zero.
    Zeros(Option<usize>),
    /// The client may try to unlock, and does with this word.
    Unlock(Vec<u8, { peek::LINE }>),
    /// The client asks for anything else by `monitor`.
    Explain,
    /// It is sent away.
    Dismiss,
    /// It is answered by an error.
    Deny(Denied),
}

impl Ruling {
    /// It goes on, and may read as much as it wants.
    pub const PASS: Self = Self::Pass { readable: usize::MAX };
}

/// Why something was not allowed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Denied {
    Locked,
    ReadOnly(&'static str),
    Range { address: usize, name: &'static str, rights: Rights },
}

/// What came of trying to unlock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Unlocked {
    Granted(Grant),
    Wrong,
    TooSoon,
}

/// Whether a client that is locked may stay.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Patience {
    Left,
    Exhausted,
}

/// The gate, and what it remembers.
pub(crate) struct Gate {
    pub policy: Policy,
    /// What this client has unlocked.
    granted: Option<Grant>,
    /// Wrong words since the last right one, whoever said them.
    failures: u32,
    /// When the last of them was said.
    failed_at: Option<u64>,
    /// When this client came.
    came_at: Option<u64>,
    /// How many packets it has sent.
    packets: u32,
}

impl Gate {
    pub const fn new() -> Self {
        Self {
            policy: Policy::OPEN,
            granted: None,
            failures: 0,
            failed_at: None,
            came_at: None,
            packets: 0,
        }
    }

    /// The client goes: the next has unlocked nothing.
    pub fn close(&mut self) {
        (self.granted, self.came_at, self.packets) = (None, None, 0);
    }

    /// Perhaps another client: it has unlocked nothing. Returns whether that makes a difference. Who
    /// was locked out already is not let stay for longer by coming again.
    pub fn relock(&mut self) -> bool {
        let was_open = self.granted.is_some();
        if was_open {
            self.close();
        }
        was_open
    }

    /// A packet has come.
    pub fn meet(&mut self, now: Option<u64>) {
        self.packets = self.packets.saturating_add(1);
        self.came_at = self.came_at.or(now);
    }

    fn lock(&self) -> Option<&Lock> {
        match &self.policy.access {
            Access::Locked(lock) if self.granted.is_none() => Some(lock),
            Access::Locked(_) | Access::Open | Access::ReadOnly => None,
        }
    }

    /// Whether nothing is allowed now.
    pub fn is_locked(&self) -> bool {
        self.lock().is_some()
    }

    fn may_write(&self) -> bool {
        match (self.policy.access, self.granted) {
            (Access::Open, _) | (Access::Locked(_), Some(Grant::Open)) => true,
            (Access::ReadOnly | Access::Locked(_), _) => false,
        }
    }

    /// Whether a client that is locked has been there for too long.
    pub fn patience(&self, now: Option<u64>) -> Patience {
        let Some(lock) = self.lock() else { return Patience::Left };
        let is_over = match (self.came_at, now) {
            (Some(came), Some(now)) => now.saturating_sub(came) >= lock.patience,
            (None, _) | (_, None) => self.packets > PACKETS,
        };
        if is_over { Patience::Exhausted } else { Patience::Left }
    }

    /// What becomes of a packet of this payload. What is not well formed passes; the fence
    /// answers that. `changes` says whether it is a command of `monitor` that changes anything.
    pub fn rule(&self, payload: &[u8], changes: impl FnOnce() -> bool) -> Ruling {
        let Some(name) = Name::of(payload) else { return Ruling::PASS };
        if self.is_locked() {
            return locked(name, payload);
        }
        match needs(name, payload) {
            Need::Nothing => Ruling::PASS,
            Need::Read(region) => self.read(region),
            Need::Look(region) => self.whole(region, |rights| rights != Rights::None),
            Need::Write(_, what) if !self.may_write() => Ruling::Deny(Denied::ReadOnly(what)),
            Need::Write(region, _) => self.whole(region, |rights| rights == Rights::All),
            Need::Reset if self.may_write() => Ruling::PASS,
            Need::Reset if name == Name::Kill => Ruling::Dismiss,
            Need::Reset => Ruling::Deny(Denied::ReadOnly("a reset")),
            Need::Command if self.may_write() || !changes() => Ruling::PASS,
            Need::Command => Ruling::Deny(Denied::ReadOnly("what this command does")),
        }
    }

    /// What is readable in front of the first range that is not can be read.
    fn read(&self, region: Option<Region>) -> Ruling {
        let Some(region) = region else { return Ruling::PASS };
        match self.first_without(&region, |rights| rights != Rights::None) {
            None => Ruling::PASS,
            Some((0, range)) => deny(region.address(), range),
            Some((readable, _)) => Ruling::Pass { readable },
        }
    }

    /// All of it, or nothing.
    fn whole(&self, region: Option<Region>, allows: impl Fn(Rights) -> bool) -> Ruling {
        match region.and_then(|region| Some((region, self.first_without(&region, allows)?))) {
            None => Ruling::PASS,
            Some((region, (offset, range))) => deny(region.address() + offset, range),
        }
    }

    /// How far from the beginning of the region the first byte is that does not allow it, and the
    /// range that it is in.
    fn first_without(
        &self,
        region: &Region,
        allows: impl Fn(Rights) -> bool,
    ) -> Option<(usize, &Range)> {
        let ranges = self.policy.ranges;
        let of = |address| ranges.iter().find(|range| range.region.contains(address));
        // What is allowed changes where a range begins or has ended, and nowhere else.
        let places = ranges.iter().flat_map(|range| {
            let first = range.region.address();
            [Some(first), first.checked_add(range.region.length())]
        });
        let places = core::iter::once(region.address()).chain(places.flatten());
        let refused = places.filter(|place| region.contains(*place)).filter_map(|place| {
            let range = of(place).filter(|range| !allows(range.rights))?;
            Some((place - region.address(), range))
        });
        refused.min_by_key(|(offset, _)| *offset)
    }

    /// Tries to unlock.
    pub fn unlock(&mut self, word: &[u8], now: Option<u64>) -> Unlocked {
        let Some(lock) = self.lock().copied() else { return Unlocked::Wrong };
        if self.has_to_wait(&lock, now) {
            return Unlocked::TooSoon;
        }
        // Until it is known to be right; whoever judges it may fail.
        self.failures = self.failures.saturating_add(1);
        self.failed_at = now;
        match (lock.check)(word) {
            Some(grant) => {
                (self.granted, self.failures) = (Some(grant), 0);
                Unlocked::Granted(grant)
            }
            None => Unlocked::Wrong,
        }
    }

    fn has_to_wait(&self, lock: &Lock, now: Option<u64>) -> bool {
        let Some(doublings) = self.failures.checked_sub(1) else { return false };
        match (self.failed_at, now) {
            (Some(failed), Some(now)) => {
                let delay = lock.delay.saturating_mul(1 << doublings.min(DOUBLINGS));
                now.saturating_sub(failed) < delay
            }
            (None, _) | (_, None) => self.failures >= TRIES,
        }
    }
}

fn deny(address: usize, range: &Range) -> Ruling {
    Ruling::Deny(Denied::Range { address, name: range.name, rights: range.rights })
}

impl fmt::Display for Denied {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Denied::Locked => out.write_str("the debugger is locked (try: monitor unlock WORD)"),
            Denied::ReadOnly(what) => {
                write!(out, "the firmware lets the debugger look only, and not do this: {what}")
            }
            Denied::Range { address, name, rights: Rights::Read } => {
                write!(out, "{address:#x} is in {name}, which the firmware lets be read only")
            }
            Denied::Range { address, name, rights: Rights::All | Rights::None } => {
                write!(
                    out,
                    "{address:#x} is in {name}, which the firmware does not let be looked at"
                )
            }
        }
    }
}
