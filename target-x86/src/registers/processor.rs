//! The registers that are not in the frame: control, model-specific and segment registers.
//!
//! Every access that the processor may refuse is a [guarded](crate::memory::guarded) one, so
//! a value out of a packet is an error there and not a #GP in the stub.

use core::arch::asm;

use crate::memory::guarded::{tetrarch_mov_to_control, tetrarch_rdmsr, tetrarch_wrmsr};

/// IA32_EFER.
pub const EFER: u32 = 0xc000_0080;
/// IA32_FS_BASE.
pub const FS_BASE: u32 = 0xc000_0100;
/// IA32_GS_BASE.
pub const GS_BASE: u32 = 0xc000_0101;
/// CR4.LA57.
const FIVE_LEVELS: u64 = 1 << 12;

/// The processor answered with #GP.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refused;

/// A register that stays in the CPU while the stub runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the registers' own names")]
pub enum Special {
    Efer,
    Cr0,
    Cr2,
    Cr3,
    Cr4,
    Cr8,
    FsBase,
    GsBase,
}

impl Special {
    /// All of them.
    pub const ALL: [Special; 8] = [
        Special::Efer,
        Special::Cr0,
        Special::Cr2,
        Special::Cr3,
        Special::Cr4,
        Special::Cr8,
        Special::FsBase,
        Special::GsBase,
    ];

    /// Reads it. Supervisor mode only. A model-specific register that a hypervisor hides
    /// reads as 0.
    pub fn read(self) -> u64 {
        match self {
            Special::Efer => read_msr(EFER).unwrap_or(0),
            Special::Cr0 => cr0(),
            Special::Cr2 => cr2(),
            Special::Cr3 => cr3(),
            Special::Cr4 => cr4(),
            Special::Cr8 => cr8(),
            Special::FsBase => read_msr(FS_BASE).unwrap_or(0),
            Special::GsBase => read_msr(GS_BASE).unwrap_or(0),
        }
    }

    /// Writes it, unless the processor refuses. A value that is not what it reads as
    /// afterwards counts as refused too: emulators drop bits where a processor raises #GP.
    ///
    /// # Safety
    ///
    /// A wrong value can end everything. The caller vouches that the stub depends on nothing
    /// that changes: paging, long mode and its own page tables must survive. Supervisor mode
    /// only.
    pub unsafe fn write(self, value: u64) -> Result<(), Refused> {
        let (space, number) = match self {
            Special::Efer => (Space::Model, EFER),
            Special::Cr0 => (Space::Control, 0),
            Special::Cr2 => (Space::Control, 2),
            Special::Cr3 => (Space::Control, 3),
            Special::Cr4 => (Space::Control, 4),
            Special::Cr8 => (Space::Control, 8),
            Special::FsBase => (Space::Model, FS_BASE),
            Special::GsBase => (Space::Model, GS_BASE),
        };
        let written = match space {
            // SAFETY: passed on to the caller.
            Space::Control => unsafe { tetrarch_mov_to_control(number, value) },
            // SAFETY: passed on to the caller.
            Space::Model => unsafe { tetrarch_wrmsr(number, value) },
        };
        if written == 0 || self.read() != value { Err(Refused) } else { Ok(()) }
    }
}

/// How a special register is addressed.
enum Space {
    Control,
    Model,
}

/// Reads a model-specific register. Supervisor mode only.
pub fn read_msr(number: u32) -> Result<u64, Refused> {
    let mut value = 0;
    // SAFETY: reading has no effect that the stub could suffer from; one that does not exist
    // is refused, and `value` is written only if it was read.
    if unsafe { tetrarch_rdmsr(number, &raw mut value) } == 0 { Err(Refused) } else { Ok(value) }
}

/// How many bits of a linear address count. Supervisor mode only.
pub fn address_bits() -> u32 {
    if cr4() & FIVE_LEVELS == 0 { 48 } else { 57 }
}

/// A function that moves a register to a general one.
macro_rules! reader {
    ($(#[$document:meta])* $visibility:vis $name:ident: $type:ty, $template:literal) => {
        $(#[$document])*
        $visibility fn $name() -> $type {
            let value: u64;
            // SAFETY: a control register can be read in supervisor mode, which the functions
            // of this module ask for, and a selector anywhere. Reading has no effect. Not
            // `nomem`: CR2 depends on the accesses before.
            unsafe {
                asm!(concat!("mov {}, ", $template), out(reg) value, options(nostack, preserves_flags));
            }
            value as $type
        }
    };
}

reader!(cr0: u64, "cr0");
reader!(
    /// The address of the last page fault. Supervisor mode only.
    pub cr2: u64, "cr2");
reader!(cr3: u64, "cr3");
reader!(
    /// Which extensions are switched on. Supervisor mode only.
    pub cr4: u64, "cr4");
reader!(cr8: u64, "cr8");
reader!(
    /// The selector in CS; its low bits are the privilege.
    pub cs: u16, "cs");
reader!(
    /// The selector in DS.
    pub ds: u16, "ds");
reader!(
    /// The selector in ES.
    pub es: u16, "es");
reader!(
    /// The selector in FS.
    pub fs: u16, "fs");
reader!(
    /// The selector in GS.
    pub gs: u16, "gs");
