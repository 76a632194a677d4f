//! Hits that wait to be told, because a stop reply has room for one.
//!
//! They are told when the client has the target go on from the place where they came, before it
//! really does. One that has moved the program counter waits for something else, the end of a
//! function that it calls, for instance; it is told when it has put it back, and at no other
//! place. Once the target has come by that place of its own accord, what waited is out of date.

use heapless::Deque;

use crate::arbiter::Arbiter;
use crate::watch::{self, Kind, Report, WatchBook};

/// Hits that wait to be told, of all that the client asked for, if it comes to that.
pub(super) struct Untold {
    /// The program counter when they came.
    place: usize,
    reports: Deque<Report, { watch::CAPACITY }>,
}

impl Untold {
    pub const fn new() -> Self {
        Untold { place: 0, reports: Deque::new() }
    }

    pub fn clear(&mut self) {
        self.reports.clear();
    }

    /// The target has stopped here.
    pub fn come_to(&mut self, place: usize) {
        if place == self.place {
            self.clear();
        }
    }

    /// These came here, instead of what has waited elsewhere; if there are none, that waits on.
    pub fn wait(&mut self, place: usize, reports: impl Iterator<Item = Report>) {
        let mut reports = reports.peekable();
        if reports.peek().is_none() {
            return;
        }
        self.clear();
        self.place = place;
        for report in reports {
            let pushed = self.reports.push_back(report);
            debug_assert!(pushed.is_ok(), "more claims than the client can ask for");
        }
    }

    /// The next to be told before the target goes on from here, if the client still wants to know.
    pub fn next<const CLAIMS: usize, const CPUS: usize, const TASKS: usize>(
        &mut self,
        place: usize,
        arbiter: &Arbiter<CLAIMS, CPUS, TASKS>,
        watches: &WatchBook,
    ) -> Option<Report> {
        if place != self.place {
            return None;
        }
        while let Some(report) = self.reports.pop_front() {
            let live = arbiter.get(report.handle).is_some_and(|claim| !claim.is_held());
            if live && watches.is_wanted(report.handle) {
                self.reports.retain(|other| !covers(arbiter, &report, other));
                return Some(report);
            }
        }
        None
    }
}

/// Whether the client hears of one hit with another that it is told. gdb looks at every watchpoint
/// whose region the address lies in; the reply for a breakpoint has no address.
pub(super) fn covers<const CLAIMS: usize, const CPUS: usize, const TASKS: usize>(
    arbiter: &Arbiter<CLAIMS, CPUS, TASKS>,
    told: &Report,
    other: &Report,
) -> bool {
    let claim = arbiter.get(other.handle).filter(|_| told.kind != Kind::Execute);
    claim.is_some_and(|claim| claim.request().region.contains(told.address))
}
