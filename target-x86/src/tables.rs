//! The tables that exceptions go through: IDT gates, the TSS and its descriptor.
//!
//! An exception in 64-bit mode reads a gate from the IDT (where to, which stack), the code
//! descriptor from the GDT, and, if the gate names one of the seven interrupt stacks, that
//! stack's address from the TSS that TR points to (Intel SDM vol. 3, 7.14). Values and their
//! codecs are here, and the instructions that load the registers; who loads what is decided
//! in [`install`](crate::install).
//!
//! ```text
//!   gate, 16 bytes      127        96 95       64 63    48 47 46 45 44 43   40 39  35 34 32 31     16 15      0
//!                       | reserved   | off 63:32 | 31:16 | P | DPL | 0 | type | zero | IST | selector | 15:0   |
//! ```

use core::mem::size_of;

use x86::bits64::task::TaskStateSegment;
use x86::dtables::{self, DescriptorTablePointer};
use x86::segmentation::{self, SegmentSelector};
use x86::task;

/// What IDTR or GDTR holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DescriptorTable {
    /// Linear address of the first descriptor.
    pub base: u64,
    /// Offset of the table's last byte.
    pub limit: u16,
}

impl DescriptorTable {
    /// As the register that points to it wants it; `length` in bytes.
    pub(crate) const fn new(base: u64, length: usize) -> Self {
        Self { base, limit: (length - 1) as u16 }
    }

    /// Address of descriptor number `index` of `size` bytes, if the table reaches that far.
    pub(crate) fn entry(self, index: usize, size: usize) -> Option<u64> {
        let last = index.checked_mul(size)?.checked_add(size - 1)?;
        (last <= usize::from(self.limit)).then(|| self.base + (index * size) as u64)
    }

    fn pointer(self) -> DescriptorTablePointer<u64> {
        DescriptorTablePointer { limit: self.limit, base: self.base as *const u64 }
    }
}

impl From<DescriptorTablePointer<u64>> for DescriptorTable {
    fn from(pointer: DescriptorTablePointer<u64>) -> Self {
        Self { base: pointer.base as u64, limit: pointer.limit }
    }
}

/// Reads IDTR.
pub(crate) fn store_idt() -> DescriptorTable {
    let mut pointer = DescriptorTablePointer::default();
    // SAFETY: SIDT writes the ten bytes that it is given and has no other effect.
    unsafe { dtables::sidt::<u64>(&mut pointer) };
    pointer.into()
}

/// Reads GDTR.
pub(crate) fn store_gdt() -> DescriptorTable {
    let mut pointer = DescriptorTablePointer::default();
    // SAFETY: SGDT writes the ten bytes that it is given and has no other effect.
    unsafe { dtables::sgdt::<u64>(&mut pointer) };
    pointer.into()
}

/// Loads IDTR.
///
/// # Safety
///
/// The next exception goes through the table: its present gates must lead to handlers, and
/// it must stay where it is for as long as it is loaded.
pub(crate) unsafe fn load_idt(table: DescriptorTable) {
    // SAFETY: the caller's promise.
    unsafe { dtables::lidt(&table.pointer()) };
}

/// Loads GDTR.
///
/// # Safety
///
/// Every selector that is loaded, or that a gate names, must mean the same in the new table,
/// and it must stay where it is for as long as it is loaded.
pub(crate) unsafe fn load_gdt(table: DescriptorTable) {
    // SAFETY: the caller's promise.
    unsafe { dtables::lgdt(&table.pointer()) };
}

/// Reads TR: the selector of the task state segment, or 0.
pub(crate) fn store_task() -> u16 {
    // SAFETY: STR has no effect but its result.
    unsafe { task::tr() }.bits()
}

/// The code segment that is running.
pub(crate) fn store_code_segment() -> u16 {
    segmentation::cs().bits()
}

/// Loads TR.
///
/// # Safety
///
/// `selector` must name an available TSS descriptor whose segment stays valid for ever.
pub(crate) unsafe fn load_task(selector: u16) {
    // SAFETY: the caller's promise.
    unsafe { task::load_tr(SegmentSelector::from_raw(selector)) };
}

/// What kind of gate it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum GateKind {
    /// Not present, or nothing that 64-bit mode delivers through.
    Absent,
    /// Clears IF.
    Interrupt,
    /// Leaves IF alone.
    Trap,
}

/// One gate of the IDT.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub(crate) struct Gate(u128);

impl Gate {
    const PRESENT: u128 = 1 << 47;
    const INTERRUPT: u128 = 0xE << 40;

    /// Leads nowhere.
    pub const ABSENT: Self = Self(0);

    /// An interrupt gate of ring 0. `stack` is the number of an interrupt stack, 1 to 7, or
    /// 0 for the one that was interrupted.
    pub const fn interrupt(handler: u64, selector: u16, stack: u8) -> Self {
        let low = (handler & 0xFFFF) as u128;
        let middle = (handler >> 16 & 0xFFFF) as u128;
        let high = (handler >> 32) as u128;
        let target = low | middle << 48 | high << 64;
        Self(
            target
                | (selector as u128) << 16
                | ((stack & 7) as u128) << 32
                | Self::PRESENT
                | Self::INTERRUPT,
        )
    }

