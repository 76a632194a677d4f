//! The gates that lead to this crate's entry, and the IDT that the image runs under.

use core::cell::UnsafeCell;

use tetrarch::arbiter::Region;

use crate::entry;
use crate::frame::vector;
use crate::tables::{DescriptorTable, Gate};

/// Gates of a complete IDT.
const IDT_CAPACITY: usize = 256;

/// The interrupt stacks. They are for landing only (see [`entry`]). #DB has its
/// own because it may hit in the entry of another exception (an emulator's false hit), and
/// NMI because it may come anywhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Landing {
    Debug,
    Nmi,
    Fault,
}

impl Landing {
    pub const COUNT: usize = 3;
    pub const ALL: [Self; Self::COUNT] = [Self::Debug, Self::Nmi, Self::Fault];

    /// The one that exception `number` lands on.
    const fn of(number: u8) -> Self {
        match number as u64 {
            vector::DEBUG => Self::Debug,
            vector::NMI => Self::Nmi,
            _ => Self::Fault,
        }
    }
}

/// How this crate's gates look: their code segment, and the numbers of the interrupt stacks
/// (0 for none) in the order of [`Landing::ALL`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Gates {
    pub selector: u16,
    pub stacks: [u8; Landing::COUNT],
}

impl Gates {
    /// The gate of exception `number`.
    pub fn exception(self, number: u8) -> Gate {
        let stack = self.stacks[Landing::of(number) as usize];
        match entry::vector_entry(number) {
            Some(handler) => Gate::interrupt(handler as u64, self.selector, stack),
            None => Gate::ABSENT,
        }
    }

    /// The gate of the serial port's interrupt.
    pub fn serial(self) -> Gate {
        Gate::interrupt(
            entry::serial_entry() as u64,
            self.selector,
            self.stacks[Landing::Fault as usize],
        )
    }
}

/// Memory that the processor reads by itself.
#[repr(C, align(4096))]
struct Idt(UnsafeCell<[Gate; IDT_CAPACITY]>);

// SAFETY: written by the installation, which runs once.
unsafe impl Sync for Idt {}

static NORMAL_IDT: Idt = Idt(UnsafeCell::new([Gate::ABSENT; IDT_CAPACITY]));

/// Writes the gates of the normal IDT.
pub(crate) fn fill_normal_idt(gate: impl Fn(u8) -> Gate) {
    let gates = NORMAL_IDT.0.get().cast::<Gate>();
    for number in 0..=u8::MAX {
        // SAFETY: a u8 is below 256, the table's length. It is not loaded yet, or it is and
        // the processor reads either the old gate or the new one, both of which are valid.
        unsafe { gates.wrapping_add(usize::from(number)).write_volatile(gate(number)) };
    }
}

/// The normal IDT, filled or not.
pub(crate) fn normal_idt() -> DescriptorTable {
    DescriptorTable::new(NORMAL_IDT.0.get() as u64, size_of::<[Gate; IDT_CAPACITY]>())
}

/// Which stack a #DB arrives on under the working IDT.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum DebugStack {
    /// An interrupt stack, if there is one.
    Separate,
    /// The interrupted one. QEMU's TCG delivers a step onto a watchpoint as two #DBs, the
    /// second at the first instruction of the handler; on an interrupt stack it would
    /// overwrite the frame of the first. The price: a step under TCG, with a watchpoint armed,
    /// destroys what the interrupted code keeps below its stack pointer. Code for ring 0 is
    /// built without a red zone, as its own interrupts demand; code that has one can be
    /// debugged on a processor, or without watchpoints.
    Interrupted,
}

/// All of it, for a protected range.
pub(crate) fn normal_idt_region() -> Option<Region> {
    Region::new(NORMAL_IDT.0.get() as usize, size_of::<Idt>()).ok()
}
