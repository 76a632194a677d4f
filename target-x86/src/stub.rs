//! The static that the firmware makes, and all that it can be asked.
//!
//! Functions here run on the firmware's own stack, with interrupts off, under the working IDT
//! (an access of theirs may fault) and under one lock. Exceptions that come meanwhile leave a
//! note ([`pending`]), which is looked at as soon as the lock is free, in an exception again:
//! an INT3 of the library's own, which is also how the debugger is entered from here.

use tetrarch::arbiter::{
    Arbiter, Condition, Handle, Handler, Owner, ProtectError, Protected, Region, Rejection, Request,
};
use tetrarch::session::Overheard;

use crate::bring_up::Form;
use crate::config::Config;
use crate::cpus::{self, Lock};
use crate::debug_regs::Registers;
use crate::dispatch::{self, Handling};
use crate::error::{ClaimError, InstallError};
use crate::exception;
use crate::frame::{Frame, vector};
use crate::memory::Linear;
use crate::panic::Message;
use crate::pending::{self, Pending};
use crate::state::State;

/// A GDB stub and an arbiter, with room for `CLAIMS` claims. Make it a static.
pub struct Stub<const CLAIMS: usize = 16> {
    pub(crate) state: Lock<State<CLAIMS>>,
    pub(crate) pending: Pending,
    pub(crate) message: Message,
}

impl<const CLAIMS: usize> Default for Stub<CLAIMS> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const CLAIMS: usize> Stub<CLAIMS> {
    /// Not installed yet.
    pub const fn new() -> Self {
        Self { state: Lock::new(State::new()), pending: Pending::new(), message: Message::new() }
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

    /// Claims a region for the firmware. When this returns, it is armed; `handler` is called
    /// in the debug exception for every hit.
    ///
    /// # Errors
    ///
    /// A refused claim changes nothing, and the [`Rejection`] says why.
    #[expect(clippy::result_large_err, reason = "a rejection carries its figures")]
    pub fn claim(
        &self,
        name: &'static str,
        region: Region,
        condition: Condition,
        handler: Handler,
    ) -> Result<Handle, ClaimError> {
        let request = Request::pinned(Owner::System(name), region, condition);
        self.change(|arbiter| {
            let handle = arbiter.claim(request, handler)?;
            arbiter.remember(handle, &mut Linear);
            Ok(handle)
        })
    }

    /// Moves a claim to another region or condition.
    ///
    /// # Errors
    ///
    /// If it is refused, the old one stays.
    #[expect(clippy::result_large_err, reason = "a rejection carries its figures")]
    pub fn modify(
        &self,
        handle: Handle,
        region: Region,
        condition: Condition,
    ) -> Result<(), ClaimError> {
        self.change(|arbiter| {
            arbiter.modify(handle, region, condition)?;
            arbiter.remember(handle, &mut Linear);
            Ok(())
        })
    }

    /// Gives a claim back; its registers are disarmed when this returns.
    ///
    /// # Errors
    ///
    /// The handle is stale, or the caller is a handler.
    #[expect(clippy::result_large_err, reason = "a rejection carries its figures")]
    pub fn release(&self, handle: Handle) -> Result<(), ClaimError> {
        self.change(|arbiter| arbiter.release(handle).map_err(|_| Rejection::StaleHandle))
    }

    /// Changes claims and puts the registers into the state that they ask for. They are off
    /// for that time: snapshots are read here, which would hit a watchpoint that is armed.
    #[expect(clippy::result_large_err, reason = "a rejection carries its figures")]
    fn change<R>(
        &self,
        work: impl FnOnce(&mut Arbiter<CLAIMS, { cpus::COUNT }>) -> Result<R, Rejection>,
    ) -> Result<R, ClaimError> {
        self.exclusively(|state| {
            let cpu = cpus::current();
            state.under_working_idt(|state| {
                state.arbiter.suspend(cpu, &mut Registers);
                let result = work(&mut state.arbiter);
                state.arbiter.resume(cpu, &mut Registers);
                result
            })
        })?
        .map_err(ClaimError::Rejected)
    }

    /// Works on the state of an installed stub, and looks at the notes afterwards.
    #[expect(clippy::result_large_err, reason = "a rejection carries its figures")]
    fn exclusively<R>(&self, work: impl FnOnce(&mut State<CLAIMS>) -> R) -> Result<R, ClaimError> {
        cpus::without_interrupts(|| {
            let mut state = self.state.enter()?;
            if state.tables.is_none() {
                return Err(ClaimError::NotInstalled);
            }
            let result = work(&mut state);
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
