//! The tasks, what each of them claims, and the ways between them.
//!
//! The names of the cases are what `tests/src/costs.rs` knows them by.

use tetrarch::arbiter::{self, Condition, Owner, Region, Request, Scope, Switching, TaskId};

use crate::Tasks;

/// A task, and four windows of its own.
#[derive(Clone, Copy)]
pub struct Task {
    pub id: TaskId,
    addresses: [usize; 4],
    length: usize,
    condition: Condition,
}

impl Task {
    pub fn claim(&self, arbiter: &mut Tasks) {
        for address in self.addresses {
            let region = Region::new(address, self.length).expect("a region");
            let request = Request::pinned(Owner::System("task"), region, self.condition);
            arbiter
                .claim(request.on(Scope::Task(self.id)), arbiter::carry_on)
                .expect("four windows for each task");
        }
    }
}

/// Where nothing is and nobody looks: beyond the memory that QEMU gives the image. A watched
/// page that was in use would make the emulator slow.
const NOWHERE: usize = 0x3000_0000;

/// Addresses that two tasks share are those that both name.
const fn watching(id: u32, places: [usize; 4], length: usize, condition: Condition) -> Task {
    let [first, second, third, fourth] = places;
    let addresses = [
        NOWHERE + 0x1000 * first,
        NOWHERE + 0x1000 * second,
        NOWHERE + 0x1000 * third,
        NOWHERE + 0x1000 * fourth,
    ];
    Task { id: TaskId(id), addresses, length, condition }
}

const A: Task = watching(1, [0, 1, 2, 3], 8, Condition::Write);
/// Nothing of A's, all of the same kind.
const B: Task = watching(2, [4, 5, 6, 7], 8, Condition::Write);
/// Nothing of A's, all of another kind.
const C: Task = watching(3, [8, 9, 10, 11], 4, Condition::ReadWrite);
/// Two of A's.
const D: Task = watching(4, [2, 3, 12, 13], 8, Condition::Write);

/// Those that have claims.
pub const TASKS: [Task; 4] = [A, B, C, D];

/// A way from task to task; `None` is one without claims.
pub struct Case {
    pub name: &'static str,
    pub switching: Switching,
    /// Not measured: what ran before, and so what the registers hold.
    pub before: &'static [Option<Task>],
    /// What is switched to then, one after the other.
    pub measured: &'static [Option<Task>],
}

pub const CASES: [Case; 14] = [
    exact("none→none", &[None], &[None]),
    exact("A→A", &[Some(A)], &[Some(A)]),
    exact("none→A, after A", &[Some(A), None], &[Some(A)]),
    exact("none→A, after B", &[Some(B), None], &[Some(A)]),
    exact("A→none", &[Some(A)], &[None]),
    exact("A→B, other addresses", &[Some(A)], &[Some(B)]),
    exact("A→B, other addresses and kinds", &[Some(A)], &[Some(C)]),
    exact("A→B, 2 of 4 shared", &[Some(A)], &[Some(D)]),
    exact("A→none→A", &[Some(A)], &[None, Some(A)]),
    exact("A→none→B", &[Some(A)], &[None, Some(B)]),
    exact("A→none→B, other kinds", &[Some(A)], &[None, Some(C)]),
    lazy("A→none→A, lazy", &[Some(A)], &[None, Some(A)]),
    lazy("A→none→B, lazy", &[Some(A)], &[None, Some(B)]),
    lazy("A→none→B, other kinds, lazy", &[Some(A)], &[None, Some(C)]),
];

const fn exact(
    name: &'static str,
    before: &'static [Option<Task>],
    measured: &'static [Option<Task>],
) -> Case {
    Case { name, switching: Switching::Exact, before, measured }
}

const fn lazy(
    name: &'static str,
    before: &'static [Option<Task>],
    measured: &'static [Option<Task>],
) -> Case {
    Case { name, switching: Switching::Lazy, before, measured }
}
