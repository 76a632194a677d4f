//! Four tasks in turn: by the timer, or by their own wish.
//!
//! Both ways into the scheduler are interrupts, so that a task that gave way and one that was
//! interrupted look the same: the processor pushes five words, the entry below fifteen more,
//! and where they lie is all that is kept of a task that does not run. Nothing here is compiled
//! with SSE, so the general registers are the whole context.
//!
//! Place 0 is no task: it is the boot's own context, which starts the others and is gone back
//! to when all is done. It has no claims, and carries the plan that says so.

use core::arch::{asm, naked_asm};
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

use examples::interrupts;
use tetrarch::arbiter::{PlanId, TaskId};

use crate::guards::STUB;

/// How many tasks there are; they are numbered from 1.
pub const TASKS: usize = 4;
/// The boot's context.
pub const BOOT: usize = 0;

/// By this software interrupt a task gives way.
const YIELD_VECTOR: u8 = 48;
/// How long a task may run: in interrupts of the timer, which come each millisecond.
const QUANTUM: u64 = 4;

const PAGE: usize = 4096;
const STACK_SIZE: usize = 5 * PAGE;

/// A stack, on pages of its own. The lowest 8 bytes are what its guard watches; so that the
/// guard sees no other access to its page, the lowest page is only for who overruns the rest.
#[repr(C, align(4096))]
struct Stack(UnsafeCell<[u64; STACK_SIZE / 8]>);

// SAFETY: used by its task only, as that one's stack; others write nothing but the guarded word,
// which nobody reads.
unsafe impl Sync for Stack {}

static STACKS: [Stack; TASKS] = [const { Stack(UnsafeCell::new([0; STACK_SIZE / 8])) }; TASKS];

/// What is kept of a context: all that a scheduler needs beside it is one number of a plan.
struct Task {
    /// Where its registers are saved, while it does not run.
    stack_pointer: AtomicUsize,
    plan: AtomicU32,
}

static TABLE: [Task; TASKS + 1] = [const {
    Task { stack_pointer: AtomicUsize::new(0), plan: AtomicU32::new(PlanId::NONE.bits()) }
}; TASKS + 1];

/// How many switches there were to a task.
static SWITCHES: AtomicU64 = AtomicU64::new(0);
/// How many quanta the timer has ended.
static QUANTA: AtomicU64 = AtomicU64::new(0);
/// After how many switches the tasks shall end.
static LIMIT: AtomicU64 = AtomicU64::new(u64::MAX);
/// How many have ended.
static ENDED: AtomicUsize = AtomicUsize::new(0);

/// The number of the arbiter's for a task.
pub fn id(task: usize) -> TaskId {
    TaskId(task as u32)
}

/// The lowest address of a task's stack.
pub fn end_of_stack(task: usize) -> usize {
    STACKS[task - 1].0.get() as usize
}

/// How many switches there were to a task.
pub fn switches() -> u64 {
    SWITCHES.load(Ordering::Relaxed)
}

/// How many quanta the timer has ended.
pub fn quanta() -> u64 {
    QUANTA.load(Ordering::Relaxed)
}

/// Takes the timer over. To be called before the stub is installed, which copies the IDT.
pub fn take_over() {
    interrupts::set_handler(interrupts::TIMER_VECTOR, timer_interrupt);
    interrupts::set_handler(YIELD_VECTOR, yield_interrupt);
}

/// Whether the tasks shall go on.
pub fn goes_on() -> bool {
    switches() < LIMIT.load(Ordering::Relaxed)
}

/// Ends a task. When all have, the boot's context goes on.
pub fn end() -> ! {
    ENDED.fetch_add(1, Ordering::Relaxed);
    loop {
        give_way();
    }
}

/// Lets all tasks run `body`, until they have ended: after `limit` switches and a few more.
pub fn run(body: extern "C" fn(usize) -> !, limit: u64) {
    LIMIT.store(limit, Ordering::Relaxed);
    for (task, kept) in TABLE.iter().enumerate().skip(1) {
        kept.stack_pointer.store(first_context(task, body), Ordering::Relaxed);
        // Its claims are made, so this is the number for good.
        kept.plan.store(STUB.plan_of(id(task)).bits(), Ordering::Relaxed);
    }
    interrupts::enable();
    give_way();
}

