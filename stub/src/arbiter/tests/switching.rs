//! Promises 8 and 9 at the seams: first turns, last claims, registers that are left lazily.

extern crate std;

use std::vec::Vec;

use super::*;
type TaskArbiter = Arbiter<8, 2, 2>;

const TASK: TaskId = TaskId(7);

fn of(switching: Switching) -> TaskArbiter {
    TaskArbiter::new(Config { switching, ..Config::DEFAULT })
}

fn made(arbiter: &mut TaskArbiter, request: Request) -> Handle {
    arbiter.claim(request, carry_on).unwrap()
}

fn counting(address: usize) -> Request {
    Request::flexible(Owner::System("profiler"), region(address, 4), Condition::Write)
}

fn armed(registers: &Registers) -> Vec<usize> {
    let windows = Slot::ALL.into_iter().filter_map(|slot| registers.bank.armed(slot));
    let mut addresses: Vec<_> = windows.map(|window| window.address()).collect();
    addresses.sort_unstable();
    addresses
}

/// Promise 8: the turn that began at reset ends at the first tick, like any other.
#[test]
fn promise_8_the_first_turn_is_as_long_as_the_others() {
    let mut arbiter = of(Switching::Exact);
    let mut registers = Registers::default();
    made(&mut arbiter, guard(0x100, 24));
    let handles = [0x10, 0x20].map(|address| made(&mut arbiter, counting(address)));
    arbiter.resume(CPU, &mut registers);
    arbiter.accrue(CPU, 0);
    for now in [10, 20, 30, 40] {
        arbiter.tick(CPU, now, &mut registers);
    }
    let running = handles.map(|handle| arbiter.count(handle).unwrap().running);
    assert_eq!(running, [20, 20]);
}

/// With [`Switching::Lazy`] a tick in a task without claims has no reason to write.
#[test]
fn promise_9_a_tick_leaves_lazily_left_registers_alone() {
    let mut arbiter = of(Switching::Lazy);
    let mut registers = Registers::default();
    made(&mut arbiter, guard(0x10, 8).on(Scope::Task(TASK)));
    let plan = arbiter.plan_of(TASK);
    arbiter.switch_to(CPU, plan, 0, &mut registers);
    registers.writes = 0;
    arbiter.switch_to(CPU, PlanId::NONE, 1, &mut registers);
    arbiter.tick(CPU, 2, &mut registers);
    arbiter.switch_to(CPU, plan, 3, &mut registers);
    assert_eq!((registers.writes, armed(&registers)), (0, [0x10].into()));
    // Unless something is to be armed there: then nothing is left behind.
    arbiter.switch_to(CPU, PlanId::NONE, 4, &mut registers);
    made(&mut arbiter, guard(0x20, 8));
    arbiter.tick(CPU, 5, &mut registers);
    assert_eq!(armed(&registers), [0x20]);
}

/// Promise 9: the task that ran has ended, and the next one has no claims either: what was armed
/// for the dead one does not stay.
#[test]
fn promise_9_nothing_stays_armed_of_a_task_that_ended_while_it_ran() {
    let mut arbiter = of(Switching::Exact);
    let mut registers = Registers::default();
    made(&mut arbiter, guard(0x10, 8).on(Scope::Task(TASK)));
    let plan = arbiter.plan_of(TASK);
    arbiter.switch_to(CPU, plan, 0, &mut registers);
    arbiter.end_task(TASK);
    assert_eq!((arbiter.running(CPU), arbiter.in_force(CPU)), (None, PlanId::NONE));
    arbiter.switch_to(CPU, PlanId::NONE, 1, &mut registers);
    assert_eq!(registers.bank.control(), Dr7::OFF);
    // Nor with the number of the dead task, by one that forgot to ask for another.
    made(&mut arbiter, guard(0x10, 8).on(Scope::Task(TASK)));
    let plan = arbiter.plan_of(TASK);
    arbiter.switch_to(CPU, plan, 2, &mut registers);
    arbiter.end_task(TASK);
    arbiter.switch_to(CPU, plan, 3, &mut registers);
    assert_eq!(registers.bank.control(), Dr7::OFF);
}

