//! What is armed when: tasks that come and go on two CPUs, ticks, stops, and claims that are made
//! and released meanwhile, with every register that is written on the way.

use super::*;
use crate::arbiter::turn::{Presence, Turn};
use crate::hit::DebugException;

const SLOTS: usize = 2;
const CPUS: [CpuId; 2] = [CpuId(0), CpuId(1)];
const TASKS: [Option<TaskId>; 3] = [None, Some(TaskId(0)), Some(TaskId(1))];
type Small = Arbiter<4, 2, 2, SLOTS>;

/// Each is claimed, or released if it is there; each has one window, known by its address.
fn alphabet() -> [Request; 4] {
    let [first, second] = [TaskId(0), TaskId(1)];
    let takes_turns = |address| {
        Request::flexible(Owner::System("profiler"), region(address, 4), Condition::Write)
    };
    [
        debugger(0x10, 4).on(Scope::Task(first)),
        guard(0x30, 4).on(Scope::TaskOnCpu(second, CpuId(0))),
        takes_turns(0x20),
        takes_turns(0x30),
    ]
}

#[derive(Clone)]
struct State {
    arbiter: Small,
    registers: [Registers; 2],
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Toggle(Request),
    Switch(CpuId, Option<TaskId>),
    Tick(CpuId),
    Run(CpuId),
}

fn armed(bank: &Bank) -> Vec<usize> {
    let windows = Slot::ALL.into_iter().filter_map(|slot| bank.armed(slot));
    windows.map(|window| window.address()).collect()
}

impl State {
    /// Whose turn it is in a context, front first.
    fn queue(&self, cpu: CpuId, task: Option<TaskId>) -> Vec<usize> {
        let plan = task.map_or(PlanId::NONE, |task| self.arbiter.plan_of(task));
        let plan = self.arbiter.cpu(cpu).unwrap().at(plan);
        plan.queue.iter().map(|contender| contender.window.address()).collect()
    }

    /// Whether a context has a turn behind it that it has not ended yet.
    fn has_run(&self, cpu: CpuId, task: Option<TaskId>) -> Option<bool> {
        let plan = task.map_or(PlanId::NONE, |task| self.arbiter.plan_of(task));
        let cpu = self.arbiter.cpu(cpu).unwrap();
        cpu.at(plan).turn.map(|turn| turn != cpu.moment().2)
    }

    fn pinned(&self, cpu: CpuId, task: Option<TaskId>) -> Vec<usize> {
        let claims = self.arbiter.claims().map(|(_, claim)| claim.request());
        let here = claims
            .filter(|request| request.tenure == Tenure::Pinned && request.scope.applies(cpu, task));
        here.map(|request| request.region.address()).collect()
    }

    /// Promises 3 and 8: all that are pinned, and the first of the queue in what is left.
    fn wanted(&self, cpu: CpuId, task: Option<TaskId>, queue: &[usize]) -> Vec<usize> {
        let mut wanted = self.pinned(cpu, task);
        for address in queue {
            if wanted.len() < SLOTS && !wanted.contains(address) {
                wanted.push(*address);
            }
        }
        wanted
    }

    /// What each of the queue has had of its turn.
    fn turns(&self, cpu: CpuId, task: Option<TaskId>) -> Vec<Turn> {
        let plan = task.map_or(PlanId::NONE, |task| self.arbiter.plan_of(task));
        let plan = self.arbiter.cpu(cpu).unwrap().at(plan);
        plan.queue.iter().map(|contender| contender.turn).collect()
    }

    /// The queue after a turn: the first that had a whole one, or parts of two, goes behind, if
    /// one waits.
    fn rotated(&self, cpu: CpuId, task: Option<TaskId>) -> Vec<usize> {
        let mut queue = self.queue(cpu, task);
        let pinned = self.pinned(cpu, task);
        let wanted = self.wanted(cpu, task, &queue);
        if queue.iter().any(|address| !wanted.contains(address)) {
            let has_had = |(address, turn): (&usize, Turn)| {
                let armed = match turn.armed {
                    Presence::FromStart if wanted.contains(address) => 2,
                    Presence::FromStart | Presence::Later => 1,
                    Presence::None => 0,
                };
                !pinned.contains(address) && turn.halves + armed >= 2
            };
            if let Some(front) = queue.iter().zip(self.turns(cpu, task)).position(has_had) {
                let front = queue.remove(front);
                queue.push(front);
            }
        }
        queue
    }

