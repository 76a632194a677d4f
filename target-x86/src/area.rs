//! Memory that exceptions go through: stacks, the tables that are loaded, two flags.
//!
//! A watchpoint on any of it would hit while a #DB is being delivered, for ever, so all of
//! it is registered with the arbiter as protected.
//!
//! **Each CPU has its own** ([`CpuMemory`]): two exceptions at once must not share a stack, and
//! the processor marks a TSS as busy. The entry has to find it without any register that it could
//! trust, so it asks CPUID for the number of the local APIC, and [`MEMORIES`] for the rest; where
//! there is room for one CPU only, it need not ask ([`ONLY`]).
//!
//! **Two IDTs.** The image runs under the *normal* one, which all CPUs share (in the hook form
//! that is its own, and the one here stays empty). The stub works, and lets single steps run,
//! under the *working* one, where every exception leads to the stub: a fault in one of its
//! guarded copies comes home even where the image handles page faults itself.

use core::cell::UnsafeCell;
use core::mem::{offset_of, size_of};
use core::sync::atomic::{AtomicBool, AtomicU16, Ordering};

use tetrarch::arbiter::{CpuId, Region};
use x86::bits64::task::TaskStateSegment;

use crate::directory::{MEMORIES, ONLY};
use crate::dispatch;
use crate::frame::vector;
use crate::gates::{self, DebugStack, Gates, Landing};
use crate::own_code;
use crate::panic;
use crate::tables::{DescriptorTable, Gate};

/// Size of the stack that all exceptions work on. A stop takes about 9 KiB of it, and 53 KiB
/// when nothing is optimised; `debug_assertions` is as near as one can get to asking that.
pub(crate) const WORKING_STACK_SIZE: usize =
    if cfg!(debug_assertions) { 128 * 1024 } else { 32 * 1024 };
/// Room for a frame without its FXSAVE image, several times over.
const LANDING_STACK_SIZE: usize = 1024;
/// How many descriptors, of eight bytes, a GDT may have to be copied.
pub(crate) const GDT_CAPACITY: usize = 32;

/// What exceptions on one CPU go through: 36 KiB, optimised. Make it a static, one for each CPU but
/// the one that installs the stub.
///
/// All zero until it is used, so that it takes no room in the image's file. On pages of its own:
/// QEMU knows false hits of a watchpoint in the same page.
#[repr(C, align(4096))]
pub struct CpuMemory(UnsafeCell<Contents>);

/// The entry knows where the flags are, and that the working stack comes first.
#[repr(C)]
struct Contents {
    working_stack: [u8; WORKING_STACK_SIZE],
    landing_stacks: [[u8; LANDING_STACK_SIZE]; Landing::COUNT],
    working_idt: [Gate; vector::COUNT],
    gdt: [u64; GDT_CAPACITY + 2],
    task: [u64; TASK_WORDS],
    nmi_noted: AtomicBool,
    called: AtomicBool,
    /// The number of the CPU.
    cpu: AtomicU16,
}

const TASK_WORDS: usize = size_of::<TaskStateSegment>().div_ceil(8);

/// Where the flag is that an NMI has come while the entry was at work.
pub(crate) const NMI_NOTED: usize = offset_of!(Contents, nmi_noted);
/// Where the flag is that the firmware's own handler has called.
pub(crate) const CALLED: usize = offset_of!(Contents, called);

// SAFETY: two CPUs, or a function and an exception that interrupts it, could change a table
// at once. Each CPU uses its own memory only; tables are changed when the CPU is started, and with
// its own state held; stacks are only ever used as such.
unsafe impl Sync for CpuMemory {}

impl Default for CpuMemory {
    fn default() -> Self {
        Self::new()
    }
}

impl CpuMemory {
    /// Unused.
    pub const fn new() -> Self {
        Self(UnsafeCell::new(Contents {
            working_stack: [0; WORKING_STACK_SIZE],
            landing_stacks: [[0; LANDING_STACK_SIZE]; Landing::COUNT],
            working_idt: [Gate::ABSENT; vector::COUNT],
            gdt: [0; GDT_CAPACITY + 2],
            task: [0; TASK_WORDS],
            nmi_noted: AtomicBool::new(false),
            called: AtomicBool::new(false),
            cpu: AtomicU16::new(0),
        }))
    }

    fn address_of(&self, offset: usize) -> u64 {
        self.0.get() as u64 + offset as u64
    }

    /// An NMI came while the entry was moving a frame. The entry writes it, armed or not.
    pub(crate) fn nmi_noted(&self) -> &AtomicBool {
        // SAFETY: the static is valid, and an atomic may be shared.
        unsafe { &(*self.0.get()).nmi_noted }
    }

    /// The stub is at work on a stack of the firmware's, called by the firmware's own handler.
    pub(crate) fn called(&self) -> &AtomicBool {
        // SAFETY: the static is valid, and an atomic may be shared.
        unsafe { &(*self.0.get()).called }
    }

    /// The CPU was reset: nothing is under way in it.
    pub(crate) fn forget(&self) {
        self.called().store(false, Ordering::Relaxed);
        self.nmi_noted().store(false, Ordering::Relaxed);
    }

    fn number(&self) -> &AtomicU16 {
        // SAFETY: the static is valid, and an atomic may be shared.
        unsafe { &(*self.0.get()).cpu }
    }

