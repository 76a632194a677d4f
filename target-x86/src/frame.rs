//! The saved frame: what the interrupted context held, as [`entry`](crate::entry) left it.
//!
//! The processor pushes the last five words (and, for some vectors, an error code) after
//! aligning RSP to 16; the entry pushes the rest below them and puts an FXSAVE image under
//! everything. 22 words are a multiple of 16 bytes, so that image is aligned as FXSAVE
//! demands. Whatever is in the frame when the handler returns is what the context goes on
//! with: this is the one place where a debugger's register writes go.
//!
//! ```text
//!   higher   ss rsp rflags cs rip     pushed by the processor
//!            error                    by the processor, or 0 by the entry
//!            vector rax … r15         by the entry
//!   lower    fx[512]                  FXSAVE64; its last 48 bytes are the software's
//! ```

use core::mem::{offset_of, size_of};

/// Exception vectors that this crate tells apart (Intel SDM vol. 3, table 7-1).
pub mod vector {
    /// #DE, a division by zero or one whose quotient does not fit.
    pub const DIVIDE: u64 = 0;
    /// #DB: a breakpoint or watchpoint register, a single step, or `INT1`.
    pub const DEBUG: u64 = 1;
    /// The non-maskable interrupt.
    pub const NMI: u64 = 2;
    /// #BP: the `INT3` instruction.
    pub const BREAKPOINT: u64 = 3;
    /// #UD, an invalid opcode.
    pub const INVALID_OPCODE: u64 = 6;
    /// #DF, a fault while a fault was delivered.
    pub const DOUBLE_FAULT: u64 = 8;
    /// #SS, a fault on the stack segment; also a non-canonical stack address.
    pub const STACK: u64 = 12;
    /// #GP; also what a non-canonical address raises.
    pub const PROTECTION: u64 = 13;
    /// #PF.
    pub const PAGE: u64 = 14;
    /// Stands for the serial port's interrupt, whatever its vector is.
    pub const SERIAL: u64 = 0x100;
    /// Stands for an NMI that goes on to the handler that the image has for it.
    pub(crate) const IMAGE_NMI: u64 = 0x101;
    /// Stands for a panic.
    pub(crate) const PANIC: u64 = 0x102;
    /// How many vectors are exceptions.
    pub const COUNT: usize = 32;
}

/// Bits of RFLAGS that a stub has to care about.
pub mod flag {
    /// Always reads as 1.
    pub const FIXED: u64 = 1 << 1;
    /// Trap after the next instruction.
    pub const TRAP: u64 = 1 << 8;
    /// Maskable interrupts are taken.
    pub const INTERRUPT: u64 = 1 << 9;
    /// String instructions run downwards; compiled code expects it clear.
    pub const DIRECTION: u64 = 1 << 10;
    /// Nested task: an `IRET` with it set is #GP in 64-bit mode.
    pub const NESTED: u64 = 1 << 14;
    /// Execute breakpoints are ignored for one instruction.
    pub const RESUME: u64 = 1 << 16;
    /// Alignment check; in ring 0, with CR4.SMAP, "user pages may be touched".
    pub const ACCESS: u64 = 1 << 18;
}

/// The FXSAVE64 image, and how far it can be believed.
#[repr(C, align(16))]
#[derive(Clone)]
pub struct FpuImage(pub(crate) [u8; 512]);

/// Where in the image the entry notes that FXSAVE filled it: in the bytes that the
/// processor leaves to software (Intel SDM vol. 1, 10.5.1).
pub(crate) const FPU_SAVED: usize = 464;

impl FpuImage {
    /// What FXSAVE64 has stored, for a frame that the firmware's own entry builds.
    pub const fn saved(mut image: [u8; 512]) -> Self {
        image[FPU_SAVED] = 1;
        Self(image)
    }

    /// Whether the image is the context's. It is not where CR0.EM forbids FXSAVE, and then
    /// it is not loaded again either.
    pub fn is_saved(&self) -> bool {
        self.0[FPU_SAVED] != 0
    }
}

/// The registers of an interrupted context, as the entry saves them.
///
/// From the highest address down: what the processor pushes (`ss rsp rflags cs rip`), the error
/// code (its, or 0), the vector and the general registers, and under them the FXSAVE64 image.
/// What is in here when the handler returns is what the context goes on with.
#[repr(C)]
#[derive(Clone)]
#[allow(missing_docs, reason = "the fields are the processor's registers, by name")]
pub struct Frame {
    pub fx: FpuImage,
    pub r15: u64,
    pub r14: u64,
    pub r13: u64,
    pub r12: u64,
    pub r11: u64,
    pub r10: u64,
    pub r9: u64,
    pub r8: u64,
    pub rbp: u64,
    pub rdi: u64,
    pub rsi: u64,
    pub rdx: u64,
    pub rcx: u64,
    pub rbx: u64,
    pub rax: u64,
    /// The exception or interrupt vector that led here.
    pub vector: u64,
    /// The error code, or 0 for vectors without one.
    pub error: u64,
    pub rip: u64,
    pub cs: u64,
    pub rflags: u64,
    pub rsp: u64,
    pub ss: u64,
}

const _: () = {
    assert!(offset_of!(Frame, r15) == 512);
    assert!(offset_of!(Frame, vector) == 512 + 15 * 8);
    assert!(size_of::<Frame>() == 512 + 22 * 8);
};

impl Frame {
    /// Whether all bits of `flags` (of [`flag`]) are set.
    pub fn has(&self, flags: u64) -> bool {
        self.rflags & flags == flags
    }

    /// Sets bits of [`flag`].
    pub fn set(&mut self, flags: u64) {
        self.rflags |= flags;
    }

    /// Clears bits of [`flag`].
    pub fn clear(&mut self, flags: u64) {
        self.rflags &= !flags;
    }

    /// All zeroes, and no FXSAVE image.
    pub const ZERO: Self = Self {
        fx: FpuImage([0; 512]),
        r15: 0,
        r14: 0,
        r13: 0,
        r12: 0,
        r11: 0,
        r10: 0,
        r9: 0,
        r8: 0,
        rbp: 0,
        rdi: 0,
        rsi: 0,
        rdx: 0,
        rcx: 0,
        rbx: 0,
        rax: 0,
        vector: 0,
        error: 0,
        rip: 0,
        cs: 0,
        rflags: 0,
        rsp: 0,
        ss: 0,
    };

    /// The part that the entry copies when it moves the frame to the stub's own stack:
    /// everything but the FXSAVE image.
    pub(crate) const WORDS: usize = 22;
}
