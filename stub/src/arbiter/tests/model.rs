//! Random sequences against a list of claims that is judged anew each time.

extern crate std;

use std::vec::Vec;

use proptest::prelude::*;

use self::steps::{Step, any_step};
use super::{Registers, region, to};
use crate::arbiter::admission::tests::{any_config, holds_everywhere};
use crate::arbiter::*;
use crate::cases::cases;
use crate::dr::{Condition, Dr7, Slot};

mod judge;
mod reservations;
mod steps;

const CLAIMS: usize = 6;
const CPUS: usize = 2;
type TestArbiter = Arbiter<CLAIMS, CPUS>;

/// What the model knows of a claim. Held ones carry the number of their release.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Known {
    handle: Handle,
    request: Request,
    held: Option<u32>,
}

struct Model {
    arbiter: TestArbiter,
    registers: [Registers; CPUS],
    known: Vec<Known>,
    /// Handles that were released.
    gone: Vec<Handle>,
    releases: u32,
}

impl Model {
    fn new(config: Config) -> Model {
        let mut arbiter = TestArbiter::new(config);
        let idt =
            Protected { region: region(0x1000, 16), name: "idt", against: Against::Everything };
        arbiter.protect(idt).unwrap();
        Model {
            arbiter,
            registers: Default::default(),
            known: Vec::new(),
            gone: Vec::new(),
            releases: 0,
        }
    }

    fn step(&mut self, step: &Step) {
        let before = self.arbiter.clone();
        let chosen = |index: &usize| self.known.get(*index).copied();
        match step {
            Step::Claim(request) => {
                let twin = self.known.iter_mut().find(|known| known.request == *request);
                let result = self.arbiter.claim(*request, carry_on);
                match twin.filter(|_| request.owner == Owner::Debugger) {
                    Some(twin) => {
                        assert_eq!(result, Ok(twin.handle), "Z is idempotent, and revives");
                        twin.held = None;
                    }
                    None => self.judge(&before, *request, None, result),
                }
            }
            Step::Modify(index, region, condition) => {
                let Some(known) = chosen(index) else { return };
                let request = Request { region: *region, condition: *condition, ..known.request };
                let result = self.arbiter.modify(known.handle, to(*region, *condition));
                let twin = self.known.iter().find(|twin| {
                    twin.request == request
                        && request.owner == Owner::Debugger
                        && twin.held.is_none()
                });
                match (known.held, twin) {
                    (Some(_), _) => assert_eq!(result, Err(Rejection::StaleHandle)),
                    (None, Some(twin)) if twin.handle == known.handle => assert_eq!(result, Ok(())),
                    (None, Some(twin)) => {
                        assert_eq!(result, Err(Rejection::Duplicate(twin.handle)))
                    }
                    (None, None) => {
                        let result = result.map(|()| known.handle);
                        self.judge(&before, request, Some(known.handle), result);
                    }
                }
            }
            Step::Release(index) => {
                let Some(known) = chosen(index) else { return };
                assert_eq!(self.arbiter.release(known.handle), Ok(()));
                self.forget(|other| other.handle == known.handle);
            }
            Step::Hold(index) => {
                let Some(known) = self.known.get_mut(*index) else {
                    return;
                };
                let result = self.arbiter.hold(known.handle);
                match known.request.owner {
                    Owner::Debugger => {
                        assert_eq!(result, Ok(()));
                        self.releases += 1;
                        known.held = known.held.or(Some(self.releases));
                    }
                    Owner::System(_) => assert_eq!(result, Err(HoldError::NotTheDebuggers)),
                }
            }
            Step::EndDeferrals => {
                self.arbiter.end_deferrals();
                self.forget(|known| known.held.is_some());
            }
            Step::ReleaseClass(class) => {
                self.arbiter.release_class(*class);
                self.forget(|known| known.request.owner.class() == *class);
            }
            Step::Run(cpu) => self.run(*cpu),
        }
    }

    fn forget(&mut self, which: impl Fn(&Known) -> bool) {
        self.gone.extend(self.known.iter().filter(|known| which(known)).map(|known| known.handle));
        self.known.retain(|known| !which(known));
    }

    /// Promise 3: what is in force is armed, and nothing else.
    fn run(&mut self, cpu: CpuId) {
        let registers = &mut self.registers[cpu.index()];
        let live = self.arbiter.suspend(cpu, registers);
        assert_eq!(registers.writes, usize::from(live.any_armed()));
        assert_eq!(registers.bank.control(), Dr7::OFF);
        registers.writes = 0;
        self.arbiter.resume(cpu, registers);
        registers.writes = 0;
        assert_eq!(registers.bank, *self.arbiter.bank(cpu));
        let armed: Vec<_> =
            Slot::ALL.into_iter().filter_map(|slot| registers.bank.armed(slot)).collect();
        let mut wanted: Vec<Window> = Vec::new();
        for known in self
            .known
            .iter()
            .filter(|known| known.held.is_none() && known.request.scope.applies(cpu, None))
        {
            wanted.extend(
                known.request.region.windows(known.request.condition, self.arbiter.config().widest),
            );
        }
        assert!(armed.iter().all(|window| wanted.contains(window)));
        assert!(wanted.iter().all(|window| armed.contains(window)));
    }

    fn check(&self) {
        let mut claims: Vec<_> = self.arbiter.claims().collect();
        claims.retain(|(handle, claim)| {
            !self.known.iter().any(|known| {
                known.handle == *handle
                    && known.request == *claim.request()
                    && known.held.is_some() == claim.is_held()
            })
        });
        assert!(claims.is_empty() && self.arbiter.claims().count() == self.known.len());
        assert!(self.fits(&self.known, None), "more was admitted than fits");
        for handle in &self.gone {
            assert!(self.arbiter.get(*handle).is_none());
        }
    }
}

proptest! {
    #![proptest_config(cases(10_000))]

    /// Promises 1 to 6, and the formula: no false reject, no false accept, no trace of a
    /// refusal, nothing evicted, releases deferred, stale handles dead.
    #[test]
    fn arbiter_is_its_model(
        config in any_config(),
        steps in proptest::collection::vec(any_step(), 1..12),
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
            prop_assert_eq!(model.arbiter.hold(handle), Err(HoldError::Stale));
            let result = model.arbiter.modify(handle, to(region(0, 1), Condition::Write));
            prop_assert_eq!(result, Err(Rejection::StaleHandle));
            prop_assert!(before == model.arbiter);
        }
    }
}
