//! Hits that wait to be told, because a stop reply has room for one.
//!
//! They are told when the client has the target go on from the place where they came, before it
//! really does. One that has moved the program counter waits for something else, the end of a
//! function that it calls, for instance; it is told when it has put it back, and at no other
//! place. Once the target has come by that place of its own accord, or the same claim has been hit
//! again, wherever that was, what waited is out of date.

use heapless::Vec;

use crate::arbiter::{Arbiter, Handle};
use crate::watch::{self, Access, Kind, Report, WatchBook};

/// Hits that wait to be told: one of each claim that the client has asked for, if it comes to that.
pub(super) struct Untold(Vec<Waiting, { watch::CAPACITY }>);

struct Waiting {
    /// The program counter when it came.
    place: usize,
    report: Report,
}

impl Untold {
    pub const fn new() -> Self {
        Untold(Vec::new())
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// The target has stopped here.
    pub fn come_to(&mut self, place: usize) {
        self.0.retain(|waiting| waiting.place != place);
    }

    /// These claims have been hit again.
    pub fn forget(&mut self, is_hit: impl Fn(Handle) -> bool) {
        self.0.retain(|waiting| !is_hit(waiting.report.handle));
    }

    /// These came here, of claims of which none waits.
    pub fn wait(&mut self, place: usize, reports: impl Iterator<Item = Report>) {
        for report in reports {
            if self.0.is_full() {
                // Of a claim that was released since: there are no more at a time.
                self.0.remove(0);
            }
            // There is room now.
            let _ = self.0.push(Waiting { place, report });
        }
    }

    /// The next to be told before the target goes on from here, if the client still wants to know.
    pub fn next<const CLAIMS: usize, const CPUS: usize, const TASKS: usize>(
        &mut self,
        place: usize,
        arbiter: &Arbiter<CLAIMS, CPUS, TASKS>,
        watches: &WatchBook,
    ) -> Option<Report> {
        self.0.retain(|waiting| {
            let Waiting { report: Report { handle, .. }, .. } = waiting;
            let live = arbiter.get(*handle).is_some_and(|claim| !claim.is_held());
            waiting.place != place || live && watches.is_wanted(*handle)
        });
        let told = self.0.iter().find(|waiting| waiting.place == place)?.report;
        self.0.retain(|waiting| {
            waiting.place != place
                || waiting.report.handle != told.handle && !covers(arbiter, &told, &waiting.report)
        });
        Some(told)
    }
}

/// Whether the client hears of one hit with another that it is told. gdb looks at every watchpoint
/// whose region the address lies in; the reply for a breakpoint has no address. But of a read
/// watchpoint whose bytes have changed it says nothing, so a write does not tell of a read.
pub(super) fn covers<const CLAIMS: usize, const CPUS: usize, const TASKS: usize>(
    arbiter: &Arbiter<CLAIMS, CPUS, TASKS>,
    told: &Report,
    other: &Report,
) -> bool {
    let has_address = told.kind != Kind::Execute;
    let hides_it = other.kind == Kind::Read && told.access == Access::Changed;
    let claim = arbiter.get(other.handle).filter(|_| has_address && !hides_it);
    claim.is_some_and(|claim| claim.request().region.contains(told.address))
}
