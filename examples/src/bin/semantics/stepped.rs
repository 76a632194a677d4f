//! Instructions that run with TF set, each with the address of the one after it.
//!
//! POPF sets TF; the first trap comes after the instruction that follows POPF. The recorder
//! clears TF again.

use core::arch::asm;

/// A NOP.
pub fn nothing() -> usize {
    let next;
    // SAFETY: what is pushed is popped; TF is cleared by the recorder, or harmless.
    unsafe {
        asm!(
            "pushfq",
            "or qword ptr [rsp], 0x100",
            "popfq",
            "nop",
            "2:",
            "lea {}, [rip + 2b]",
            out(reg) next,
        );
    }
    next
}

/// A store of a zero byte.
pub fn store(address: usize) -> usize {
    let next;
    // SAFETY: as for `nothing`, and the memory is the checks' own.
    unsafe {
        asm!(
            "pushfq",
            "or qword ptr [rsp], 0x100",
            "popfq",
            "mov byte ptr [{}], 0",
            "2:",
            "lea {}, [rip + 2b]",
            in(reg) address,
            out(reg) next,
        );
    }
    next
}
