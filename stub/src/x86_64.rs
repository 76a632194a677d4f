//! The registers of an x86-64 CPU, as gdb is told about them.
//!
//! What gdbstub_arch knows — general, segment, x87 and SSE registers — comes first and in
//! its order. Behind it are the registers that people who debug firmware ask for: the bases
//! of FS and GS, which gdb needs for `$fs_base` and thread-local data, and the control
//! registers with EFER, which it shows bit by bit.
//!
//! ```text
//!   number   register              bytes
//!    0–15    rax … r15              8
//!    16      rip                    8
//!    17      eflags                 4
//!    18–23   cs ss ds es fs gs      4   selectors
//!    24–31   st0 … st7             10
//!    32–39   fctrl … fop            4
//!    40–55   xmm0 … xmm15          16
//!    56      mxcsr                  4
//!    57–58   fs_base gs_base        8
//!    59–64   cr0 cr2 cr3 cr4 cr8 efer   8
//! ```
//!
//! `g` and `G` carry the general registers and the selectors, 0–23; the rest is read and written one
//! by one (see [`register_file`]).
//!
//! The order is written down three times because three things need it: the sizes here, the
//! (de)serialising below, and `target.xml`. The tests compare them.

#[cfg(test)]
mod tests;

use core::num::NonZeroUsize;

use gdbstub::arch::{Arch, RegId, Registers};
use gdbstub_arch::x86::reg::X86_64CoreRegs;

use crate::register_file::{self, RegisterFile, WrongRegister};

/// What gdb is told about the registers: complete, without an include.
pub const TARGET_DESCRIPTION: &str = include_str!("x86_64/target.xml");

/// 64-bit x86, with system registers.
#[derive(Clone, Copy, Debug)]
pub enum X86_64 {}

impl Arch for X86_64 {
    type Usize = u64;
    type Registers = X86_64Registers;
    type BreakpointKind = usize;
    type RegId = RegisterNumber;

    fn target_description_xml() -> Option<&'static str> {
        Some(TARGET_DESCRIPTION)
    }
}

/// All registers of one CPU.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct X86_64Registers {
    /// General, segment, x87 and SSE registers.
    pub core: X86_64CoreRegs,
    /// Base of the FS segment (MSR `C000_0100`).
    pub fs_base: u64,
    /// Base of the GS segment that is in use (MSR `C000_0101`).
    pub gs_base: u64,
    /// CR0: operating mode.
    pub cr0: u64,
    /// CR2: address of the last page fault.
    pub cr2: u64,
    /// CR3: physical address of the page tables, and flags.
    pub cr3: u64,
    /// CR4: extensions that are in use.
    pub cr4: u64,
    /// CR8: task priority.
    pub cr8: u64,
    /// EFER (MSR `C000_0080`): long mode and no-execute.
    pub efer: u64,
}

/// How many registers of what size, in order.
const GROUPS: &[(usize, u8)] = &[
    (16, 8),  // rax … r15
    (1, 8),   // rip
    (1, 4),   // eflags
    (6, 4),   // selectors
    (8, 10),  // st0 … st7
    (8, 4),   // fctrl … fop
    (16, 16), // xmm0 … xmm15
    (1, 4),   // mxcsr
    (2, 8),   // fs_base, gs_base
    (6, 8),   // cr0, cr2, cr3, cr4, cr8, efer
];

/// How many registers there are.
pub const REGISTERS: usize = {
    let mut count = 0;
    let mut rest = GROUPS;
    while let [(members, _), more @ ..] = rest {
        count += *members;
        rest = more;
    }
    count
};

const SIZES: [u8; REGISTERS] = {
    let mut sizes = [0; REGISTERS];
    let mut number = 0;
    let mut rest = GROUPS;
    while let [(members, size), more @ ..] = rest {
        let end = number + *members;
        while number < end {
            sizes[number] = *size;
            number += 1;
        }
        rest = more;
    }
    sizes
};

/// How many of them `g` and `G` carry.
const IN_BLOCK: usize = 24;

