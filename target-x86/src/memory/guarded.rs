//! The instructions that may fault, and what happens then.
//!
//! Each function below marks the instructions that the processor may refuse with a `start`
//! and an `end` label, and says at its `landing` label how to go on when it did: the count
//! of a copy as it stands, or "refused". [`fixup`] is the table of these labels. Nothing
//! else in the crate touches memory or registers that can refuse.
//!
//! The calling convention is `sysv64` on every target: arguments in RDI, RSI, RDX, the
//! result in RAX, and RCX and R8 to R11 are free.

use core::arch::global_asm;

use crate::frame::{Frame, vector};

// Byte by byte, so that RAX is at every moment the number of bytes done.
global_asm!(
    r#"
    .pushsection .text.tetrarch_guarded, "ax"
    .globl tetrarch_copy, tetrarch_copy_start, tetrarch_copy_end, tetrarch_copy_landing
tetrarch_copy:
    xor eax, eax
2:  cmp rax, rdx
    je tetrarch_copy_landing
tetrarch_copy_start:
    mov cl, [rsi + rax]
    mov [rdi + rax], cl
tetrarch_copy_end:
    inc rax
    jmp 2b
tetrarch_copy_landing:
    ret
    .popsection
    "#
);

// The same with CR0.WP clear. CR0.WP cannot be cleared while CR4.CET is set (Intel SDM vol. 3,
// 2.5), so that goes first and comes back last; no call or return happens in between, which
// would unbalance a shadow stack. A hypervisor may refuse either write: nothing is copied
// then. The MOV to CR0 at the end serialises, and is made even if nothing changed.
global_asm!(
    r#"
    .pushsection .text.tetrarch_guarded, "ax"
    .globl tetrarch_patch, tetrarch_patch_start, tetrarch_patch_end, tetrarch_patch_landing
tetrarch_patch:
    pushfq
    cli
    xor eax, eax
    mov r10, cr0
    mov r8, cr4
    mov r9, r8
    btr r9, 23                      # CET
    mov r11, r10
    btr r11, 16                     # WP
tetrarch_patch_start:
    cmp r9, r8
    je 2f
    mov cr4, r9
2:  mov cr0, r11
3:  cmp rax, rdx
    je tetrarch_patch_landing
    mov cl, [rsi + rax]
    mov [rdi + rax], cl
    inc rax
    jmp 3b
tetrarch_patch_end:
tetrarch_patch_landing:
    mov cr0, r10
    cmp r9, r8
    je 4f
    mov cr4, r8
4:  popfq
    ret
    .popsection
    "#
);

// RDMSR, WRMSR, MOV to a control register, and accesses to one word of memory: 1, or 0 if the
// processor refuses.
global_asm!(
    r#"
    .pushsection .text.tetrarch_guarded, "ax"
    .globl tetrarch_rdmsr, tetrarch_wrmsr, tetrarch_mov_to_control
    .globl tetrarch_rdmsr_start, tetrarch_rdmsr_end, tetrarch_wrmsr_start, tetrarch_wrmsr_end
    .globl tetrarch_control_start, tetrarch_control_end, tetrarch_refused_landing
    .globl tetrarch_load_word, tetrarch_store_word
    .globl tetrarch_load_start, tetrarch_load_end, tetrarch_store_start, tetrarch_store_end
tetrarch_load_word:
tetrarch_load_start:
    mov eax, [rdi]
tetrarch_load_end:
    mov [rsi], eax
    jmp 9f

tetrarch_store_word:
tetrarch_store_start:
    mov [rdi], esi
tetrarch_store_end:
    jmp 9f

tetrarch_rdmsr:
    mov ecx, edi
tetrarch_rdmsr_start:
    rdmsr
tetrarch_rdmsr_end:
    shl rdx, 32
    or rax, rdx
    mov [rsi], rax
    jmp 9f

tetrarch_wrmsr:
    mov ecx, edi
    mov eax, esi
    mov rdx, rsi
    shr rdx, 32
tetrarch_wrmsr_start:
    wrmsr
tetrarch_wrmsr_end:
    jmp 9f

tetrarch_mov_to_control:
    test edi, edi
    jz 20f
    cmp edi, 2
    je 22f
    cmp edi, 3
    je 23f
    cmp edi, 4
    je 24f
    cmp edi, 8
    je 28f
tetrarch_refused_landing:
    xor eax, eax
    ret
tetrarch_control_start:
20: mov cr0, rsi
    jmp 9f
22: mov cr2, rsi
    jmp 9f
23: mov cr3, rsi
    jmp 9f
24: mov cr4, rsi
    jmp 9f
28: mov cr8, rsi
tetrarch_control_end:
9:  mov eax, 1
    ret
    .popsection
    "#
);

