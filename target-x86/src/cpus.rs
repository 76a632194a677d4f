//! Which CPU this is, and the lock that keeps the others and the exceptions out.
//!
//! One CPU for now: the library runs on the one that booted. What several need is kept in
//! mind here: a lock knows which CPU holds it, because an exception that finds it held has
//! to tell "by the code that I interrupted" (waiting would be for ever) from "by another
//! CPU" (waiting is right).

use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicBool, Ordering, compiler_fence};

use spin::mutex::{SpinMutex, SpinMutexGuard};
use tetrarch::arbiter::CpuId;
use x86::bits64::rflags::{self, RFlags};
use x86::cpuid::native_cpuid::cpuid_count;
use x86::{io, irq};

use crate::tables::{self, DescriptorTable};

/// How many CPUs the library knows.
pub(crate) const COUNT: usize = 1;

/// The CPU that executes the call.
pub(crate) fn current() -> CpuId {
    CpuId(0)
}

/// Executes `section` with maskable interrupts off, and leaves IF as it was.
pub(crate) fn without_interrupts<R>(section: impl FnOnce() -> R) -> R {
    let before = rflags::read();
    // SAFETY: interrupts are held off for the short time of the section; CLI outside ring 0
    // is #GP, and the installer guarantees ring 0.
    unsafe { irq::disable() };
    let result = section();
    if before.contains(RFlags::FLAGS_IF) {
        // SAFETY: they were on when this function was called, so its caller expects them.
        unsafe { irq::enable() };
    }
    result
}

/// Whether this is QEMU without hardware virtualisation, by the hypervisor's CPUID leaf.
pub(crate) fn is_emulated_by_tcg() -> bool {
    const SIGNATURE: [u32; 3] = [0x5447_4354, 0x4354_4743, 0x4743_5447];
    let answer = cpuid_count(0x4000_0000, 0);
    [answer.ebx, answer.ecx, answer.edx] == SIGNATURE
}

/// The time-stamp counter of this CPU.
pub(crate) fn time_stamp() -> u64 {
    // SAFETY: reading has no effect. With CR4.TSD it is #GP outside ring 0, and the installer
    // guarantees ring 0.
    unsafe { x86::time::rdtsc() }
}

/// Resets the machine: through the chipset's reset control register, through the keyboard
/// controller, and at last by an exception that cannot be delivered.
pub(crate) fn reset() -> ! {
    const RESET_CONTROL: u16 = 0xCF9;
    const FULL_RESET: [u8; 2] = [0x02, 0x06];
    const KEYBOARD_COMMAND: u16 = 0x64;
    const PULSE_RESET: u8 = 0xFE;
    for (port, value) in [
        (RESET_CONTROL, FULL_RESET[0]),
        (RESET_CONTROL, FULL_RESET[1]),
        (KEYBOARD_COMMAND, PULSE_RESET),
    ] {
        // SAFETY: resetting is what is wanted; a machine without the port ignores it.
        unsafe { io::outb(port, value) };
    }
    let nothing = DescriptorTable { base: 0, limit: 0 };
    // SAFETY: no exception can be delivered from here on, which resets the CPU; nothing runs
    // after it.
    unsafe { tables::load_idt(nothing) };
    loop {
        crate::breakpoint();
    }
}

/// Data that one CPU at a time works on, with interrupts off.
///
/// A CPU marks itself before it takes the mutex and until after it has given it back: an
/// exception may come, by a single step for instance, between any two instructions, and one
/// that found the mutex locked but no mark would wait for the code below it.
pub(crate) struct Lock<T> {
    data: SpinMutex<T>,
    /// Which CPUs hold it or are about to.
    marks: [AtomicBool; COUNT],
}

/// The lock is held by the code that this call interrupted, or by its caller.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct HeldHere;

impl<T> Lock<T> {
    /// Free, with `data` in it.
    pub const fn new(data: T) -> Self {
        Self { data: SpinMutex::new(data), marks: [const { AtomicBool::new(false) }; COUNT] }
    }

    /// Whether the code that was interrupted on this CPU holds it, or is about to.
    pub fn is_held_here(&self) -> bool {
        self.mark().load(Ordering::Relaxed)
    }

    /// Takes it, waiting for another CPU if need be. Interrupts must be off: a handler
    /// that needs the lock would otherwise find it held on its own CPU.
    pub fn enter(&self) -> Result<Guard<'_, T>, HeldHere> {
        if self.mark().swap(true, Ordering::Relaxed) {
            return Err(HeldHere);
        }
        let mark = Mark(self.mark());
        // Keeps the compiler from moving the mark behind the mutex; the CPU itself sees its
        // own stores in order.
        compiler_fence(Ordering::SeqCst);
        Ok(Guard { data: self.data.lock(), _mark: mark })
    }

    fn mark(&self) -> &AtomicBool {
        let [mark, ..] = &self.marks;
        self.marks.get(usize::from(current().0)).unwrap_or(mark)
    }
}

/// Taken away when dropped.
struct Mark<'a>(&'a AtomicBool);

impl Drop for Mark<'_> {
    fn drop(&mut self) {
        compiler_fence(Ordering::SeqCst);
        self.0.store(false, Ordering::Relaxed);
    }
}

/// The right to use what a [`Lock`] guards. The order of the fields is that of dropping.
pub(crate) struct Guard<'a, T> {
    data: SpinMutexGuard<'a, T>,
    _mark: Mark<'a>,
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.data
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.data
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_tells_that_its_own_cpu_holds_it() {
        let lock = Lock::new(1);
        let mut guard = lock.enter().expect("free");
        *guard += 1;
        assert!(lock.is_held_here());
        assert_eq!(lock.enter().err(), Some(HeldHere));
        drop(guard);
        assert_eq!(lock.enter().map(|guard| *guard), Ok(2));
    }
}