/// Promise 10: a hit that came before a lazy switch is no stray one because it is told after it.
#[test]
fn promise_10_a_hit_that_was_put_off_over_a_lazy_switch_reaches_its_owner() {
    let mut arbiter = of(Switching::Lazy);
    let mut registers = Registers::default();
    let owner = made(&mut arbiter, guard(0x10, 8).on(Scope::Task(TASK)));
    let plan = arbiter.plan_of(TASK);
    arbiter.switch_to(CPU, plan, 0, &mut registers);
    let status = Dr6::from_bits(Dr6::RESET.bits() | 0b1111);
    let put_off = arbiter.exception(CPU, status, arbiter.bank(CPU).control(), 0);
    arbiter.switch_to(CPU, PlanId::NONE, 1, &mut registers);
    let stray = arbiter.exception(CPU, status, arbiter.bank(CPU).control(), 0);
    let hits = |arbiter: &TaskArbiter| arbiter.get(owner).unwrap().hits();
    arbiter.deliver(CPU, &[stray], &mut NoMemory);
    assert_eq!(hits(&arbiter), 0);
    arbiter.deliver(CPU, &[put_off], &mut NoMemory);
    assert_eq!(hits(&arbiter), 1);
}

/// Promise 8: hits from when it was pinned, of which no time was counted, would be scaled by a
/// coverage that is not theirs.
#[test]
fn promise_8_a_count_begins_when_the_claim_begins_to_take_turns() {
    let mut arbiter = of(Switching::Exact);
    let mut registers = Registers::default();
    let handle = made(&mut arbiter, guard(0x10, 4));
    arbiter.resume(CPU, &mut registers);
    let hit = |arbiter: &mut TaskArbiter| {
        let status = Dr6::from_bits(Dr6::RESET.bits() | 1);
        let exception = arbiter.exception(CPU, status, arbiter.bank(CPU).control(), 0);
        arbiter.deliver(CPU, &[exception], &mut NoMemory);
    };
    (0..9).for_each(|_| hit(&mut arbiter));
    assert_eq!(arbiter.count(handle), None);
    arbiter.accrue(CPU, 0);
    let takes_turns = |request| Request { tenure: Tenure::Flexible, ..request };
    arbiter.modify(handle, takes_turns).unwrap();
    arbiter.resume(CPU, &mut registers);
    hit(&mut arbiter);
    arbiter.tick(CPU, 10, &mut registers);
    let count = arbiter.count(handle).unwrap();
    let spread = Spread { turns: 1, fewest: 1, most: 1 };
    assert_eq!(count, Count { hits: 1, enabled: 10, running: 10, spread });
    assert_eq!(arbiter.get(handle).unwrap().hits(), 10);
}

/// Promise 8: a task that makes a claim and releases it over and over does not send those who
/// wait back to where they were.
#[test]
fn promise_8_who_waits_keeps_its_place_when_a_task_gets_claims() {
    let mut arbiter = of(Switching::Exact);
    let mut registers = Registers::default();
    made(&mut arbiter, guard(0x100, 24));
    let handles = [0x10, 0x20, 0x30].map(|address| made(&mut arbiter, counting(address)));
    arbiter.accrue(CPU, 0);
    let rounds = if cfg!(miri) { 3 } else { 30 };
    for round in 0..rounds {
        arbiter.switch_to(CPU, PlanId::NONE, 10 * round, &mut registers);
        let own = made(&mut arbiter, guard(0x100, 8).on(Scope::Task(TASK)));
        arbiter.switch_to(CPU, arbiter.plan_of(TASK), 10 * round, &mut registers);
        arbiter.accrue(CPU, 10 * round + 9);
        arbiter.release(own).unwrap();
        arbiter.switch_to(CPU, PlanId::NONE, 10 * round + 9, &mut registers);
        arbiter.tick(CPU, 10 * round + 10, &mut registers);
    }
    let running = handles.map(|handle| arbiter.count(handle).unwrap().running);
    assert_eq!(running, [10 * rounds / 3; 3]);
}

