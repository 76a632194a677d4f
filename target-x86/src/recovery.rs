//! A fault or a panic in the stub, or in what it calls of the firmware's: the work is given up, and
//! the stub goes on.
//!
//! A `monitor` command that follows a bad pointer, a claim's handler that divides by zero, a clock that
//! panics in a tick, a bug of the stub's own: what was under way cannot be finished, but everything that is
//! needed to look at the machine is there. So such work is *attempted*: [`attempt`] notes where it
//! began, and an exception that finds nobody else to handle it ends the work there, by setting the
//! interrupted context to the end of the attempt. A panic goes there by itself.
//!
//! ```text
//!   attempt ▸ push what a callee preserves ▸ note RSP ▸ work ─▶ done ──────────▶ forget RSP ▸ return
//!                                                         └ fault, panic ▸ RSP as noted ▸ ┘
//! ```
//!
//! Nothing of the work's is dropped. What it was changing is as it was left: the caller puts in order
//! what it knows, and the debugger is told: in an exception at once
//! ([`Session::give_up`](tetrarch::session::Session::give_up)), after a call of the firmware's by a stop
//! ([`access`](crate::access)). A second fault while it does so finds no attempt under way, and is the end.
//!
//! An exception inside of the attempt that nests in another CPU's or in another attempt's is that
//! one's: there is one note for each CPU, and an attempt within an attempt puts the outer one's back.

use core::arch::{asm, global_asm};
use core::cell::Cell;
use core::ffi::c_void;
use core::sync::atomic::{AtomicU64, Ordering};

use tetrarch::session::Mishap;
use tetrarch::text::Text;

use crate::fault;
use crate::frame::{Frame, flag, vector};
use crate::memory::{is_supervisor, set_page_fault_address};
use crate::registers::processor;

// The calling convention is `sysv64` on every target, as in `memory::guarded`.
global_asm!(
    r#"
    .pushsection .text.tetrarch_attempt, "ax"
    .globl tetrarch_attempt, tetrarch_attempt_end
tetrarch_attempt:
    push rbx
    push rbp
    push r12
    push r13
    push r14
    push r15
    sub rsp, 8
    mov [rdx], rsp
    mov rax, rdi
    mov rdi, rsi
    call rax
    mov eax, 1
    jmp 2f
tetrarch_attempt_end:
    xor eax, eax
2:  add rsp, 8
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbp
    pop rbx
    ret
    .popsection
    "#
);

unsafe extern "sysv64" {
    /// Calls `work` with `argument` and returns 1; or 0, if it was given up.
    ///
    /// # Safety
    ///
    /// `work` must take `argument`; `start` is valid for a write, and until this returns nobody but
    /// who gives up the work reads it.
    fn tetrarch_attempt(
        work: extern "sysv64" fn(*mut c_void),
        argument: *mut c_void,
        start: *mut u64,
    ) -> u64;
}

unsafe extern "C" {
    static tetrarch_attempt_end: u8;
}

/// What is known of the attempt that is under way on one CPU.
pub(crate) struct Attempt {
    /// RSP where it began, or 0.
    start: AtomicU64,
    /// Of the last one that was given up: the exception's vector and where it came.
    vector: AtomicU64,
    address: AtomicU64,
    /// What it has said, if it was a panic.
    message: Cell<Text>,
}

/// The work was given up, because of [that](Attempt::mishap).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct GivenUp;

impl Attempt {
    /// None is under way.
    pub const fn new() -> Self {
        Self {
            start: AtomicU64::new(0),
            vector: AtomicU64::new(0),
            address: AtomicU64::new(0),
            message: Cell::new(Text::new()),
        }
    }

    /// Does the work, or as much of it as can be done. On the CPU that this belongs to.
    pub fn attempt<R>(&self, work: impl FnOnce() -> R) -> Result<R, GivenUp> {
        struct Call<W, R> {
            work: Option<W>,
            result: Option<R>,
        }
        extern "sysv64" fn run<W: FnOnce() -> R, R>(call: *mut c_void) {
            // SAFETY: it is the address of the `Call` below, which nobody else uses until this
            // returns.
            let call = unsafe { &mut *call.cast::<Call<W, R>>() };
            call.result = call.work.take().map(|work| work());
        }
        fn runner<W: FnOnce() -> R, R>(_: &Call<W, R>) -> extern "sysv64" fn(*mut c_void) {
            run::<W, R>
        }

        let page_fault_address = is_supervisor().then(processor::cr2);
        let outer = self.start.load(Ordering::Relaxed);
        let mut call = Call { work: Some(work), result: None };
        let run = runner(&call);
        // SAFETY: `run` takes what it is given; the note is this CPU's, which reads it only when it
        // gives the work up.
        let done = unsafe { tetrarch_attempt(run, (&raw mut call).cast(), self.start.as_ptr()) };
        self.start.store(outer, Ordering::Relaxed);
        if let (0, Some(address)) = (done, page_fault_address) {
            // It is the firmware's, which may not have read it yet.
            set_page_fault_address(address);
        }
        call.result.filter(|_| done == 1).ok_or(GivenUp)
    }

