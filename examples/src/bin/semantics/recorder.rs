//! Records each debug exception, and each other one that a check provokes, in their order.
//!
//! The entries turn DR7 off before they do anything else and turn it on again at their end,
//! so that the recorder cannot set itself off. An exception at a handler's first instruction
//! comes in between all the same, and is recorded first: it ends first.
//!
//! Exceptions whose instruction would raise them again go on at the address that the check has
//! put into R11.

use core::arch::naked_asm;
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU64, Ordering};

use examples::interrupts;
use tetrarch::dr::{Condition, Dr6, Dr7, Slot};

use crate::event::{Cause, Event, Events, flag};
use crate::registers;

/// Vectors with an entry here.
pub mod vector {
    /// The debug exception.
    pub const DEBUG: u8 = 1;
    /// The non-maskable interrupt: a watchdog's, here.
    pub const NMI: u8 = 2;
    /// INT3.
    pub const BREAKPOINT: u8 = 3;
    /// An invalid opcode.
    pub const INVALID_OPCODE: u8 = 6;
    /// A general protection fault.
    pub const PROTECTION: u8 = 13;
    /// A software interrupt.
    pub const SOFTWARE: u8 = 0x80;
}

/// What the handler does about a #DB, besides recording it.
#[derive(Clone, Copy)]
pub struct Reaction {
    /// How many instructions are stepped before it clears TF.
    pub steps: u32,
    /// How many times it returns to an execute breakpoint without setting RF.
    pub repeats: u32,
    /// What it leaves in DR6.
    pub status: Status,
}

/// What the handler leaves in DR6.
#[derive(Clone, Copy)]
pub enum Status {
    /// The reset value, as a handler should.
    Reset,
    /// What the processor wrote.
    AsItIs,
}

impl Reaction {
    /// One step, RF at once, DR6 reset.
    pub const PLAIN: Self = Self { steps: 1, repeats: 0, status: Status::Reset };
}

/// What the entry has saved, in the order in which it lies on the stack.
#[repr(C)]
struct Frame {
    r11: u64,
    r10: u64,
    r9: u64,
    r8: u64,
    rdi: u64,
    rsi: u64,
    rdx: u64,
    rcx: u64,
    control: u64,
    rax: u64,
    vector: u64,
    error: u64,
    rip: u64,
    cs: u64,
    flags: u64,
    rsp: u64,
    ss: u64,
}

struct State {
    events: Events,
    reaction: Reaction,
}

struct Recorder(UnsafeCell<State>);

// SAFETY: one CPU; `begin` and `end` are called while nothing is armed and TF is clear, so no
// exception comes in between but an NMI, and the handler runs with both off too; an NMI uses it
// only when it has come at the end of a check's HLT.
unsafe impl Sync for Recorder {}

static RECORDER: Recorder =
    Recorder(UnsafeCell::new(State { events: Events::new(), reaction: Reaction::PLAIN }));

impl Recorder {
    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        // SAFETY: as for `Sync`: no two of these references are alive at once.
        act(unsafe { &mut *self.0.get() })
    }
}

/// Counts the NMIs, recorded or not.
static NMIS: AtomicU64 = AtomicU64::new(0);

/// How many NMIs have come so far.
pub fn nmis() -> u64 {
    NMIS.load(Ordering::Relaxed)
}

/// Puts the entries into the IDT.
pub fn install() {
    for (number, entry) in [
        (vector::DEBUG, debug_entry as unsafe extern "C" fn()),
        (vector::NMI, nmi_entry),
        (vector::BREAKPOINT, breakpoint_entry),
        (vector::INVALID_OPCODE, invalid_opcode_entry),
        (vector::PROTECTION, protection_entry),
        (vector::SOFTWARE, software_entry),
    ] {
        interrupts::set_handler(number, entry);
    }
}

/// Where INT 80 leads.
pub fn software_entry_address() -> usize {
    software_entry as *const () as usize
}

/// Forgets what was recorded.
pub fn begin(reaction: Reaction) {
    RECORDER.with(|state| *state = State { events: Events::new(), reaction });
}

/// What was recorded.
pub fn end() -> Events {
    RECORDER.with(|state| state.events.clone())
}

