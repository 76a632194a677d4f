//! Two CPUs that claim and release, again and again, while gdb does the same.
//!
//! Each claims a word for all CPUs and checks that it is armed on all of them when the call
//! returns: by writing it, which must hit once, and by having been told of nothing after the
//! release, when it writes it again. It says what it holds, for who looks at the registers.

use core::sync::atomic::{AtomicU64, Ordering};

use tetrarch::arbiter::{Condition, Hit, Owner, Region, Request, Verdict};

use crate::guards::STUB;
use crate::{orders, work};

/// How many CPUs do it.
const CHURNERS: usize = 2;

const NAMES: [&str; CHURNERS] = ["churn-0", "churn-1"];

/// A word on a page of its own.
#[repr(C, align(4096))]
struct Page(AtomicU64);

static WORDS: [Page; CHURNERS] = [const { Page(AtomicU64::new(0)) }; CHURNERS];
static SEEN: [AtomicU64; CHURNERS] = [const { AtomicU64::new(0) }; CHURNERS];

/// Rounds done.
#[unsafe(no_mangle)]
pub static churned: [AtomicU64; CHURNERS] = [const { AtomicU64::new(0) }; CHURNERS];
/// Whether each holds its claim.
#[unsafe(no_mangle)]
pub static stages: [AtomicU64; CHURNERS] = [const { AtomicU64::new(FREE) }; CHURNERS];

const FREE: u64 = 0;
/// In a call.
const CHANGING: u64 = 1;
const HELD: u64 = 2;

/// How many rounds there are from one milestone to the next.
const MILE: u64 = 100;

/// Claims that were not armed, or not released, when the call had returned.
pub static WRONG: AtomicU64 = AtomicU64::new(0);

fn seen(hit: &Hit<'_>) -> Verdict {
    if let Some(number) = NAMES.iter().position(|name| *name == hit.owner) {
        SEEN[number].fetch_add(1, Ordering::Relaxed);
    }
    Verdict::Continue
}

/// Makes `rounds` rounds on `cpu`.
pub fn run(cpu: usize, rounds: u64) {
    orders::say(cpu, orders::CLAIMING);
    let word = WORDS[cpu].0.as_ptr();
    let region = Region::new(word as usize, 8).expect("a region");
    let request = Request::pinned(Owner::System(NAMES[cpu]), region, Condition::Write);
    let enter = |stage| stages[cpu].store(stage, Ordering::Relaxed);
    for round in 0..rounds {
        if round % MILE == 0 {
            milestone();
        }
        let before = SEEN[cpu].load(Ordering::Relaxed);
        enter(CHANGING);
        let handle = STUB.request(request, seen).expect("a register is left");
        enter(HELD);
        write(word);
        enter(CHANGING);
        STUB.release(handle).expect("it is there");
        enter(FREE);
        write(word);
        if SEEN[cpu].load(Ordering::Relaxed) != before + 1 {
            WRONG.fetch_add(1, Ordering::Relaxed);
        }
        churned[cpu].fetch_add(1, Ordering::Relaxed);
    }
    orders::say(cpu, orders::COUNTING);
    work::mark_end(cpu);
}

/// A place to stop at.
#[unsafe(no_mangle)]
#[inline(never)]
fn milestone() {
    core::hint::black_box(());
}

fn write(word: *mut u64) {
    // SAFETY: the word is a static atomic's, which nobody reads.
    unsafe { word.write_volatile(1) };
}