/// Promise 10: what a task has left armed is not a turn of one that waits for the same window.
#[test]
fn promise_10_a_stray_hit_is_no_hit_of_a_claim_that_waits_for_its_turn() {
    let mut arbiter = of(Switching::Lazy);
    let mut registers = Registers::default();
    made(&mut arbiter, guard(0x100, 16));
    made(&mut arbiter, guard(0x20, 4).on(Scope::Task(TASK)));
    arbiter.switch_to(CPU, arbiter.plan_of(TASK), 0, &mut registers);
    arbiter.switch_to(CPU, PlanId::NONE, 1, &mut registers);
    // Of two that take turns the second has to wait, for what the task has left armed.
    let pinned = made(&mut arbiter, guard(0x30, 4));
    made(&mut arbiter, counting(0x40));
    let waits = made(&mut arbiter, counting(0x20));
    // The registers are as the task has left them, 0x20 among them.
    let status = Dr6::from_bits(Dr6::RESET.bits() | 0b1111);
    let stray = arbiter.exception(CPU, status, arbiter.bank(CPU).control(), 0);
    arbiter.deliver(CPU, &[stray], &mut NoMemory);
    let hits = |handle| arbiter.get(handle).unwrap().hits();
    assert_eq!((hits(waits), hits(pinned), armed(&registers)[0]), (0, 0, 0x20));
}

/// Promise 11: hand-off disarms, and so does a release, at the next tick or switch to another plan,
/// also what a task has left lazily: in one without claims, or because it is gone.
#[test]
fn promise_11_what_is_released_does_not_stay_armed_lazily() {
    type Event = fn(&mut TaskArbiter, &mut Registers);
    let tick: Event = |arbiter, registers| arbiter.tick(CPU, 5, registers);
    let switch: Event = |arbiter, registers| arbiter.switch_to(CPU, PlanId::NONE, 5, registers);
    let both: Event = |arbiter, registers| arbiter.tick_to(CPU, PlanId::NONE, 5, registers);
    let cases = [(true, tick), (true, both), (false, tick), (false, switch), (false, both)];
    for (leaves, ends) in cases {
        let mut arbiter = of(Switching::Lazy);
        let mut registers = Registers::default();
        made(&mut arbiter, guard(0x10, 8).on(Scope::Task(TASK)));
        let other = made(&mut arbiter, guard(0x20, 8));
        arbiter.switch_to(CPU, arbiter.plan_of(TASK), 0, &mut registers);
        if leaves {
            arbiter.switch_to(CPU, PlanId::NONE, 1, &mut registers);
        }
        assert_eq!(armed(&registers), [0x10, 0x20]);
        let mut gone = (arbiter.clone(), registers.clone());
        gone.0.end_task(TASK);
        ends(&mut gone.0, &mut gone.1);
        assert_eq!(armed(&gone.1), [0x20]);
        let mut all = (arbiter.clone(), registers.clone());
        all.0.release_all();
        ends(&mut all.0, &mut all.1);
        assert_eq!(all.1.bank.control(), Dr7::OFF);
        // Nor one that the CPU wanted, while the task's may stay.
        if leaves {
            arbiter.release(other).unwrap();
            ends(&mut arbiter, &mut registers);
            assert_eq!(registers.bank.control(), Dr7::OFF);
        }
    }
}

