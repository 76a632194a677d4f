//! Six claims that take turns, each counting the writes of one variable.
//!
//! They share the registers that are left: two of four, one when the debugger uses its own.
//! Each says what it counted while it was armed, and what that makes for the whole time; and
//! since the image counts its writes itself, one can be compared with the other.
//!
//! Five variables are written equally often in each beat of a task, the unit that time is
//! counted in; two of the five count for one task only. The sixth is written in bursts: so
//! seldom, and so often then, that what its claim happens to see says little of the rest.

use core::sync::atomic::{AtomicU64, Ordering};

use tetrarch::arbiter::{Condition, Count, Handle, Hit, Owner, Region, Request, Scope, Verdict};

use crate::guards::{STRAYS, STUB};
use crate::scheduler::{self, TASKS};
use crate::work;

/// How many claims there are.
pub const COUNT: usize = 6;
/// The one with the bursts.
pub const BURSTS: usize = 5;

/// One of them.
pub struct Profile {
    /// Its owner's name.
    pub name: &'static str,
    /// Whose writes it counts; `None` for everybody's.
    task: Option<usize>,
    /// Writes in each beat; for the bursts, in a beat that has one.
    rate: u64,
}

/// All of them.
pub const PROFILES: [Profile; COUNT] = [
    Profile { name: "steady-1", task: None, rate: 1 },
    Profile { name: "steady-2", task: None, rate: 2 },
    Profile { name: "steady-3", task: None, rate: 3 },
    Profile { name: "only-task-1", task: Some(1), rate: 1 },
    Profile { name: "only-task-3", task: Some(3), rate: 2 },
    Profile { name: "bursts", task: None, rate: 256 },
];

/// Whose beats have bursts, and how many beats it is from one to the next.
const BURSTING_TASK: usize = 2;
const BURST_PERIOD: u64 = 256;

/// A variable on a page of its own.
#[repr(C, align(4096))]
struct Page(AtomicU64);

/// What is written, and watched.
static VARIABLES: [Page; COUNT] = [const { Page(AtomicU64::new(0)) }; COUNT];
/// The writes that a claim is to count: by task, so that none is lost when one task interrupts
/// another.
static WRITES: [[AtomicU64; COUNT]; TASKS + 1] =
    [const { [const { AtomicU64::new(0) }; COUNT] }; TASKS + 1];

/// Makes the claims.
pub fn start() -> [Handle; COUNT] {
    core::array::from_fn(|index| {
        let Profile { name, task, .. } = PROFILES[index];
        let region = Region::new(&raw const VARIABLES[index] as usize, 8).expect("a region");
        let request = Request::flexible(Owner::System(name), region, Condition::Write);
        let scope = task.map_or(Scope::AllCpus, |task| Scope::Task(scheduler::id(task)));
        STUB.request(request.on(scope), seen).expect("a register is reserved for turns")
    })
}

/// The hits are counted by the arbiter; here it is only looked whether they are the right task's.
fn seen(hit: &Hit<'_>) -> Verdict {
    let profile = PROFILES.iter().find(|profile| profile.name == hit.owner);
    let task = profile.and_then(|profile| profile.task);
    if task.is_some_and(|task| task != crate::running()) {
        STRAYS.fetch_add(1, Ordering::Relaxed);
    }
    Verdict::Continue
}

/// Writes what belongs to a beat of `task`, its `number`-th.
pub fn write_all(task: usize, number: u64) {
    for (index, profile) in PROFILES.iter().enumerate() {
        let bursts = task == BURSTING_TASK && number % BURST_PERIOD == BURST_PERIOD / 2;
        let times = if index == BURSTS && !bursts { 0 } else { profile.rate };
        for _ in 0..times {
            VARIABLES[index].0.store(number, Ordering::Relaxed);
            WRITES[task][index].fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// How many writes there were that the claim is to count.
pub fn writes(index: usize) -> u64 {
    let by = |task: usize| WRITES[task][index].load(Ordering::Relaxed);
    PROFILES[index].task.map_or_else(|| (1..=TASKS).map(by).sum(), by)
}

/// What the arbiter makes of them.
pub fn count(handle: Handle) -> Count {
    STUB.count(handle).expect("the claim takes turns")
}

/// Whether the estimate is as near to the truth as it must be, for a variable that is written
/// `w` times in each beat.
///
/// Registers change only between two beats, or in a beat that the timer cuts in two. A beat that
/// is not cut brings a claim `w` hits and one unit of time if it is armed, or neither. One that
/// is cut brings its unit of time to one side of the cut, and its hits to both: that makes an
/// error of `w` hits at the most. So with `c` beats that were cut, `E` the time for which the
/// claim was wanted and `R` that for which it was armed, the hits are `w R` give or take `w c`,
/// and the estimate is `w E` give or take `w c E / R`, and 1 for rounding. All tasks have ended
/// between two beats, so the true number is `w E`.
pub fn is_near(index: usize, count: &Count, cut: u64) -> bool {
    let Some(scaled) = count.scaled() else { return false };
    let rate = PROFILES[index].rate;
    let off = scaled.abs_diff(writes(index)) * count.running;
    off <= rate * cut * count.enabled + count.running
}

/// The time for which a claim was wanted, by the image's own count: all beats, or one task's.
pub fn wanted(index: usize) -> u64 {
    PROFILES[index].task.map_or_else(work::beats, work::beats_of)
}
