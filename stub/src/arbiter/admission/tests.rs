//! The formula, context by context, also for scopes and tenures that cannot be claimed yet.

extern crate std;

use std::collections::BTreeSet;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::arbiter::{Owner, Region, Reservations, Switching, Widest};
use crate::cases::{cases, one_in};
use crate::dr::Condition;

const CPUS: usize = 2;
const TASKS: u32 = 3;
const EXTENT: Extent = Extent { cpus: CPUS, slots: MOST };

fn config(debugger: u8, system: u8, flexible: u8) -> Config {
    let reservations = Reservations::new(debugger, system, flexible).unwrap();
    Config { reservations, ..Config::DEFAULT }
}

pub fn any_config() -> impl Strategy<Value = Config> {
    // Made of all that add up to at most four, and not filtered: a run of 10^5 cases would
    // reject more than a property may.
    let all = (0..=4u8)
        .flat_map(|d| (0..=4 - d).flat_map(move |s| (0..=4 - d - s).map(move |f| (d, s, f))));
    let reservations = proptest::sample::select(all.collect::<Vec<_>>());
    (reservations, any::<bool>(), any::<bool>()).prop_map(|((d, s, f), wide, lazy)| Config {
        switching: if lazy { Switching::Lazy } else { Switching::Exact },
        widest: if wide { Widest::Eight } else { Widest::Four },
        ..config(d, s, f)
    })
}

fn any_request() -> impl Strategy<Value = Request> {
    let owner = prop_oneof![Just(Owner::Debugger), Just(Owner::System("guard"))];
    let scope = prop_oneof![
        Just(Scope::AllCpus),
        (0..CPUS as u16).prop_map(|cpu| Scope::Cpu(CpuId(cpu))),
        (0..TASKS).prop_map(|task| Scope::Task(TaskId(task))),
        (0..TASKS, 0..CPUS as u16)
            .prop_map(|(task, cpu)| Scope::TaskOnCpu(TaskId(task), CpuId(cpu))),
    ];
    let tenure = prop_oneof![4 => Just(Tenure::Pinned), 1 => Just(Tenure::Flexible)];
    let condition = prop_oneof![Just(Condition::Write), Just(Condition::ReadWrite)];
    // Mostly one window, and the same ones again and again.
    let region = prop_oneof![4 => (0..4usize, Just(8usize)), 1 => (0..3usize, 5..20usize)];
    (owner, scope, tenure, condition, region).prop_map(
        |(owner, scope, tenure, condition, (place, length))| {
            let region = Region::new(place * 8, length).unwrap();
            Request { tenure, ..Request::pinned(owner, region, condition).on(scope) }
        },
    )
}

/// The formula as DESIGN.md writes it, with sets, in one context.
fn holds(requests: &[Request], config: &Config, cpu: CpuId, task: Option<TaskId>) -> bool {
    let windows = |class: Class| -> BTreeSet<(usize, usize, u8)> {
        let pinned = requests.iter().filter(|request| {
            let applies = match request.scope {
                Scope::AllCpus => true,
                Scope::Cpu(on) => on == cpu,
                Scope::Task(of) => task == Some(of),
                Scope::TaskOnCpu(of, on) => task == Some(of) && on == cpu,
            };
            request.owner.class() == class && request.tenure == Tenure::Pinned && applies
        });
        pinned
            .flat_map(|request| request.region.windows(request.condition, config.widest))
            .map(|window| (window.address(), window.length().bytes(), window.condition() as u8))
            .collect()
    };
    let (debugger, system) = (windows(Class::Debugger), windows(Class::System));
    let reserved = |promised: u8, used: usize| {
        (isize::from(i8::try_from(promised).unwrap()) - used as isize).max(0)
    };
    let (r_d, r_s) = (config.reservations.debugger(), config.reservations.system());
    let unused = Ord::max(
        reserved(r_d, (&debugger - &system).len()) + reserved(r_s, system.len()),
        reserved(r_d, debugger.len()) + reserved(r_s, (&system - &debugger).len()),
    );
    let takes_turns = requests.iter().any(|request| {
        let here = match request.scope {
            Scope::AllCpus | Scope::Task(_) => true,
            Scope::Cpu(on) | Scope::TaskOnCpu(_, on) => on == cpu,
        };
        request.tenure == Tenure::Flexible && here
    });
    let flexible = if takes_turns { usize::from(config.reservations.flexible()) } else { 0 };
    (&debugger | &system).len() + usize::try_from(unused).unwrap() + flexible <= 4
}

/// The formula in every context: what the arbiter is measured against.
pub fn holds_everywhere(requests: &[Request], config: &Config) -> bool {
    // A task that nobody names is no task in particular.
    let is_named =
        |task: &TaskId| requests.iter().any(|request| request.scope.task() == Some(*task));
    let tasks: Vec<_> = (0..TASKS).map(TaskId).filter(is_named).map(Some).chain([None]).collect();
    (0..CPUS as u16).all(|cpu| tasks.iter().all(|task| holds(requests, config, CpuId(cpu), *task)))
}

