//! What a bad serial line does to bytes, from a seed, and an account of it.
//!
//! Of each direction, a given share of the bytes is damaged: lost, changed in one bit, doubled,
//! joined by one that nobody sent, changed in a burst of several, or held back for a while. What
//! the checksum of a frame cannot see is counted too, by comparing the frames on both sides: no
//! protocol can be right about those.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::proxy::{Direction, Noise};

/// How long a byte is held back, with all that follow.
const DELAY: Duration = Duration::from_millis(20);
/// The longest burst.
const BURST: usize = 8;

/// What has happened on the line, in both directions.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Account {
    /// Bytes that were sent.
    pub bytes: u64,
    /// Bytes that were lost, changed, doubled, or that nobody had sent.
    pub damaged: u64,
    /// Times that the line stood still for a moment.
    pub delays: u64,
    /// Frames that arrived whole by their checksum and are none that was sent.
    pub undetected: u64,
    /// Frames whose end has arrived at the client and is no checksum: gdb gives those up at once.
    pub hopeless: u64,
    /// Ctrl-Cs that nobody sent: bytes 03 outside of frames, and in frames that cannot have one.
    pub interrupts: u64,
}

/// A line's account while it is in use. It is a good line, and keeps no account, until it is told to
/// begin.
#[derive(Clone, Default, Debug)]
pub struct Ledger(Arc<Mutex<Option<Account>>>);

impl Ledger {
    fn lock(&self) -> MutexGuard<'_, Option<Account>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From here on the line is as bad as it is.
    pub fn begin(&self) {
        *self.lock() = Some(Account::default());
    }

    /// From here on it is a good one again. What has happened in between.
    pub fn end(&self) -> Account {
        self.lock().take().unwrap_or_default()
    }

    /// What has happened so far.
    pub fn read(&self) -> Account {
        self.lock().unwrap_or_default()
    }
}

/// A line that damages `rate` of its bytes, in both directions.
pub fn damage(rate: f64, seed: u64, ledger: Ledger) -> Noise {
    let mut ways = [seed, !seed].map(Way::new);
    Box::new(move |direction, byte, arrives| {
        let way = &mut ways[match direction {
            Direction::ToStub => 0,
            Direction::ToClient => 1,
        }];
        let Some(account) = &mut *ledger.lock() else {
            arrives.push(byte);
            return;
        };
        let start = arrives.len();
        let harm = way.carry(rate, byte, arrives);
        account.bytes += 1;
        match harm {
            Harm::None => {}
            Harm::Damage => account.damaged += 1,
            Harm::Delay => account.delays += 1,
        }
        way.compare(direction, byte, &arrives[start..], account);
        if harm == Harm::Delay {
            thread::sleep(DELAY);
        }
    })
}

/// What befell a byte.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Harm {
    None,
    Damage,
    Delay,
}

/// One direction. Each has its own chances, so that they do not depend on how the two meet.
struct Way {
    random: fastrand::Rng,
    /// How many more bytes are changed.
    burst: usize,
    sent: Frames,
    arrived: Frames,
    /// What was sent.
    known: HashSet<Vec<u8>>,
    /// Ctrl-Cs that were sent and have not arrived.
    interrupts: u64,
}

impl Way {
    fn new(seed: u64) -> Self {
        Self {
            random: fastrand::Rng::with_seed(seed),
            burst: 0,
            sent: Frames::default(),
            arrived: Frames::default(),
            known: HashSet::new(),
            interrupts: 0,
        }
    }

    fn carry(&mut self, rate: f64, byte: u8, arrives: &mut Vec<u8>) -> Harm {
        let random = &mut self.random;
        if self.burst > 0 {
            self.burst -= 1;
            arrives.push(random.u8(..));
            return Harm::Damage;
        }
        if random.f64() >= rate {
            arrives.push(byte);
            return Harm::None;
        }
        match random.u8(..12) {
            0..=3 => arrives.push(byte ^ 1 << random.u8(..8)),
            4..=6 => {}
            7 => arrives.extend([byte, byte]),
            8 | 9 => arrives.extend([random.u8(..), byte]),
            10 => {
                self.burst = random.usize(1..BURST);
                arrives.push(random.u8(..));
            }
            _ => {
                arrives.push(byte);
                return Harm::Delay;
            }
        }
        Harm::Damage
    }