/// How many bytes they take together.
pub const LENGTH: usize = register_file::length(&SIZES);

/// How many bytes are in the block of `g`. Its reply has twice as many digits.
pub const BLOCK_LENGTH: usize = register_file::length(SIZES.split_at(IN_BLOCK).0);

/// How many registers follow gdbstub_arch's.
const SYSTEM: usize = 8;

/// How many bytes are gdbstub_arch's.
const CORE_LENGTH: usize = LENGTH - size_of::<[u64; SYSTEM]>();

impl X86_64Registers {
    fn system(&self) -> [u64; SYSTEM] {
        let Self { core: _, fs_base, gs_base, cr0, cr2, cr3, cr4, cr8, efer } = *self;
        [fs_base, gs_base, cr0, cr2, cr3, cr4, cr8, efer]
    }
}

impl Registers for X86_64Registers {
    type ProgramCounter = u64;

    fn pc(&self) -> u64 {
        self.core.rip
    }

    fn gdb_serialize(&self, mut write_byte: impl FnMut(Option<u8>)) {
        let mut left = BLOCK_LENGTH;
        self.serialize_all(|byte| {
            if left > 0 {
                left -= 1;
                write_byte(byte);
            }
        });
    }

    /// Takes exactly as many bytes as `g` has, and leaves the other registers; in case of an error
    /// nothing changes.
    fn gdb_deserialize(&mut self, bytes: &[u8]) -> Result<(), ()> {
        if bytes.len() != BLOCK_LENGTH {
            return Err(());
        }
        let mut all = Self::ALL;
        let mut position = 0;
        self.serialize_all(|byte| {
            if let Some(to) = all.get_mut(position) {
                *to = bytes.get(position).copied().or(byte).unwrap_or(0);
            }
            position += 1;
        });
        self.deserialize_all(&all).map_err(|_| ())
    }
}

impl RegisterFile for X86_64Registers {
    const SIZES: &'static [u8] = &SIZES;
    const IN_BLOCK: usize = IN_BLOCK;
    type All = [u8; LENGTH];
    const ALL: [u8; LENGTH] = [0; LENGTH];

    fn serialize_all(&self, mut write_byte: impl FnMut(Option<u8>)) {
        self.core.gdb_serialize(&mut write_byte);
        for byte in self.system().iter().flat_map(|register| register.to_le_bytes()) {
            write_byte(Some(byte));
        }
    }

    fn deserialize_all(&mut self, bytes: &[u8]) -> Result<(), WrongRegister> {
        let (core, system) = bytes.split_at_checked(CORE_LENGTH).ok_or(WrongRegister::Size)?;
        if system.len() != LENGTH - CORE_LENGTH {
            return Err(WrongRegister::Size);
        }
        self.core.gdb_deserialize(core).map_err(|()| WrongRegister::Size)?;
        let (words, _) = system.as_chunks::<8>();
        let registers = [
            &mut self.fs_base,
            &mut self.gs_base,
            &mut self.cr0,
            &mut self.cr2,
            &mut self.cr3,
            &mut self.cr4,
            &mut self.cr8,
            &mut self.efer,
        ];
        for (register, word) in registers.into_iter().zip(words) {
            *register = u64::from_le_bytes(*word);
        }
        Ok(())
    }
}

/// The number of a register that exists, in the order of the target description.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RegisterNumber(usize);

impl RegisterNumber {
    /// The number itself.
    pub const fn raw(self) -> usize {
        self.0
    }
}

impl From<RegisterNumber> for usize {
    fn from(number: RegisterNumber) -> usize {
        number.raw()
    }
}

impl RegId for RegisterNumber {
    fn from_raw_id(id: usize) -> Option<(Self, Option<NonZeroUsize>)> {
        let size = NonZeroUsize::new(usize::from(*SIZES.get(id)?));
        Some((Self(id), size))
    }

    fn to_raw_id(&self) -> Option<usize> {
        Some(self.0)
    }
}
