//! Random sequences against a list of claims that is judged anew each time.

extern crate std;

use std::vec::Vec;

use proptest::prelude::*;

use self::running::{Cpu, union, union_of_tasks};
use self::steps::{Part, Step, any_step};
use self::turns::Queue;
use super::{NoMemory, Registers, region, to};
use crate::arbiter::admission::tests::{any_config, holds_everywhere};
use crate::arbiter::*;
use crate::bank::Bank;
use crate::cases::cases;
use crate::dr::{Condition, Dr6, Dr7, Slot};
use crate::hit::DebugException;

mod changes;
mod judge;
mod reservations;
mod running;
mod steps;
mod switches;
mod turns;

const CLAIMS: usize = 8;
const CPUS: usize = 2;
const TASKS: usize = 2;
const CPU_IDS: [CpuId; CPUS] = [CpuId(0), CpuId(1)];
type TestArbiter = Arbiter<CLAIMS, CPUS, TASKS>;

/// What the model knows of a claim. Held ones carry the number of their release.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Known {
    handle: Handle,
    request: Request,
    held: Option<u32>,
    disabled: bool,
    hits: u64,
    /// Those of its pinned time.
    hits_before: u64,
}

impl Known {
    fn in_force(&self) -> bool {
        self.held.is_none() && !self.disabled
    }
}

struct Model {
    arbiter: TestArbiter,
    cpus: [Cpu; CPUS],
    known: Vec<Known>,
    /// Handles that were released.
    gone: Vec<Handle>,
    releases: u32,
    now: u64,
}

impl Model {
    fn new(config: Config) -> Model {
        let mut arbiter = TestArbiter::new(config);
        let idt =
            Protected { region: region(0x1000, 16), name: "idt", against: Against::Everything };
        arbiter.protect(idt).unwrap();
        for cpu in CPU_IDS {
            arbiter.accrue(cpu, 0);
        }
        Model {
            arbiter,
            cpus: Default::default(),
            known: Vec::new(),
            gone: Vec::new(),
            releases: 0,
            now: 0,
        }
    }

    fn step(&mut self, step: &Step) {
        // No two steps take the same time.
        self.now += 10 + self.now % 7;
        for cpu in CPU_IDS {
            // Switches and ticks count the time on their own.
            if !matches!(step, Step::Switch(own, ..) | Step::Tick(own) if *own == cpu) {
                self.arbiter.accrue(cpu, self.now);
            }
            self.pass(cpu, self.now);
        }
        let before = CPU_IDS.map(|cpu| self.wanted(cpu, self.cpus[cpu.index()].task));
        match step {
            Step::Claim(request) => self.claim(*request),
            Step::Modify(index, request, part) => self.modify(*index, request, *part),
            Step::Release(index) => self.release(*index),
            Step::Enable(index) => self.set_disabled(*index, false),
            Step::Disable(index) => self.set_disabled(*index, true),
            Step::Hold(index) => self.hold(*index),
            Step::EndDeferrals => {
                self.arbiter.end_deferrals();
                self.forget(|known| known.held.is_some());
            }
            Step::ReleaseClass(class) => {
                self.arbiter.release_class(*class);
                self.forget(|known| known.request.owner.class() == *class);
            }
            Step::EndTask(task) => {
                self.arbiter.end_task(*task);
                self.forget(|known| known.request.scope.task() == Some(*task));
            }
            Step::Run(cpu) => self.run(*cpu),
            Step::Switch(cpu, task, write) => self.switch(*cpu, *task, *write),
            Step::Tick(cpu) => self.tick_of(*cpu),
            Step::Hit(cpu) => self.hit(*cpu),
        }
        self.requeue();
        if !matches!(step, Step::Run(_) | Step::Switch(..) | Step::Tick(_) | Step::Hit(_)) {
            // What is not wanted any more must not be taken for what was left lazily.
            for (cpu, before) in CPU_IDS.into_iter().zip(before) {
                let wanted = self.wanted(cpu, self.cpus[cpu.index()].task);
                self.cpus[cpu.index()].strays &=
                    before.iter().all(|window| wanted.contains(window));
            }
        }
    }