    /// The same gate on another stack.
    pub const fn on_stack(self, stack: u8) -> Self {
        Self(self.0 & !(7 << 32) | ((stack & 7) as u128) << 32)
    }

    /// The same gate for software interrupts from ring `privilege` inwards.
    pub const fn for_privilege(self, privilege: u8) -> Self {
        Self(self.0 & !(3 << 45) | ((privilege & 3) as u128) << 45)
    }

    /// As it stands in the table.
    pub const fn from_bits(bits: u128) -> Self {
        Self(bits)
    }

    /// Address of the handler.
    pub const fn offset(self) -> u64 {
        (self.0 & 0xFFFF | (self.0 >> 48 & 0xFFFF) << 16 | (self.0 >> 64 & 0xFFFF_FFFF) << 32)
            as u64
    }

    /// Code segment of the handler.
    pub const fn selector(self) -> u16 {
        (self.0 >> 16) as u16
    }

    /// Number of the interrupt stack, or 0.
    pub const fn stack(self) -> u8 {
        (self.0 >> 32) as u8 & 7
    }

    /// The least privileged ring that may use it by a software interrupt.
    pub const fn privilege(self) -> u8 {
        (self.0 >> 45) as u8 & 3
    }

    /// What it does with IF, if it leads anywhere.
    pub const fn kind(self) -> GateKind {
        match (self.0 & Self::PRESENT, self.0 >> 40 & 0x1F) {
            (0, _) => GateKind::Absent,
            (_, 0xE) => GateKind::Interrupt,
            (_, 0xF) => GateKind::Trap,
            _ => GateKind::Absent,
        }
    }
}

/// Length of the part of a TSS that the processor defines.
pub(crate) const TASK_LENGTH: usize = size_of::<TaskStateSegment>();

/// Offset of the address of interrupt stack `number` (1 to 7) in a TSS.
pub(crate) const fn interrupt_stack_offset(number: u8) -> usize {
    0x24 + 8 * (number as usize - 1)
}

/// The two words of the descriptor of an available 64-bit TSS at `base`.
pub(crate) const fn task_descriptor(base: u64, length: usize) -> [u64; 2] {
    const PRESENT_AVAILABLE_TASK: u64 = 0x89 << 40;
    let limit = length as u64 - 1;
    let low = limit & 0xFFFF
        | (base & 0xFF_FFFF) << 16
        | PRESENT_AVAILABLE_TASK
        | (base >> 24 & 0xFF) << 56;
    [low, base >> 32]
}

/// The base that a system descriptor's two words spell.
pub(crate) const fn descriptor_base([low, high]: [u64; 2]) -> u64 {
    low >> 16 & 0xFF_FFFF | (low >> 56 & 0xFF) << 24 | (high & 0xFFFF_FFFF) << 32
}

/// The limit that a byte-granular descriptor's low word spells.
pub(crate) const fn descriptor_limit([low, _]: [u64; 2]) -> u64 {
    low & 0xFFFF | (low >> 48 & 0xF) << 16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_is_encoded_as_the_manual_draws_it() {
        let gate = Gate::interrupt(0x1122_3344_5566_7788, 0x08, 3);
        assert_eq!(gate, Gate(0x0000_0000_1122_3344_5566_8E03_0008_7788));
        assert_eq!(gate.offset(), 0x1122_3344_5566_7788);
        assert_eq!((gate.selector(), gate.stack(), gate.privilege()), (8, 3, 0));
        assert_eq!(gate.kind(), GateKind::Interrupt);
        assert_eq!(gate.on_stack(0), Gate::interrupt(0x1122_3344_5566_7788, 0x08, 0));
        assert_eq!(gate.for_privilege(3), Gate(gate.0 | 3 << 45));
        assert_eq!(gate.for_privilege(3).for_privilege(0), gate);
        assert_eq!(Gate::ABSENT.kind(), GateKind::Absent);
        assert_eq!(Gate::from_bits(gate.0 | 1 << 40).kind(), GateKind::Trap);
    }

    #[test]
    fn a_task_descriptor_is_encoded_as_the_manual_draws_it() {
        let words = task_descriptor(0x1122_3344_5566_7788, 0x68);
        assert_eq!(words, [0x5500_8966_7788_0067, 0x1122_3344]);
        assert_eq!(descriptor_base(words), 0x1122_3344_5566_7788);
        assert_eq!(descriptor_limit(words), 0x67);
    }

    #[test]
    fn a_table_has_no_entry_beyond_its_limit() {
        let table = DescriptorTable { base: 0x1000, limit: 0x1F };
        assert_eq!(table.entry(1, 16), Some(0x1010));
        assert_eq!(table.entry(2, 16), None);
        assert_eq!(table.entry(usize::MAX, 16), None);
    }
}
