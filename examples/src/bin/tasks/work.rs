//! What a task does: beat after beat of the same work, and what it is ordered from gdb.

use core::arch::{asm, naked_asm};
use core::sync::atomic::{AtomicU64, Ordering};

use crate::scheduler::{self, TASKS};
use crate::{guards, profile};

/// How often a task that probes gives way between two beats.
const PROBES: usize = 4;

/// Beats done, by task.
static BEATS: [AtomicU64; TASKS + 1] = [const { AtomicU64::new(0) }; TASKS + 1];
/// Beats in which the timer ended a quantum.
static CUT: AtomicU64 = AtomicU64::new(0);

/// How many beats were done: the clock that counts the turns of claims.
pub fn beats() -> u64 {
    (1..=TASKS).map(beats_of).sum()
}

/// How many of them by one task.
pub fn beats_of(task: usize) -> u64 {
    BEATS[task].load(Ordering::Relaxed)
}

/// How many beats were cut in two by the end of a quantum.
pub fn cut_beats() -> u64 {
    CUT.load(Ordering::Relaxed)
}

/// What each task runs, on its own stack, if tasks give way after each beat.
pub extern "C" fn politely(task: usize) -> ! {
    work(task, |_| scheduler::give_way())
}

/// The same, if it is left to the timer to switch.
pub extern "C" fn busily(task: usize) -> ! {
    work(task, |_| ())
}

/// The same, if they probe their guards as they give way.
pub extern "C" fn probing(task: usize) -> ! {
    work(task, |task| (0..PROBES).for_each(|_| guards::probe(task)))
}

fn work(task: usize, between_beats: fn(usize)) -> ! {
    // In memory, and not in a register: so that gdb can watch it.
    let mut own_beats = 0_u64;
    while scheduler::goes_on() {
        beat(task);
        own_beats += 1;
        crate::others_may_look_at(&mut own_beats);
        match crate::order_for(task) {
            Some(crate::Order::Overrun) => overrun(task),
            Some(crate::Order::WriteThroughNull) => write_through_null(),
            None => {}
        }
        between_beats(task);
    }
    scheduler::end()
}

/// The unit of work.
#[unsafe(no_mangle)]
#[inline(never)]
fn beat(task: usize) {
    crate::write_shared();
    let start = scheduler::quanta();
    profile::write_all(task, beats_of(task));
    BEATS[task].fetch_add(1, Ordering::Relaxed);
    if scheduler::quanta() != start {
        CUT.fetch_add(1, Ordering::Relaxed);
    }
}

/// Uses up the whole stack, down to the guard, in a recursion that ends there. Interrupts are
/// off meanwhile: they would save the registers below.
#[inline(never)]
fn overrun(task: usize) {
    // SAFETY: the function keeps the registers that a function must keep; it writes the stack
    // below its own frame and nothing else, down to the last word.
    unsafe {
        asm!(
            "cli",
            "call {descend}",
            "sti",
            descend = sym descend,
            in("rdi") scheduler::end_of_stack(task),
        );
    };
}

/// Calls itself until the stack is used up to the address in `rdi`.
#[unsafe(naked)]
extern "C" fn descend() {
    naked_asm!(
        "cmp rsp, rdi",
        "jbe 2f",
        "call {descend}",
        "2: ret",
        descend = sym descend,
    )
}

#[unsafe(no_mangle)]
#[inline(never)]
fn write_through_null() {
    // SAFETY: wrong on purpose. Page 0 is mapped and nothing lives there; in assembly, because
    // the compiler may replace a null write by a trap.
    unsafe {
        asm!("mov dword ptr [{}], 0x0BAD", in(reg) 0_usize, options(nostack, preserves_flags))
    };
}
