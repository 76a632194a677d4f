//! CPUs that wait for longer than one leader leads.

use tetrarch::arbiter::CpuId;
use tetrarch::rendezvous::Turn;

use crate::world::{
    FIRST, Outcome, SECOND, THIRD, World, explore, first_has_stopped_all, first_leads,
};

/// The lead goes to a CPU that waits, with all the others that wait.
#[test]
fn the_lead_is_handed_over_with_all_who_wait() {
    let outcomes = explore(
        3,
        first_has_stopped_all,
        [
            |world, cpu| {
                world.own(SECOND).add(1);
                world.shared.add(1);
                world.meeting.hand_over(cpu, SECOND);
                let turn = world.wait(cpu);
                (turn, world.own(cpu).read())
            },
            |world, cpu| {
                let turn = world.wait(cpu);
                for other in [FIRST, THIRD] {
                    assert!(world.meeting.collect(other), "it waits");
                    world.own(other).add(1);
                    world.meeting.let_go(other);
                }
                world.shared.add(1);
                world.meeting.finish(cpu);
                (turn, world.own(cpu).read())
            },
            glance,
        ],
    );
    let third = [(Turn::Wait, 0), (Turn::LetGo, 1)];
    let told = third.map(|third| [(Turn::LetGo, 1), (Turn::Lead, 1), third]);
    assert_eq!(outcomes, told.map(|told| Outcome { told, own: [1; 3], shared: 2 }));
}

/// Looks once, and at what is its own only if it has been let go. (Of three that loop, loom would
/// let two yield to each other for ever.)
fn glance(world: &World<3>, cpu: CpuId) -> (Turn, u32) {
    match world.meeting.look(cpu) {
        turn @ Turn::LetGo => (turn, world.own(cpu).read()),
        turn @ (Turn::Wait | Turn::Lead | Turn::Leave) => (turn, 0),
    }
}

/// Who was not let go when the leader ended waits for the next one, whoever that is.
#[test]
fn who_is_held_is_let_go_by_the_next_leader() {
    fn next(world: &World<3>, cpu: CpuId) {
        if world.meeting.lead(cpu) {
            if world.meeting.collect(SECOND) {
                world.own(SECOND).add(10);
                world.meeting.let_go(SECOND);
            }
            world.meeting.finish(cpu);
        }
    }
    let outcomes = explore(
        3,
        first_has_stopped_all,
        [
            |world, cpu| {
                world.own(SECOND).add(1);
                world.meeting.let_go(THIRD);
                world.meeting.finish(cpu);
                // If the other one has come too early.
                next(world, cpu);
                (Turn::Wait, 0)
            },
            |world, cpu| (world.wait(cpu), world.own(cpu).read()),
            |world, cpu| {
                let seen = glance(world, cpu);
                if seen.0 == Turn::LetGo {
                    next(world, cpu);
                }
                seen
            },
        ],
    );
    let third = [(Turn::Wait, 0), (Turn::LetGo, 0)];
    let told = third.map(|third| [(Turn::Wait, 0), (Turn::LetGo, 11), third]);
    assert_eq!(outcomes, told.map(|told| Outcome { told, own: [0, 11, 0], shared: 0 }));
}

/// So does a leader that waits itself when it has ended.
#[test]
fn a_leader_that_waits_is_let_go_by_the_next_one() {
    let outcomes = explore(
        3,
        first_leads,
        [
            |world, cpu| {
                world.own(cpu).add(1);
                world.shared.add(1);
                world.meeting.finish_and_wait(cpu);
                (world.wait(cpu), world.own(cpu).read())
            },
            |world, cpu| {
                world.lead(cpu);
                world.shared.add(1);
                assert!(world.meeting.collect(FIRST), "it waits");
                world.own(FIRST).add(10);
                world.meeting.let_go(FIRST);
                world.meeting.finish(cpu);
                (Turn::Wait, world.own(cpu).read())
            },
        ],
    );
    let told = [(Turn::LetGo, 11), (Turn::Wait, 0)];
    assert_eq!(outcomes, [Outcome { told, own: [11, 0], shared: 2 }]);
}

/// One that is held leads now and then, to look whether there is something to do. It is let go
/// all the same when somebody else does that meanwhile.
#[test]
fn who_is_held_may_look_around_and_is_still_let_go() {
    let outcomes = explore(
        3,
        first_leads,
        [
            |world, cpu| {
                world.meeting.finish_and_wait(cpu);
                for _ in 0..2 {
                    if world.meeting.lead_if_held(cpu) {
                        world.shared.add(10);
                        world.own(cpu).read();
                        world.meeting.finish_and_wait(cpu);
                    }
                }
                let turn = world.wait(cpu);
                (turn, world.own(cpu).read())
            },
            |world, cpu| {
                world.lead(cpu);
                assert!(world.meeting.collect(FIRST), "it waits");
                world.own(FIRST).add(1);
                world.shared.add(1);
                world.meeting.let_go(FIRST);
                world.meeting.finish(cpu);
                (Turn::Wait, world.own(cpu).read())
            },
        ],
    );
    let told = [(Turn::LetGo, 1), (Turn::Wait, 0)];
    let looked = [1, 11, 21];
    assert_eq!(outcomes, looked.map(|shared| Outcome { told, own: [1, 0], shared }));
}
