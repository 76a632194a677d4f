//! Promise 9 in figures: the writes of a context switch, by hand, beside the minimum and Linux.
//!
//! The same cases are measured in an image (`examples/src/bin/switch/`). The minimum is a literal
//! too, and checked by the bank's search, which knows nothing of how switches are planned. Linux
//! writes DR7 for each breakpoint that goes, and an address and DR7 for each that comes:
//! *n* + 2 × *m*, where a window of both tasks is counted as one that stays.

extern crate std;

use std::vec::Vec;

use super::*;
use crate::bank::tests::fewer_would_do;

type TaskArbiter = Arbiter<16, 1, 4>;

/// Who runs: a task, or [`NONE`], which has no claims.
type Runs = u32;

const NONE: Runs = 0;
const A: Runs = 1;
/// Other addresses than A's.
const B: Runs = 2;
/// Other addresses and kinds than A's.
const C: Runs = 3;
/// Two windows of A's and two others.
const D: Runs = 4;

fn made(switching: Switching) -> TaskArbiter {
    let mut arbiter = TaskArbiter::new(Config { switching, ..Config::DEFAULT });
    for (task, address, condition) in [
        (A, 0x1000, Condition::Write),
        (B, 0x2000, Condition::Write),
        (C, 0x3000, Condition::ReadWrite),
        (D, 0x1010, Condition::Write),
    ] {
        // Four windows of 8 bytes each.
        let request = Request { condition, ..guard(address, 32) };
        arbiter.claim(request.on(Scope::Task(TaskId(task))), carry_on).unwrap();
    }
    arbiter
}

/// How many windows go and how many come on a way.
fn changes(arbiter: &TaskArbiter, way: &[Runs]) -> (usize, usize) {
    let windows = |runs: Runs| -> Vec<Window> {
        let claims = arbiter.claims().filter(|(_, claim)| match claim.request().scope {
            Scope::Task(TaskId(task)) => task == runs,
            Scope::AllCpus | Scope::Cpu(_) | Scope::TaskOnCpu(..) => true,
        });
        claims.flat_map(|(_, claim)| claim.request().windows(Widest::Eight)).collect()
    };
    let missing =
        |from: &[Window], to: &[Window]| from.iter().filter(|window| !to.contains(window)).count();
    way.windows(2).fold((0, 0), |(removed, added), step| {
        let (old, new) = (windows(step[0]), windows(step[1]));
        (removed + missing(&old, &new), added + missing(&new, &old))
    })
}

/// Goes from the first to the last of `way`, after `before`, and counts: the writes; no fewer
/// would do for any of the switches; what Linux would write.
fn check(switching: Switching, before: &[Runs], way: &[Runs], expected: (usize, usize, usize)) {
    let mut arbiter = made(switching);
    let mut registers = Registers::default();
    // Each address register is in use, so that none happens to hold 0.
    for runs in [B, NONE].iter().chain(before).chain(&way[..1]) {
        let plan = arbiter.plan_of(TaskId(*runs));
        arbiter.switch_to(CPU, plan, 0, &mut registers);
    }
    registers.writes = 0;
    for runs in &way[1..] {
        let (bank, done) = (registers.bank, registers.writes);
        let plan = arbiter.plan_of(TaskId(*runs));
        arbiter.switch_to(CPU, plan, 0, &mut registers);
        let is_left = switching == Switching::Lazy && plan == PlanId::NONE;
        let wanted = arbiter.wanted(CPU);
        // (Miri would search for minutes.)
        let fewer = |writes| !cfg!(miri) && fewer_would_do(&bank, &wanted, writes);
        assert!(is_left || !fewer(registers.writes - done), "{way:?}");
    }
    let (removed, added) = changes(&arbiter, way);
    let (writes, minimum, linux) = expected;
    assert_eq!((registers.writes, removed + 2 * added), (writes, linux), "{before:?} {way:?}");
    assert_eq!(writes, minimum, "{before:?} {way:?}");
}

/// (writes, minimum, Linux) of each switch on its own.
#[test]
fn promise_9_the_writes_of_a_switch() {
    for (before, way, expected) in [
        (&[][..], [NONE, NONE], (0, 0, 0)),
        (&[], [A, A], (0, 0, 0)),
        // The addresses are still there: DR7.
        (&[A], [NONE, A], (1, 1, 8)),
        // Four addresses and DR7: n + 1.
        (&[B], [NONE, A], (5, 5, 8)),
        // DR7.
        (&[], [A, NONE], (1, 1, 4)),
        // Four addresses; DR7 stays: n.
        (&[], [A, B], (4, 4, 12)),
        // No slot may hold the one's address and the other's kind: off, four addresses, on.
        (&[], [A, C], (6, 6, 12)),
        // Two addresses; the other two slots are not touched.
        (&[], [A, D], (2, 2, 6)),
    ] {
        check(Switching::Exact, before, &way, expected);
    }
}

/// There and back, or on to another: both switches together.
#[test]
fn promise_9_the_writes_that_lazy_switches_save() {
    for (way, exactly, lazily) in [
        // Off and on; or nothing at all.
        ([A, NONE, A], (2, 2, 12), (0, 0, 12)),
        // Off, four addresses, on; or four addresses.
        ([A, NONE, B], (6, 6, 12), (4, 4, 12)),
        // The same on both ways: what is on must be turned off sooner or later.
        ([A, NONE, C], (6, 6, 12), (6, 6, 12)),
    ] {
        check(Switching::Exact, &[], &way, exactly);
        check(Switching::Lazy, &[], &way, lazily);
    }
}
