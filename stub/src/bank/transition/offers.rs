//! What each window would cost in each slot, and which writes an assignment takes.

use heapless::Vec;

use super::DebugWrite;
use crate::bank::Bank;
use crate::dr::{Dr7, Slot, Window};

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
pub(super) struct Offers {
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
    pub(super) fn new(bank: &Bank, wanted: &[Window], usable: usize) -> Self {
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
    pub(super) fn floor(&self) -> usize {
        self.fresh + self.controls
    }

    /// The offers that this assignment takes, one for each window; `None` for one that may not
    /// go there.
    fn taken(&self, order: [usize; 4]) -> impl Iterator<Item = Option<Offer>> {
        let rows = self.offers.iter().zip(order).take(self.count);
        rows.map(|(row, slot)| *row.get(slot)?)
    }

    /// How many writes this assignment takes, if it is one.
    pub(super) fn count_writes(&self, order: [usize; 4]) -> Option<usize> {
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
    pub(super) fn writes(
        &self,
        bank: &Bank,
        wanted: &[Window],
        order: [usize; 4],
    ) -> Vec<DebugWrite, 6> {
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
