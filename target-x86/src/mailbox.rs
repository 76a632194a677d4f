//! What a CPU that waits can be asked, and what it is told when it goes on.
//!
//! The frame of its context lies in memory, and the leader may look at it. The rest of its
//! registers it alone can reach: control, model-specific and segment registers. So the leader asks
//! it to read or write them all, and it does so while it waits. The leader gives up after a while,
//! as it does with a CPU that does not stop.

use core::cell::UnsafeCell;
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicU8, Ordering};

use tetrarch::session::{Go, Motion, ResumeFlag};
use tetrarch::target::RegisterError;
use tetrarch::x86_64::X86_64Registers;

use crate::cpus;
use crate::frame::Frame;
use crate::registers;

/// What is asked, and how far that has come.
mod errand {
    pub const NONE: u8 = 0;
    pub const READ: u8 = 1;
    pub const WRITE: u8 = 2;
    pub const TAKEN: u8 = 3;
    pub const DONE: u8 = 4;
    pub const REFUSED: u8 = 5;
}

/// The letterbox of one CPU.
pub(crate) struct Mailbox {
    /// The context that it will go on with, while it waits.
    frame: AtomicPtr<Frame>,
    errand: AtomicU8,
    registers: UnsafeCell<Option<X86_64Registers>>,
    motion: AtomicU8,
    resume_flag: AtomicU8,
}

// SAFETY: two CPUs could use the registers at once. They are the leader's but for the time in
// which the errand is READ, WRITE or TAKEN, and then the waiting CPU's.
unsafe impl Sync for Mailbox {}

impl Mailbox {
    /// Of a CPU that does not wait.
    pub const fn new() -> Self {
        Self {
            frame: AtomicPtr::new(ptr::null_mut()),
            errand: AtomicU8::new(errand::NONE),
            registers: UnsafeCell::new(None),
            motion: AtomicU8::new(0),
            resume_flag: AtomicU8::new(0),
        }
    }

    /// The CPU is about to wait with this context.
    pub fn open(&self, frame: &mut Frame) {
        self.frame.store(&raw mut *frame, Ordering::Relaxed);
        self.errand.store(errand::NONE, Ordering::Relaxed);
    }

    /// Whether it waits, or is about to, or has not gone on yet.
    pub fn is_open(&self) -> bool {
        !self.frame().is_null()
    }

    /// It goes on.
    pub fn close(&self) {
        self.frame.store(ptr::null_mut(), Ordering::Relaxed);
    }

    /// The context of a CPU that waits, for the leader who has collected it.
    pub fn frame(&self) -> *mut Frame {
        self.frame.load(Ordering::Relaxed)
    }

    /// The CPU that waits does what it is asked.
    pub fn serve(&self, frame: &mut Frame) {
        let asked = self.errand.load(Ordering::Acquire);
        if !matches!(asked, errand::READ | errand::WRITE) || !self.change(asked, errand::TAKEN) {
            return;
        }
        // SAFETY: the errand has been taken, so the registers are this CPU's.
        let place = unsafe { &mut *self.registers.get() };
        let held = place.get_or_insert_default();
        let done = match asked {
            errand::WRITE => registers::write(frame, held).is_ok(),
            _ => {
                registers::read(frame, held);
                true
            }
        };
        let result = if done { errand::DONE } else { errand::REFUSED };
        self.errand.store(result, Ordering::Release);
    }

    /// The leader has the CPU read its registers.
    pub fn read(&self, into: &mut X86_64Registers, patience: u64) -> Result<(), RegisterError> {
        self.send(errand::READ, patience)?;
        // SAFETY: the errand is done, so the registers are the leader's.
        let held = unsafe { &*self.registers.get() };
        *into = held.as_ref().ok_or(RegisterError::NotStopped)?.clone();
        Ok(())
    }

    /// The leader has the CPU write its registers.
    pub fn write(&self, from: &X86_64Registers, patience: u64) -> Result<(), RegisterError> {
        if self.is_busy() {
            return Err(RegisterError::NotStopped);
        }
        // SAFETY: there is no errand, so the registers are the leader's.
        unsafe { *self.registers.get() = Some(from.clone()) };
        self.send(errand::WRITE, patience)
    }

    fn is_busy(&self) -> bool {
        self.errand.load(Ordering::Acquire) == errand::TAKEN
    }

    fn send(&self, asked: u8, patience: u64) -> Result<(), RegisterError> {
        if self.is_busy() {
            return Err(RegisterError::NotStopped);
        }
        self.errand.store(asked, Ordering::Release);
        let start = cpus::time_stamp();
        loop {
            match self.errand.load(Ordering::Acquire) {
                errand::DONE => return Ok(()),
                errand::REFUSED => return Err(RegisterError::Refused),
                // If it has taken it meanwhile, it is about to be done.
                _ if cpus::time_stamp().wrapping_sub(start) > patience
                    && self.change(asked, errand::NONE) =>
                {
                    return Err(RegisterError::NotStopped);
                }
                _ => core::hint::spin_loop(),
            }
        }
    }

    fn change(&self, from: u8, to: u8) -> bool {
        self.errand.compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// What the CPU shall do when it is let go.
    pub fn order(&self, go: Go) {
        self.motion.store(go.motion as u8, Ordering::Relaxed);
        self.resume_flag.store(go.resume_flag as u8, Ordering::Relaxed);
    }

    /// What it shall do.
    pub fn ordered(&self) -> Go {
        let motion = match self.motion.load(Ordering::Relaxed) {
            number if number == Motion::Step as u8 => Motion::Step,
            number if number == Motion::Wait as u8 => Motion::Wait,
            _ => Motion::Continue,
        };
        let resume_flag = match self.resume_flag.load(Ordering::Relaxed) {
            number if number == ResumeFlag::Set as u8 => ResumeFlag::Set,
            number if number == ResumeFlag::Clear as u8 => ResumeFlag::Clear,
            _ => ResumeFlag::Keep,
        };
        Go { motion, resume_flag }
    }
}