    /// In words as small as will do: there are millions of these.
    fn key(&self) -> Box<[u16]> {
        let handles = alphabet().map(|request| u16::from(self.arbiter.find(&request).is_some()));
        let mut key: Vec<_> = handles.into();
        for cpu in CPUS {
            let state = self.arbiter.cpu(cpu).unwrap();
            let (gone, lazy, _) = state.moment();
            key.push(u16::from(gone) << 1 | u16::from(lazy));
            key.push(self.arbiter.running(cpu).map_or(0, |task| task.0 as u16 + 1));
            for task in TASKS {
                if task.is_none_or(|task| self.arbiter.plan_of(task) != PlanId::NONE) {
                    for (address, turn) in
                        self.queue(cpu, task).into_iter().zip(self.turns(cpu, task))
                    {
                        // Who has had a turn can have no more.
                        let armed = if turn.halves == 2 { 0 } else { turn.armed as u16 };
                        key.push((address as u16) << 8 | u16::from(turn.halves) << 4 | armed);
                    }
                    key.push(self.has_run(cpu, task).map_or(0x100, |has| 0x101 + u16::from(has)));
                }
            }
            let bank = state.bank;
            key.extend(Slot::ALL[..SLOTS].iter().map(|slot| bank.address(*slot) as u16));
            let control = bank.control().bits();
            key.extend([control as u16, (control >> 16) as u16]);
        }
        key.into()
    }

    fn do_event(&mut self, event: Event) {
        let (arbiter, registers) = (&mut self.arbiter, &mut self.registers);
        registers.iter_mut().for_each(|registers| registers.states.clear());
        match event {
            Event::Toggle(request) => match arbiter.find(&request) {
                Some(handle) => arbiter.release(handle).unwrap(),
                None => drop(arbiter.claim(request, carry_on)),
            },
            Event::Switch(cpu, task) => {
                let plan = task.map_or(PlanId::NONE, |task| arbiter.plan_of(task));
                arbiter.switch_to(cpu, plan, 0, &mut registers[cpu.index()]);
            }
            Event::Tick(cpu) => arbiter.tick(cpu, 0, &mut registers[cpu.index()]),
            Event::Run(cpu) => {
                arbiter.suspend(cpu, &mut registers[cpu.index()]);
                registers[cpu.index()].states.clear();
                arbiter.resume(cpu, &mut registers[cpu.index()]);
            }
        }
    }

    /// Holds what an event has done against what it must do.
    fn check(&self, event: Event, after: &State) {
        let (cpu, next_task) = match event {
            Event::Toggle(_) => {
                assert!(after.registers.iter().all(|registers| registers.states.is_empty()));
                return self.check_queues(after);
            }
            Event::Tick(cpu) | Event::Run(cpu) => (cpu, self.arbiter.running(cpu)),
            Event::Switch(cpu, task) => {
                let has_claims = |task: &TaskId| self.arbiter.plan_of(*task) != PlanId::NONE;
                (cpu, task.filter(has_claims))
            }
        };
        let task = self.arbiter.running(cpu);
        let states = &after.registers[cpu.index()].states;
        let (gone, strays, _) = self.arbiter.cpu(cpu).unwrap().moment();
        if matches!(event, Event::Switch(..)) && task == next_task && !gone {
            assert!(states.is_empty() && self.arbiter == after.arbiter, "one compare, no write");
            return;
        }
        let turn_is_over = match event {
            Event::Tick(_) => true,
            Event::Switch(..) => self.has_run(cpu, next_task) == Some(true),
            Event::Run(_) => gone && self.has_run(cpu, next_task) == Some(true),
            Event::Toggle(_) => false,
        };
        let queue =
            if turn_is_over { self.rotated(cpu, next_task) } else { self.queue(cpu, next_task) };
        assert_eq!(after.queue(cpu, next_task), queue);
        assert_eq!(after.arbiter.running(cpu), next_task);
        let old = *self.arbiter.bank(cpu);
        let (wanted, before) = (self.wanted(cpu, next_task, &queue), armed(&old));
        let may_stay = match event {
            Event::Switch(..) => {
                self.arbiter.config().switching == Switching::Lazy && next_task.is_none()
            }
            Event::Tick(_) => strays,
            Event::Run(_) | Event::Toggle(_) => false,
        };
        let bank = after.registers[cpu.index()].bank;
        assert_eq!(bank, *after.arbiter.bank(cpu));
        if may_stay && wanted.iter().all(|address| before.contains(address)) {
            assert!(states.is_empty() && bank == old);
            return;
        }
        let mut now = armed(&bank);
        assert!(now.len() == wanted.len() && wanted.iter().all(|one| now.contains(one)));
        for state in states.iter().filter(|_| !matches!(event, Event::Run(_))) {
            now = armed(state);
            assert!(now.iter().all(|one| wanted.contains(one) || before.contains(one)));
            let stays = |one: &&usize| wanted.contains(one);
            assert!(before.iter().filter(stays).all(|one| now.contains(one)));
            self.check_hit(after, cpu, state, [task, next_task]);
        }
    }