    /// Whose it is.
    pub(crate) fn cpu(&self) -> CpuId {
        CpuId(self.number().load(Ordering::Relaxed))
    }

    /// Gives it to a CPU.
    pub(crate) fn set_cpu(&self, cpu: CpuId) {
        self.number().store(cpu.0, Ordering::Relaxed);
    }

    /// Whether a context with this stack pointer is the stub itself.
    pub(crate) fn is_on_working_stack(&self, stack_pointer: u64) -> bool {
        stack_pointer.wrapping_sub(self.address_of(0)) < WORKING_STACK_SIZE as u64
    }

    /// Whether nothing has been written to the far end of the working stack, which is zero.
    pub(crate) fn working_stack_is_intact(&self) -> bool {
        // SAFETY: the static is valid and aligned; whoever may be writing to it writes less deep.
        unsafe { self.0.get().cast::<u64>().read_volatile() == 0 }
    }

    /// Everything, for a protected range.
    pub(crate) fn region(&self) -> Option<Region> {
        Region::new(self.0.get() as usize, size_of::<Self>()).ok()
    }

    /// Where a landing stack starts, growing down.
    pub(crate) fn top(&self, landing: Landing) -> u64 {
        let below = landing as usize + 1;
        self.address_of(offset_of!(Contents, landing_stacks) + below * LANDING_STACK_SIZE)
    }

    /// Makes the TSS one that names no stack and no I/O map, and gives its address.
    pub(crate) fn clear_task(&self) -> u64 {
        let address = self.address_of(offset_of!(Contents, task));
        // SAFETY: it is inside the static, aligned to 8 (a TSS asks for less), large enough, and
        // not loaded yet.
        unsafe { (address as *mut TaskStateSegment).write_volatile(TaskStateSegment::new()) };
        address
    }

    /// Writes the gates of the working IDT, and returns it.
    pub(crate) fn fill_working_idt(&self, gates: Gates) -> DescriptorTable {
        for number in 0..vector::COUNT as u8 {
            self.set_working_gate(number, gates.exception(number));
        }
        let length = size_of::<[Gate; vector::COUNT]>();
        DescriptorTable::new(self.address_of(offset_of!(Contents, working_idt)), length)
    }

    /// Chooses the stack for the next #DB under the working IDT.
    pub(crate) fn set_debug_stack(&self, gates: Gates, stack: DebugStack) {
        let number = vector::DEBUG as u8;
        let gate = gates.exception(number);
        self.set_working_gate(
            number,
            match stack {
                DebugStack::Separate => gate,
                DebugStack::Interrupted => gate.on_stack(0),
            },
        );
    }

    fn set_working_gate(&self, number: u8, gate: Gate) {
        let gates = self.address_of(offset_of!(Contents, working_idt)) as *mut Gate;
        let index = usize::from(number) % vector::COUNT;
        // SAFETY: the index is below the table's length, and the gate leads to this crate's entry
        // or nowhere. No #DB can come while it is written: DR7 is off or the table is not loaded.
        unsafe { gates.wrapping_add(index).write_volatile(gate) };
    }

    /// Copies `count` descriptors from `read`, appends those of `more`, and returns the table.
    /// `None` if they are too many or `read` fails.
    pub(crate) fn fill_gdt(
        &self,
        count: usize,
        read: impl Fn(usize) -> Option<u64>,
        more: [u64; 2],
    ) -> Option<DescriptorTable> {
        if count > GDT_CAPACITY {
            return None;
        }
        let address = self.address_of(offset_of!(Contents, gdt));
        let words = address as *mut u64;
        for index in 0..count {
            // SAFETY: the index is below the capacity; the table is not loaded yet.
            unsafe { words.wrapping_add(index).write_volatile(read(index)?) };
        }
        for (offset, word) in more.into_iter().enumerate() {
            // SAFETY: the table has two words more than its capacity; it is not loaded yet.
            unsafe { words.wrapping_add(count + offset).write_volatile(word) };
        }
        Some(DescriptorTable::new(address, (count + more.len()) * size_of::<u64>()))
    }
}

/// What the CPU that installs the stub uses.
pub(crate) static BOOT_MEMORY: CpuMemory = CpuMemory::new();

/// What all CPUs share, and that of the one that installs, by the name that a refused request is
/// told.
pub(crate) fn regions() -> impl Iterator<Item = (Region, &'static str)> {
    let whole = |address: usize, length| Region::new(address, length).ok();
    [
        (BOOT_MEMORY.region(), CPU_MEMORY),
        (gates::normal_idt_region(), CPU_MEMORY),
        (whole((&raw const MEMORIES).addr(), size_of_val(&MEMORIES)), CPU_MEMORY),
        (whole((&raw const ONLY).addr(), size_of_val(&ONLY)), CPU_MEMORY),
        (whole((&raw const own_code::PATCHES).addr(), size_of_val(&own_code::PATCHES)), CPU_MEMORY),
        (dispatch::region(), CPU_MEMORY),
        (panic::region(), CPU_MEMORY),
    ]
    .into_iter()
    .filter_map(|(region, name)| Some((region?, name)))
}

/// What a refused request is told that a [`CpuMemory`] is.
pub(crate) const CPU_MEMORY: &str = "tetrarch's tables and exception stacks";