unsafe extern "sysv64" {
    /// Copies upwards, and returns how many bytes were copied before a fault.
    ///
    /// # Safety
    ///
    /// What is mapped at `destination` is overwritten: no Rust object may live there, except
    /// one that the caller holds for writing.
    pub fn tetrarch_copy(destination: usize, source: usize, count: usize) -> usize;

    /// The same without regard to CR0.WP; serialises.
    ///
    /// # Safety
    ///
    /// As for [`tetrarch_copy`], and in supervisor mode only.
    pub fn tetrarch_patch(destination: usize, source: usize, count: usize) -> usize;

    /// Reads a model-specific register: 1 and the value, or 0.
    ///
    /// # Safety
    ///
    /// `value` must be valid for a write. Supervisor mode only.
    pub fn tetrarch_rdmsr(number: u32, value: *mut u64) -> u64;

    /// Writes a model-specific register: 1, or 0.
    ///
    /// # Safety
    ///
    /// A wrong value can end everything. The caller vouches that the stub itself depends
    /// neither on this register nor on the part of it that changes. Supervisor mode only.
    pub fn tetrarch_wrmsr(number: u32, value: u64) -> u64;

    /// Reads one aligned word of memory in one access: 1 and the value, or 0.
    ///
    /// # Safety
    ///
    /// `value` must be valid for a write. What the read does to a device is the caller's affair.
    pub fn tetrarch_load_word(address: usize, value: *mut u32) -> u64;

    /// Writes one aligned word of memory in one access: 1, or 0.
    ///
    /// # Safety
    ///
    /// As for [`tetrarch_copy`].
    pub fn tetrarch_store_word(address: usize, value: u32) -> u64;

    /// Writes CR0, 2, 3, 4 or 8: 1, or 0. Also 0 for any other number.
    ///
    /// # Safety
    ///
    /// As for [`tetrarch_wrmsr`]: paging, long mode and the stub's own page tables must
    /// survive.
    pub fn tetrarch_mov_to_control(number: u32, value: u64) -> u64;
}

unsafe extern "C" {
    static tetrarch_copy_start: u8;
    static tetrarch_copy_end: u8;
    static tetrarch_copy_landing: u8;
    static tetrarch_patch_start: u8;
    static tetrarch_patch_end: u8;
    static tetrarch_patch_landing: u8;
    static tetrarch_load_start: u8;
    static tetrarch_load_end: u8;
    static tetrarch_store_start: u8;
    static tetrarch_store_end: u8;
    static tetrarch_rdmsr_start: u8;
    static tetrarch_rdmsr_end: u8;
    static tetrarch_wrmsr_start: u8;
    static tetrarch_wrmsr_end: u8;
    static tetrarch_control_start: u8;
    static tetrarch_control_end: u8;
    static tetrarch_refused_landing: u8;
}

/// Instructions that may fault, and where to go on then.
pub(super) struct Guard {
    pub(super) start: *const u8,
    pub(super) end: *const u8,
    pub(super) landing: *const u8,
}

/// All of them.
pub(super) fn guards() -> [Guard; 7] {
    let refused = &raw const tetrarch_refused_landing;
    [
        Guard {
            start: &raw const tetrarch_copy_start,
            end: &raw const tetrarch_copy_end,
            landing: &raw const tetrarch_copy_landing,
        },
        Guard {
            start: &raw const tetrarch_patch_start,
            end: &raw const tetrarch_patch_end,
            landing: &raw const tetrarch_patch_landing,
        },
        Guard {
            start: &raw const tetrarch_load_start,
            end: &raw const tetrarch_load_end,
            landing: refused,
        },
        Guard {
            start: &raw const tetrarch_store_start,
            end: &raw const tetrarch_store_end,
            landing: refused,
        },
        Guard {
            start: &raw const tetrarch_rdmsr_start,
            end: &raw const tetrarch_rdmsr_end,
            landing: refused,
        },
        Guard {
            start: &raw const tetrarch_wrmsr_start,
            end: &raw const tetrarch_wrmsr_end,
            landing: refused,
        },
        Guard {
            start: &raw const tetrarch_control_start,
            end: &raw const tetrarch_control_end,
            landing: refused,
        },
    ]
}

/// Ends a guarded instruction that faulted: moves RIP to its landing.
///
/// To be asked before anything else about #PF, #GP and #SS; true means that the exception is
/// dealt with and the frame is to be returned to.
pub fn fixup(frame: &mut Frame) -> bool {
    if !matches!(frame.vector, vector::STACK | vector::PROTECTION | vector::PAGE) {
        return false;
    }
    for Guard { start, end, landing } in guards() {
        if (start as u64..end as u64).contains(&frame.rip) {
            frame.rip = landing as u64;
            return true;
        }
    }
    false
}
