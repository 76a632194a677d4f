//! How CPUs can meet: every course that a few short encounters can take, tried out by loom.
//!
//! ```text
//! RUSTFLAGS="--cfg loom" cargo test -p tetrarch --release --test rendezvous --target-dir ...
//! ```
//!
//! (`-- --show-output` says how many executions that were.) A CPU is a thread here. Its NMI is a
//! look at whether it was called, between two pieces of work. A wait without end fails the test,
//! as do two CPUs that use the same at once; loom tries each order of accesses, and each value
//! that the memory model lets a load see.

#![cfg(loom)]

mod held;
mod world;

use tetrarch::arbiter::CpuId;
use tetrarch::rendezvous::Turn;

use world::{FIRST, Outcome, SECOND, World, all_run, explore};

/// A CPU that works without a lock sees a change entirely or not at all, and only when it has
/// waited.
#[test]
fn a_change_is_seen_as_a_whole() {
    let outcomes = explore(
        2,
        all_run,
        [
            |world, cpu| {
                for _ in 0..2 {
                    world.lead(cpu);
                    world.stop_and_change(SECOND);
                    world.shared.add(1);
                    world.meeting.let_go(SECOND);
                    world.meeting.finish(cpu);
                }
                vec![]
            },
            |world, cpu| {
                let turns = [(); 2].map(|()| (world.work(cpu), world.own(cpu).read()));
                turns.map(|(turn, seen)| (turn == Turn::LetGo, seen)).to_vec()
            },
        ],
    );
    let told = [vec![], vec![(true, 1), (true, 2)]];
    assert_eq!(outcomes, [Outcome { told, own: [0, 2], shared: 2 }]);
}

/// Two that want to lead at once both get their turn, and each sees all that the other did.
#[test]
fn who_cannot_lead_waits_and_leads_later() {
    fn part(world: &World<2>, cpu: CpuId) -> u32 {
        world.lead(cpu);
        let before = world.shared.read();
        world.shared.add(1);
        world.meeting.finish(cpu);
        before
    }
    let outcomes = explore(3, all_run, [part, part]);
    let told = [[0, 1], [1, 0]];
    assert_eq!(outcomes, told.map(|told| Outcome { told, own: [0, 0], shared: 2 }));
}

/// The same, and who leads makes the other wait: they do not wait for one another.
#[test]
fn two_that_want_to_stop_each_other_do_not_wait_for_one_another() {
    fn part(world: &World<2>, cpu: CpuId) -> u32 {
        let other = CpuId(1 - cpu.0);
        world.lead(cpu);
        // Told by the leader before that it has led.
        if world.shared.read() == 0 {
            world.stop_and_change(other);
            world.meeting.let_go(other);
        }
        world.shared.add(1);
        world.meeting.finish(cpu);
        world.own(cpu).read()
    }
    let outcomes = explore(3, all_run, [part, part]);
    let told = [[0, 1], [1, 0]];
    assert_eq!(outcomes, told.map(|told| Outcome { told, own: told, shared: 2 }));
}

/// A leader gives up. The CPU comes before that or after it; what is its own is changed, or it
/// leaves by itself with everything as it was.
#[test]
fn who_comes_late_leaves_by_itself_and_untouched() {
    let outcomes = explore(
        3,
        all_run,
        [
            |world, cpu| {
                world.lead(cpu);
                let has_come = world.change(SECOND, 2);
                world.meeting.finish(cpu);
                has_come
            },
            |world, cpu| {
                let turn = world.work(cpu);
                world.own(cpu).add(10);
                turn == Turn::LetGo
            },
        ],
    );
    let both = [([false; 2], 10), ([true; 2], 11)];
    assert_eq!(outcomes, both.map(|(told, own)| Outcome { told, own: [0, own], shared: 0 }));
}

/// A CPU that is about to leave when a second leader comes either leaves or is collected.
#[test]
fn who_leaves_is_not_collected_as_well() {
    fn leader(world: &World<3>, cpu: CpuId) -> bool {
        let leads = world.meeting.lead(cpu);
        let has_come = leads && world.change(SECOND, 1);
        if leads {
            world.meeting.finish(cpu);
        }
        has_come
    }
    let outcomes = explore(
        3,
        all_run,
        [
            leader,
            |world, cpu| {
                let turn = world.stop(cpu);
                world.own(cpu).add(10);
                turn == Turn::LetGo
            },
            leader,
        ],
    );
    let all = [([false, false, false], 10), ([false, true, true], 11), ([true, true, false], 11)];
    assert_eq!(outcomes, all.map(|(told, own)| Outcome { told, own: [0, own, 0], shared: 0 }));
}

/// Who has led, and wants to again, lets another precede it that has asked meanwhile.
#[test]
fn who_leads_without_pause_does_not_keep_another_from_leading() {
    fn begin(world: &World<2>) {
        assert!(world.meeting.lead(FIRST));
        world.meeting.ask(SECOND);
    }
    fn finish(world: &World<2>, cpu: CpuId) -> u32 {
        let before = world.shared.read();
        world.shared.add(1);
        world.meeting.finish(cpu);
        before
    }
    let outcomes = explore(
        3,
        begin,
        [
            |world, cpu| {
                world.meeting.answered(cpu);
                let first = finish(world, cpu);
                world.meeting.ask(cpu);
                world.lead_in_turn(cpu);
                vec![first, finish(world, cpu)]
            },
            |world, cpu| {
                world.lead_in_turn(cpu);
                vec![finish(world, cpu)]
            },
        ],
    );
    let told = [vec![0, 2], vec![1]];
    assert_eq!(outcomes, [Outcome { told, own: [0, 0], shared: 3 }]);
}
