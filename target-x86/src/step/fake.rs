//! A context, its memory and its CPU, for the tests.

use core::ops::Range;

use tetrarch::machine::Memory;

use super::System;
use crate::frame::{FpuImage, Frame, flag, vector};
use crate::tables::{DescriptorTable, task_descriptor};

pub const MEMORY: usize = 0x40_0000;
pub const CODE: usize = MEMORY;
pub const IDT: usize = MEMORY + 0x1000;
pub const GDT: usize = MEMORY + 0x2000;
pub const TASK: usize = MEMORY + 0x2800;
pub const STACK: usize = MEMORY + 0x3800;
const SIZE: usize = 0x4000;

pub const KERNEL_CODE: u16 = 0x08;
pub const KERNEL_DATA: u16 = 0x10;
pub const USER_DATA: u16 = 0x18 | 3;
pub const USER_CODE: u16 = 0x20 | 3;
pub const USER_CODE_32: u16 = 0x28 | 3;
pub const TASK_SELECTOR: u16 = 0x30;

/// Memory with a hole in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fake {
    pub bytes: [u8; SIZE],
    pub unreadable: Range<usize>,
    pub unwritable: Range<usize>,
}

impl Fake {
    /// With a GDT and `code` where [`frame`] is.
    pub fn new(code: &[u8]) -> Fake {
        let mut fake = Fake { bytes: [0; SIZE], unreadable: 0..0, unwritable: 0..0 };
        let descriptors: [u64; 6] = [
            0,
            0x0020_9a00_0000_0000,
            0x0000_9200_0000_0000,
            0x0000_f200_0000_0000,
            0x0020_fa00_0000_0000,
            0x00cf_fa00_0000_ffff,
        ];
        for (index, descriptor) in descriptors.into_iter().enumerate() {
            fake.set(GDT + 8 * index, &descriptor.to_le_bytes());
        }
        for (index, word) in task_descriptor(TASK as u64, 0x68).into_iter().enumerate() {
            fake.set(GDT + usize::from(TASK_SELECTOR) + 8 * index, &word.to_le_bytes());
        }
        fake.set(CODE, code);
        fake
    }

    pub fn set(&mut self, address: usize, bytes: &[u8]) {
        self.bytes[address - MEMORY..][..bytes.len()].copy_from_slice(bytes);
    }

    pub fn word(&self, address: u64) -> u64 {
        let at = address as usize - MEMORY;
        u64::from_le_bytes(*self.bytes[at..].first_chunk().unwrap())
    }

    /// How many of `count` bytes at `address` exist, up to `hole`.
    fn reach(&self, address: usize, count: usize, hole: &Range<usize>) -> usize {
        let exists = |at: &usize| (MEMORY..MEMORY + SIZE).contains(at) && !hole.contains(at);
        (address..address + count).take_while(exists).count()
    }
}

impl Memory for Fake {
    fn read(&mut self, address: usize, into: &mut [u8]) -> usize {
        let count = self.reach(address, into.len(), &self.unreadable);
        for (offset, byte) in into.iter_mut().take(count).enumerate() {
            *byte = self.bytes[address - MEMORY + offset];
        }
        count
    }

    fn write(&mut self, address: usize, bytes: &[u8]) -> usize {
        let count = self.reach(address, bytes.len(), &self.unwritable);
        if count > 0 {
            self.set(address, &bytes[..count]);
        }
        count
    }

    fn patch(&mut self, address: usize, bytes: &[u8]) -> usize {
        self.write(address, bytes)
    }
}

/// A context in ring 0 with interrupts on.
pub fn frame() -> Frame {
    Frame {
        fx: FpuImage([0; 512]),
        r15: 15,
        r14: 14,
        r13: 13,
        r12: 12,
        r11: 11,
        r10: 10,
        r9: 9,
        r8: 8,
        rbp: 5,
        rdi: 7,
        rsi: 6,
        rdx: 2,
        rcx: 1,
        rbx: 3,
        rax: 0,
        vector: vector::DEBUG,
        error: 0,
        rip: CODE as u64,
        cs: KERNEL_CODE.into(),
        rflags: flag::FIXED | flag::INTERRUPT,
        rsp: STACK as u64,
        ss: KERNEL_DATA.into(),
    }
}

/// The firmware's CPU; the stub's entries are at 5000 to 5FFF.
pub fn system() -> System {
    System {
        idt: DescriptorTable { base: IDT as u64, limit: 0xfff },
        gdt: DescriptorTable { base: GDT as u64, limit: 0x3f },
        task: TASK_SELECTOR,
        syscall: None,
        fs_base: 0x1_0000_0000,
        gs_base: 0x2_0000_0000,
        address_bits: 48,
        is_ours: |address| (0x5000..0x6000).contains(&address),
    }
}

/// The attributes of a gate that is present: P, DPL 0 and the type.
pub const INTERRUPT_GATE: u8 = 0x8e;
pub const TRAP_GATE: u8 = 0x8f;

/// A gate as it stands in memory (Intel SDM vol. 3, figure 7-8).
pub fn gate(handler: u64, selector: u16, attributes: u8, stack: u8) -> [u8; 16] {
    let [h0, h1, h2, h3, h4, h5, h6, h7] = handler.to_le_bytes();
    let [s0, s1] = selector.to_le_bytes();
    [h0, h1, s0, s1, stack, attributes, h2, h3, h4, h5, h6, h7, 0, 0, 0, 0]
}

/// Everything in a frame that an instruction may change.
pub fn state(frame: &Frame) -> [u64; 11] {
    let Frame { rax, rcx, rdx, r11, rip, cs, rflags, rsp, ss, vector, error, .. } = *frame;
    [rax, rcx, rdx, r11, rip, cs, rflags, rsp, ss, vector, error]
}
