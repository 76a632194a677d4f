//! The static that the firmware makes, and all that it can be asked.
//!
//! Functions here run on the firmware's own stack, with interrupts off, under the working IDT
//! (an access of theirs may fault) and under one lock. Exceptions that come meanwhile leave a
//! note ([`pending`]), which is looked at as soon as the lock is free, in an exception again:
//! an INT3 of the library's own, which is also how the debugger is entered from here.

use core::sync::atomic::{AtomicU32, Ordering};

use tetrarch::arbiter::{PlanId, ProtectError, Protected};
use tetrarch::session::Overheard;

use crate::bring_up::Form;
use crate::config::Config;
use crate::cpus::{self, Lock};
use crate::dispatch::{self, Handling};
use crate::error::{ClaimError, InstallError};
use crate::exception;
use crate::frame::{Frame, vector};
use crate::panic::Message;
use crate::pending::{self, Pending};
use crate::state::State;

/// A GDB stub and an arbiter, with room for `CLAIMS` claims, some of which may belong to one of
/// up to `TASKS` tasks. Make it a static.
pub struct Stub<const CLAIMS: usize = 16, const TASKS: usize = 0> {
    pub(crate) state: Lock<State<CLAIMS, TASKS>>,
    pub(crate) pending: Pending,
    pub(crate) message: Message,
    /// The number of the plan in force, to be compared without the lock.
    in_force: AtomicU32,
}

impl<const CLAIMS: usize, const TASKS: usize> Default for Stub<CLAIMS, TASKS> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const CLAIMS: usize, const TASKS: usize> Stub<CLAIMS, TASKS> {
    /// Not installed yet.
    pub const fn new() -> Self {
        Self {
            state: Lock::new(State::new()),
            pending: Pending::new(),
            message: Message::new(),
            in_force: AtomicU32::new(PlanId::NONE.bits()),
        }
    }

    /// The plan in force on this CPU, or the one before if the arbiter is at work on it.
    pub(crate) fn in_force(&self) -> PlanId {
        PlanId::from_bits(self.in_force.load(Ordering::Relaxed))
    }

    /// Puts the stub into an image: takes #DB, NMI, #BP, #GP, #PF, every exception that the
    /// image does not handle, and the serial port's interrupt.
    ///
    /// The image's IDT is copied: gates that it changes later have no effect.
    ///
    /// # Errors
    ///
    /// See [`InstallError`].
    ///
    /// # Safety
    ///
    /// The caller must be in ring 0 and 64-bit mode, on the only CPU that will call the
    /// library; the GDT, the IDT and TR must be valid or empty and stay so; page tables must
    /// keep the image mapped where it is; nobody else may use the I/O ports of `config.port`
    /// or write the debug registers.
    pub unsafe fn install(&'static self, config: Config) -> Result<(), InstallError> {
        // SAFETY: passed on to the caller.
        unsafe { self.bring_up(config, Form::Install) }
    }

    /// Sets the stub up for an image that handles exceptions itself and leads them here: by
    /// gates for [`vector_entry`](crate::vector_entry) and
    /// [`serial_entry`](crate::serial_entry), or by calling [`exception`](Self::exception)
    /// and [`serial_interrupt`](Self::serial_interrupt).
    ///
    /// # Errors
    ///
    /// See [`InstallError`].
    ///
    /// # Safety
    ///
    /// As for [`install`](Self::install).
    pub unsafe fn hook(&'static self, config: Config) -> Result<(), InstallError> {
        // SAFETY: passed on to the caller.
        unsafe { self.bring_up(config, Form::Hook) }
    }

    /// Works on the state of an installed stub, and looks at the notes afterwards.
    #[expect(clippy::result_large_err, reason = "a rejection carries its figures")]
    pub(crate) fn exclusively<R>(
        &self,
        work: impl FnOnce(&mut State<CLAIMS, TASKS>) -> R,
    ) -> Result<R, ClaimError> {
        cpus::without_interrupts(|| {
            let mut state = self.state.enter()?;
            if state.tables.is_none() {
                return Err(ClaimError::NotInstalled);
            }
            let result = work(&mut state);
            // Only now: until here, a debug exception notes the plan that was in force before.
            let plan = state.arbiter.in_force(cpus::current());
            self.in_force.store(plan.bits(), Ordering::Relaxed);
            drop(state);
            if self.pending.has_notes() {
                self.enter(pending::Request::Deliver);
            }
            Ok(result)
        })
    }

    /// Refuses all further breakpoints in a range, or all but data watchpoints: for memory that
    /// the firmware's own exception path needs, and, with a linker script that gathers it, for
    /// the code of the library.
    ///
    /// # Errors
    ///
    /// There are too many ranges, or a claim is there already. Before the installation and out
    /// of a handler none can be added: that is [`ProtectError::TooMany`], too.
    pub fn protect(&self, range: Protected) -> Result<(), ProtectError> {
        self.exclusively(|state| state.arbiter.protect(range)).unwrap_or(Err(ProtectError::TooMany))
    }

    /// Looks at the serial port, and stops in the debugger if a client wants that. For
    /// firmware whose port does not interrupt: call it where nothing is half done.
    pub fn poll(&self) {
        cpus::without_interrupts(|| match self.exclusively(State::overhear) {
            Ok(Overheard::Interrupt | Overheard::Packet) => self.enter(pending::Request::Attend),
            Ok(Overheard::Nothing) | Err(_) => {}
        });
    }

    /// Ends the debugger's session, takes its software breakpoints out, releases every claim,
    /// turns DR7 off and puts the image's own IDT back, for the next stage to be started. From
    /// then on a panic or an exception finds no debugger.
    ///
    /// Mask the serial port's line at the interrupt controller before: a byte that arrived a
    /// moment ago has been latched there, and would come through an IDT that may have no gate
    /// for it. Gates of the image's own that lead to the stub's entries are its to replace.
    pub fn hand_off(&self) {
        cpus::without_interrupts(|| {
            if self.exclusively(|_| ()).is_ok() {
                self.enter(pending::Request::HandOff);
            }
        });
    }

    /// Handles an exception whose frame the firmware's own entry has saved, `vector` and `error`
    /// included; the context goes on with what is in `frame` then. Interrupts must be off, and
    /// the stack needs 16 KiB (64 KiB if nothing is optimised) that no breakpoint is on.
    ///
    /// The frame's FXSAVE image is the caller's to fill (see [`FpuImage::saved`]) and to load.
    ///
    /// [`FpuImage::saved`]: crate::FpuImage::saved
    pub fn exception(&'static self, frame: &mut Frame) -> Handling {
        dispatch::from_firmware(frame)
    }

    /// Handles the serial port's interrupt, likewise. The end of the interrupt is signalled
    /// from here, if the configuration says how; not so if it is [`Handling::NotOurs`].
    pub fn serial_interrupt(&'static self, frame: &mut Frame) -> Handling {
        frame.vector = vector::SERIAL;
        dispatch::from_firmware(frame)
    }

    /// Enters the stub from the firmware's context. Interrupts are off, so that no other INT3
    /// takes the request for its own.
    pub(crate) fn enter(&self, request: pending::Request) {
        self.pending.request(request);
        exception::breakpoint();
    }
}
