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
//! others go, so it is worked out once for each pair.

use heapless::Vec;

use super::Bank;
use crate::dr::{Dr7, Slot, Window};

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

/// When the address of a slot may be written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// It need not be.
    Never,
    /// While the old DR7 is in force.
    BeforeControl,
    /// When the new DR7 is.
    AfterControl,
    /// Only while the slot is off.
    WhileOff,
}

/// What one window would cost in one slot.
#[derive(Clone, Copy)]
struct Offer {
    turn: Turn,
    /// DR7 as it is does for the slot what the new one would.
    alike: bool,
}

impl Offer {
    /// `old` is what the slot holds now, and `harmless` what it may hold for a moment.
    fn new(
        address: usize,
        old: Option<Window>,
        new: Window,
        harmless: impl Fn(Window) -> bool,
    ) -> Self {
        let is_harmless = |window: Option<Window>| window.is_some_and(&harmless);
        let turn = match old {
            _ if new.address() == address => Turn::Never,
            None => Turn::BeforeControl,
            Some(old) if is_harmless(Window::new(new.address(), old.length(), old.condition())) => {
                Turn::BeforeControl
            }
            Some(_) if is_harmless(Window::new(address, new.length(), new.condition())) => {
                Turn::AfterControl
            }
            Some(_) => Turn::WhileOff,
        };
        let alike = old
            .is_some_and(|old| (old.length(), old.condition()) == (new.length(), new.condition()));
        Self { turn, alike }
    }

    /// How often DR7 must be written at least if this offer is taken.
    fn controls(&self) -> usize {
        match self.turn {
            Turn::WhileOff => 2,
            Turn::Never | Turn::BeforeControl | Turn::AfterControl => usize::from(!self.alike),
        }
    }
}

/// What each window would cost in each slot; `None` where it may not go.
struct Offers {
    offers: [[Option<Offer>; 4]; 4],
    /// How many windows there are.
    count: usize,
    /// How many slots are on now.
    armed: usize,
    /// How many addresses must be written at least.
    fresh: usize,
    /// How often DR7 must be written at least.
    controls: usize,
}

impl Offers {
    fn new(bank: &Bank, wanted: &[Window], usable: usize) -> Self {
        let armed = Slot::ALL.map(|slot| bank.armed(slot));
        // A window that stays belongs to its slot, and the slot to it.
        let taken = armed.map(|armed| armed.is_some_and(|armed| wanted.contains(&armed)));
        let harmless = |window| wanted.contains(&window) || armed.contains(&Some(window));
        let count = armed.iter().flatten().count();
        let mut offers = [[None; 4]; 4];
        let (mut fresh, mut controls) = (0, usize::from(count != wanted.len()));
        for (row, window) in offers.iter_mut().zip(wanted) {
            let stays = armed.contains(&Some(*window));
            let (mut at_home, mut least) = (false, 2);
            let slots = Slot::ALL.into_iter().zip(armed.into_iter().zip(taken)).take(usable);
            for (offer, (slot, (old, taken))) in row.iter_mut().zip(slots) {
                if if stays { old == Some(*window) } else { !taken } {
                    let new = Offer::new(bank.address(slot), old, *window, harmless);
                    at_home |= new.turn == Turn::Never;
                    least = least.min(new.controls());
                    *offer = Some(new);
                }
            }
            fresh += usize::from(!at_home);
            controls = controls.max(least);
        }
        Self { offers, count: wanted.len(), armed: count, fresh, controls }
    }

    /// No assignment takes fewer writes.
    fn floor(&self) -> usize {
        self.fresh + self.controls
    }

    /// The offers that this assignment takes, one for each window; `None` for one that may not
    /// go there.
    fn taken(&self, order: [usize; 4]) -> impl Iterator<Item = Option<Offer>> {
        let rows = self.offers.iter().zip(order).take(self.count);
        rows.map(|(row, slot)| *row.get(slot)?)
    }

    /// How many writes this assignment takes, if it is one.
    fn count_writes(&self, order: [usize; 4]) -> Option<usize> {
        let (mut addresses, mut alike, mut off) = (0, 0, false);
        for offer in self.taken(order) {
            let offer = offer?;
            addresses += usize::from(offer.turn != Turn::Never);
            alike += usize::from(offer.alike);
            off |= offer.turn == Turn::WhileOff;
        }
        let controls = if off { 2 } else { usize::from(!self.leaves_control(alike)) };
        Some(addresses + controls)
    }

    /// DR7 stays if what is on stays on as it is, and nothing else is on.
    fn leaves_control(&self, alike: usize) -> bool {
        alike == self.count && alike == self.armed
    }

    /// The writes of this assignment.
    fn writes(&self, bank: &Bank, wanted: &[Window], order: [usize; 4]) -> Vec<DebugWrite, 6> {
        let mut first_off = bank.control();
        let mut control = Dr7::OFF;
        let mut alike = 0;
        let (mut before, mut after) = (Vec::<DebugWrite, 4>::new(), Vec::<DebugWrite, 4>::new());
        for ((offer, index), window) in self.taken(order).zip(order).zip(wanted) {
            let (Some(offer), Some(slot)) = (offer, Slot::from_index(index)) else { continue };
            control = control.arm(slot, window.condition(), window.length());
            alike += usize::from(offer.alike);
            let write = DebugWrite::Address(slot, window.address());
            // Neither can overflow: each slot adds one at most.
            let _ = match offer.turn {
                Turn::Never => Ok(()),
                Turn::BeforeControl => before.push(write),
                Turn::AfterControl => after.push(write),
                Turn::WhileOff => {
                    first_off = first_off.disarm(slot);
                    before.push(write)
                }
            };
        }
        let off = (first_off != bank.control()).then_some(DebugWrite::Control(first_off));
        let on = (!self.leaves_control(alike)).then_some(DebugWrite::Control(control));
        let mut writes = Vec::new();
        for write in off.iter().chain(&before).chain(&on).chain(&after) {
            let pushed = writes.push(*write);
            debug_assert!(pushed.is_ok(), "more than four addresses, or DR7 three times");
        }
        writes
    }
}
