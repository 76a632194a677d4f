//! All sequences of operations on small arbiters: not a sample, every state that can be reached.
//!
//! A search, breadth first, from the empty arbiter. Two states are taken for one if they differ
//! only in what no promise depends on (generations, hits, times). In each state everything that
//! could happen next is tried and held against an account of its own, with sets as bits and no
//! arithmetic in common with the arbiter. Two explorations, because their product would never
//! end: `claims`, who gets what, and `running`, what is armed when. How many states there are is
//! part of the test: if it changes, something can happen that could not, or no longer can.

extern crate std;

use std::boxed::Box;
use std::collections::{HashMap, VecDeque};
use std::vec::Vec;

use super::*;

mod claims;
mod running;

/// Searches from `start` on; `visit` checks a state and says what it leads to. Returns how many
/// states there are.
fn explore<State, Key: Eq + core::hash::Hash>(
    start: State,
    key: impl Fn(&State) -> Key,
    mut visit: impl FnMut(&State, &mut Vec<State>),
) -> usize {
    let mut seen = HashMap::from([(key(&start), ())]);
    let mut queue = VecDeque::from([start]);
    let mut next = Vec::new();
    while let Some(state) = queue.pop_front() {
        visit(&state, &mut next);
        for state in next.drain(..) {
            // Miri is after other things than completeness.
            if !(cfg!(miri) && seen.len() > 2) && seen.insert(key(&state), ()).is_none() {
                queue.push_back(state);
            }
        }
    }
    seen.len()
}
