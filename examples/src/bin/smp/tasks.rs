//! Two tasks that move from CPU to CPU, and take their guards along.
//!
//! A task is carried on by whichever CPU finds it free, for one beat: that CPU switches to the
//! task's plan, does the beat, and switches back. In a beat the task writes the word that its guard
//! is for, and then the other task's, which nobody must see.

use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use tetrarch::arbiter::{
    Condition, CpuId, Hit, Owner, PlanId, Region, Request, Scope, TaskId, Verdict,
};

use crate::guards::{self, STRAYS, STUB};
use crate::{CPUS, orders};

pub const COUNT: usize = 2;

const NAMES: [&str; COUNT] = ["task-guard-0", "task-guard-1"];

/// A word on a page of its own.
#[repr(C, align(4096))]
struct Page(AtomicU64);

pub struct Task {
    taken: AtomicBool,
    plan: AtomicU32,
    pub written: AtomicU64,
    pub seen: AtomicU64,
}

pub static TASKS: [Task; COUNT] = [const {
    Task {
        taken: AtomicBool::new(false),
        plan: AtomicU32::new(PlanId::NONE.bits()),
        written: AtomicU64::new(0),
        seen: AtomicU64::new(0),
    }
}; COUNT];
static WORDS: [Page; COUNT] = [const { Page(AtomicU64::new(0)) }; COUNT];
/// Which task each CPU carries on: its number plus one, or 0.
static RUNNING: [AtomicU32; CPUS] = [const { AtomicU32::new(0) }; CPUS];
/// How many beats each CPU has done.
pub static BEATS: [AtomicU64; CPUS] = [const { AtomicU64::new(0) }; CPUS];

/// Puts up the guards.
pub fn start() {
    for (number, name) in NAMES.into_iter().enumerate() {
        let word = Region::new(WORDS[number].0.as_ptr() as usize, 8).expect("a region");
        let guard = Request::pinned(Owner::System(name), word, Condition::Write);
        let task = TaskId(number as u32 + 1);
        guards::claim(guard.on(Scope::Task(task)), seen);
        TASKS[number].plan.store(STUB.plan_of(task).bits(), Ordering::Relaxed);
    }
}

fn seen(hit: &Hit<'_>) -> Verdict {
    let running = RUNNING[usize::from(hit.cpu.0)].load(Ordering::Relaxed) as usize;
    let own = running.checked_sub(1).filter(|number| hit.owner == NAMES[*number]);
    match own {
        Some(number) => TASKS[number].seen.fetch_add(1, Ordering::Relaxed),
        None => STRAYS.fetch_add(1, Ordering::Relaxed),
    };
    Verdict::Continue
}

/// Carries one of the tasks on, if it is free.
pub fn carry_on(cpu: usize, number: usize) {
    let task = &TASKS[number];
    if task.taken.swap(true, Ordering::Acquire) {
        return;
    }
    let here = STUB.on(CpuId(cpu as u16)).expect("there is room for this CPU");
    orders::without_interrupts(|| {
        here.switch_to(PlanId::from_bits(task.plan.load(Ordering::Relaxed)));
        RUNNING[cpu].store(number as u32 + 1, Ordering::Relaxed);
        task.written.fetch_add(1, Ordering::Relaxed);
        for word in [number, (number + 1) % COUNT] {
            // SAFETY: the word is a static atomic's, which nobody reads.
            unsafe { WORDS[word].0.as_ptr().write_volatile(1) };
        }
        RUNNING[cpu].store(0, Ordering::Relaxed);
        here.switch_to(PlanId::NONE);
    });
    BEATS[cpu].fetch_add(1, Ordering::Relaxed);
    task.taken.store(false, Ordering::Release);
}
