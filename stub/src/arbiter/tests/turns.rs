//! Promise 8 in the middle of turns: who comes, who goes, and which task runs meanwhile.

extern crate std;

use super::*;

type Crowd = Arbiter<12, 1, 2>;

const TASK: TaskId = TaskId(7);
const ROUNDS: u64 = if cfg!(miri) { 12 } else { 600 };

fn counting(number: usize) -> Request {
    let at = region(0x1000 + 8 * number, 8);
    Request::flexible(Owner::System("profiler"), at, Condition::Write)
}

fn is_armed(registers: &Registers, number: usize) -> bool {
    let mut armed = Slot::ALL.into_iter().filter_map(|slot| registers.bank.armed(slot));
    armed.any(|window| window.address() == 0x1000 + 8 * number)
}

/// One slot for those that take turns, in any task; `TASK` has claims.
fn one_slot(flexible: &[usize]) -> (Crowd, Registers, Vec<Handle>) {
    let mut arbiter = Crowd::new(Config::DEFAULT);
    arbiter.claim(guard(0, 24), carry_on).unwrap();
    arbiter.claim(guard(0, 8).on(Scope::Task(TASK)), carry_on).unwrap();
    let handles = flexible.iter().map(|number| arbiter.claim(counting(*number), carry_on).unwrap());
    let handles = handles.collect();
    let mut registers = Registers::default();
    arbiter.resume(CPU, &mut registers);
    arbiter.accrue(CPU, 0);
    (arbiter, registers, handles)
}

fn running(arbiter: &Crowd, handle: Handle) -> u64 {
    arbiter.count(handle).unwrap().running
}

/// A pinned claim has the slot from 5 to 11 of ten, and in between another task runs for a moment,
/// or claims change meanwhile: who gives way in each turn has a part of two, and goes behind.
#[test]
fn promise_8_a_switch_away_and_back_forgets_nothing_of_a_turn() {
    #[derive(Clone, Copy, Debug)]
    enum Between {
        Nothing,
        Switch,
        SwitchAndClaim,
    }
    for between in [Between::Nothing, Between::Switch, Between::SwitchAndClaim] {
        let (mut arbiter, mut registers, handles) = one_slot(&[0, 1]);
        let plan = arbiter.plan_of(TASK);
        let mut visitor = None;
        for now in 1..=10 * ROUNDS {
            arbiter.accrue(CPU, now);
            match (now % 10, between) {
                (0, _) => arbiter.tick(CPU, now, &mut registers),
                (1, _) => {
                    visitor.take().map_or(Ok(()), |handle| arbiter.release(handle)).unwrap();
                    arbiter.resume(CPU, &mut registers);
                }
                (5, _) => {
                    visitor = Some(arbiter.claim(guard(0x100, 8), carry_on).unwrap());
                    arbiter.resume(CPU, &mut registers);
                }
                (6, Between::Switch | Between::SwitchAndClaim) => {
                    arbiter.switch_to(CPU, plan, now, &mut registers);
                }
                (7, Between::SwitchAndClaim) => {
                    let other = guard(0x200, 8).on(Scope::Task(TaskId(8)));
                    let other = arbiter.claim(other, carry_on);
                    assert!(other.is_err(), "all slots are taken");
                    let shared = arbiter.claim(guard(0, 8), carry_on).unwrap();
                    arbiter.release(shared).unwrap();
                }
                (8, Between::Switch | Between::SwitchAndClaim) => {
                    arbiter.switch_to(CPU, PlanId::NONE, now, &mut registers);
                }
                _ => {}
            }
        }
        let all = [handles[0], handles[1]].map(|handle| running(&arbiter, handle));
        // Four of ten, but five of the first.
        assert_eq!(all, [2 * ROUNDS + 1, 2 * ROUNDS], "{between:?}");
    }
}

