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
//! All 24 assignments are tried. Windows that are armed already stay where they are; that
//! this never costs a write is not obvious, and found by search (in the tests).

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
pub struct Plan {
    writes: Vec<DebugWrite, 6>,
    placement: Placement,
}

impl Plan {
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

/// The cheapest way from what `bank` holds to exactly the `wanted` windows (no more than
/// four, all different). Of equally cheap ways, the one that overwrites the fewest
/// addresses of `spare` windows: those may be wanted again.
///
/// ```
/// use tetrarch::bank::{Bank, DebugWrite, plan};
/// use tetrarch::dr::{Condition, Dr7, Length, Slot, Window};
///
/// let window = Window::new(0x1000, Length::Four, Condition::Write).unwrap();
/// let control = Dr7::OFF.arm(Slot::Zero, Condition::Write, Length::Four);
/// assert_eq!(
///     plan(&Bank::RESET, &[window], &[]).writes(),
///     [DebugWrite::Address(Slot::Zero, 0x1000), DebugWrite::Control(control)],
/// );
/// ```
pub fn plan(bank: &Bank, wanted: &[Window], spare: &[Window]) -> Plan {
    let mut best = place(wanted, [0, 1, 2, 3]);
    let mut least = usize::MAX;
    for order in orders() {
        let placement = place(wanted, order);
        if !keeps_what_is_armed(bank, wanted, &placement) {
            continue;
        }
        let cost = cost(bank, &placement, spare);
        if cost < least {
            (best, least) = (placement, cost);
        }
        if least == 0 {
            break; // The usual case: everything is as it should be.
        }
    }
    Plan { writes: writes(bank, &best), placement: best }
}

/// The 24 orders of four things.
fn orders() -> impl Iterator<Item = [usize; 4]> {
    // The first is any of four, the second any of the other three …
    (0..24).map(|number| {
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

fn keeps_what_is_armed(bank: &Bank, wanted: &[Window], placement: &Placement) -> bool {
    wanted.iter().filter(|window| bank.has_armed(**window)).all(|window| {
        slots(placement)
            .any(|(slot, new)| new == Some(*window) && bank.armed(slot) == Some(*window))
    })
}

fn slots(placement: &Placement) -> impl Iterator<Item = (Slot, Option<Window>)> {
    Slot::ALL.into_iter().zip(*placement)
}

/// The number of writes, which decides, and the number of spare addresses lost.
fn cost(bank: &Bank, placement: &Placement, spare: &[Window]) -> usize {
    let kept = |window: &Window| {
        slots(placement).any(|(slot, new)| match new {
            Some(new) => {
                new.address() == window.address() && bank.address(slot) == window.address()
            }
            None => bank.address(slot) == window.address(),
        })
    };
    let lost = spare.iter().filter(|window| !kept(window)).count();
    writes(bank, placement).len() * (spare.len() + 1) + lost
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

fn turn(bank: &Bank, placement: &Placement, slot: Slot, new: Option<Window>) -> Turn {
    let Some(new) = new.filter(|new| new.address() != bank.address(slot)) else {
        return Turn::Never;
    };
    let harmless = |window: Option<Window>| {
        window.is_some_and(|window| bank.has_armed(window) || placement.contains(&Some(window)))
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

fn writes(bank: &Bank, placement: &Placement) -> Vec<DebugWrite, 6> {
    let mut first_off = bank.control();
    let (mut before, mut after) = (Vec::<DebugWrite, 4>::new(), Vec::<DebugWrite, 4>::new());
    for (slot, new) in slots(placement) {
        let turn = turn(bank, placement, slot, new);
        let write = DebugWrite::Address(slot, new.map_or(0, |new| new.address()));
        // Neither can overflow: each slot adds one at most.
        let _ = match turn {
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
    let in_force = slots(placement).all(|(slot, new)| armed_alike(bank.control(), slot, new));
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
fn armed_alike(control: Dr7, slot: Slot, new: Option<Window>) -> bool {
    match new {
        Some(new) => {
            control.is_armed(slot)
                && control.length(slot) == new.length()
                && control.condition(slot) == new.condition()
        }
        None => !control.is_armed(slot),
    }
}
