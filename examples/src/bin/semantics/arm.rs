//! Runs a few instructions with debug registers armed, and gives what was recorded.

use tetrarch::dr::{Condition, Dr7, Length, Slot};

use crate::event::Events;
use crate::recorder::{self, Reaction};
use crate::registers;

/// What a slot is told. Unlike a `Window` it may be misaligned.
pub type Told = (usize, Length, Condition);

/// One byte that is written.
pub const fn write(address: usize) -> Told {
    (address, Length::One, Condition::Write)
}

/// An instruction.
pub const fn execute(address: usize) -> Told {
    (address, Length::One, Condition::Execute)
}

/// Runs `act` while the slots from 0 on are armed with what is `told`.
pub fn with<T>(told: &[Told], act: impl FnOnce() -> T) -> (Events, T) {
    reacting(Reaction::PLAIN, told, act)
}

/// The same with a recorder that does something special.
pub fn reacting<T>(reaction: Reaction, told: &[Told], act: impl FnOnce() -> T) -> (Events, T) {
    controlled(reaction, told, control(told), act)
}

/// The same with any DR7.
pub fn controlled<T>(
    reaction: Reaction,
    told: &[Told],
    control: Dr7,
    act: impl FnOnce() -> T,
) -> (Events, T) {
    for (slot, (address, _, _)) in Slot::ALL.into_iter().zip(told) {
        registers::write_address(slot, *address);
    }
    registers::reset_status();
    recorder::begin(reaction);
    registers::write_control(control);
    let value = act();
    registers::write_control(Dr7::OFF);
    (recorder::end(), value)
}

/// The DR7 for this.
pub fn control(told: &[Told]) -> Dr7 {
    Slot::ALL.into_iter().zip(told).fold(Dr7::OFF, |control, (slot, (_, length, condition))| {
        control.arm(slot, *condition, *length)
    })
}