    fn forget(&mut self, which: impl Fn(&Known) -> bool) {
        self.gone.extend(self.known.iter().filter(|known| which(known)).map(|known| known.handle));
        self.known.retain(|known| !which(known));
    }

    fn check(&self) {
        let mut claims: Vec<_> = self.arbiter.claims().collect();
        claims.retain(|(handle, claim)| {
            !self.known.iter().any(|known| {
                known.handle == *handle
                    && known.request == *claim.request()
                    && known.held.is_some() == claim.is_held()
                    && known.in_force() == claim.is_live()
                    && known.hits == claim.hits()
            })
        });
        assert!(claims.is_empty(), "{claims:?}, but {:?}", self.known);
        assert_eq!(self.arbiter.claims().count(), self.known.len());
        assert!(self.fits(&self.known, None), "more was admitted than fits");
        for handle in &self.gone {
            assert!(self.arbiter.get(*handle).is_none());
        }
        let mut tasks: Vec<_> = self.arbiter.tasks().map(|task| task.id).collect();
        tasks.sort_unstable();
        assert_eq!(tasks, union_of_tasks(&self.known));
        for cpu in CPU_IDS {
            let task = self.cpus[cpu.index()].task;
            assert_eq!(self.arbiter.running(cpu), task);
            let (is, must) = (self.arbiter.wanted(cpu), self.wanted(cpu, task));
            assert!(is.len() == must.len() && must.iter().all(|window| is.contains(window)));
        }
        self.check_counts();
    }

    /// Promise 8: the times of each that takes turns, over all CPUs.
    fn check_counts(&self) {
        for known in &self.known {
            let count = self.arbiter.count(known.handle);
            assert_eq!(count.is_some(), known.request.tenure == Tenure::Flexible);
            let Some(count) = count else { continue };
            let all = self.cpus.iter().flat_map(|cpu| &cpu.times);
            let own = all.filter(|(handle, _, _)| *handle == known.handle);
            let (enabled, running) =
                own.fold((0, 0), |sum, (_, enabled, running)| (sum.0 + enabled, sum.1 + running));
            assert_eq!((count.enabled, count.running), (enabled, running));
            assert_eq!(count.hits, known.hits - known.hits_before);
            assert!(count.running <= count.enabled);
            let scaled = (count.hits * enabled).checked_div(running);
            assert_eq!(count.scaled(), scaled, "undefined where it never ran");
        }
    }
}

proptest! {
    #![proptest_config(cases(200_000))]

    /// Promises 1 to 6 and 8 to 10, and the formula: no false reject, no false accept, no trace
    /// of a refusal, nothing evicted, releases deferred, turns in order, each switch exact,
    /// hits told to their owners, stale handles dead.
    #[test]
    fn arbiter_is_its_model(
        config in any_config(),
        steps in proptest::collection::vec(any_step(), 1..16),
    ) {
        let mut model = Model::new(config);
        for step in &steps {
            model.step(step);
            model.check();
        }
        reservations::check(&model.arbiter);
        for class in [Class::Debugger, Class::System] {
            let owner = match class {
                Class::Debugger => Owner::Debugger,
                Class::System => Owner::System("a"),
            };
            let firm = model.firm(class, None);
            let admitted = model.trial(owner, Scope::AllCpus, &firm);
            prop_assert_eq!(model.arbiter.available(class), admitted);
        }
        for handle in model.gone.clone() {
            let before = model.arbiter.clone();
            prop_assert_eq!(model.arbiter.release(handle), Err(Stale));
            prop_assert_eq!(model.arbiter.disable(handle), Err(Stale));
            prop_assert_eq!(model.arbiter.hold(handle), Err(HoldError::Stale));
            let result = model.arbiter.modify(handle, to(region(0, 1), Condition::Write));
            prop_assert_eq!(result, Err(Rejection::StaleHandle));
            prop_assert!(before == model.arbiter);
        }
    }
}
