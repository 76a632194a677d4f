//! Promise 8 over long runs: who is armed for how many turns, and for how long.

extern crate std;

use std::vec::Vec;

use super::*;
use crate::cases::one_in;

type Crowd = Arbiter<12, 1, 1>;

const TASK: TaskId = TaskId(0);
const LONG: u64 = if cfg!(miri) { 12 } else { 5_000 };

fn counting(number: usize) -> Request {
    let at = region(0x1000 + 8 * number, 8);
    Request::flexible(Owner::System("profiler"), at, Condition::Write)
}

/// Pinned claims that leave so many slots, and so many that take turns.
fn crowd(slots: usize, flexible: usize) -> (Crowd, Registers, Vec<Handle>) {
    let mut arbiter = Crowd::new(Config::DEFAULT);
    if slots < 4 {
        arbiter.claim(guard(0, 8 * (4 - slots)), carry_on).unwrap();
    }
    let handles =
        (0..flexible).map(|number| arbiter.claim(counting(number), carry_on).unwrap()).collect();
    let mut registers = Registers::default();
    arbiter.resume(CPU, &mut registers);
    arbiter.accrue(CPU, 0);
    (arbiter, registers, handles)
}

fn is_armed(registers: &Registers, number: usize) -> bool {
    let address = 0x1000 + 8 * number;
    let armed = Slot::ALL.into_iter().filter_map(|slot| registers.bank.armed(slot));
    armed.filter(|window| window.address() == address).count() == 1
}

fn times(arbiter: &Crowd, handle: Handle) -> (u64, u64) {
    let count = arbiter.count(handle).unwrap();
    (count.enabled, count.running)
}

/// Of any F turns in a row each is armed for exactly H; a turn costs one write where windows are
/// of one kind. Every F up to 8 and every H.
#[test]
fn promise_8_each_is_armed_for_h_of_any_f_turns() {
    for slots in (0..=4).step_by(one_in(2)) {
        for flexible in if cfg!(miri) { 3..=4 } else { 1..=8usize } {
            let (mut arbiter, mut registers, _) = crowd(slots, flexible);
            let share = slots.min(flexible);
            let mut turns: Vec<Vec<bool>> = Vec::new();
            for now in 1..=4 * flexible as u64 {
                turns.push((0..flexible).map(|number| is_armed(&registers, number)).collect());
                registers.writes = 0;
                arbiter.tick(CPU, now, &mut registers);
                let writes = usize::from(flexible > slots && slots > 0);
                assert_eq!(registers.writes, writes, "{flexible} in {slots}");
            }
            for window in turns.windows(flexible) {
                for number in 0..flexible {
                    let armed = window.iter().filter(|turn| turn[number]).count();
                    let expected = if flexible <= slots { flexible } else { share };
                    assert_eq!(armed, expected, "{number} of {flexible} in {slots}");
                }
            }
        }
    }
}

/// Turns of uneven length: the times of all sum up to what the slots were there for.
#[test]
fn promise_8_times_add_up_to_the_last_unit() {
    for (slots, flexible) in [(1, 2), (1, 7), (2, 3), (3, 8), (4, 5), (4, 8), (0, 3), (4, 2)]
        .into_iter()
        .step_by(one_in(3))
    {
        let (mut arbiter, mut registers, handles) = crowd(slots, flexible);
        let mut now = 0;
        for turn in 0..LONG {
            now += 1 + turn * turn % 97;
            arbiter.tick(CPU, now, &mut registers);
        }
        let all: Vec<_> = handles.iter().map(|handle| times(&arbiter, *handle)).collect();
        assert!(all.iter().all(|(enabled, running)| *enabled == now && running <= enabled));
        let running: u64 = all.iter().map(|(_, running)| running).sum();
        assert_eq!(running, now * slots.min(flexible) as u64);
        // And fair, but for the lengths of the turns of one round.
        let shares = all.iter().map(|(_, running)| *running);
        let round = 97 * flexible as u64;
        let spread = shares.clone().max().unwrap() - shares.min().unwrap();
        assert!(cfg!(miri) || spread < now / 50 + round, "{slots} {flexible}: {all:?}");
        for handle in handles {
            let count = arbiter.count(handle).unwrap();
            assert_eq!(count.scaled().is_none(), count.running == 0);
        }
    }
}

/// At each tick somebody comes and somebody goes, pinned ones too: who stays is armed again
/// within as many turns as there were ahead of it at the most.
#[test]
fn promise_8_nobody_starves_whoever_comes_and_goes() {
    let (mut arbiter, mut registers, _) = crowd(2, 3);
    let mut waiting = [0; 3];
    let mut visitors: Vec<Handle> = Vec::new();
    for now in 1..=LONG {
        if visitors.len() > 4 {
            arbiter.release(visitors.remove((now % 3) as usize)).unwrap();
        }
        let visitor = match now % 5 {
            // One slot is left at times.
            0 => guard(0x100, 8),
            number => counting(3 + number as usize),
        };
        visitors.extend(arbiter.claim(visitor, carry_on));
        arbiter.tick(CPU, now, &mut registers);
        for (number, turns) in waiting.iter_mut().enumerate() {
            *turns = if is_armed(&registers, number) { 0 } else { *turns + 1 };
            // Seven others, and itself.
            assert!(*turns < 8, "{number} has waited for {turns} turns");
        }
        // Pinned never waits (promise 3), nor does it cost more than its own slots.
        assert!((0..4).contains(&arbiter.available(Class::System)));
    }
}

