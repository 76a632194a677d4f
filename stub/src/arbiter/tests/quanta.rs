//! Turns where a scheduler lets each task run from one tick to the next.

extern crate std;

use std::vec::Vec;

use super::*;

/// Which comes first when the timer interrupts.
#[derive(Clone, Copy, Debug)]
enum Order {
    TickFirst,
    SwitchFirst,
    Together,
}

/// Promise 8: a claim's turn is not over before anything could happen in it. Two tasks run for
/// one quantum each, in the order that is common, in the other, or in one step; of two claims, with one slot,
/// each is armed half of the time, and in no turn for no time.
#[test]
fn promise_8_a_turn_that_ends_with_the_quantum_is_a_turn_in_which_the_task_ran() {
    for order in [Order::TickFirst, Order::SwitchFirst, Order::Together] {
        let mut registers = Registers::default();
        let mut arbiter: Arbiter<8, 1, 2, 2> = Arbiter::new(Config::DEFAULT);
        let plans = [1, 2].map(|task| {
            let guard =
                Request::pinned(Owner::System("guard"), region(0x1000 * task, 8), Condition::Write);
            let task = TaskId(task as u32);
            arbiter.claim(guard.on(Scope::Task(task)), stop).unwrap();
            arbiter.plan_of(task)
        });
        let counting = [0x8000, 0x9000].map(|address| {
            let owner = Owner::System("count");
            let request = Request::flexible(owner, region(address, 8), Condition::Write);
            arbiter.claim(request, carry_on).unwrap()
        });
        for quantum in 0..=40 {
            let now = 10 * quantum as u64;
            let next = plans[quantum % 2];
            match order {
                Order::TickFirst => {
                    arbiter.tick(CPU, now, &mut registers);
                    arbiter.switch_to(CPU, next, now, &mut registers);
                }
                Order::SwitchFirst => {
                    arbiter.switch_to(CPU, next, now, &mut registers);
                    arbiter.tick(CPU, now, &mut registers);
                }
                Order::Together => arbiter.tick_to(CPU, next, now, &mut registers),
            }
        }
        let counts = counting.map(|handle| arbiter.count(handle).unwrap());
        assert_eq!(counts.map(|count| count.running), [200, 200], "{order:?}");
        assert_eq!(counts.map(|count| count.spread.turns), [20, 20], "{order:?}");
    }
}

/// Promises 8 and 9: in one step comes to the same as one after the other at the same time, in no
/// more writes, also where the task stays.
#[test]
fn promise_9_a_tick_and_a_switch_in_one_step_come_to_the_same_in_fewer_writes() {
    let mut apart = TaskArbiter::new(Config::DEFAULT);
    let plans = [0x1000, 0x2000].map(|address| {
        let task = TaskId(address as u32);
        apart.claim(guard(address, 8).on(Scope::Task(task)), stop).unwrap();
        apart.plan_of(task)
    });
    let handles = [0x8000, 0x9000, 0xa000, 0xb000, 0xc000].map(|address| {
        let request =
            Request::flexible(Owner::System("count"), region(address, 8), Condition::Write);
        apart.claim(request, carry_on).unwrap()
    });
    let mut together = apart.clone();
    let (mut one, mut other) = (Registers::default(), Registers::default());
    for quantum in 0..60u64 {
        // A task stays for two quanta, and there are others without claims.
        let next = [plans[0], plans[0], PlanId::NONE, plans[1], plans[1]][quantum as usize % 5];
        apart.tick(CPU, 10 * quantum, &mut one);
        apart.switch_to(CPU, next, 10 * quantum, &mut one);
        together.tick_to(CPU, next, 10 * quantum, &mut other);
        assert_eq!(armed(&one), armed(&other), "quantum {quantum}");
        for handle in handles {
            assert_eq!(apart.count(handle), together.count(handle), "quantum {quantum}");
        }
    }
    assert!(other.writes < one.writes, "{} writes, not {}", other.writes, one.writes);
}

fn armed(registers: &Registers) -> Vec<usize> {
    let windows = Slot::ALL.into_iter().filter_map(|slot| registers.bank.armed(slot));
    let mut addresses: Vec<_> = windows.map(|window| window.address()).collect();
    addresses.sort_unstable();
    addresses
}

type TaskArbiter = Arbiter<8, 1, 2>;
