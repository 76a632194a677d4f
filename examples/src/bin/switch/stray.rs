//! A stray hit: what the lazy variant risks for the writes that it saves.
//!
//! A task that has a word watched gives way to one without claims, lazily, and that one writes
//! to the word. The exception reads DR6 and DR7, finds that the hit is nobody's, resets DR6 and
//! returns: about the least that a handler can do.

use core::arch::naked_asm;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use examples::interrupts;
use tetrarch::arbiter::{self, Condition, Owner, PlanId, Region, Request, Scope, TaskId};
use tetrarch::machine::Memory;

use crate::{CPU, KERNEL, Kernel, Seen, TIMES, clock, go_to};

const DEBUG_EXCEPTION: u8 = 1;

const TASK: TaskId = TaskId(9);

/// What is watched; alone on its page, because the emulator is slow in a page that is watched.
#[unsafe(link_section = ".page.watched")]
static WATCHED: AtomicU64 = AtomicU64::new(0);

/// What it is compared with.
#[unsafe(link_section = ".page.unwatched")]
static UNWATCHED: AtomicU64 = AtomicU64::new(0);

/// How many hits were nobody's.
static STRAY: AtomicU32 = AtomicU32::new(0);

pub fn set_up() {
    interrupts::set_handler(DEBUG_EXCEPTION, debug_entry);
}

/// Leaves the arbiter as it was, but for the claims: they are one task's, on one word.
pub fn measure() -> Seen {
    let mut kernel = KERNEL.lock();
    let region = Region::new(WATCHED.as_ptr() as usize, 8).expect("a region");
    let request = Request::pinned(Owner::System("task"), region, Condition::Write);
    let plan = kernel.with_arbiter(|arbiter| {
        arbiter.release_all();
        arbiter.claim(request.on(Scope::Task(TASK)), arbiter::stop).expect("room for one");
        arbiter.plan_of(TASK)
    });
    go_to(&mut kernel, plan);
    go_to(&mut kernel, PlanId::NONE);
    drop(kernel);

    let mut seen = Seen::NOTHING;
    for time in 0..TIMES {
        let written = KERNEL.lock().registers.written();
        let ticks = timed(&WATCHED).saturating_sub(timed(&UNWATCHED));
        seen.add(time, KERNEL.lock().registers.written() - written, ticks);
    }
    assert_eq!(STRAY.load(Ordering::Relaxed) as usize, TIMES, "each store was a stray hit");
    seen
}

#[inline(never)]
fn timed(word: &AtomicU64) -> u64 {
    let before = clock::now();
    word.store(before, Ordering::Relaxed);
    clock::now() - before
}

/// Saves what a function may change, and calls [`debug_exception`].
#[unsafe(naked)]
unsafe extern "C" fn debug_entry() {
    naked_asm!(
        "push rax", "push rcx", "push rdx", "push rsi", "push rdi",
        "push r8", "push r9", "push r10", "push r11",
        // The processor aligned the stack to 16 bytes and pushed five words: now even again.
        "cld",
        "call {handler}",
        "pop r11", "pop r10", "pop r9", "pop r8",
        "pop rdi", "pop rsi", "pop rdx", "pop rcx", "pop rax",
        "iretq",
        handler = sym debug_exception,
    )
}

extern "C" fn debug_exception() {
    let mut kernel = crate::kernel().expect("nothing is watched that a switch touches");
    let Kernel { part, registers, .. } = &mut *kernel;
    let part = part.as_mut().expect("nothing hits while the arbiter has it");
    let (status, live) = registers.read();
    let exception = part.exception(status, live, 0);
    let told = part.tell(CPU, &[exception], &mut NoMemory);
    assert!(told.stops.is_empty(), "the hit belongs to nobody");
    STRAY.fetch_add(told.windows.len() as u32, Ordering::Relaxed);
    registers.reset_status();
}

/// Nobody is told of a stray hit, so nobody looks at memory.
struct NoMemory;

impl Memory for NoMemory {
    fn read(&mut self, _: usize, _: &mut [u8]) -> usize {
        0
    }

    fn write(&mut self, _: usize, _: &[u8]) -> usize {
        0
    }

    fn patch(&mut self, _: usize, _: &[u8]) -> usize {
        0
    }
}
