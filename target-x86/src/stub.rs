//! The static that the firmware makes, and all that it can be asked.
//!
//! Functions here run on the firmware's own stack, with interrupts off, under the working IDT
//! (an access of theirs may fault) and under one lock. Exceptions that come meanwhile leave
//! a note ([`pending`](crate::pending)); what they want is done as soon as the lock is free,
//! by an INT3 of the library's own, which is also how the debugger is entered from here.

use core::fmt;
use core::mem::size_of_val;

use tetrarch::arbiter::{
    self, Against, Arbiter, Condition, Handle, Handler, Owner, ProtectError, Protected, Region, Rejection, Request,
};
use tetrarch::bank::Bank;
use tetrarch::session::Overheard;
use tetrarch::target::monitor::Command;

use crate::area::{self, Gates};
use crate::cpus::{self, HeldHere, Lock};
use crate::debug_regs::{self, Registers};
use crate::exception;
use crate::frame::{Frame, vector};
use crate::install::{Image, InstallError};
use crate::memory::Linear;
use crate::panic::{self, Message};
use crate::pending::{self, Pending};
use crate::state::{State, Tables};
use crate::tables;
use crate::uart::{Port, Uart};

/// The longest packet, in bytes.
pub(crate) const PACKET: usize = 2048;
/// Room for replies that wait to be acknowledged, in bytes.
pub(crate) const QUEUE: usize = 8192;

/// How the serial port interrupts. Without it a Ctrl-C is found by [`Stub::poll`] only.
#[derive(Clone, Copy)]
pub struct SerialInterrupt {
    /// The vector that it arrives on, 32 or more.
    pub vector: u8,
    /// Tells the interrupt controller that it has been handled.
    pub end_of_interrupt: fn(),
}

/// How the stub is set up.
#[derive(Clone, Copy)]
pub struct Config {
    /// Reservations, and what the CPU can do.
    pub arbiter: arbiter::Config,
    /// Where the debugger is.
    pub port: Port,
    /// How the port interrupts while the target runs.
    pub serial_interrupt: Option<SerialInterrupt>,
    /// The firmware's own `monitor` commands.
    pub commands: &'static [Command],
    /// gdb's memory map, as XML; `None` for "all of it is RAM".
    pub memory_map: Option<&'static str>,
    /// Resets the machine, for `monitor reset` and gdb's `kill`.
    pub reset: fn() -> !,
}

impl Config {
    /// COM1 at 115,200 bits per second without an interrupt, no reservations, and a reset
    /// through the chipset.
    pub const DEFAULT: Self = Self {
        arbiter: arbiter::Config::DEFAULT,
        port: Port::COM1,
        serial_interrupt: None,
        commands: &[],
        memory_map: None,
        reset: cpus::reset,
    };
}

impl Default for Config {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Why a claim could not be made, changed or released.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[expect(clippy::large_enum_variant, reason = "a rejection carries its figures")]
pub enum ClaimError {
    /// There is nobody to handle a hit: the stub has not been installed, or has handed off.
    NotInstalled,
    /// The call comes out of a claim's handler or a monitor command, which may not change
    /// what they were called about.
    Busy,
    /// The arbiter refused.
    Rejected(Rejection),
}

impl fmt::Display for ClaimError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotInstalled => f.write_str("the stub is not installed"),
            Self::Busy => f.write_str("the stub is in the middle of an exception"),
            Self::Rejected(rejection) => rejection.fmt(f),
        }
    }
}

impl core::error::Error for ClaimError {}