/// Promise 10: the turn of a claim ends at the very moment at which its task gives way, or while
/// another's registers are left: a hit that came in it, and is told later, is no stray one.
#[test]
fn promise_10_a_hit_that_was_put_off_over_the_end_of_its_turn_reaches_its_owner() {
    for switching in [Switching::Exact, Switching::Lazy] {
        let mut arbiter = of(switching);
        let mut registers = Registers::default();
        made(&mut arbiter, guard(0x100, 24).on(Scope::Task(TASK)));
        let counting =
            [0x10, 0x20].map(|address| made(&mut arbiter, counting(address).on(Scope::Task(TASK))));
        arbiter.switch_to(CPU, arbiter.plan_of(TASK), 0, &mut registers);
        assert_eq!(armed(&registers), [0x10, 0x100, 0x108, 0x110]);
        let status = Dr6::from_bits(Dr6::RESET.bits() | 0b1111);
        let put_off = arbiter.exception(CPU, status, arbiter.bank(CPU).control(), 0);
        arbiter.tick_to(CPU, PlanId::NONE, 1, &mut registers);
        arbiter.deliver(CPU, &[put_off], &mut NoMemory);
        let hits = counting.map(|handle| arbiter.get(handle).unwrap().hits());
        assert_eq!(hits, [1, 0], "{switching:?}");
    }
}

/// Promise 10: what a task has left is all that two claims of every task need, one of which has to
/// wait all the same. When the turn of the first ends, nothing need be written; but its hit that was
/// put off would then be taken for a stray one.
#[test]
fn promise_10_a_turn_that_ends_leaves_nothing_lazily() {
    let mut arbiter = of(Switching::Lazy);
    let mut registers = Registers::default();
    made(&mut arbiter, guard(0x100, 16));
    made(&mut arbiter, guard(0x10, 4).on(Scope::Task(TASK)));
    let second = made(&mut arbiter, guard(0x20, 4).on(Scope::Task(TASK)));
    arbiter.switch_to(CPU, arbiter.plan_of(TASK), 0, &mut registers);
    arbiter.switch_to(CPU, PlanId::NONE, 1, &mut registers);
    let counting = [0x10, 0x20].map(|address| made(&mut arbiter, counting(address)));
    arbiter.release(second).unwrap();
    let kept = made(&mut arbiter, guard(0x40, 4));
    arbiter.disable(kept).unwrap();
    assert_eq!(armed(&registers), [0x10, 0x20, 0x100, 0x108]);
    let status = Dr6::from_bits(Dr6::RESET.bits() | 0b1111);
    let put_off = arbiter.exception(CPU, status, arbiter.bank(CPU).control(), 0);
    arbiter.tick(CPU, 2, &mut registers);
    arbiter.deliver(CPU, &[put_off], &mut NoMemory);
    // The other is in force when it is told.
    let hits = counting.map(|handle| arbiter.get(handle).unwrap().hits());
    assert_eq!((hits, armed(&registers)), ([1, 1], [0x20, 0x100, 0x108].into()));
}

/// Promise 10: the same where it is not its turn that ends, but a change of the claims that takes the
/// slot away.
#[test]
fn promise_10_a_hit_that_was_put_off_over_a_change_of_claims_reaches_its_owner() {
    for switching in [Switching::Exact, Switching::Lazy] {
        let mut arbiter = of(switching);
        let mut registers = Registers::default();
        made(&mut arbiter, guard(0x100, 16));
        let counting = made(&mut arbiter, counting(0x10));
        let of_task = made(&mut arbiter, guard(0x20, 4).on(Scope::Task(TASK)));
        arbiter.switch_to(CPU, arbiter.plan_of(TASK), 0, &mut registers);
        arbiter.switch_to(CPU, PlanId::NONE, 1, &mut registers);
        let status = Dr6::from_bits(Dr6::RESET.bits() | 0b1111);
        let put_off = arbiter.exception(CPU, status, arbiter.bank(CPU).control(), 0);
        arbiter.release(of_task).unwrap();
        let pinned = made(&mut arbiter, guard(0x40, 16));
        assert_eq!(arbiter.wanted(CPU).len(), 4);
        arbiter.deliver(CPU, &[put_off], &mut NoMemory);
        let hits = [counting, pinned].map(|handle| arbiter.get(handle).unwrap().hits());
        assert_eq!(hits, [1, 0], "{switching:?}");
    }
}
