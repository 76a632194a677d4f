//! Claims of tasks and of CPUs: who dies, who moves, who comes later, who changes in place.

extern crate std;

use std::vec::Vec;

use super::*;

type TaskArbiter = Arbiter<8, 2, 2>;

const TASKS: [TaskId; 2] = [TaskId(4), TaskId(9)];
const OTHER: CpuId = CpuId(1);

fn armed(registers: &Registers) -> Vec<usize> {
    let windows = Slot::ALL.into_iter().filter_map(|slot| registers.bank.armed(slot));
    windows.map(|window| window.address()).collect()
}

/// Promises 3 and 11: whoever made them, the claims of a task end with it, and all of the room is
/// there again.
#[test]
fn promise_3_a_task_that_ends_gives_everything_back() {
    let mut arbiter = TaskArbiter::new(Config::DEFAULT);
    let fresh = arbiter.clone();
    let [task, other] = TASKS;
    for request in [
        guard(0, 8).on(Scope::Task(task)),
        debugger(8, 8).on(Scope::TaskOnCpu(task, OTHER)),
        Request { tenure: Tenure::Flexible, ..guard(0x20, 4) }.on(Scope::Task(task)),
    ] {
        arbiter.claim(request, carry_on).unwrap();
    }
    let full = arbiter.claim(guard(0x40, 32).on(Scope::Task(other)), carry_on).unwrap();
    assert!(arbiter.claim(guard(0x80, 8), carry_on).is_err());
    let third = guard(0x80, 8).on(Scope::Task(TaskId(1)));
    assert_eq!(arbiter.claim(third, carry_on), Err(Rejection::TooManyTasks(2)));
    arbiter.end_task(task);
    arbiter.claim(third, carry_on).unwrap();
    arbiter.end_task(TaskId(1));
    assert_eq!(arbiter.claims().map(|(handle, _)| handle).collect::<Vec<_>>(), [full]);
    arbiter.end_task(other);
    assert_eq!(arbiter.available(Class::System), fresh.available(Class::System));
    assert_eq!((arbiter.tasks().count(), arbiter.plan_of(task)), (0, PlanId::NONE));
}

/// Promises 3 and 9: on whichever CPU it runs, and nowhere else; what is bound to one CPU stays.
#[test]
fn promise_3_a_task_that_moves_carries_its_claims_along() {
    let mut arbiter = TaskArbiter::new(Config::DEFAULT);
    let task = TASKS[0];
    arbiter.claim(guard(0x10, 8).on(Scope::Task(task)), carry_on).unwrap();
    arbiter.claim(guard(0x20, 8).on(Scope::TaskOnCpu(task, OTHER)), carry_on).unwrap();
    arbiter.claim(guard(0x30, 8).on(Scope::Cpu(CPU)), carry_on).unwrap();
    let plan = arbiter.plan_of(task);
    let mut registers = [Registers::default(), Registers::default()];
    for (number, cpu) in [CPU, OTHER].into_iter().enumerate() {
        arbiter.resume(cpu, &mut registers[number]);
    }
    let mut held = Vec::new();
    for (here, there) in [(0, 1), (1, 0), (0, 1)] {
        arbiter.switch_to(CpuId(there as u16), PlanId::NONE, 0, &mut registers[there]);
        arbiter.switch_to(CpuId(here as u16), plan, 0, &mut registers[here]);
        held.push([0, 1].map(|number| {
            let mut addresses = armed(&registers[number]);
            addresses.sort_unstable();
            addresses
        }));
    }
    let on_first = [[0x10, 0x30].into(), Vec::new()];
    assert_eq!(held, [on_first.clone(), [[0x30].into(), [0x10, 0x20].into()], on_first]);
}

/// Promise 2: a CPU that comes online later has what is for all before it runs anything, or is
/// refused with the reason and has nothing.
#[test]
fn promise_2_a_cpu_that_comes_later_has_what_is_for_all() {
    let config = Config { io: IoBreakpoints::Available, ..Config::DEFAULT };
    let mut arbiter = TaskArbiter::new(config);
    arbiter.claim(guard(0x10, 8), carry_on).unwrap();
    arbiter.claim(guard(0x20, 8).on(Scope::Cpu(OTHER)), carry_on).unwrap();
    arbiter.claim(guard(0x30, 8).on(Scope::Task(TASKS[0])), carry_on).unwrap();
    let able = Ability { widest: Widest::Eight, io: IoBreakpoints::Available };
    let mut registers = Registers::default();
    for (cpu, ability, error) in [
        (CpuId(2), able, StartError::NoSuchCpu(CpuId(2))),
        (OTHER, Ability { widest: Widest::Four, ..able }, StartError::Narrow),
        (OTHER, Ability { io: IoBreakpoints::Unavailable, ..able }, StartError::NoIo),
    ] {
        assert_eq!(arbiter.start_cpu(cpu, ability, &mut registers), Err(error));
        assert_eq!(registers.writes, 0);
    }
    assert_eq!(arbiter.start_cpu(OTHER, able, &mut registers), Ok(()));
    assert_eq!(armed(&registers), [0x10, 0x20]);
    // And again after it slept: its registers are empty then.
    let mut registers = Registers::default();
    assert_eq!(arbiter.start_cpu(OTHER, able, &mut registers), Ok(()));
    assert_eq!(armed(&registers), [0x10, 0x20]);
}