proptest! {
    #![proptest_config(cases(3000))]

    /// No false reject, no false accept, whatever the scopes.
    #[test]
    fn formula(requests in proptest::collection::vec(any_request(), 0..7), config in any_config()) {
        let misfit = first_misfit(requests.iter(), EXTENT, &config);
        prop_assert_eq!(misfit.is_none(), holds_everywhere(&requests, &config));
        if let Some(context) = misfit {
            prop_assert!(!holds(&requests, &config, context.cpu, context.task));
        }
    }

    /// What is said to be available is what trying would get (promise 1).
    #[test]
    fn room_is_what_would_be_admitted(
        all in proptest::collection::vec(any_request(), 0..7),
        config in any_config(),
        next in any_request(),
    ) {
        let mut requests = Vec::new();
        // Those that fit together.
        for request in all {
            requests.push(request);
            if !holds_everywhere(&requests, &config) {
                requests.pop();
            }
        }
        let (class, scope) = (next.owner.class(), next.scope);
        let room = room(requests.iter(), EXTENT, &config, class, scope, Tenure::Pinned);
        let mut admitted = 0;
        loop {
            let region = Region::new(0x1000 + admitted * 8, 4).unwrap();
            requests.push(Request { tenure: Tenure::Pinned, region, ..next });
            if !holds_everywhere(&requests, &config) {
                break;
            }
            admitted += 1;
        }
        prop_assert_eq!(room.available, admitted);
    }
}

/// A window that both sides use stands for one side's reservation only: with one slot
/// reserved for each, a third party of the system would take what the debugger has left
/// if the system let go of its share.
#[test]
fn shared_window_counts_once() {
    let config = config(1, 1, 0);
    let shared = Tally { both: 1, ..Tally::default() };
    assert_eq!(shared.demand(&config, Flexible::Absent), 2);
    let full = Tally { both: 1, system_only: 3, ..Tally::default() };
    assert!(!full.fits(MOST, &config, Flexible::Absent));
    let fits = Tally { both: 1, system_only: 2, ..Tally::default() };
    assert!(fits.fits(MOST, &config, Flexible::Absent));
}

/// All tallies and all reservations: taking a window away, or one side's part in it, never
/// makes misfits of what fitted. So no release breaks a reservation.
#[test]
fn releases_never_hurt() {
    for (d, s, f) in tallies().filter(|(d, s, f)| d + s + f <= 4) {
        let config = config(d as u8, s as u8, f as u8);
        assert!(Tally::default().fits(MOST, &config, Flexible::Live));
        for (debugger_only, system_only, both) in tallies().step_by(one_in(7)) {
            let tally = Tally { debugger_only, system_only, both };
            for flexible in [Flexible::Live, Flexible::Absent] {
                if !tally.fits(MOST, &config, flexible) {
                    continue;
                }
                assert!(tally.fits(MOST, &config, Flexible::Absent));
                let mut less = Vec::new();
                if debugger_only > 0 {
                    less.push(Tally { debugger_only: debugger_only - 1, ..tally });
                }
                if system_only > 0 {
                    less.push(Tally { system_only: system_only - 1, ..tally });
                }
                if both > 0 {
                    less.push(Tally { both: both - 1, debugger_only: debugger_only + 1, ..tally });
                    less.push(Tally { both: both - 1, system_only: system_only + 1, ..tally });
                }
                for less in less {
                    assert!(less.fits(MOST, &config, flexible), "{less:?} after {tally:?}");
                }
            }
        }
    }
}

/// The formula is neither too strict nor too lax: for all tallies and all reservations it
/// says what the reservations mean. Whoever releases whatever, in each state that can come
/// of it both sides can have what they were promised, at the same time.
#[test]
fn formula_is_what_reservations_mean() {
    let up_to = |count: usize| 0..=count;
    for reserved_debugger in 0..=4usize {
        for reserved_system in 0..=4 - reserved_debugger {
            let config = config(reserved_debugger as u8, reserved_system as u8, 0);
            let promise_holds = |debugger_only: usize, system_only: usize, both: usize| {
                let debugger_lacks = reserved_debugger.saturating_sub(debugger_only + both);
                let system_lacks = reserved_system.saturating_sub(system_only + both);
                debugger_only + system_only + both + debugger_lacks + system_lacks <= 4
            };
            for (debugger_only, system_only, both) in tallies().step_by(one_in(7)) {
                // Of the shared windows some lose one user, some the other, some both.
                let safe = up_to(debugger_only).all(|d| {
                    up_to(system_only).all(|s| {
                        up_to(both).all(|kept| {
                            up_to(both - kept).all(|to_debugger| {
                                up_to(both - kept - to_debugger).all(|to_system| {
                                    promise_holds(d + to_debugger, s + to_system, kept)
                                })
                            })
                        })
                    })
                });
                let tally = Tally { debugger_only, system_only, both };
                assert_eq!(
                    tally.fits(MOST, &config, Flexible::Absent),
                    safe,
                    "{tally:?} {config:?}"
                );
            }
        }
    }
}

fn tallies() -> impl Iterator<Item = (usize, usize, usize)> {
    (0..5).flat_map(|a| (0..5).flat_map(move |b| (0..5).map(move |c| (a, b, c))))
}
