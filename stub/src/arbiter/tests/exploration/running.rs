//! What is armed when: tasks that come and go on two CPUs, ticks, stops, and claims that are made
//! and released meanwhile, with every register that is written on the way.

use self::views::Stage;
use super::*;
use crate::arbiter::turn::Presence;
use crate::hit::DebugException;

mod views;

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
                self.check_queues(after);
                return self.check_turns(after, None);
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
            // Of a task that is gone there is none to end.
            Event::Tick(_) if gone => {
                matches!(self.stage(cpu, None), Stage::UnderWay | Stage::Over)
            }
            Event::Tick(_) => true,
            Event::Switch(..) => self.stage(cpu, next_task) == Stage::Over,
            Event::Run(_) => gone && self.stage(cpu, next_task) == Stage::Over,
            Event::Toggle(_) => false,
        };
        let queue =
            if turn_is_over { self.rotated(cpu, next_task) } else { self.queue(cpu, next_task) };
        assert_eq!(after.queue(cpu, next_task), queue);
        let begins = turn_is_over || self.stage(cpu, next_task) == Stage::ToCome;
        self.check_turns(after, Some((cpu, next_task)).filter(|_| begins));
        assert_eq!(after.arbiter.running(cpu), next_task);
        let old = *self.arbiter.bank(cpu);
        let (wanted, before) = (self.wanted(cpu, next_task, &queue), armed(&old));
        let may_stay = match event {
            Event::Switch(..) => {
                self.arbiter.config().switching == Switching::Lazy && next_task.is_none() && !gone
            }
            // A turn that is over leaves nothing lazily, or its hits could not be told from strays.
            Event::Tick(_) => {
                let next = self.wanted(cpu, next_task, &queue);
                let mut now = self.wanted(cpu, next_task, &self.queue(cpu, next_task)).into_iter();
                strays && now.all(|address| next.contains(&address))
            }
            Event::Run(_) | Event::Toggle(_) => false,
        };
        let bank = after.registers[cpu.index()].bank;
        assert_eq!(bank, *after.arbiter.bank(cpu));
        // Nothing stays that was released.
        let may_stay = may_stay && before.iter().all(|address| self.is_claimed(cpu, *address));
        if may_stay && wanted.iter().all(|address| before.contains(address)) {
            assert!(states.is_empty() && bank == old);
            self.check_hit(after, cpu, &old, [task, next_task]);
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

    /// Promise 10: a hit of everything, right after one of the writes, or before the event if
    /// nothing was written; told after it.
    fn check_hit(&self, after: &State, cpu: CpuId, state: &Bank, tasks: [Option<TaskId>; 2]) {
        let status = Dr6::from_bits(Dr6::RESET.bits() | 0b1111);
        let exception =
            DebugException { status, live: *state, plan: self.arbiter.in_force(cpu), rip: 0 };
        let mut told = after.arbiter.clone();
        told.deliver(cpu, &[exception], &mut NoMemory);
        let mut now = armed(state);
        // What came under a task with claims was armed for that.
        let (_, strays, _) = after.arbiter.cpu(cpu).unwrap().moment();
        if strays && tasks[0].is_none() {
            let wanted = after.wanted(cpu, tasks[1], &after.queue(cpu, tasks[1]));
            now.retain(|address| wanted.contains(address));
        }
        for (handle, claim) in after.arbiter.claims() {
            let request = claim.request();
            let is_owner = now.contains(&request.region.address())
                && tasks.iter().any(|task| request.scope.applies(cpu, *task));
            let hits = told.get(handle).unwrap().hits() - claim.hits();
            assert_eq!(hits, u64::from(is_owner), "{request:?} {state:?}");
        }
    }

    /// What each has had of its turn: all that is armed has it from the start in the context where
    /// one has just begun; elsewhere nothing changes, but for who is armed while its context runs.
    fn check_turns(&self, after: &State, begun: Option<(CpuId, Option<TaskId>)>) {
        for (cpu, task) in CPUS.into_iter().flat_map(|cpu| TASKS.map(|task| (cpu, task))) {
            let is_known =
                |state: &State| task.is_none_or(|task| state.arbiter.plan_of(task) != PlanId::NONE);
            if !is_known(self) || !is_known(after) {
                continue;
            }
            let (gone, ..) = after.arbiter.cpu(cpu).unwrap().moment();
            let runs = after.arbiter.running(cpu) == task && !gone;
            let now = after.queue(cpu, task);
            let wanted = after.wanted(cpu, task, &now);
            let before = self.queue(cpu, task).into_iter().zip(self.turns(cpu, task));
            for (address, mut turn) in before {
                let Some(place) = now.iter().position(|one| *one == address) else { continue };
                let after = after.turns(cpu, task)[place];
                let is_armed = wanted.contains(&address);
                if begun == Some((cpu, task)) {
                    let armed = if is_armed { Presence::FromStart } else { Presence::None };
                    assert_eq!(after.armed, armed, "{address:#x}");
                    continue;
                }
                if turn.armed == Presence::None && runs && is_armed {
                    turn.armed = Presence::Later;
                }
                assert_eq!(after, turn, "{address:#x}");
            }
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
const STATES: usize = 6_243_656;
