//! Whom an exception is for, and whose code it interrupted.
//!
//! Two ways lead here, with interrupts off. The stub's own [`entry`] has turned DR7 off, and
//! everything works on the stub's stack. In the hook form the firmware's own handler may call
//! instead, on a stack of its own, and DR7 is turned off here; so that it can be known even so
//! that the stub is at work, a flag of the CPU says so for that time.
//!
//! A stub that has not been installed, or has handed off, takes nothing. A handler of the
//! firmware's is told so and does what it would do without a debugger. An image whose gates
//! still lead to the entry has no such handler: what can be gone on from is let go, and a
//! fault, which would come again for ever, halts.

use core::sync::atomic::Ordering;

use spin::Once;
use tetrarch::arbiter::Region;
use tetrarch::bank::Bank;
use tetrarch::dr::Dr7;
use tetrarch::machine::DebugRegisters;
use tetrarch::text::Text;

use crate::area::CpuMemory;
use crate::debug_regs::{self, Registers};
use crate::directory;
use crate::entry;
use crate::frame::{Frame, flag, vector};
use crate::interrupts;
use crate::memory::Linear;
use crate::panic;

/// The stub in place, whatever its capacity is.
static INSTALLED: Once<&'static dyn Installed> = Once::new();

/// Where that is noted.
pub(crate) fn region() -> Option<Region> {
    Region::new((&raw const INSTALLED).addr(), size_of_val(&INSTALLED)).ok()
}

/// What exceptions want of a [`Stub`](crate::Stub).
pub(crate) trait Installed: Sync {
    /// Handles the exception in `frame`; `live` is what DR7 held. Returns what it shall hold.
    fn handle(
        &self,
        frame: &mut Frame,
        live: Dr7,
        memory: &'static CpuMemory,
        interrupted: Interrupted,
        caller: Caller,
    ) -> Result<Dr7, Unavailable>;

    /// Enters the debugger, unless the stub is at work already.
    fn enter_for_panic(&self, text: Text) -> Result<(), Unavailable>;

    /// Signals the end of the serial port's interrupt.
    fn end_of_interrupt(&self);

    /// Attends to what this CPU has noted, in an exception.
    fn serve_notes(&self);
}

/// Who handed an exception over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Caller {
    /// A gate that leads to the stub's entry.
    Gate,
    /// A handler of the firmware's.
    Firmware,
}

/// There is no debugger to enter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Unavailable;

/// What became of an exception that the firmware's own handler has handed over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[must_use = "an exception that was not handled is the firmware's to handle"]
pub enum Handling {
    /// The context goes on with what is in the frame.
    Handled,
    /// The stub is not installed, or has handed off, or it was an NMI that it did not send; it has
    /// done nothing. It is for the firmware to do what it would do without a debugger.
    NotOurs,
}

/// Whose code an exception has interrupted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Interrupted {
    /// The firmware's, functions of the library that it called included.
    Firmware,
    /// The stub's, in another exception: entry and exit, and the handler in between even
    /// where it is not at work yet, or no more.
    Stub,
}

impl Interrupted {
    /// To be asked before the flag is set for this exception.
    fn by(frame: &Frame, memory: &CpuMemory) -> Self {
        let in_stub = memory.called().load(Ordering::Relaxed)
            || memory.is_on_working_stack(frame.rsp)
            || entry::is_ours(frame.rip);
        if in_stub { Self::Stub } else { Self::Firmware }
    }
}

/// Makes `stub` the one that exceptions go to.
pub(crate) fn set_installed(stub: &'static dyn Installed) {
    INSTALLED.call_once(|| stub);
}

/// Whether there is one.
pub(crate) fn is_installed() -> bool {
    INSTALLED.get().is_some()
}

/// Enters the debugger to show a panic.
pub(crate) fn enter_for_panic(text: Text) -> Result<(), Unavailable> {
    INSTALLED.get().ok_or(Unavailable)?.enter_for_panic(text)
}

/// Called by the entry, with DR7 off.
pub(crate) fn from_entry(frame: &mut Frame, live: Dr7, memory: &'static CpuMemory) -> Dr7 {
    let interrupted = Interrupted::by(frame, memory);
    let result = dispatch(frame, live, memory, interrupted, Caller::Gate);
    if !memory.working_stack_is_intact() {
        panic::stack_overflow()
    }
    let control = result.unwrap_or_else(|Unavailable| {
        let_go(frame);
        live
    });
    if frame.vector == vector::IMAGE_NMI {
        let bank = Bank::new(debug_regs::addresses(), control);
        interrupts::prepare_way_out(frame, &mut Linear, &bank);
    }
    control
}

/// Called by the firmware's own handler, with DR7 as it was.
pub(crate) fn from_firmware(frame: &mut Frame) -> Handling {
    let Some(memory) = directory::of_this_cpu() else { return Handling::NotOurs };
    let interrupted = Interrupted::by(frame, memory);
    // Set before DR7 goes off and taken back after it is on again: an NMI in between would
    // otherwise take the stub for firmware, and OFF for what the firmware wants in DR7.
    let before = memory.called().swap(true, Ordering::Relaxed);
    let live = debug_regs::control();
    if live.any_armed() {
        Registers.write_control(Dr7::OFF);
    }
    let result = dispatch(frame, live, memory, interrupted, Caller::Firmware);
    let control = result.unwrap_or(live);
    if control != debug_regs::control() {
        Registers.write_control(control);
    }
    memory.called().store(before, Ordering::Relaxed);
    if let (Some(stub), Interrupted::Firmware) = (INSTALLED.get(), interrupted) {
        // An NMI that came after the stub had looked for the last time.
        stub.serve_notes();
    }
    match result {
        Ok(_) => Handling::Handled,
        Err(Unavailable) => Handling::NotOurs,
    }
}

fn dispatch(
    frame: &mut Frame,
    live: Dr7,
    memory: &'static CpuMemory,
    interrupted: Interrupted,
    caller: Caller,
) -> Result<Dr7, Unavailable> {
    INSTALLED.get().ok_or(Unavailable)?.handle(frame, live, memory, interrupted, caller)
}

/// An exception that has come through the stub's gates, and nobody to tell.
pub(crate) fn let_go(frame: &mut Frame) {
    match frame.vector {
        vector::DEBUG => {
            debug_regs::take_status();
            // An execute breakpoint would come again for ever.
            frame.set(flag::RESUME);
        }
        vector::SERIAL => {
            if let Some(stub) = INSTALLED.get() {
                stub.end_of_interrupt();
            }
        }
        vector::NMI | vector::BREAKPOINT => {}
        _ => panic::halt(),
    }
}
