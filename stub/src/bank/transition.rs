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
    let offers = Offers::new(bank, wanted, slots);
    let mut best: Option<(usize, [usize; 4])> = None;
    let floor = offers.floor() * (spare.len() + 1);
    for order in orders(wanted.len()) {
        let Some(writes) = offers.writes(order) else { continue };
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
    let placement = place(wanted, best.map_or([0, 1, 2, 3], |(_, order)| order));
    Transition { writes: writes(bank, wanted, &placement), placement }
}

/// The orders of four things that differ in the first `count`.
fn orders(count: usize) -> impl Iterator<Item = [usize; 4]> {
    let alike = match count {
        0 => 24,
        1 => 6,
        2 => 2,
        3.. => 1,
    };
    // The first is any of four, the second any of the other three …
    (0..24).step_by(alike).map(|number| {
        let mut order = [0, 1, 2, 3];
        order.swap(0, number / 6);
        order.swap(1, 1 + number / 2 % 3);
        order.swap(2, 2 + number % 2);
        order
    })
}

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

fn turn(bank: &Bank, wanted: &[Window], slot: Slot, new: Window) -> Turn {
    if new.address() == bank.address(slot) {
        return Turn::Never;
    }
    let harmless = |window: Option<Window>| {
        window.is_some_and(|window| wanted.contains(&window) || bank.has_armed(window))
    };
    match bank.armed(slot) {
        None => Turn::BeforeControl,
        Some(old) if harmless(Window::new(new.address(), old.length(), old.condition())) => {
            Turn::BeforeControl
        }
        Some(_) if harmless(Window::new(bank.address(slot), new.length(), new.condition())) => {
            Turn::AfterControl
        }
        Some(_) => Turn::WhileOff,
    }
}

/// What one window would cost in one slot.
#[derive(Clone, Copy)]
struct Offer {
    turn: Turn,
    /// DR7 as it is does for the slot what the new one would.
    alike: bool,
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
}

impl Offers {
    fn new(bank: &Bank, wanted: &[Window], usable: usize) -> Self {
        let mut offers = [[None; 4]; 4];
        let mut fresh = 0;
        for (row, window) in offers.iter_mut().zip(wanted) {
            let stays = bank.has_armed(*window);
            let mut at_home = false;
            for (offer, slot) in row.iter_mut().zip(Slot::ALL).take(usable) {
                let armed = bank.armed(slot);
                let free = !armed.is_some_and(|armed| wanted.contains(&armed));
                if if stays { armed == Some(*window) } else { free } {
                    let turn = turn(bank, wanted, slot, *window);
                    at_home |= turn == Turn::Never;
                    *offer =
                        Some(Offer { turn, alike: armed_alike(bank.control(), slot, *window) });
                }
            }
            fresh += usize::from(!at_home);
        }
        let armed = Slot::ALL.into_iter().filter(|slot| bank.control().is_armed(*slot)).count();
        Self { offers, count: wanted.len(), armed, fresh }
    }

    /// No assignment takes fewer writes.
    fn floor(&self) -> usize {
        self.fresh + usize::from(self.armed != self.count)
    }

    /// How many writes this assignment takes, if it is one.
    fn writes(&self, order: [usize; 4]) -> Option<usize> {
        let (mut addresses, mut alike, mut off) = (0, 0, false);
        for (row, slot) in self.offers.iter().zip(order).take(self.count) {
            let offer = (*row.get(slot)?)?;
            addresses += usize::from(offer.turn != Turn::Never);
            alike += usize::from(offer.alike);
            off |= offer.turn == Turn::WhileOff;
        }
        // DR7 stays if what is on stays on as it is, and nothing else is on.
        let stays = alike == self.count && alike == self.armed;
        let controls = if off { 2 } else { usize::from(!stays) };
        Some(addresses + controls)
    }
}

fn writes(bank: &Bank, wanted: &[Window], placement: &Placement) -> Vec<DebugWrite, 6> {
    let mut first_off = bank.control();
    let (mut before, mut after) = (Vec::<DebugWrite, 4>::new(), Vec::<DebugWrite, 4>::new());
    for (slot, new) in slots(placement) {
        let Some(new) = new else { continue };
        let write = DebugWrite::Address(slot, new.address());
        // Neither can overflow: each slot adds one at most.
        let _ = match turn(bank, wanted, slot, new) {
            Turn::Never => Ok(()),
            Turn::BeforeControl => before.push(write),
            Turn::AfterControl => after.push(write),
            Turn::WhileOff => {
                first_off = first_off.disarm(slot);
                before.push(write)
            }
        };
    }
    let control = control(placement);
    let in_force = slots(placement).all(|(slot, new)| match new {
        Some(new) => armed_alike(bank.control(), slot, new),
        None => !bank.control().is_armed(slot),
    });
    let off = (first_off != bank.control()).then_some(DebugWrite::Control(first_off));
    let on = (!in_force).then_some(DebugWrite::Control(control));
    let mut writes = Vec::new();
    for write in off.iter().chain(&before).chain(&on).chain(&after) {
        let pushed = writes.push(*write);
        debug_assert!(pushed.is_ok(), "more than four addresses, or DR7 three times");
    }
    writes
}

/// DR7 when the windows are placed.
fn control(placement: &Placement) -> Dr7 {
    slots(placement).fold(Dr7::OFF, |control, (slot, window)| match window {
        Some(window) => control.arm(slot, window.condition(), window.length()),
        None => control,
    })
}

/// Whether DR7 as it is does for the slot what the new one would. The bits of slots that
/// are off mean nothing, and may be left over from whoever used them before.
fn armed_alike(control: Dr7, slot: Slot, new: Window) -> bool {
    control.is_armed(slot)
        && control.length(slot) == new.length()
        && control.condition(slot) == new.condition()
}