/// Called by the entries, with DR7 off.
extern "C" fn record(frame: &mut Frame) {
    let number = frame.vector as u8;
    // An NMI may come in the middle of everything, the recorder included; one is recorded that
    // has ended a check's HLT.
    if number == vector::NMI {
        NMIS.fetch_add(1, Ordering::Relaxed);
        if frame.rip != frame.r11 {
            return;
        }
    }
    RECORDER.with(|state| match number {
        vector::DEBUG => debug(state, frame),
        vector::NMI | vector::BREAKPOINT | vector::SOFTWARE => {
            note(state, frame, Cause::Exception { vector: number, error: 0 });
        }
        _ => {
            note(state, frame, Cause::Exception { vector: number, error: frame.error });
            frame.rip = frame.r11;
            frame.flags &= !flag::TRAP;
        }
    });
}

fn debug(state: &mut State, frame: &mut Frame) {
    let control = Dr7::from_bits(frame.control as u32);
    let status = registers::status();
    match state.reaction.status {
        Status::Reset => registers::reset_status(),
        Status::AsItIs => {}
    }
    // A bit of a slot that is not enabled means nothing.
    let disabled = Slot::ALL.iter().filter(|slot| !control.is_armed(**slot));
    let meaningless = disabled.fold(0, |bits, slot| bits | 1 << slot.index());
    let status = Dr6::from_bits(status as u32 & !meaningless);
    note(state, frame, Cause::Debug(status));

    let executes =
        |slot: &Slot| status.hit(*slot) && control.condition(*slot) == Condition::Execute;
    if Slot::ALL.iter().any(executes) {
        match state.reaction.repeats.checked_sub(1) {
            Some(left) => state.reaction.repeats = left,
            None => frame.flags |= flag::RESUME,
        }
    }
    if status.single_step() {
        state.reaction.steps = state.reaction.steps.saturating_sub(1);
        if state.reaction.steps == 0 {
            frame.flags &= !flag::TRAP;
        }
    }
}

/// Keeps an event. When there is no room for another one, ends what causes them.
fn note(state: &mut State, frame: &mut Frame, cause: Cause) {
    let event = Event {
        cause,
        rip: frame.rip as usize,
        flags: frame.flags & (flag::TRAP | flag::RESUME),
        counters: [frame.rcx as usize, frame.rsi as usize, frame.rdi as usize],
    };
    if state.events.push(event).is_err() || state.events.is_full() {
        frame.control = u64::from(Dr7::OFF.bits());
        frame.flags = frame.flags & !flag::TRAP | flag::RESUME;
    }
}

#[unsafe(naked)]
unsafe extern "C" fn debug_entry() {
    naked_asm!("push 0", "push {}", "jmp {}", const vector::DEBUG, sym common)
}

#[unsafe(naked)]
unsafe extern "C" fn nmi_entry() {
    naked_asm!("push 0", "push {}", "jmp {}", const vector::NMI, sym common)
}

#[unsafe(naked)]
unsafe extern "C" fn breakpoint_entry() {
    naked_asm!("push 0", "push {}", "jmp {}", const vector::BREAKPOINT, sym common)
}

#[unsafe(naked)]
unsafe extern "C" fn invalid_opcode_entry() {
    naked_asm!("push 0", "push {}", "jmp {}", const vector::INVALID_OPCODE, sym common)
}

/// The processor has pushed an error code.
#[unsafe(naked)]
unsafe extern "C" fn protection_entry() {
    naked_asm!("push {}", "jmp {}", const vector::PROTECTION, sym common)
}

#[unsafe(naked)]
unsafe extern "C" fn software_entry() {
    naked_asm!("push 0", "push {}", "jmp {}", const vector::SOFTWARE, sym common)
}

/// Completes the [`Frame`]. DR7 goes off first and on last.
#[unsafe(naked)]
unsafe extern "C" fn common() {
    naked_asm!(
        "push rax",
        "mov rax, dr7",
        "push rax",
        "mov eax, {off}",
        "mov dr7, rax",
        "push rcx",
        "push rdx",
        "push rsi",
        "push rdi",
        "push r8",
        "push r9",
        "push r10",
        "push r11",
        "cld",
        "mov rdi, rsp",
        "sub rsp, 8", // the processor has aligned the stack, and 17 words have gone onto it
        "call {record}",
        "add rsp, 8",
        "pop r11",
        "pop r10",
        "pop r9",
        "pop r8",
        "pop rdi",
        "pop rsi",
        "pop rdx",
        "pop rcx",
        "pop rax",
        "mov dr7, rax",
        "pop rax",
        "lea rsp, [rsp + 16]", // vector and error code; without touching the flags
        "iretq",
        off = const Dr7::OFF.bits(),
        record = sym record,
    )
}
