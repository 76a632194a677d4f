//! What the registers of one CPU hold, as last written; read instead of the registers.
//!
//! A MOV to a debug register serialises, and under a hypervisor each access may be an exit.
//! So every write goes through here and is remembered, nothing is ever read back, and the
//! way to the next state is [planned](transition) before anything is written.

use crate::dr::{Dr7, Slot, Window};
use crate::machine::DebugRegisters;

#[cfg(test)]
pub(crate) mod tests;
mod transition;

pub use transition::{DebugWrite, Transition, transition};

/// What the registers of one CPU hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bank {
    addresses: [usize; 4],
    control: Dr7,
}

impl Bank {
    /// After reset, INIT, or sleep.
    pub const RESET: Bank = Bank { addresses: [0; 4], control: Dr7::OFF };

    /// As found in the registers.
    pub const fn new(addresses: [usize; 4], control: Dr7) -> Bank {
        Bank { addresses, control }
    }

    /// DR0–DR3.
    pub const fn address(&self, slot: Slot) -> usize {
        self.addresses[slot.index()]
    }

    /// DR0–DR3, in order.
    pub const fn addresses(&self) -> [usize; 4] {
        self.addresses
    }

    /// DR7.
    pub const fn control(&self) -> Dr7 {
        self.control
    }

    /// The same addresses with another DR7.
    pub const fn under(self, control: Dr7) -> Bank {
        Bank { control, ..self }
    }

    /// What `slot` watches, if it is on.
    pub const fn armed(&self, slot: Slot) -> Option<Window> {
        let control = self.control;
        if control.is_armed(slot) {
            Some(Window::covered(self.address(slot), control.length(slot), control.condition(slot)))
        } else {
            None
        }
    }

    /// Turns everything off, and returns what was on. The addresses stay.
    pub(crate) fn suspend(&mut self, registers: &mut impl DebugRegisters) -> Dr7 {
        let live = self.control;
        if live.any_armed() {
            self.write(DebugWrite::Control(Dr7::OFF), registers);
        }
        live
    }

    /// Carries a transition out, and keeps the record after each write.
    pub(crate) fn apply(&mut self, transition: &Transition, registers: &mut impl DebugRegisters) {
        for write in transition.writes() {
            self.write(*write, registers);
        }
    }

    fn write(&mut self, write: DebugWrite, registers: &mut impl DebugRegisters) {
        match write {
            DebugWrite::Address(slot, address) => {
                registers.write_address(slot, address);
                self.addresses[slot.index()] = address;
            }
            DebugWrite::Control(control) => {
                registers.write_control(control);
                self.control = control;
            }
        }
    }

    pub(crate) fn has_armed(&self, window: Window) -> bool {
        Slot::ALL.into_iter().any(|slot| self.armed(slot) == Some(window))
    }
}