/// Two that are ahead go in turn, just before the tick; the third is let in for the rest of that
/// turn, has the whole of the next, and is not sent back before, whatever runs in between.
#[test]
fn promise_8_a_switch_away_and_back_makes_no_whole_turn_of_the_rest_of_one() {
    for with_switch in [false, true] {
        let (mut arbiter, mut registers, handles) = one_slot(&[1, 0, 9]);
        let plan = arbiter.plan_of(TASK);
        let mut comers = [Some(handles[1]), Some(handles[0])];
        for now in 1..=20 * ROUNDS {
            arbiter.accrue(CPU, now);
            match now % 20 {
                0 => arbiter.tick(CPU, now, &mut registers),
                1 => {
                    for (number, comer) in comers.iter_mut().enumerate() {
                        comer.get_or_insert_with(|| {
                            arbiter.claim(counting(number), carry_on).unwrap()
                        });
                    }
                    arbiter.resume(CPU, &mut registers);
                }
                17 => {
                    let front = (0..2).find(|number| is_armed(&registers, *number));
                    if let Some(handle) = front.and_then(|front| comers[front].take()) {
                        arbiter.release(handle).unwrap();
                        arbiter.resume(CPU, &mut registers);
                    }
                }
                18 if with_switch => arbiter.switch_to(CPU, plan, now, &mut registers),
                19 if with_switch => arbiter.switch_to(CPU, PlanId::NONE, now, &mut registers),
                _ => {}
            }
        }
        let count = arbiter.count(handles[2]).unwrap();
        // Of three turns one and three of twenty; the other task's moments it shares too.
        let running = if with_switch { 22 } else { 23 } * ROUNDS / 3;
        assert_eq!((count.enabled, count.running), (20 * ROUNDS, running), "{with_switch}");
    }
}

/// Of three that want the slot two come and go, so that the third is let in late in a turn. In the
/// one case a second claim with its window is made just before the tick: it shares what the first
/// has had, and takes nothing away from it.
#[test]
fn promise_8_a_newcomer_with_the_same_window_shares_the_turn_as_it_is() {
    let counts = [false, true].map(|with_twin| {
        let (mut arbiter, mut registers, handles) = one_slot(&[0, 9, 1]);
        let mut comers = [Some(handles[0]), Some(handles[2])];
        let mut twin = None;
        for now in 1..=20 * ROUNDS {
            arbiter.accrue(CPU, now);
            match now % 20 {
                0 => arbiter.tick(CPU, now, &mut registers),
                1 => {
                    twin.take().map_or(Ok(()), |handle| arbiter.release(handle)).unwrap();
                    for (number, comer) in comers.iter_mut().enumerate() {
                        comer.get_or_insert_with(|| {
                            arbiter.claim(counting(number), carry_on).unwrap()
                        });
                    }
                    arbiter.resume(CPU, &mut registers);
                }
                18 => {
                    let front = (0..2).find(|number| is_armed(&registers, *number));
                    if let Some(handle) = front.and_then(|front| comers[front].take()) {
                        arbiter.release(handle).unwrap();
                        arbiter.resume(CPU, &mut registers);
                    }
                }
                19 if with_twin => {
                    twin = Some(arbiter.claim(counting(9), carry_on).unwrap());
                    arbiter.resume(CPU, &mut registers);
                }
                _ => {}
            }
        }
        arbiter.count(handles[1]).unwrap()
    });
    // Of three turns one, and two of twenty.
    let spread = Spread { turns: 2 * ROUNDS / 3, fewest: 0, most: 0 };
    let (enabled, running) = (20 * ROUNDS, 22 * ROUNDS / 3);
    assert_eq!(counts, [Count { hits: 0, enabled, running, spread }; 2]);
}

/// A task that needs the slot itself ends before its time is over, and then comes a tick: what is
/// wanted without the task is not armed yet, and has not had its turn. What is counted is what was
/// armed.
#[test]
fn promise_8_a_tick_after_a_task_has_ended_ends_no_turn_of_others() {
    let (mut arbiter, mut registers, handles) = one_slot(&[0, 1]);
    let mut armed = [0; 2];
    for round in 0..ROUNDS {
        let parts = [10, 5, 5].into_iter().enumerate();
        let mut now = 20 * round;
        let mut ends = None;
        for (part, time) in parts {
            (0..2)
                .for_each(|number| armed[number] += u64::from(is_armed(&registers, number)) * time);
            now += time;
            arbiter.accrue(CPU, now);
            match part {
                0 => {
                    arbiter.tick(CPU, now, &mut registers);
                    ends = arbiter.claim(guard(0x800, 8).on(Scope::Task(TaskId(8))), carry_on).ok();
                    arbiter.switch_to(CPU, arbiter.plan_of(TaskId(8)), now, &mut registers);
                }
                1 => arbiter.release(ends.take().unwrap()).unwrap(),
                _ => arbiter.tick(CPU, now, &mut registers),
            }
        }
    }
    let counted = [handles[0], handles[1]].map(|handle| running(&arbiter, handle));
    assert_eq!((counted, armed), ([5 * ROUNDS; 2], [5 * ROUNDS; 2]));
}
