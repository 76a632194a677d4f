//! What a flexible claim has seen, and for how much of the time it looked.
//!
//! A claim that takes turns misses what happens between them. It knows for how long it was
//! wanted (`enabled`: its scope ran, and it was not disabled) and for how long it was armed
//! (`running`), and `raw × enabled / running` is what it would have counted *if hits came
//! evenly*.
//!
//! **They need not.** Say six claims share one slot and a turn is 1 ms. A loop stores to a
//! counter 100 times each millisecond, all the time: the claim is armed for 100 of 600 ms,
//! counts 10,000 and estimates 60,000, which is right. Another variable is written 6,000 times
//! in one burst of 2 ms, every 301 ms. Twice in the 600 ms it is written, 12,000 stores in all.
//! The burst falls into the claim's turn by chance, one time in three: as a rule the claim
//! counts nothing and estimates 0, and when it is hit it counts 3,000 of one millisecond and
//! estimates 18,000. Over many turns the estimates average out at the truth; no single one is
//! near it, and nothing in `raw`, `enabled` and `running` says so. What says so is the
//! [`Spread`]: in the even case each turn counted about 100; in the other nearly all counted 0
//! and one 3,000. Believe an estimate if the fewest and the most hits of a turn are close, or
//! apart only as far as the turns themselves differ in length; where one turn has brought a good
//! part of all, the next may bring as much again or nothing.
//!
//! Time is the caller's: any unit, as long as it does not run backwards.

use core::fmt;

/// The count of a flexible claim, over all CPUs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Count {
    /// How often it was hit while it was armed.
    pub hits: u64,
    /// For how long it was wanted, in the caller's unit of time; on several CPUs at once, the
    /// sum.
    pub enabled: u64,
    /// For how long of that it was armed; never more.
    pub running: u64,
    /// How the hits are distributed over its turns.
    pub spread: Spread,
}

impl Count {
    pub(super) const ZERO: Count = Count { hits: 0, enabled: 0, running: 0, spread: Spread::NONE };

    /// How often it would have been hit if hits came evenly and it had been armed all the time:
    /// `hits × enabled / running`, rounded down. `None` if it was never armed: that says
    /// nothing at all, and least of all 0.
    pub fn scaled(&self) -> Option<u64> {
        let estimate = (u128::from(self.hits) * u128::from(self.enabled))
            .checked_div(u128::from(self.running))?;
        Some(u64::try_from(estimate).unwrap_or(u64::MAX))
    }

    /// The part of the time in which it was armed, in thousandths. `None` if it was never
    /// wanted.
    pub fn coverage(&self) -> Option<u16> {
        let permille = (u128::from(self.running) * 1000).checked_div(u128::from(self.enabled))?;
        // Never: it is armed only while it is wanted.
        Some(u16::try_from(permille).unwrap_or(1000))
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} hits", self.hits)?;
        match (self.scaled(), self.coverage()) {
            (Some(scaled), Some(coverage)) => write!(
                f,
                ", armed for {}.{} % of the time, estimate {scaled}",
                coverage / 10,
                coverage % 10
            )?,
            (None, _) | (_, None) => f.write_str(", never armed, no estimate")?,
        }
        self.spread.fmt(f)
    }
}

/// The hits of the turns in which a claim was armed, one compared with the other. Turns that
/// have ended only.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Spread {
    /// How many turns.
    pub turns: u64,
    /// The hits of the turn with the fewest; 0 without a turn.
    pub fewest: u64,
    /// The hits of the turn with the most.
    pub most: u64,
}

impl Spread {
    const NONE: Spread = Spread { turns: 0, fewest: 0, most: 0 };

    fn add_turn(&mut self, hits: u64) {
        *self = self.and(Spread { turns: 1, fewest: hits, most: hits });
    }

    /// Both together.
    fn and(self, other: Spread) -> Spread {
        match (self.turns, other.turns) {
            (0, _) => other,
            (_, 0) => self,
            _ => Spread {
                turns: self.turns.saturating_add(other.turns),
                fewest: self.fewest.min(other.fewest),
                most: self.most.max(other.most),
            },
        }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.turns {
            0 => Ok(()),
            turns => write!(f, ", {} to {} in each of {turns} turns", self.fewest, self.most),
        }
    }
}

