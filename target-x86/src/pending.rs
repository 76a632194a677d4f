//! What arrived when it could not be handled, kept until it can.
//!
//! An exception may interrupt code that is working on the arbiter: `claim` called by the
//! firmware, or the stub itself. It cannot wait for that code, which runs below it, so it
//! leaves a note here, without a lock, and returns. Who has done its work looks.
//!
//! Notes are written with interrupts off on the one CPU that they are about, or by the leader
//! while that CPU waits. An NMI writes nothing but its own flag, so that it may come between two
//! writes of another note. One that comes in the entry is marked there, and served on its way out.

use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};

use tetrarch::dr::Dr7;

use crate::notes::Notes;

/// Why the library itself executes an INT3: what it wants of the handler.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Request {
    /// Polling has found that a client wants something; the session knows what.
    Attend,
    /// The firmware panicked; the message is kept.
    Panic,
    /// The work is done, and there are notes.
    Deliver,
    /// End the session, release everything.
    HandOff,
    /// Somebody else leads: wait until that is over.
    Wait,
}

impl Request {
    const ALL: [Self; 5] = [Self::Attend, Self::Panic, Self::Deliver, Self::HandOff, Self::Wait];
}

/// The notes of one CPU.
pub(crate) struct Pending {
    /// Debug exceptions.
    pub debug: Notes,
    /// The DR7 that was taken away from an exception on its way in, or 0.
    control: AtomicU32,
    nmi: AtomicBool,
    serial: AtomicBool,
    /// Position in [`Request::ALL`] plus one, or 0.
    request: AtomicU8,
}

impl Pending {
    /// No notes.
    pub const fn new() -> Self {
        Self {
            debug: Notes::new(),
            control: AtomicU32::new(0),
            nmi: AtomicBool::new(false),
            serial: AtomicBool::new(false),
            request: AtomicU8::new(0),
        }
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
        self.nmi.swap(false, Ordering::Relaxed)
    }

    /// Whether an NMI is noted.
    pub fn has_nmi(&self) -> bool {
        self.nmi.load(Ordering::Relaxed)
    }

    /// Forgets everything: the CPU was reset.
    pub fn forget(&self) {
        self.debug.take();
        self.take_nmi();
        self.take_serial();
        self.take_control();
        self.take_request();
    }

    /// Whether anything is noted.
    pub fn has_notes(&self) -> bool {
        self.has_nmi() || self.serial.load(Ordering::Relaxed) || !self.debug.is_empty()
    }

    /// Notes that the serial port has something.
    pub fn note_serial(&self) {
        self.serial.store(true, Ordering::Relaxed);
    }

    /// Takes that note.
    pub fn take_serial(&self) -> bool {
        self.serial.swap(false, Ordering::Relaxed)
    }

    /// Says what the INT3 that follows is for.
    pub fn request(&self, request: Request) {
        self.request.store(request as u8 + 1, Ordering::Relaxed);
    }

    /// What the INT3 is for that the library is about to execute, or has executed.
    pub fn requested(&self) -> Option<Request> {
        let number = self.request.load(Ordering::Relaxed);
        Request::ALL.get(usize::from(number).checked_sub(1)?).copied()
    }

    /// Whether an INT3 of the library's own is about to be executed.
    pub fn is_requested(&self) -> bool {
        self.requested().is_some()
    }

    /// What the INT3 that brought us here is for; `None` if it is not the library's own.
    pub fn take_request(&self) -> Option<Request> {
        let number = self.request.swap(0, Ordering::Relaxed);
        Request::ALL.get(usize::from(number).checked_sub(1)?).copied()
    }
}

#[cfg(test)]
mod tests {
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
