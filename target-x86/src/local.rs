//! What one CPU has for itself: its part of the arbiter, its step, its notes.
//!
//! Used with interrupts off and without a lock, by the CPU that it belongs to; or, while that one
//! waits, by the leader ([`Rendezvous`](tetrarch::rendezvous::Rendezvous)). A CPU marks that it
//! is at work, because an exception may interrupt it between any two instructions: one that finds
//! the mark leaves a note ([`Pending`]) instead of using what is half done.

use core::cell::UnsafeCell;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering, compiler_fence};

use tetrarch::arbiter::{Cpu, PlanId};
use tetrarch::text::Text;

use crate::area::CpuMemory;
use crate::entry;
use crate::gates::{self, DebugStack, Gates};
use crate::hits::Hits;
use crate::mailbox::Mailbox;
use crate::pending::Pending;
use crate::recovery::Attempt;
use crate::step::{self, System};
use crate::tables::{self, DescriptorTable};

/// The tables of a CPU that was started.
#[derive(Clone, Copy)]
pub(crate) struct Tables {
    /// How its gates look.
    pub gates: Gates,
    /// The working IDT.
    pub working: DescriptorTable,
    /// What the image had before.
    pub image: Option<DescriptorTable>,
}

/// What only one may use at a time.
pub(crate) struct Own<const CLAIMS: usize, const TASKS: usize> {
    /// `None` before the CPU is started, and while its claims may be changed.
    pub part: Option<Cpu<CLAIMS, TASKS>>,
    /// The step that is under way. The working IDT is loaded then.
    pub step: Option<step::Pending>,
    /// The IDT that the firmware runs under, while the working one is loaded.
    pub firmware_idt: DescriptorTable,
    pub tables: Option<Tables>,
    /// Debug exceptions of which the debugger is to be told, when this CPU leads.
    pub hits: Hits,
    /// A step has come to an INT3 of the library's own, and ends when that has been served.
    pub steps_over_request: bool,
    /// The message of the panic that this CPU enters the stub for.
    pub message: Text,
}

impl<const CLAIMS: usize, const TASKS: usize> Own<CLAIMS, TASKS> {
    const NONE: Self = Self {
        part: None,
        step: None,
        firmware_idt: DescriptorTable { base: 0, limit: 0 },
        tables: None,
        hits: Hits::NONE,
        steps_over_request: false,
        message: Text::new(),
    };
}

/// One CPU's.
pub(crate) struct Local<const CLAIMS: usize, const TASKS: usize> {
    at_work: AtomicBool,
    own: UnsafeCell<Own<CLAIMS, TASKS>>,
    pub pending: Pending,
    pub mailbox: Mailbox,
    /// What may fail, on this CPU.
    pub attempt: Attempt,
    /// The number of the plan in force, to be compared without a mark.
    in_force: AtomicU32,
    memory: AtomicPtr<CpuMemory>,
    /// The number of its local APIC.
    pub apic: AtomicU32,
}

// SAFETY: two CPUs could use what is this one's own at once. It is this CPU's, under the mark,
// while it does not wait, and the leader's who has collected it while it does.
unsafe impl<const CLAIMS: usize, const TASKS: usize> Sync for Local<CLAIMS, TASKS> {}

/// The code that was interrupted, or that calls, is at work on this CPU's own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct HeldHere;

impl<const CLAIMS: usize, const TASKS: usize> Local<CLAIMS, TASKS> {
    /// Of a CPU that was not started.
    pub const fn new() -> Self {
        Self {
            at_work: AtomicBool::new(false),
            own: UnsafeCell::new(Own::NONE),
            pending: Pending::new(),
            mailbox: Mailbox::new(),
            attempt: Attempt::new(),
            in_force: AtomicU32::new(PlanId::NONE.bits()),
            memory: AtomicPtr::new(core::ptr::null_mut()),
            apic: AtomicU32::new(0),
        }
    }

    /// The plan in force on this CPU, or the one before if it is about to change.
    pub fn in_force(&self) -> PlanId {
        PlanId::from_bits(self.in_force.load(Ordering::Relaxed))
    }