/// Lets the next task run.
pub fn give_way() {
    // SAFETY: the gate is there from `take_over` on, and the scheduler comes back here with all
    // registers as they were. Without `nomem`: others run meanwhile.
    unsafe { asm!("int {}", const YIELD_VECTOR, options(nostack)) };
}

/// Writes `word`, lets the next task run, and writes it again when it is this one's turn: with
/// no instruction in between.
pub fn give_way_between_writes(word: *mut u64) {
    // SAFETY: as above; the callers pass the guarded word of their own stack.
    unsafe {
        asm!(
            "mov [{word}], {word}",
            "int {vector}",
            "mov [{word}], {word}",
            word = in(reg) word,
            vector = const YIELD_VECTOR,
            options(nostack),
        );
    };
}

/// Fills a stack with what the entry restores: registers that are 0 but for the argument, and
/// the beginning of `body`, with interrupts on. Gives the stack pointer.
fn first_context(task: usize, body: extern "C" fn(usize) -> !) -> usize {
    const RDI: usize = 9;
    const FRAME: usize = 15;
    const WORDS: usize = FRAME + 5;
    /// RFLAGS: interrupts on, and the bit that is always 1.
    const FLAGS: u64 = 0x202;
    /// Selectors of the GDT in boot.rs.
    const CODE: u64 = 0x08;
    const DATA: u64 = 0x10;

    // As after a call: a return address, 0 for "none", and the alignment that goes with it.
    let top = end_of_stack(task) + STACK_SIZE - 8;
    let mut words = [0; WORDS];
    words[RDI] = task as u64;
    words[FRAME..].copy_from_slice(&[body as usize as u64, CODE, FLAGS, top as u64, DATA]);
    let context = top - size_of_val(&words);
    // SAFETY: inside the stack, of a task that does not run yet.
    unsafe { (context as *mut [u64; WORDS]).write(words) };
    context
}

/// Enters the scheduler, with the registers saved on the stack of the task that is interrupted,
/// and leaves it on the stack of the one that comes next.
macro_rules! entry {
    ($name:ident, $scheduler:ident) => {
        #[unsafe(naked)]
        unsafe extern "C" fn $name() {
            naked_asm!(
                "push rax", "push rbx", "push rcx", "push rdx", "push rsi", "push rdi",
                "push rbp", "push r8", "push r9", "push r10", "push r11", "push r12",
                "push r13", "push r14", "push r15",
                "cld",
                "mov rdi, rsp",     // a multiple of 16: the processor aligns what it pushes
                "call {scheduler}",
                "mov rsp, rax",
                "pop r15", "pop r14", "pop r13", "pop r12", "pop r11", "pop r10", "pop r9",
                "pop r8", "pop rbp", "pop rdi", "pop rsi", "pop rdx", "pop rcx", "pop rbx",
                "pop rax",
                "iretq",
                scheduler = sym $scheduler,
            )
        }
    };
}

entry!(timer_interrupt, on_timer);
entry!(yield_interrupt, on_yield);

/// The timer: a turn of the claims that take turns is over, and so is the task's time.
extern "C" fn on_timer(stack_pointer: usize) -> usize {
    interrupts::timer_handled();
    if !interrupts::milliseconds().is_multiple_of(QUANTUM) {
        return stack_pointer;
    }
    QUANTA.fetch_add(1, Ordering::Relaxed);
    next_context(stack_pointer, |plan| STUB.tick_to(plan))
}

/// A task gives way.
extern "C" fn on_yield(stack_pointer: usize) -> usize {
    next_context(stack_pointer, |plan| STUB.switch_to(plan))
}

/// Puts the running context away, has the registers `switch` to what the next one wants, and
/// gives its stack pointer. Interrupts are off, from before the one's registers were saved until
/// the other's are back.
fn next_context(stack_pointer: usize, switch: impl FnOnce(PlanId)) -> usize {
    let before = crate::running();
    let all_ended = ENDED.load(Ordering::Relaxed) == TASKS;
    let next = if all_ended { BOOT } else { before % TASKS + 1 };
    switch(PlanId::from_bits(TABLE[next].plan.load(Ordering::Relaxed)));
    if next == before {
        return stack_pointer;
    }
    TABLE[before].stack_pointer.store(stack_pointer, Ordering::Relaxed);
    crate::set_running(next);
    if next != BOOT {
        SWITCHES.fetch_add(1, Ordering::Relaxed);
    }
    TABLE[next].stack_pointer.load(Ordering::Relaxed)
}
