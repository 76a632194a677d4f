//! What arrived when it could not be handled, kept until it can.
//!
//! An exception may interrupt code that is working on the arbiter: `claim` called by the
//! firmware, or the stub itself. It cannot wait for that code, which runs below it, so it
//! leaves a note here, without a lock, and returns. Whoever gives the lock back looks.
//!
//! Notes are written with interrupts off on the one CPU that they are about. An NMI writes
//! nothing but its own flag, so that it may come between two writes of another note. One that
//! comes in the entry is noted there, in [`NMI_NOTED`], and counts here.

use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicUsize, Ordering};

use tetrarch::dr::{Dr6, Dr7, Slot};
use tetrarch::session::Cause;

use crate::area::NMI_NOTED;
use crate::debug_regs;

/// Why the library itself executes an INT3: what it wants of the handler.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Request {
    /// Polling has found that a client wants something; the session knows what.
    Attend,
    /// The firmware panicked; the message is kept.
    Panic,
    /// The lock is free again, and there are notes.
    Deliver,
    /// End the session, release everything.
    HandOff,
}

impl Request {
    const ALL: [Self; 4] = [Self::Attend, Self::Panic, Self::Deliver, Self::HandOff];
}

/// A #DB that has been noted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Hit {
    /// DR6, of all that were noted.
    pub status: Dr6,
    /// The DR7 that was live.
    pub live: Dr7,
}

impl Hit {
    /// None, and no step: the session goes on with what it was doing.
    pub const NONE: Self = Self { status: Dr6::RESET, live: Dr7::OFF };

    /// How the session is told.
    pub fn cause(self) -> Cause<'static> {
        let Self { status, live } = self;
        Cause::Debug { status, live }
    }

    /// This one and a later one, each status judged by the DR7 that was live for it.
    pub fn and(self, later: Self) -> Self {
        let live = Slot::ALL.into_iter().fold(self.live, |live, slot| {
            if live.is_armed(slot) || !later.live.is_armed(slot) {
                live
            } else {
                live.arm(slot, later.live.condition(slot), later.live.length(slot))
            }
        });
        Self { status: self.believed().union(later.believed()), live }
    }

    /// The status without the slots that were off, for which it says nothing.
    fn believed(self) -> Dr6 {
        let off = Slot::ALL.into_iter().filter(|slot| !self.live.is_armed(*slot));
        Dr6::from_bits(off.fold(self.status.bits(), |bits, slot| bits & !(1 << slot.index())))
    }
}

/// The notes of one CPU.
pub(crate) struct Pending {
    status: AtomicU32,
    live: AtomicU32,
    addresses: [AtomicUsize; 4],
    /// The DR7 that was taken away from an exception on its way in, or 0.
    control: AtomicU32,
    nmi: AtomicBool,
    /// Position in [`Request::ALL`] plus one, or 0.
    request: AtomicU8,
}

impl Pending {
    /// No notes.
    pub const fn new() -> Self {
        Self {
            status: AtomicU32::new(Dr6::RESET.bits()),
            live: AtomicU32::new(Dr7::OFF.bits()),
            addresses: [const { AtomicUsize::new(0) }; 4],
            control: AtomicU32::new(0),
            nmi: AtomicBool::new(false),
            request: AtomicU8::new(0),
        }
    }

    /// Notes a #DB, with the addresses that the slots hold now: the interrupted code may be
    /// about to change them.
    pub fn note_hit(&self, hit: Hit) {
        let hit = self.take_hit().map_or(hit, |noted| noted.and(hit));
        self.status.store(hit.status.bits(), Ordering::Relaxed);
        self.live.store(hit.live.bits(), Ordering::Relaxed);
        for (note, address) in self.addresses.iter().zip(debug_regs::addresses()) {
            note.store(address, Ordering::Relaxed);
        }
    }

    /// Takes the noted #DB. A slot that holds another address by now is left out: the claim
    /// that it stood for was being released when it hit.
    pub fn take_hit(&self) -> Option<Hit> {
        let status = self.status.swap(Dr6::RESET.bits(), Ordering::Relaxed);
        if status == Dr6::RESET.bits() {
            return None;
        }
        let live = Dr7::from_bits(self.live.load(Ordering::Relaxed));
        let now = debug_regs::addresses();
        let then = self.addresses.iter().map(|address| address.load(Ordering::Relaxed));
        let live =
            Slot::ALL.into_iter().zip(then.zip(now)).fold(live, |live, (slot, (then, now))| {
                if then == now { live } else { live.disarm(slot) }
            });
        Some(Hit { status: Dr6::from_bits(status), live })
    }