/// One CPU's part of a count, and the turn that is under way.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(test, derive(PartialEq))]
pub(super) struct Counter {
    /// Which count of its place this is: a claim that begins to count has a new number.
    number: u32,
    enabled: u64,
    running: u64,
    spread: Spread,
    /// Hits of all turns.
    all_hits: u64,
    /// Hits of this turn.
    hits: u64,
    /// Whether it was armed in this turn.
    armed: bool,
}

impl Counter {
    /// Nothing yet.
    pub const ZERO: Counter = Counter {
        number: 0,
        enabled: 0,
        running: 0,
        spread: Spread::NONE,
        all_hits: 0,
        hits: 0,
        armed: false,
    };

    /// Nothing yet, of the count with this number.
    pub const fn of(number: u32) -> Counter {
        Counter { number, ..Self::ZERO }
    }

    /// Whether it is of the count with this number.
    pub fn is_of(&self, number: u32) -> bool {
        self.number == number
    }

    /// So much time has passed in which it was wanted.
    pub fn pass(&mut self, time: u64, armed: Armed) {
        self.enabled = self.enabled.saturating_add(time);
        match armed {
            Armed::Yes => {
                self.running = self.running.saturating_add(time);
                self.armed |= time > 0;
            }
            Armed::No => {}
        }
    }

    /// It was hit.
    pub fn hit(&mut self) {
        self.all_hits = self.all_hits.saturating_add(1);
        self.hits = self.hits.saturating_add(1);
    }

    /// The turn is over. A hit that could not be told before it ended counts in the next one in
    /// which the claim is armed: there is no turn without a slot.
    pub fn end_turn(&mut self) {
        if self.armed {
            self.spread.add_turn(self.hits);
            (self.hits, self.armed) = (0, false);
        }
    }

    /// Adds this CPU's part to the count.
    pub fn add_to(&self, count: &mut Count) {
        count.hits = count.hits.saturating_add(self.all_hits);
        count.enabled = count.enabled.saturating_add(self.enabled);
        count.running = count.running.saturating_add(self.running);
        count.spread = count.spread.and(self.spread);
    }
}

/// Whether a flexible claim had a slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Armed {
    Yes,
    No,
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::string::ToString;

    use super::*;

    /// The worked example of the module's head.
    #[test]
    fn promise_8_scaling_is_right_for_even_hits_and_the_spread_shows_bursts() {
        let mut even = Counter::ZERO;
        let mut burst = Counter::ZERO;
        for turn in 0..600 {
            // One of six turns each, neighbours.
            for (counter, own, hits) in [(&mut even, 0, 100), (&mut burst, 1, burst_at(turn))] {
                let armed = if turn % 6 == own { Armed::Yes } else { Armed::No };
                counter.pass(1, armed);
                if armed == Armed::Yes {
                    (0..hits).for_each(|_| counter.hit());
                }
                counter.end_turn();
            }
        }
        let count = |counter: &Counter| {
            let mut count = Count::ZERO;
            counter.add_to(&mut count);
            count
        };
        let spread = Spread { turns: 100, fewest: 100, most: 100 };
        let even = count(&even);
        assert_eq!(even, Count { hits: 10_000, enabled: 600, running: 100, spread });
        assert_eq!((even.scaled(), even.coverage()), (Some(60_000), Some(166)));
        let spread = Spread { turns: 100, fewest: 0, most: 3_000 };
        let burst = count(&burst);
        assert_eq!(burst, Count { hits: 3_000, enabled: 600, running: 100, spread });
        assert_eq!(burst.scaled(), Some(18_000));
        assert_eq!(
            burst.to_string(),
            "3000 hits, armed for 16.6 % of the time, estimate 18000, 0 to 3000 in each of 100 turns"
        );
    }

    /// 3,000 hits in each of two turns, twice in 600; one of the four is the claim's.
    fn burst_at(turn: u32) -> u32 {
        if matches!(turn, 61..=62 | 362..=363) { 3_000 } else { 0 }
    }

    #[test]
    fn promise_8_what_never_ran_has_no_estimate() {
        let never = Count { enabled: 7, ..Count::ZERO };
        assert_eq!((never.scaled(), never.coverage()), (None, Some(0)));
        assert_eq!(never.to_string(), "0 hits, never armed, no estimate");
        let all = Count { hits: u64::MAX, enabled: u64::MAX, running: 1, ..never };
        assert_eq!(all.scaled(), Some(u64::MAX));
    }
}