impl From<HeldHere> for ClaimError {
    fn from(_: HeldHere) -> Self {
        Self::Busy
    }
}

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
    /// The image's IDT is copied; gates that it changes later in its own have no effect, so
    /// this comes after they are filled.
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

    /// # Safety
    ///
    /// As for [`install`](Self::install).
    unsafe fn bring_up(&'static self, config: Config, form: Form) -> Result<(), InstallError> {
        cpus::without_interrupts(|| {
            let mut state = self.state.enter().map_err(|HeldHere| InstallError::AlreadyInstalled)?;
            if exception::is_installed() {
                return Err(InstallError::AlreadyInstalled);
            }
            let serial = config.serial_interrupt.map(|interrupt| interrupt.vector);
            if serial.is_some_and(|number| usize::from(number) < vector::COUNT) {
                return Err(InstallError::SerialVector);
            }
            let bank = Bank::new(debug_regs::addresses(), debug_regs::control());
            if bank.control().any_armed() {
                return Err(InstallError::RegistersInUse);
            }
            let image = Image::of_this_cpu()?;
            let own = Region::new((&raw const *self).addr(), size_of_val(self))
                .map(|region| Protected { region, name: "tetrarch's state", against: Against::Everything });
            state.arbiter.configure(config.arbiter).map_err(|_| InstallError::ClaimsLive)?;
            state.arbiter.assume_bank(cpus::current(), bank);
            for range in image.protected().chain(own) {
                state.arbiter.protect(range).map_err(InstallError::Protect)?;
            }
            // SAFETY: the caller promised that the ports are ours.
            let mut uart = unsafe { Uart::open(config.port) }.map_err(InstallError::Port)?;

            let stacks = match form {
                Form::Install => image.interrupt_stacks()?,
                Form::Hook => image.interrupt_stacks_if_any(),
            };
            let gates = Gates { selector: tables::store_code_segment(), stacks };
            let working = area::fill_working_idt(gates);
            let normal = match form {
                Form::Install => Some(image.normal_idt(gates, serial)),
                Form::Hook => None,
            };
            if serial.is_some() {
                uart.interrupt_on_receive();
            }
            panic::set_port(config.port.base);
            state.uart = Some(uart);
            state.tables = Some(Tables { gates, working, image: image.idt });
            state.end_of_interrupt = config.serial_interrupt.map(|interrupt| interrupt.end_of_interrupt);
            state.reset = config.reset;
            state.session.set_commands(config.commands);
            if let Some(map) = config.memory_map {
                state.session.set_memory_map(map);
            }
            exception::set_installed(self);
            if let Some(idt) = normal {
                // SAFETY: its gates lead to this crate's entry, or are the image's own; it is
                // static.
                unsafe { tables::load_idt(idt) };
            }
            Ok(())
        })
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

    /// Moves a claim to another region or condition; until the new one is armed the old one is.
    ///
    /// # Errors
    ///
    /// If it is refused, the old one stays.
    #[expect(clippy::result_large_err, reason = "a rejection carries its figures")]
    pub fn modify(&self, handle: Handle, region: Region, condition: Condition) -> Result<(), ClaimError> {
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
    /// of a handler it is [`ProtectError::TooMany`] as well: none can be added then.
    pub fn protect(&self, range: Protected) -> Result<(), ProtectError> {
        self.exclusively(|state| state.arbiter.protect(range)).unwrap_or(Err(ProtectError::TooMany))
    }

    /// Looks at the serial port, and stops in the debugger if a client wants that. For
    /// firmware whose port does not interrupt: call it where nothing is half done.
    pub fn poll(&self) {
        // Without a port there is nothing to look at, and a handler is in the debugger already.
        let overheard = self.exclusively(State::overhear).unwrap_or(Overheard::Nothing);
        match overheard {
            Overheard::Nothing => {}
            Overheard::Interrupt => cpus::without_interrupts(|| self.enter(pending::Request::Interrupt)),
            Overheard::Packet => cpus::without_interrupts(|| self.enter(pending::Request::Packet)),
        }
    }

    /// Ends the debugger's session, releases every claim, turns DR7 off and puts the image's
    /// own IDT back: what is to be done before the next stage is started. Where there is a
    /// client, it finds its software breakpoints gone and nobody at home.
    pub fn hand_off(&self) {
        cpus::without_interrupts(|| {
            if self.exclusively(|_| ()).is_ok() {
                self.enter(pending::Request::HandOff);
            }
        });
    }

    /// Handles an exception whose frame the firmware's own entry has saved. `frame.vector` and
    /// `frame.error` must be filled in; the registers in `frame` are what the context goes on
    /// with. Interrupts must be off, and the stack one that no breakpoint is on.
    pub fn exception(&'static self, frame: &mut Frame) {
        exception::from_firmware(frame);
    }

    /// Handles the serial port's interrupt, likewise. The end of the interrupt is signalled
    /// from here, if the configuration says how.
    pub fn serial_interrupt(&'static self, frame: &mut Frame) {
        frame.vector = vector::SERIAL;
        exception::from_firmware(frame);
    }

    /// Enters the stub from the firmware's own context. Interrupts are off, so that no other
    /// INT3 can come in between and take the request for its own.
    pub(crate) fn enter(&self, request: pending::Request) {
        self.pending.request(request);
        breakpoint();
    }
}

/// Whether the image's IDT is replaced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Form {
    Install,
    Hook,
}

/// Stops in the debugger, as an INT3 that is compiled into the firmware. Without a stub in
/// place it does what INT3 does.
#[inline(always)]
pub fn breakpoint() {
    // SAFETY: #BP is handled by the stub, which returns here with every register as it was
    // unless the debugger changed it; an image without one has its own handler or wants none.
    unsafe { core::arch::asm!("int3", options(nostack)) };
}
