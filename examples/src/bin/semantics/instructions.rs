//! Single instructions that access memory, each with the address of the one after it.
//!
//! That is where RIP is when a trap comes. All of them are given addresses of `page.rs`, which
//! no reference leads to, and none says `nomem`.

use core::arch::asm;

use tetrarch::dr::Length;

/// Stores so many zero bytes.
pub fn store(address: usize, length: Length) -> usize {
    let next;
    match length {
        // SAFETY: the memory is the checks' own.
        Length::One => unsafe {
            asm!("mov byte ptr [{}], 0", "2:", "lea {}, [rip + 2b]", in(reg) address, out(reg) next);
        },
        // SAFETY: the memory is the checks' own.
        Length::Two => unsafe {
            asm!("mov word ptr [{}], 0", "2:", "lea {}, [rip + 2b]", in(reg) address, out(reg) next);
        },
        // SAFETY: the memory is the checks' own.
        Length::Four => unsafe {
            asm!("mov dword ptr [{}], 0", "2:", "lea {}, [rip + 2b]", in(reg) address, out(reg) next);
        },
        // SAFETY: the memory is the checks' own.
        Length::Eight => unsafe {
            asm!("mov qword ptr [{}], 0", "2:", "lea {}, [rip + 2b]", in(reg) address, out(reg) next);
        },
    }
    next
}

/// Loads so many bytes.
pub fn load(address: usize, length: Length) -> usize {
    let next;
    match length {
        // SAFETY: the memory is the checks' own.
        Length::One => unsafe {
            asm!("mov {1:l}, [{0}]", "2:", "lea {2}, [rip + 2b]", in(reg) address, out(reg_abcd) _, out(reg) next);
        },
        // SAFETY: the memory is the checks' own.
        Length::Two => unsafe {
            asm!("mov {1:x}, [{0}]", "2:", "lea {2}, [rip + 2b]", in(reg) address, out(reg) _, out(reg) next);
        },
        // SAFETY: the memory is the checks' own.
        Length::Four => unsafe {
            asm!("mov {1:e}, [{0}]", "2:", "lea {2}, [rip + 2b]", in(reg) address, out(reg) _, out(reg) next);
        },
        // SAFETY: the memory is the checks' own.
        Length::Eight => unsafe {
            asm!("mov {1}, [{0}]", "2:", "lea {2}, [rip + 2b]", in(reg) address, out(reg) _, out(reg) next);
        },
    }
    next
}

/// Adds 1 to a byte in memory.
pub fn increment(address: usize) -> usize {
    let next;
    // SAFETY: the memory is the checks' own.
    unsafe {
        asm!("inc byte ptr [{}]", "2:", "lea {}, [rip + 2b]", in(reg) address, out(reg) next);
    }
    next
}

/// Compares a byte with one that it is not, and so exchanges nothing.
pub fn failing_exchange(address: usize) -> usize {
    let next;
    // SAFETY: the memory is the checks' own.
    unsafe {
        asm!(
            "mov al, [{0}]",
            "inc al",
            "lock cmpxchg byte ptr [{0}], dl",
            "2:",
            "lea {1}, [rip + 2b]",
            in(reg) address,
            out(reg) next,
            out("al") _,
            out("dl") _,
        );
    }
    next
}

/// Loads a byte and stores it again. The two are told apart: this is about the store.
pub fn store_same(address: usize) -> usize {
    let next;
    // SAFETY: the memory is the checks' own.
    unsafe {
        asm!(
            "mov al, [{0}]",
            "mov [{0}], al",
            "2:",
            "lea {1}, [rip + 2b]",
            in(reg) address,
            out(reg) next,
            out("al") _,
        );
    }
    next
}

/// Pushes a word onto a stack whose top is at `address`, and gives the stack back.
pub fn push(address: usize) -> usize {
    let next;
    // SAFETY: the memory is the checks' own; an exception in between finds a stack there that
    // is large enough for it, because `address` is well inside of its pages.
    unsafe {
        asm!(
            "xchg rsp, {0}",
            "push rax",
            "2:",
            "mov rsp, {0}",
            "lea {1}, [rip + 2b]",
            inout(reg) address => _,
            out(reg) next,
        );
    }
    next
}

/// Flushes the cache line of an address.
pub fn flush(address: usize) -> usize {
    let next;
    // SAFETY: it changes no memory.
    unsafe { asm!("clflush [{}]", "2:", "lea {}, [rip + 2b]", in(reg) address, out(reg) next) };
    next
}

/// Hints that an address will be read.
pub fn prefetch(address: usize) {
    // SAFETY: it changes no memory.
    unsafe { asm!("prefetcht0 [{}]", in(reg) address) };
}

/// Calls code at an address, which is a RET.
pub fn call(address: usize) {
    // SAFETY: RET changes no register.
    unsafe { asm!("call {}", in(reg) address) };
}