    /// Promise 10: a hit of everything, right after one of the writes.
    fn check_hit(&self, after: &State, cpu: CpuId, state: &Bank, tasks: [Option<TaskId>; 2]) {
        let status = Dr6::from_bits(Dr6::RESET.bits() | 0b1111);
        let exception =
            DebugException { status, live: *state, plan: self.arbiter.in_force(cpu), rip: 0 };
        let mut told = after.arbiter.clone();
        told.deliver(cpu, &[exception], &mut NoMemory);
        let now = armed(state);
        for (handle, claim) in after.arbiter.claims() {
            let request = claim.request();
            let is_owner = now.contains(&request.region.address())
                && tasks.iter().any(|task| request.scope.applies(cpu, *task));
            let hits = told.get(handle).unwrap().hits() - claim.hits();
            assert_eq!(hits, u64::from(is_owner), "{request:?} {state:?}");
        }
    }

    /// Whoever waited before a change of the claims, and still does, has not changed places; who
    /// is new is behind them.
    fn check_queues(&self, after: &State) {
        for (cpu, task) in CPUS.into_iter().flat_map(|cpu| TASKS.map(|task| (cpu, task))) {
            let has_plan =
                |state: &State| task.is_none_or(|task| state.arbiter.plan_of(task) != PlanId::NONE);
            // A task without claims left goes by the queue of all such tasks.
            if has_plan(self) && !has_plan(after) {
                continue;
            }
            let (before, now) = (self.queue(cpu, task), after.queue(cpu, task));
            let mut expected: Vec<_> =
                before.iter().copied().filter(|address| now.contains(address)).collect();
            expected.extend(now.iter().filter(|address| !before.contains(address)));
            assert_eq!(now, expected);
        }
    }
}

/// How many states there are if these requests come and go and these CPUs do something.
fn states_of(requests: &[usize], cpus: &[CpuId], switching: Switching) -> usize {
    let mut events: Vec<_> =
        requests.iter().map(|index| Event::Toggle(alphabet()[*index])).collect();
    for cpu in cpus {
        events.extend(TASKS.map(|task| Event::Switch(*cpu, task)));
        events.extend([Event::Tick(*cpu), Event::Run(*cpu)]);
    }
    let arbiter = Small::new(Config { switching, ..Config::DEFAULT });
    let start = State { arbiter, registers: Default::default() };
    let states = explore(start, State::key, |state, next| {
        for event in &events {
            let mut after = state.clone();
            after.do_event(*event);
            state.check(*event, &after);
            next.push(after);
        }
    });
    std::println!("{switching:?}, requests {requests:?}, {} cpus: {states} states", cpus.len());
    states
}

/// Promises 3 and 8 to 10, in every state there is, with exact and with lazy switches: all claims
/// on one CPU, and those of one task that moves between two.
#[test]
fn promises_3_and_8_to_10_in_all_states_of_running() {
    let total: usize = [Switching::Exact, Switching::Lazy]
        .into_iter()
        .map(|switching| {
            states_of(&[0, 1, 2, 3], &CPUS[..1], switching)
                + states_of(&[0, 2, 3], &CPUS, switching)
        })
        .sum();
    assert!(cfg!(miri) || total == STATES, "{total} states of running");
}

/// Of all four together.
const STATES: usize = 3_614_918;
