//! Static memory that exceptions go through: stacks, the tables that are loaded, two flags.
//!
//! A watchpoint on any of it would hit while a #DB is being delivered, for ever, so all of
//! it is registered with the arbiter as protected.
//!
//! **Two IDTs.** The image runs under the *normal* one (in the hook form that is its own, and
//! the one here stays empty). The stub works, and lets single steps run, under the *working*
//! one, where every exception leads to the stub: a fault in one of its guarded copies comes
//! home even where the image handles page faults itself.

use core::cell::UnsafeCell;
use core::mem::size_of;
use core::sync::atomic::AtomicBool;

use tetrarch::arbiter::Region;
use x86::bits64::task::TaskStateSegment;

use crate::entry;
use crate::frame::vector;
use crate::tables::{DescriptorTable, Gate};

/// Size of the stack that all exceptions work on. A stop takes about 9 KiB of it, and 53 KiB
/// when nothing is optimised; `debug_assertions` is as near as one can get to asking that.
pub(crate) const WORKING_STACK_SIZE: usize =
    if cfg!(debug_assertions) { 128 * 1024 } else { 32 * 1024 };
/// Room for a frame without its FXSAVE image, several times over.
const LANDING_STACK_SIZE: usize = 1024;
/// How many descriptors, of eight bytes, a GDT may have to be copied.
pub(crate) const GDT_CAPACITY: usize = 32;
/// Gates of a complete IDT.
const IDT_CAPACITY: usize = 256;

/// Memory that the processor reads by itself.
#[repr(C, align(16))]
pub(crate) struct Area<T>(UnsafeCell<T>);

// SAFETY: two CPUs, or a function and an exception that interrupts it, could change a table
// at once. Tables are changed by the installation, which runs once, and by the holder of the
// stub's lock; stacks are only ever used as such.
unsafe impl<T> Sync for Area<T> {}

impl<T> Area<T> {
    const fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    /// Linear address of the first byte.
    pub fn address(&self) -> u64 {
        self.0.get() as u64
    }

    /// For changing it.
    pub fn pointer(&self) -> *mut T {
        self.0.get()
    }

    /// As the register that points to it wants it; `length` in bytes.
    fn table(&self, length: usize) -> DescriptorTable {
        DescriptorTable { base: self.address(), limit: (length - 1) as u16 }
    }

    fn region(&self) -> Option<Region> {
        Region::new(self.address() as usize, size_of::<T>()).ok()
    }
}

pub(crate) static WORKING_STACK: Area<[u8; WORKING_STACK_SIZE]> =
    Area::new([0; WORKING_STACK_SIZE]);
static LANDING_STACKS: Area<[[u8; LANDING_STACK_SIZE]; Landing::COUNT]> =
    Area::new([[0; LANDING_STACK_SIZE]; Landing::COUNT]);
static NORMAL_IDT: Area<[Gate; IDT_CAPACITY]> = Area::new([Gate::ABSENT; IDT_CAPACITY]);
static WORKING_IDT: Area<[Gate; vector::COUNT]> = Area::new([Gate::ABSENT; vector::COUNT]);
static GDT: Area<[u64; GDT_CAPACITY + 2]> = Area::new([0; GDT_CAPACITY + 2]);
pub(crate) static TASK: Area<TaskStateSegment> = Area::new(TaskStateSegment::new());

/// An NMI came while the entry was moving a frame. The entry writes it, armed or not.
pub(crate) static NMI_NOTED: AtomicBool = AtomicBool::new(false);
/// The stub is at work on a stack of the firmware's, called by the firmware's own handler.
pub(crate) static CALLED: AtomicBool = AtomicBool::new(false);

/// Whether a context with this stack pointer is the stub itself.
pub(crate) fn is_on_working_stack(stack_pointer: u64) -> bool {
    stack_pointer.wrapping_sub(WORKING_STACK.address()) < WORKING_STACK_SIZE as u64
}

/// Whether nothing has been written to the far end of the working stack, which is zero.
pub(crate) fn working_stack_is_intact() -> bool {
    // SAFETY: the static is valid and aligned; whoever may be writing to it writes less deep.
    unsafe { WORKING_STACK.pointer().cast::<u64>().read_volatile() == 0 }
}

