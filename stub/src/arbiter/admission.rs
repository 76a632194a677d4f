//! The decision to accept or refuse: a pure function of the requests that are live.
//!
//! A *context* is a CPU together with the task it runs. In each, let P be the set of
//! distinct windows that pinned requests need, D and S the subsets that the debugger and
//! the system need (one window may be in both), r_D, r_S the reservations, and r_F what is
//! kept for flexible claims where one is live. The requests fit if and only if, in every
//! context,
//!
//! ```text
//! |P| + max( max(0, r_D − |D∖S|) + max(0, r_S − |S|),
//!            max(0, r_D − |D|)   + max(0, r_S − |S∖D|) ) + r_F  ≤  4
//! ```
//!
//! Why: what is in use, and what is promised but not used yet, must fit together. A window
//! that both need occupies one slot, so it can stand for only one side's reservation:
//! counted for both, the promise to the one would rest on what the other may release. The
//! two lines of the maximum are the two sides it may stand for (the first counts it for
//! the system, the second for the debugger), and because nobody knows who releases first,
//! the worse of them must fit. Taking requests away never increases the sum, so no release
//! breaks a promise; that is also why history does not matter.
//!
//! Held requests of the debugger (promise 5) are handed in like live ones; the caller
//! leaves out those that a new request of the debugger may displace.

use heapless::Vec;

use super::claim::{Class, CpuId, Request, Scope, TaskId, Tenure};
use super::config::Config;
use crate::dr::Window;

#[cfg(test)]
pub(super) mod tests;

/// More slots no CPU has.
const MOST: usize = 4;

/// What there is to give away: CPUs, and slots on each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Extent {
    pub cpus: usize,
    /// At most four.
    pub slots: usize,
}

/// A CPU and the task it runs, if it runs one that is named by a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Context {
    pub cpu: CpuId,
    pub task: Option<TaskId>,
}

/// How many distinct windows are needed, and by whom.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Tally {
    pub debugger_only: usize,
    pub system_only: usize,
    pub both: usize,
}

/// Whether flexible claims are live in a context, so that r_F counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Flexible {
    Live,
    Absent,
}

impl Tally {
    /// The left side of the formula.
    fn demand(&self, config: &Config, flexible: Flexible) -> usize {
        let reserved_debugger = usize::from(config.reservations.debugger());
        let reserved_system = usize::from(config.reservations.system());
        let all = self.debugger_only + self.system_only + self.both;
        let shared_is_systems = reserved_debugger.saturating_sub(self.debugger_only)
            + reserved_system.saturating_sub(self.system_only + self.both);
        let shared_is_debuggers = reserved_debugger.saturating_sub(self.debugger_only + self.both)
            + reserved_system.saturating_sub(self.system_only);
        let reserved_flexible = match flexible {
            Flexible::Live => usize::from(config.reservations.flexible()),
            Flexible::Absent => 0,
        };
        all + shared_is_systems.max(shared_is_debuggers) + reserved_flexible
    }

    /// Whether the formula holds.
    pub(super) fn fits(&self, slots: usize, config: &Config, flexible: Flexible) -> bool {
        self.demand(config, flexible) <= slots
    }

    /// The same with so many more windows that nobody else needs.
    fn with_fresh(self, class: Class, count: usize) -> Tally {
        match class {
            Class::Debugger => Tally { debugger_only: self.debugger_only + count, ..self },
            Class::System => Tally { system_only: self.system_only + count, ..self },
        }
    }
}

/// Who needs a window.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Users {
    One(Class),
    Both,
}

/// Counts the distinct windows of pinned requests in a context; `None` if there are more
/// than could ever fit, however long the regions are.
fn tally<'a>(
    requests: impl Iterator<Item = &'a Request>,
    context: Context,
    config: &Config,
) -> Option<Tally> {
    let mut windows: Vec<(Window, Users), MOST> = Vec::new();
    for request in requests {
        if request.tenure != Tenure::Pinned || !request.scope.applies(context.cpu, context.task) {
            continue;
        }
        let class = request.owner.class();
        for window in request.region.windows(request.condition, config.widest) {
            match windows.iter_mut().find(|(known, _)| *known == window) {
                Some((_, users)) => {
                    if *users == Users::One(class.other()) {
                        *users = Users::Both;
                    }
                }
                None => windows.push((window, Users::One(class))).ok()?,
            }
        }
    }
    let count = |users| windows.iter().filter(|(_, by)| *by == users).count();
    Some(Tally {
        debugger_only: count(Users::One(Class::Debugger)),
        system_only: count(Users::One(Class::System)),
        both: count(Users::Both),
    })
}