    /// None is under way any more: the CPU was reset.
    pub fn forget(&self) {
        self.start.store(0, Ordering::Relaxed);
    }

    /// Why the last one was given up.
    pub fn mishap(&self) -> Mishap {
        let address = self.address.load(Ordering::Relaxed) as usize;
        let what = fault::name(self.vector.load(Ordering::Relaxed));
        Mishap { what, address, message: self.message.get() }
    }

    /// Ends the attempt that is under way, if there is one, because of this.
    fn end(&self, vector: u64, address: u64, message: Text) -> Option<u64> {
        let start = self.start.swap(0, Ordering::Relaxed);
        if start == 0 {
            return None;
        }
        self.vector.store(vector, Ordering::Relaxed);
        self.address.store(address, Ordering::Relaxed);
        self.message.set(message);
        Some(start)
    }

    /// Whether an attempt was under way in the context of `frame`: that is at its end now.
    pub fn give_up_in(&self, frame: &mut Frame) -> bool {
        let Some(start) = self.end(frame.vector, frame.rip, Text::new()) else { return false };
        frame.rsp = start;
        frame.rip = (&raw const tetrarch_attempt_end).addr() as u64;
        frame.clear(flag::DIRECTION | flag::TRAP | flag::ACCESS | flag::INTERRUPT);
        true
    }

    /// Gives the attempt up that is under way, out of the middle of it: of a panic there, which says
    /// this. Returns if there is none.
    pub fn give_up(&self, message: Text) {
        if let Some(start) = self.end(vector::PANIC, 0, message) {
            // SAFETY: `start` is RSP in a call of `tetrarch_attempt` that has not returned, on this
            // CPU: what lies above it is whole, and below is nothing that is still needed.
            unsafe {
                asm!(
                    "mov rsp, {start}",
                    "push {flags}",
                    "popfq",
                    "jmp tetrarch_attempt_end",
                    start = in(reg) start,
                    flags = const flag::FIXED,
                    options(noreturn)
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use core::fmt::Write;

    use super::*;

    fn said(text: &str) -> Text {
        let mut message = Text::new();
        message.write_str(text).expect("it is cut off");
        message
    }

    fn panic(text: &str) -> Mishap {
        Mishap { what: "panic", address: 0, message: said(text) }
    }

    #[test]
    fn work_that_is_done_has_its_result() {
        let attempt = Attempt::new();
        let mut calls = 0;
        let result = attempt.attempt(|| {
            calls += 1;
            7 * calls
        });
        assert_eq!((result, calls), (Ok(7), 1));
        assert_eq!(attempt.start.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn work_that_is_given_up_ends_there_and_the_caller_goes_on() {
        let attempt = Attempt::new();
        let reached = Cell::new(0);
        let kept = core::hint::black_box([1_u64, 2, 3, 4, 5, 6, 7, 8]);
        let outer = attempt.attempt(|| {
            let inner = attempt.attempt(|| {
                reached.set(1);
                attempt.give_up(said("inner"));
                reached.set(2);
            });
            assert_eq!((inner, attempt.mishap()), (Err(GivenUp), panic("inner")));
            attempt.give_up(said("outer"));
            3
        });
        assert_eq!((outer, reached.get()), (Err(GivenUp), 1));
        assert_eq!(attempt.mishap(), panic("outer"));
        assert_eq!(kept, [1, 2, 3, 4, 5, 6, 7, 8]);
        attempt.give_up(said("nobody"));
    }

    #[test]
    fn a_frame_is_set_to_the_end_once() {
        let attempt = Attempt::new();
        let mut frame = Frame::ZERO;
        assert!(!attempt.give_up_in(&mut frame));
        attempt.start.store(0x1000, Ordering::Relaxed);
        frame.set(flag::DIRECTION | flag::FIXED);
        (frame.vector, frame.rip) = (vector::PAGE, 0x1234);
        assert!(attempt.give_up_in(&mut frame));
        let end = (&raw const tetrarch_attempt_end).addr() as u64;
        assert_eq!((frame.rip, frame.rsp, frame.rflags), (end, 0x1000, flag::FIXED));
        assert_eq!(
            attempt.mishap(),
            Mishap { what: "page fault", address: 0x1234, message: Text::new() }
        );
        assert!(!attempt.give_up_in(&mut frame));
    }
}