/// A pinned claim has the last slot for a while in each turn, or whenever the clock ticks: those
/// that share the rest of the time take turns in it all the same.
#[test]
fn promise_8_nobody_starves_beside_a_pinned_claim_that_comes_and_goes() {
    for (comes, goes, shares) in [(3, 6, [7, 7, 7]), (8, 13, [5, 5, 5])] {
        let (mut arbiter, mut registers, handles) = crowd(1, 3);
        let rounds = LONG / 6 * 6;
        let mut visitor = None;
        for now in 1..10 * rounds + 5 {
            arbiter.accrue(CPU, now);
            if now % 10 == comes {
                visitor = arbiter.claim(guard(0x100, 8), carry_on).ok();
                arbiter.resume(CPU, &mut registers);
            }
            if let Some(handle) = visitor.take_if(|_| now % 10 == goes % 10) {
                arbiter.release(handle).unwrap();
                arbiter.resume(CPU, &mut registers);
            }
            if now % 10 == 0 {
                arbiter.tick(CPU, now, &mut registers);
            }
        }
        for (handle, share) in handles.into_iter().zip(shares) {
            let (_, running) = times(&arbiter, handle);
            let expected = rounds / 3 * share;
            assert!(running.abs_diff(expected) <= 20, "{running} of {expected}");
        }
    }
}

/// A task that never runs when the clock ticks has its turns too, one each time that it comes
/// back in another turn; going and coming back within one changes nothing.
#[test]
fn promise_8_a_task_that_never_meets_a_tick_has_its_turns() {
    let (mut arbiter, mut registers, handles) = crowd(2, 3);
    arbiter.claim(guard(0x100, 8).on(Scope::Task(TASK)), carry_on).unwrap();
    let plan = arbiter.plan_of(TASK);
    let rounds = LONG / 3 * 3;
    let mut armed = [0; 3];
    for round in 0..rounds {
        for part in [0, 4] {
            arbiter.switch_to(CPU, plan, 10 * round + part, &mut registers);
            let now = [0, 1, 2].map(|number| is_armed(&registers, number));
            (0..3).for_each(|number| armed[number] += u64::from(now[number]));
            arbiter.switch_to(CPU, PlanId::NONE, 10 * round + part + 2, &mut registers);
        }
        arbiter.tick(CPU, 10 * round + 10, &mut registers);
    }
    // One slot is left beside the task's own, in both visits of a turn to the same one.
    assert_eq!(armed, [rounds * 2 / 3; 3]);
    let all: u64 = handles.iter().map(|handle| times(&arbiter, *handle).1).sum();
    // Four of ten in the task with one slot, six without it with two.
    assert_eq!(all, rounds * (4 + 2 * 6));
}

/// The same window is one turn for all who want it, and none for who has it from a pinned claim,
/// also from one that is switched off.
#[test]
fn promise_8_what_takes_turns_is_a_window() {
    let mut arbiter = Crowd::new(Config::DEFAULT);
    let mut registers = Registers::default();
    arbiter.claim(guard(0, 16), carry_on).unwrap();
    let off = arbiter.claim(guard(0x1000 + 8 * 9, 8), carry_on).unwrap();
    arbiter.disable(off).unwrap();
    let numbers = [0, 1, 0, 1, 0, 9];
    let handles = numbers.map(|number| arbiter.claim(counting(number), carry_on).unwrap());
    arbiter.resume(CPU, &mut registers);
    arbiter.accrue(CPU, 0);
    for now in 1..=20 {
        arbiter.tick(CPU, 10 * now, &mut registers);
    }
    let running = handles.map(|handle| times(&arbiter, handle).1);
    assert_eq!(running, [100, 100, 100, 100, 100, 200]);
}

/// A pinned claim gets its slot at once, up to what is kept for turns; that is all it is refused
/// for.
#[test]
fn promise_8_turns_cost_pinned_claims_what_is_kept_for_them_and_no_more() {
    for kept in (0..=4u8).step_by(one_in(3)) {
        let reservations = Reservations::new(0, 0, kept).unwrap();
        let mut arbiter = Crowd::new(Config { reservations, ..Config::DEFAULT });
        for number in 0..8 {
            arbiter.claim(counting(number), carry_on).unwrap();
        }
        let mut registers = Registers::default();
        for taken in 0..=4usize {
            let result = arbiter.claim(guard(0x100 + 8 * taken, 8), carry_on);
            let fits = taken + 1 + usize::from(kept) <= 4;
            assert_eq!(result.is_ok(), fits, "{taken} beside {kept}");
            arbiter.resume(CPU, &mut registers);
            let turns = (0..8).filter(|number| is_armed(&registers, *number)).count();
            let pinned = (taken + 1).min(4 - usize::from(kept));
            assert_eq!(turns, 4 - pinned);
        }
    }
}

/// Uneven hits: what is reported is the raw count, its estimate and how much was seen.
#[test]
fn promise_8_hits_are_counted_only_in_turn() {
    let (mut arbiter, mut registers, handles) = crowd(1, 4);
    for now in 1..=16 {
        let status = Dr6::from_bits(Dr6::RESET.bits() | 0b1111);
        let exception = arbiter.exception(CPU, status, registers.bank.control(), 0);
        arbiter.deliver(CPU, &[exception], &mut NoMemory);
        arbiter.tick(CPU, now, &mut registers);
    }
    for handle in handles {
        let count = arbiter.count(handle).unwrap();
        let spread = Spread { turns: 4, fewest: 1, most: 1 };
        assert_eq!(count, Count { hits: 4, enabled: 16, running: 4, spread });
        assert_eq!((count.scaled(), count.coverage()), (Some(16), Some(250)));
    }
}
