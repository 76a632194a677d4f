//! From one register state to the next, in the fewest writes.
//!
//! Addresses left in slots that are off count: a window that comes back to where its
//! address still is costs none.
//!
//! A window is armed by its address register *and* by its bits in DR7, and no single
//! instruction writes both. Between two writes a slot must never watch what neither the
//! old nor the new state watches, and what both watch must be watched all the time
//! (promise 9). So, for one assignment of windows to slots, the cost is one write for each
//! address that differs, and
//!
//! * no write of DR7 if it stays as it is;
//! * one, if for each of those addresses there is a harmless moment: before DR7 is written,
//!   where the slot is off or where its old bits with the new address are a window of
//!   either state; or after, where its new bits with the old address are;
//! * two otherwise: the slots without such a moment are turned off first.
//!
//! All assignments are tried, 24 at the most, until one costs no more than any could. Windows
//! that are armed already stay where they are; that this never costs a write is not obvious, and
//! found by search (in the tests). What a window costs in a slot does not depend on where the
//! others go, so it is worked out once for each pair (`offers`).

mod offers;

use heapless::Vec;

use super::Bank;
use crate::dr::{Dr7, Slot, Window};
use offers::Offers;

/// One MOV to a debug register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DebugWrite {
    /// To DR0–DR3.
    Address(Slot, usize),
    /// To DR7.
    Control(Dr7),
}

/// How to get from one state to another.
#[derive(Clone, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Transition {
    writes: Vec<DebugWrite, 6>,
    placement: Placement,
}

impl Transition {
    /// The writes, in order: at most four addresses, and DR7 twice.
    pub fn writes(&self) -> &[DebugWrite] {
        &self.writes
    }

    /// What each slot holds then.
    pub const fn placement(&self) -> &[Option<Window>; 4] {
        &self.placement
    }
}

type Placement = [Option<Window>; 4];

/// The cheapest way from what `bank` holds to exactly the `wanted` windows (all different, and
/// no more than `slots`), in the first `slots` slots. Of equally cheap ways, the one that
/// overwrites the fewest addresses of `spare` windows: those may be wanted again.
///
/// ```
/// use tetrarch::bank::{Bank, DebugWrite, transition};
/// use tetrarch::dr::{Condition, Dr7, Length, Slot, Window};
///
/// let window = Window::new(0x1000, Length::Four, Condition::Write).unwrap();
/// let control = Dr7::OFF.arm(Slot::Zero, Condition::Write, Length::Four);
/// assert_eq!(
///     transition(&Bank::RESET, &[window], &[], 4).writes(),
///     [DebugWrite::Address(Slot::Zero, 0x1000), DebugWrite::Control(control)],
/// );
/// ```
pub fn transition(bank: &Bank, wanted: &[Window], spare: &[Window], slots: usize) -> Transition {
    let armed = Slot::ALL.map(|slot| bank.armed(slot));
    let count = armed.iter().flatten().count();
    if count == wanted.len() && wanted.iter().all(|window| armed.contains(&Some(*window))) {
        return Transition { writes: Vec::new(), placement: armed };
    }
    let offers = Offers::new(bank, wanted, slots);
    let mut best: Option<(usize, [usize; 4])> = None;
    let floor = offers.floor() * (spare.len() + 1);
    for order in orders(wanted.len()) {
        let Some(writes) = offers.count_writes(order) else { continue };
        // The number of writes decides, then the number of spare addresses lost.
        let cost = writes * (spare.len() + 1) + lost(bank, wanted, order, spare);
        if best.is_none_or(|(least, _)| cost < least) {
            best = Some((cost, order));
        }
        if cost <= floor {
            break;
        }
    }
    // Each window has a slot unless there are more windows than slots.
    let order = best.map_or([0, 1, 2, 3], |(_, order)| order);
    Transition { writes: offers.writes(bank, wanted, order), placement: place(wanted, order) }
}

/// The orders of four things that differ in the first `count`.
fn orders(count: usize) -> impl Iterator<Item = [usize; 4]> {
    let alike = match count {
        0 => 24,
        1 => 6,
        2 => 2,
        3.. => 1,
    };
    ORDERS.into_iter().step_by(alike)
}

/// All orders of four slots: the first is any of four, the second any of the other three …
const ORDERS: [[usize; 4]; 24] = {
    let mut orders = [[0, 1, 2, 3]; 24];
    let mut number = 0;
    while number < 24 {
        orders[number].swap(0, number / 6);
        orders[number].swap(1, 1 + number / 2 % 3);
        orders[number].swap(2, 2 + number % 2);
        number += 1;
    }
    orders
};

/// The n-th window in the n-th slot of `order`.
fn place(wanted: &[Window], order: [usize; 4]) -> Placement {
    let mut placement = [None; 4];
    for (window, index) in wanted.iter().zip(order) {
        if let Some(slot) = placement.get_mut(index) {
            *slot = Some(*window);
        }
    }
    placement
}

fn slots(placement: &Placement) -> impl Iterator<Item = (Slot, Option<Window>)> {
    Slot::ALL.into_iter().zip(*placement)
}

/// How many spare addresses would be overwritten.
fn lost(bank: &Bank, wanted: &[Window], order: [usize; 4], spare: &[Window]) -> usize {
    if spare.is_empty() {
        return 0;
    }
    let placement = place(wanted, order);
    let kept = |window: &&Window| {
        slots(&placement).any(|(slot, new)| {
            bank.address(slot) == window.address()
                && new.is_none_or(|new| new.address() == window.address())
        })
    };
    spare.len() - spare.iter().filter(kept).count()
}