    /// To be called on the CPU that it belongs to, with interrupts off.
    pub fn enter(&self) -> Result<Mine<'_, CLAIMS, TASKS>, HeldHere> {
        if self.at_work.swap(true, Ordering::Relaxed) {
            return Err(HeldHere);
        }
        // Keeps the compiler from moving the mark behind the work; the CPU itself sees its own
        // stores in order.
        compiler_fence(Ordering::SeqCst);
        Ok(Mine(self))
    }

    /// The CPU that executes the call starts here, with nothing of what it may have had before it
    /// was reset.
    pub fn restart(&self, memory: &'static CpuMemory, tables: Tables) {
        memory.forget();
        self.set_memory(memory);
        self.pending.forget();
        self.attempt.forget();
        self.in_force.store(PlanId::NONE.bits(), Ordering::Relaxed);
        // SAFETY: nobody else uses it: the CPU is not known to any leader as one that waits, and
        // what it was at work on has ended with the reset.
        let own = unsafe { &mut *self.own.get() };
        *own = Own { tables: Some(tables), ..Own::NONE };
        self.at_work.store(false, Ordering::Relaxed);
    }

    /// For the leader, who has collected this CPU.
    pub fn own(&self) -> *mut Own<CLAIMS, TASKS> {
        self.own.get()
    }

    /// Gives it the memory that its exceptions go through.
    pub fn set_memory(&self, memory: &'static CpuMemory) {
        self.memory.store((&raw const *memory).cast_mut(), Ordering::Relaxed);
    }

    /// The memory that its exceptions go through, once it was started.
    pub fn memory(&self) -> Option<&'static CpuMemory> {
        // SAFETY: only references to statics are ever stored there.
        unsafe { self.memory.load(Ordering::Relaxed).as_ref() }
    }
}

/// The right to use what is this CPU's own; the mark goes when it is dropped. While the CPU waits,
/// it keeps this, so that exceptions find the mark, and does not use it.
pub(crate) struct Mine<'a, const CLAIMS: usize, const TASKS: usize>(&'a Local<CLAIMS, TASKS>);

impl<const CLAIMS: usize, const TASKS: usize> Deref for Mine<'_, CLAIMS, TASKS> {
    type Target = Own<CLAIMS, TASKS>;

    fn deref(&self) -> &Self::Target {
        // SAFETY: nobody else on this CPU comes in because of the mark, and no leader because the
        // CPU does not wait.
        unsafe { &*self.0.own.get() }
    }
}

impl<const CLAIMS: usize, const TASKS: usize> DerefMut for Mine<'_, CLAIMS, TASKS> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        // SAFETY: as above, and this is the only borrow.
        unsafe { &mut *self.0.own.get() }
    }
}

impl<const CLAIMS: usize, const TASKS: usize> Drop for Mine<'_, CLAIMS, TASKS> {
    fn drop(&mut self) {
        // Only now: until here, a debug exception notes the plan that was in force before.
        if let Some(part) = &self.part {
            self.0.in_force.store(part.in_force().bits(), Ordering::Relaxed);
        }
        compiler_fence(Ordering::SeqCst);
        self.0.at_work.store(false, Ordering::Relaxed);
    }
}

impl<const CLAIMS: usize, const TASKS: usize> Mine<'_, CLAIMS, TASKS> {
    /// What the CPU looks like to the firmware.
    pub fn system(&self) -> System {
        System::of_this_cpu(self.firmware_idt, entry::is_ours)
    }

    /// Loads the IDT under which faults come home, and remembers the firmware's.
    pub fn load_working_idt(&mut self) {
        let Some(Tables { working, .. }) = self.tables else { return };
        let loaded = tables::store_idt();
        if loaded != working {
            self.firmware_idt = loaded;
            // SAFETY: all its gates lead to this crate's entry, and it is static.
            unsafe { tables::load_idt(working) };
        }
    }

    /// Loads the IDT that the firmware runs under.
    pub fn load_firmware_idt(&self) {
        if self.tables.is_none() {
            // Of a CPU that is not the stub's any more, none was stored.
            return;
        }
        // SAFETY: the firmware had it loaded, or loaded it itself since, under a step.
        unsafe { tables::load_idt(self.firmware_idt) };
    }

    /// Loads it, if that is not what is loaded.
    pub fn leave_working_idt(&self) {
        if self.tables.is_some_and(|tables| tables::store_idt() == tables.working) {
            self.load_firmware_idt();
        }
    }

    /// After the hand-off: a CPU that is under the stub's IDT gets the image's back.
    pub fn load_image_idt(&mut self) {
        let image = self.tables.take().and_then(|tables| tables.image);
        if let (Some(image), true) = (image, tables::store_idt() == gates::normal_idt()) {
            // SAFETY: the image had it loaded before, and promised to keep it.
            unsafe { tables::load_idt(image) };
        }
    }

    /// Where the #DB of the coming step shall arrive: see [`DebugStack`].
    pub fn set_debug_stack(&self, stack: DebugStack) {
        if let (Some(memory), Some(Tables { gates, .. })) = (self.0.memory(), self.tables) {
            memory.set_debug_stack(gates, stack);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_at_work_is_found_at_work() {
        let local = Local::<1, 0>::new();
        let mut mine = local.enter().expect("nobody is at work");
        mine.firmware_idt.limit += 1;
        assert_eq!(local.enter().err(), Some(HeldHere));
        drop(mine);
        assert_eq!(local.enter().map(|mine| mine.firmware_idt.limit), Ok(1));
    }
}