    /// Compares what was sent with what arrives instead.
    fn compare(&mut self, direction: Direction, sent: u8, arrived: &[u8], account: &mut Account) {
        match self.sent.take(sent) {
            Some(Found::Frame(payload)) => _ = self.known.insert(payload),
            Some(Found::Interrupt) => self.interrupts += 1,
            Some(Found::NoChecksum) | None => {}
        }
        for byte in arrived {
            match self.arrived.take(*byte) {
                Some(Found::Frame(payload)) if !self.known.contains(&payload) => {
                    account.undetected += 1;
                }
                Some(Found::Interrupt) if self.interrupts == 0 => account.interrupts += 1,
                Some(Found::Interrupt) => self.interrupts -= 1,
                Some(Found::NoChecksum) if matches!(direction, Direction::ToClient) => {
                    account.hopeless += 1;
                }
                Some(Found::Frame(_) | Found::NoChecksum) | None => {}
            }
        }
    }
}

enum Found {
    Frame(Vec<u8>),
    /// What ends like a frame, but for the digits.
    NoChecksum,
    Interrupt,
}

/// Finds whole frames in a stream, as whoever reads the protocol does.
#[derive(Default)]
struct Frames {
    /// From the `$` on, if one is under way.
    frame: Vec<u8>,
}

impl Frames {
    fn take(&mut self, byte: u8) -> Option<Found> {
        if byte == b'$' {
            self.frame = vec![byte];
            return None;
        }
        let may_have_any_byte = self.frame.starts_with(b"$X") && self.frame.contains(&b':');
        if byte == 0x03 && !may_have_any_byte {
            self.frame.clear();
            return Some(Found::Interrupt);
        }
        if self.frame.is_empty() {
            return None;
        }
        self.frame.push(byte);
        let end = self.frame.len().checked_sub(3).filter(|end| self.frame[*end] == b'#')?;
        let frame = std::mem::take(&mut self.frame);
        let payload = &frame[1..end];
        let sum = payload.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
        let digits = &frame[end + 1..];
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return Some(Found::NoChecksum);
        }
        let digits = std::str::from_utf8(digits).ok()?;
        let is_whole = u8::from_str_radix(digits, 16) == Ok(sum);
        is_whole.then(|| Found::Frame(payload.to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends frames over a line and gives what arrives, with the account.
    fn send(rate: f64, seed: u64, frames: usize) -> (Vec<u8>, Account) {
        let ledger = Ledger::default();
        let mut noise = damage(rate, seed, ledger.clone());
        ledger.begin();
        let mut arrived = Vec::new();
        for byte in b"$m1000,40#be".repeat(frames) {
            noise(Direction::ToStub, byte, &mut arrived);
        }
        (arrived, ledger.end())
    }

    #[test]
    fn a_good_line_changes_nothing() {
        let (arrived, account) = send(0.0, 1, 100);
        assert_eq!(arrived, b"$m1000,40#be".repeat(100));
        assert_eq!(account, Account { bytes: 1200, ..Account::default() });
    }

    #[test]
    fn a_bad_line_damages_about_as_many_bytes_as_it_is_told_and_the_same_from_the_same_seed() {
        let (arrived, account) = send(0.002, 7, 2000);
        assert_eq!(send(0.002, 7, 2000), (arrived, account));
        assert_eq!(account.bytes, 24_000);
        assert!((24..150).contains(&account.damaged), "{account:?}");
    }

    #[test]
    fn what_the_checksum_cannot_see_is_counted() {
        let mut way = Way::new(0);
        let mut account = Account::default();
        for (sent, arrives) in b"$m12#00".iter().zip(b"$m21#00") {
            way.compare(Direction::ToClient, *sent, &[*arrives], &mut account);
        }
        assert_eq!(account, Account::default(), "neither checksum is right");
        for (sent, arrives) in b"$m12#d0\x03".iter().zip(b"$m21#d0\x03") {
            way.compare(Direction::ToClient, *sent, &[*arrives], &mut account);
        }
        assert_eq!(account, Account { undetected: 1, ..Account::default() });
        way.compare(Direction::ToClient, b'+', &[3], &mut account);
        assert_eq!(account, Account { undetected: 1, interrupts: 1, ..Account::default() });
    }

    #[test]
    fn an_end_that_is_no_checksum_is_counted_on_its_way_to_the_client() {
        for (direction, hopeless) in [(Direction::ToClient, 1), (Direction::ToStub, 0)] {
            let mut way = Way::new(0);
            let mut account = Account::default();
            for (sent, arrives) in b"$m12#d0".iter().zip(b"$m12#d\x10") {
                way.compare(direction, *sent, &[*arrives], &mut account);
            }
            assert_eq!(account, Account { hopeless, ..Account::default() });
        }
    }
}