    /// Notes what DR7 held before it was turned off under an exception on its way in, which
    /// will find it off and has to put this back.
    pub fn note_control(&self, live: Dr7) {
        self.control.store(live.bits(), Ordering::Relaxed);
    }

    /// Takes the noted DR7.
    pub fn take_control(&self) -> Option<Dr7> {
        let bits = self.control.swap(0, Ordering::Relaxed);
        (bits != 0).then(|| Dr7::from_bits(bits))
    }

    /// Notes an NMI.
    pub fn note_nmi(&self) {
        self.nmi.store(true, Ordering::Relaxed);
    }

    /// Takes the noted NMI; several count as one, as they do in the processor.
    pub fn take_nmi(&self) -> bool {
        self.nmi.swap(false, Ordering::Relaxed) | NMI_NOTED.swap(false, Ordering::Relaxed)
    }

    /// Whether an NMI is noted.
    pub fn has_nmi(&self) -> bool {
        self.nmi.load(Ordering::Relaxed) || NMI_NOTED.load(Ordering::Relaxed)
    }

    /// Whether [`take_hit`](Self::take_hit) or [`take_nmi`](Self::take_nmi) has something.
    pub fn has_notes(&self) -> bool {
        self.has_nmi() || self.status.load(Ordering::Relaxed) != Dr6::RESET.bits()
    }

    /// Says what the INT3 that follows is for.
    pub fn request(&self, request: Request) {
        self.request.store(request as u8 + 1, Ordering::Relaxed);
    }

    /// Whether an INT3 of the library's own is about to be executed.
    pub fn is_requested(&self) -> bool {
        self.request.load(Ordering::Relaxed) != 0
    }

    /// What the INT3 that brought us here is for; `None` if it is not the library's own.
    pub fn take_request(&self) -> Option<Request> {
        let number = self.request.swap(0, Ordering::Relaxed);
        Request::ALL.get(usize::from(number).checked_sub(1)?).copied()
    }
}

#[cfg(test)]
mod tests {
    use tetrarch::arbiter::Condition;
    use tetrarch::dr::Length;

    use super::*;

    #[test]
    fn a_request_is_taken_once() {
        let pending = Pending::new();
        for request in Request::ALL {
            pending.request(request);
            assert_eq!(pending.take_request(), Some(request));
            assert_eq!(pending.take_request(), None);
        }
    }

    #[test]
    fn each_status_is_judged_by_its_own_control() {
        let status = |bits| Dr6::from_bits(Dr6::RESET.bits() | bits);
        let armed = |slot, condition| Dr7::OFF.arm(slot, condition, Length::One);
        let first = armed(Slot::One, Condition::Write);
        let second = armed(Slot::Zero, Condition::Execute);
        let noted = Hit { status: status(0b0011), live: first };
        let later = Hit { status: status(1 << 14 | 0b0111), live: second };
        let both = first.arm(Slot::Zero, Condition::Execute, Length::One);
        assert_eq!(noted.and(later), Hit { status: status(1 << 14 | 0b0011), live: both });
        assert_eq!(Hit::NONE.and(noted), Hit { status: status(0b0010), live: first });
        assert_eq!(noted.and(Hit { live: Dr7::OFF, ..later }).live, first);
    }

    #[test]
    fn a_control_is_taken_once() {
        let pending = Pending::new();
        assert_eq!(pending.take_control(), None);
        pending.note_control(Dr7::OFF);
        assert_eq!(pending.take_control(), Some(Dr7::OFF));
        assert_eq!(pending.take_control(), None);
    }

    #[test]
    fn an_nmi_is_taken_once() {
        let pending = Pending::new();
        assert!(!pending.has_notes());
        pending.note_nmi();
        pending.note_nmi();
        assert!(pending.has_notes());
        assert!(pending.take_nmi());
        assert!(!pending.take_nmi());
    }
}