/// Promises 3 and 6: switched off, a claim keeps its place against everybody, and all of it can be
/// changed when everything is full.
#[test]
fn promise_6_a_full_arbiter_lets_everything_change_in_place() {
    let mut arbiter = TaskArbiter::new(Config::DEFAULT);
    let mut registers = Registers::default();
    let handle = arbiter.claim(guard(0, 8), carry_on).unwrap();
    arbiter.claim(debugger(0x40, 24), carry_on).unwrap();
    arbiter.disable(handle).unwrap();
    arbiter.resume(CPU, &mut registers);
    assert_eq!(armed(&registers).len(), 3);
    for request in [debugger(0x80, 1), guard(0x80, 1), debugger(0x80, 1).on(Scope::Cpu(CPU))] {
        assert!(arbiter.claim(request, carry_on).is_err());
    }
    let full = |condition, address, scope| {
        move |request| Request { region: region(address, 1), condition, scope, ..request }
    };
    for (condition, address, scope) in [
        (Condition::Write, 0x81, Scope::AllCpus),
        (Condition::Execute, 0x82, Scope::Cpu(OTHER)),
        (Condition::ReadWrite, 0x83, Scope::Task(TASKS[1])),
        (Condition::ReadWrite, 0x84, Scope::Cpu(CPU)),
    ] {
        arbiter.modify(handle, full(condition, address, scope)).unwrap();
        assert!(arbiter.get(handle).unwrap().is_disabled());
        let request = *arbiter.get(handle).unwrap().request();
        let made = (request.region.address(), request.condition, request.scope);
        assert_eq!(made, (address, condition, scope));
    }
    arbiter.enable(handle).unwrap();
    arbiter.resume(CPU, &mut registers);
    assert!(armed(&registers).contains(&0x84));
    // What does not fit leaves all of it as it was.
    let before = arbiter.clone();
    let wide = |request| Request { region: region(0x80, 16), ..request };
    assert!(arbiter.modify(handle, wide).is_err() && before == arbiter);
}

/// Promise 9: with no claims on either side nothing is written, whoever switches.
#[test]
fn promise_9_tasks_without_claims_cost_no_write() {
    for switching in [Switching::Exact, Switching::Lazy] {
        let mut arbiter = TaskArbiter::new(Config { switching, ..Config::DEFAULT });
        let mut registers = Registers::default();
        for task in (0..100).map(TaskId) {
            arbiter.switch_to(CPU, arbiter.plan_of(task), 0, &mut registers);
        }
        assert_eq!(registers.writes, 0);
    }
}

/// Promise 11: detach leaves what the system has, of tasks too; hand-off disarms every CPU.
#[test]
fn promise_11_detach_and_hand_off_on_all_cpus() {
    let mut arbiter = TaskArbiter::new(Config::DEFAULT);
    let plans = TASKS.map(|task| {
        arbiter.claim(guard(0x10, 8).on(Scope::Task(task)), carry_on).unwrap();
        arbiter.claim(debugger(0x20, 8).on(Scope::Task(task)), carry_on).unwrap();
        arbiter.plan_of(task)
    });
    let mut registers = [Registers::default(), Registers::default()];
    let cpus = [CPU, OTHER];
    for number in 0..2 {
        arbiter.switch_to(cpus[number], plans[number], 0, &mut registers[number]);
    }
    arbiter.release_class(Class::Debugger);
    for number in 0..2 {
        arbiter.resume(cpus[number], &mut registers[number]);
        assert_eq!(armed(&registers[number]), [0x10]);
    }
    arbiter.release_all();
    for number in 0..2 {
        arbiter.resume(cpus[number], &mut registers[number]);
        assert_eq!(registers[number].bank.control(), Dr7::OFF);
    }
    assert_eq!(arbiter.claims().count(), 0);
}
