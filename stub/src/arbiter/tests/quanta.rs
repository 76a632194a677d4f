//! Turns where a scheduler lets each task run from one tick to the next.

use super::*;

/// Which comes first when the timer interrupts.
#[derive(Clone, Copy, Debug)]
enum Order {
    TickFirst,
    SwitchFirst,
}

/// Promise 8: a claim's turn is not over before anything could happen in it. Two tasks run for
/// one quantum each, in the order that is common or in the other; of two claims, with one slot,
/// each is armed half of the time, and in no turn for no time.
#[test]
fn promise_8_a_turn_that_ends_with_the_quantum_is_a_turn_in_which_the_task_ran() {
    for order in [Order::TickFirst, Order::SwitchFirst] {
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
            }
        }
        let counts = counting.map(|handle| arbiter.count(handle).unwrap());
        assert_eq!(counts.map(|count| count.running), [200, 200], "{order:?}");
        assert_eq!(counts.map(|count| count.spread.turns), [20, 20], "{order:?}");
    }
}