/// r_F counts on a CPU where any flexible claim is live, whatever its task.
fn flexible<'a>(mut requests: impl Iterator<Item = &'a Request>, cpu: CpuId) -> Flexible {
    let live = requests.any(|request| {
        request.tenure == Tenure::Flexible && request.scope.cpu().is_none_or(|on| on == cpu)
    });
    if live { Flexible::Live } else { Flexible::Absent }
}

/// Every context that the requests can tell apart: each CPU with no task in particular,
/// and with each task that a request names.
fn contexts<'a>(
    requests: impl Iterator<Item = &'a Request> + Clone,
    cpus: usize,
) -> impl Iterator<Item = Context> {
    let tasks =
        core::iter::once(None).chain(requests.filter_map(|request| request.scope.task()).map(Some));
    (0..cpus)
        .filter_map(|index| u16::try_from(index).ok())
        .flat_map(move |index| tasks.clone().map(move |task| Context { cpu: CpuId(index), task }))
}

/// The first context, if any, in which the requests do not fit.
pub(super) fn first_misfit<'a>(
    requests: impl Iterator<Item = &'a Request> + Clone,
    extent: Extent,
    config: &Config,
) -> Option<Context> {
    contexts(requests.clone(), extent.cpus).find(|context| {
        let flexible = flexible(requests.clone(), context.cpu);
        !tally(requests.clone(), *context, config)
            .is_some_and(|tally| tally.fits(extent.slots, config, flexible))
    })
}

/// What one side could still get.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Room {
    /// How many one-window claims would still be admitted.
    pub available: usize,
    /// How many more slots are unused in the context that has least room.
    pub kept: usize,
    /// That context.
    pub context: Context,
}

/// How many claims of one new window each `class` could still make in `scope`, given that
/// the requests fit. For a flexible claim, how many slots are there to be kept for it.
pub(super) fn room<'a>(
    requests: impl Iterator<Item = &'a Request> + Clone,
    extent: Extent,
    config: &Config,
    class: Class,
    scope: Scope,
    tenure: Tenure,
) -> Room {
    let mut least: Option<Room> = None;
    for context in contexts(requests.clone(), extent.cpus) {
        let Some(context) = reached(context, scope, tenure) else { continue };
        let flexible = flexible(requests.clone(), context.cpu);
        let tally = tally(requests.clone(), context, config).unwrap_or_default();
        let available = match tenure {
            Tenure::Pinned => (1..=extent.slots)
                .take_while(|count| {
                    tally.with_fresh(class, *count).fits(extent.slots, config, flexible)
                })
                .count(),
            Tenure::Flexible => extent.slots.saturating_sub(tally.demand(config, Flexible::Absent)),
        };
        let used = tally.debugger_only + tally.system_only + tally.both;
        if least.is_none_or(|least| available < least.available) {
            let kept = extent.slots.saturating_sub(used + available);
            least = Some(Room { available, kept, context });
        }
    }
    let nowhere = Context { cpu: CpuId(0), task: None };
    least.unwrap_or(Room { available: 0, kept: 0, context: nowhere })
}

/// The context as a claim of this scope finds it, if it counts there at all.
fn reached(context: Context, scope: Scope, tenure: Tenure) -> Option<Context> {
    match tenure {
        Tenure::Pinned => {
            // A scope that follows a task reaches contexts of that task, which may be new.
            let context = Context { task: scope.task().or(context.task), ..context };
            scope.applies(context.cpu, context.task).then_some(context)
        }
        // What is kept for flexible claims is kept whatever the task.
        Tenure::Flexible => scope.cpu().is_none_or(|cpu| cpu == context.cpu).then_some(context),
    }
}