/// Everything above, by the name that a refused request is told.
pub(crate) fn regions() -> impl Iterator<Item = (Region, &'static str)> {
    const TABLES: &str = "tetrarch's tables";
    const STACKS: &str = "tetrarch's exception stacks";
    const FLAGS: &str = "tetrarch's entry flags";
    [
        (WORKING_STACK.region(), STACKS),
        (LANDING_STACKS.region(), STACKS),
        (NORMAL_IDT.region(), TABLES),
        (WORKING_IDT.region(), TABLES),
        (GDT.region(), TABLES),
        (TASK.region(), TABLES),
        (flag_region(&NMI_NOTED), FLAGS),
        (flag_region(&CALLED), FLAGS),
    ]
    .into_iter()
    .filter_map(|(region, name)| Some((region?, name)))
}

fn flag_region(flag: &'static AtomicBool) -> Option<Region> {
    Region::new((&raw const *flag).addr(), size_of::<AtomicBool>()).ok()
}

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

    /// Where it starts, growing down.
    pub fn top(self) -> u64 {
        LANDING_STACKS.address() + ((self as usize + 1) * LANDING_STACK_SIZE) as u64
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

/// Writes the gates of the normal IDT, and returns it.
pub(crate) fn fill_normal_idt(gate: impl Fn(u8) -> Gate) -> DescriptorTable {
    let gates = NORMAL_IDT.pointer().cast::<Gate>();
    for number in 0..=u8::MAX {
        // SAFETY: a u8 is below 256, the table's length. It is not loaded yet, or it is and
        // the processor reads either the old gate or the new one, both of which are valid.
        unsafe { gates.wrapping_add(usize::from(number)).write_volatile(gate(number)) };
    }
    normal_idt()
}

/// The normal IDT, filled or not.
pub(crate) fn normal_idt() -> DescriptorTable {
    NORMAL_IDT.table(size_of::<[Gate; IDT_CAPACITY]>())
}

/// Writes the gates of the working IDT, and returns it.
pub(crate) fn fill_working_idt(gates: Gates) -> DescriptorTable {
    for number in 0..vector::COUNT as u8 {
        set_working_gate(number, gates.exception(number));
    }
    WORKING_IDT.table(size_of::<[Gate; vector::COUNT]>())
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

/// Chooses the stack for the next #DB under the working IDT.
pub(crate) fn set_debug_stack(gates: Gates, stack: DebugStack) {
    let number = vector::DEBUG as u8;
    let gate = gates.exception(number);
    set_working_gate(
        number,
        match stack {
            DebugStack::Separate => gate,
            DebugStack::Interrupted => gate.on_stack(0),
        },
    );
}

fn set_working_gate(number: u8, gate: Gate) {
    let gates = WORKING_IDT.pointer().cast::<Gate>();
    let index = usize::from(number) % vector::COUNT;
    // SAFETY: the index is below the table's length, and the gate leads to this crate's entry
    // or nowhere. No #DB can come while it is written: DR7 is off or the table is not loaded.
    unsafe { gates.wrapping_add(index).write_volatile(gate) };
}

/// Copies `count` descriptors from `read`, appends those of `more`, and returns the table.
/// `None` if they are too many or `read` fails.
pub(crate) fn fill_gdt(
    count: usize,
    read: impl Fn(usize) -> Option<u64>,
    more: [u64; 2],
) -> Option<DescriptorTable> {
    if count > GDT_CAPACITY {
        return None;
    }
    let words = GDT.pointer().cast::<u64>();
    for index in 0..count {
        // SAFETY: the index is below the capacity; the table is not loaded yet.
        unsafe { words.wrapping_add(index).write_volatile(read(index)?) };
    }
    for (offset, word) in more.into_iter().enumerate() {
        // SAFETY: the table has two words more than its capacity; it is not loaded yet.
        unsafe { words.wrapping_add(count + offset).write_volatile(word) };
    }
    Some(GDT.table((count + more.len()) * size_of::<u64>()))
}
