//! Debug exceptions that came while their owners could not be told, kept until they can.
//!
//! What a note holds is all that is needed to find the owners afterwards, when the registers
//! may hold something else: DR6, the registers as they were, and the plan that was in force.
//! Between two writes of a context switch, for instance, a slot holds a window of the old task
//! or one of the new; the note has the plan of the old, and the arbiter that of the new.
//!
//! Written without a lock, with interrupts off, on the CPU that the notes are about, and by
//! nobody but the debug exception, in which there is no other.

use core::sync::atomic::{AtomicU8, AtomicU32, AtomicUsize, Ordering};

use heapless::Vec;
use tetrarch::arbiter::PlanId;
use tetrarch::bank::Bank;
use tetrarch::dr::{Dr6, Dr7};
use tetrarch::hit::DebugException;

/// So many exceptions have a note each, whatever they are.
const APART: usize = 8;
/// After that those share a note that found the same registers: a window that is hit again and
/// again then counts once. A switch makes six writes at the most: seven states of the registers
/// while the arbiter is busy, and an eighth, in which only the number of the plan is new. The last
/// of those above can be shared too, so no state is without a note.
const CAPACITY: usize = APART + 7;

/// Debug exceptions in the order in which they came: those that were put off, and one more.
pub(crate) type Exceptions = Vec<DebugException, { CAPACITY + 1 }>;

/// What happened in any of them.
pub(crate) fn status_of(exceptions: &[DebugException]) -> Dr6 {
    exceptions.iter().fold(Dr6::RESET, |status, exception| status.union(exception.status))
}

#[derive(Debug)]
struct Note {
    status: AtomicU32,
    control: AtomicU32,
    addresses: [AtomicUsize; 4],
    plan: AtomicU32,
    rip: AtomicUsize,
}

impl Note {
    const fn blank() -> Self {
        Self {
            status: AtomicU32::new(0),
            control: AtomicU32::new(0),
            addresses: [const { AtomicUsize::new(0) }; 4],
            plan: AtomicU32::new(0),
            rip: AtomicUsize::new(0),
        }
    }

    fn write(&self, exception: &DebugException) {
        let DebugException { status, live, plan, rip } = exception;
        self.status.store(status.bits(), Ordering::Relaxed);
        self.control.store(live.control().bits(), Ordering::Relaxed);
        for (place, address) in self.addresses.iter().zip(live.addresses()) {
            place.store(address, Ordering::Relaxed);
        }
        self.plan.store(plan.bits(), Ordering::Relaxed);
        self.rip.store(*rip, Ordering::Relaxed);
    }

    fn read(&self) -> DebugException {
        let mut addresses = [0; 4];
        for (address, place) in addresses.iter_mut().zip(&self.addresses) {
            *address = place.load(Ordering::Relaxed);
        }
        let control = Dr7::from_bits(self.control.load(Ordering::Relaxed));
        DebugException {
            status: Dr6::from_bits(self.status.load(Ordering::Relaxed)),
            live: Bank::new(addresses, control),
            plan: PlanId::from_bits(self.plan.load(Ordering::Relaxed)),
            rip: self.rip.load(Ordering::Relaxed),
        }
    }
}

/// The debug exceptions of one CPU that were put off.
#[derive(Debug)]
pub(crate) struct Notes {
    notes: [Note; CAPACITY],
    count: AtomicU8,
}

impl Notes {
    /// None.
    pub const fn new() -> Self {
        Self { notes: [const { Note::blank() }; CAPACITY], count: AtomicU8::new(0) }
    }

    /// Whether there is one.
    pub fn is_empty(&self) -> bool {
        self.count.load(Ordering::Relaxed) == 0
    }

    /// Puts a debug exception off.
    pub fn add(&self, exception: DebugException) {
        let count = usize::from(self.count.load(Ordering::Relaxed));
        let noted = self.notes.get(..count).unwrap_or(&self.notes);
        let alike = noted.iter().skip(APART - 1).find(|note| {
            let noted = note.read();
            (noted.live, noted.plan) == (exception.live, exception.plan)
        });
        match (alike, self.notes.get(count)) {
            (Some(note), _) => {
                let status = note.read().status.union(exception.status);
                note.write(&DebugException { status, ..exception });
            }
            (None, Some(note)) => {
                note.write(&exception);
                self.count.store(count as u8 + 1, Ordering::Relaxed);
            }
            // Never, by the number of states: the exception would be lost.
            (None, None) => debug_assert!(false, "more register states than writes"),
        }
    }

    /// Takes them all.
    pub fn take(&self) -> Exceptions {
        let count = usize::from(self.count.swap(0, Ordering::Relaxed));
        self.notes.iter().take(count).map(Note::read).collect()
    }
}

#[cfg(test)]
mod tests {
    use tetrarch::arbiter::Condition;
    use tetrarch::dr::{Length, Slot};

    use super::*;

    fn exception(hits: u32, address: usize, plan: u32) -> DebugException {
        let control = Dr7::OFF.arm(Slot::Zero, Condition::Write, Length::Four);
        DebugException {
            status: Dr6::from_bits(Dr6::RESET.bits() | hits),
            live: Bank::new([address, 0, 0, 0], control),
            plan: PlanId::from_bits(plan),
            rip: 0x1000,
        }
    }

    #[test]
    fn all_are_taken_once_in_their_order() {
        let notes = Notes::new();
        assert!(notes.is_empty());
        let all = [
            exception(0b0001, 0x10, 1),
            exception(0b0001, 0x20, 1),
            exception(0b0010, 0x10, 1),
            exception(0b0010, 0x10, 1),
        ];
        all.into_iter().for_each(|exception| notes.add(exception));
        assert!(!notes.is_empty());
        let taken = notes.take();
        assert_eq!(taken.as_slice(), all);
        assert_eq!(status_of(&taken).bits(), Dr6::RESET.bits() | 0b0011);
        assert!(notes.is_empty() && notes.take().is_empty());
    }

    #[test]
    fn there_is_room_for_all_states_of_a_switch_however_often_they_hit() {
        let notes = Notes::new();
        for address in [0; 100].into_iter().chain(1..=6).chain([0; 100]).chain(1..=6) {
            notes.add(exception(0b0001, address, 0));
        }
        let taken = notes.take();
        let addresses = taken.iter().map(|exception| exception.live.address(Slot::Zero));
        assert!(addresses.eq([0; 8].into_iter().chain(1..=6)));
    }
}
