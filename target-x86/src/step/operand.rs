//! Operands of the few instructions that a step carries out itself.

use super::System;
use crate::frame::Frame;

/// A register or a place in memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operand {
    /// A general register by its number in the encoding: RAX, RCX, RDX, RBX, RSP, RBP, RSI,
    /// RDI, R8 and so on.
    Register(u8),
    /// In memory.
    Memory(Place),
}

/// Where in memory: `segment + base + (index << shift) + displacement`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the parts of the sum above")]
pub struct Place {
    pub base: Base,
    pub index: Option<Index>,
    pub displacement: i32,
    pub segment: Segment,
    pub address_size: AddressSize,
}

/// What a place is counted from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Base {
    /// Address 0.
    None,
    /// The next instruction.
    Rip,
    /// A general register.
    Register(u8),
}

/// A general register and by how many bits it is shifted to the left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "said above")]
pub struct Index {
    pub register: u8,
    pub shift: u8,
}

/// Segments whose base counts in 64-bit mode.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the registers' own names")]
pub enum Segment {
    Flat,
    Fs,
    Gs,
}

/// Bytes of an effective address; the prefix 67 makes it four.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "said above")]
pub enum AddressSize {
    Four,
    Eight,
}

impl Place {
    /// The linear address, for an instruction that is followed by one at `next`.
    pub fn address(&self, frame: &Frame, next: u64, system: &System) -> u64 {
        let base = match self.base {
            Base::None => 0,
            Base::Rip => next,
            Base::Register(number) => general(frame, number),
        };
        let index = self.index.map_or(0, |index| general(frame, index.register) << index.shift);
        let sum = base.wrapping_add(index).wrapping_add_signed(self.displacement.into());
        let effective = match self.address_size {
            AddressSize::Four => sum & 0xffff_ffff,
            AddressSize::Eight => sum,
        };
        effective.wrapping_add(match self.segment {
            Segment::Flat => 0,
            Segment::Fs => system.fs_base,
            Segment::Gs => system.gs_base,
        })
    }
}

/// A general register by its number in the encoding.
pub fn general(frame: &Frame, number: u8) -> u64 {
    match number & 15 {
        0 => frame.rax,
        1 => frame.rcx,
        2 => frame.rdx,
        3 => frame.rbx,
        4 => frame.rsp,
        5 => frame.rbp,
        6 => frame.rsi,
        7 => frame.rdi,
        8 => frame.r8,
        9 => frame.r9,
        10 => frame.r10,
        11 => frame.r11,
        12 => frame.r12,
        13 => frame.r13,
        14 => frame.r14,
        _ => frame.r15,
    }
}
