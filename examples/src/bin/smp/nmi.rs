//! An NMI handler of the image's own, which was there before the stub was.
//!
//! The processor lets no NMI in before the handler of the last one has returned. So a second one,
//! which the handler asks for itself, must find that the first has left.

use core::arch::{asm, naked_asm};
use core::sync::atomic::{AtomicU64, Ordering};

use examples::arguments::Arguments;
use examples::{apic, interrupts};

/// How many were handled.
pub static HANDLED: AtomicU64 = AtomicU64::new(0);
/// How many were being handled at most at the same time.
pub static DEEPEST: AtomicU64 = AtomicU64::new(0);

static DEPTH: AtomicU64 = AtomicU64::new(0);

/// Handlers are one another's successor so often, for one order.
const IN_A_ROW: u64 = 10;

/// To be called before the stub is installed: it takes the NMI over, and knows whose it was.
pub fn start(arguments: &Arguments) {
    const NMI: u8 = 2;
    if arguments.has("own-nmi") {
        interrupts::set_handler(NMI, nmi_interrupt);
    }
}

/// Sends `cpu`, which executes the call, the first one, and waits for the last.
pub fn provoke(cpu: usize) {
    let goal = HANDLED.load(Ordering::Relaxed) + IN_A_ROW;
    // SAFETY: there is a handler, the image's or the stub's.
    unsafe { apic::send_nmi(cpu as u32) };
    while HANDLED.load(Ordering::Relaxed) != goal {
        core::hint::spin_loop();
    }
    all_handled();
}

/// A place for gdb to stop at. An NMI with which the stub stops this CPU while one of the image's
/// waits is the same NMI to the processor: so nobody stops the machine before.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn all_handled() {
    // SAFETY: it does nothing; without it there would be no function.
    unsafe { asm!("nop", options(nomem, nostack, preserves_flags)) };
}

#[unsafe(naked)]
unsafe extern "C" fn nmi_interrupt() {
    naked_asm!(
        "push rax", "push rcx", "push rdx", "push rsi", "push rdi",
        "push r8", "push r9", "push r10", "push r11",
        "cld",
        "call {handle}",
        "pop r11", "pop r10", "pop r9", "pop r8",
        "pop rdi", "pop rsi", "pop rdx", "pop rcx", "pop rax",
        "iretq",
        handle = sym handle,
    )
}

extern "C" fn handle() {
    let depth = DEPTH.fetch_add(1, Ordering::Relaxed) + 1;
    DEEPEST.fetch_max(depth, Ordering::Relaxed);
    let handled = HANDLED.fetch_add(1, Ordering::Relaxed) + 1;
    if !handled.is_multiple_of(IN_A_ROW) {
        // SAFETY: its handler is this one.
        unsafe { apic::send_nmi(apic::id()) };
        // Long enough for it to come, if it were let in.
        for _ in 0..10_000 {
            core::hint::spin_loop();
        }
    }
    DEPTH.fetch_sub(1, Ordering::Relaxed);
}
