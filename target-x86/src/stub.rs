//! The static that the firmware makes, and what it is asked beside claims and tasks.
//!
//! Functions here run on the firmware's own stack, with interrupts off ([`access`](crate::access)).

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use spin::Once;
use tetrarch::arbiter::{CpuId, ProtectError, Protected, Switching};
use tetrarch::rendezvous::Rendezvous;
use tetrarch::session::Overheard;

use crate::bring_up::Form;
use crate::config::Config;
use crate::cpus;
use crate::directory::{self, Others};
use crate::dispatch::{self, Handling};
use crate::error::InstallError;
use crate::frame::{Frame, vector};
use crate::gates::Gates;
use crate::local::Local;
use crate::pending;
use crate::state::State;
use crate::tables::DescriptorTable;

/// A GDB stub and an arbiter for up to `CPUS` CPUs, with room for `CLAIMS` claims, some of which
/// may belong to one of up to `TASKS` tasks. Make it a static.
pub struct Stub<const CLAIMS: usize = 16, const TASKS: usize = 0, const CPUS: usize = 1> {
    pub(crate) world: Rendezvous<CPUS>,
    /// What all CPUs share; the leader's.
    shared: UnsafeCell<State<CLAIMS, TASKS, CPUS>>,
    locals: [Local<CLAIMS, TASKS>; CPUS],
    setup: Once<Setup>,
    /// Installed, and has not handed off.
    rules: AtomicBool,
    /// How often the claims have changed.
    revision: AtomicU32,
}

// SAFETY: two CPUs could use what they share at once. It is the leader's, and there is one.
unsafe impl<const CLAIMS: usize, const TASKS: usize, const CPUS: usize> Sync
    for Stub<CLAIMS, TASKS, CPUS>
{
}

/// What the installation has settled.
pub(crate) struct Setup {
    pub form: Form,
    /// How the gates of the CPU look that installed the stub.
    pub gates: Gates,
    /// The IDT that the CPU which installed the stub had before.
    pub image_idt: Option<DescriptorTable>,
    pub end_of_interrupt: Option<fn()>,
    pub reset: fn() -> !,
    /// What time it is, for claims that take turns.
    pub clock: fn() -> u64,
    /// How long is waited for a CPU, in ticks of the TSC.
    pub patience: u64,
    pub client_patience: u64,
    pub send_nmi: fn(u32),
    pub activity: fn(CpuId) -> &'static str,
    pub switching: Switching,
}

impl<const CLAIMS: usize, const TASKS: usize, const CPUS: usize> Default
    for Stub<CLAIMS, TASKS, CPUS>
{
    fn default() -> Self {
        Self::new()
    }
}

impl<const CLAIMS: usize, const TASKS: usize, const CPUS: usize> Stub<CLAIMS, TASKS, CPUS> {
    /// Not installed yet.
    pub const fn new() -> Self {
        Self {
            world: Rendezvous::new(),
            shared: UnsafeCell::new(State::new()),
            locals: [const { Local::new() }; CPUS],
            setup: Once::new(),
            rules: AtomicBool::new(false),
            revision: AtomicU32::new(0),
        }
    }

    /// What all share, for the leader.
    pub(crate) fn shared(&self) -> *mut State<CLAIMS, TASKS, CPUS> {
        self.shared.get()
    }

    /// What the installation has settled.
    pub(crate) fn setup(&self) -> Option<&Setup> {
        self.setup.get()
    }

    pub(crate) fn set_up(&self, setup: Setup) {
        self.setup.call_once(|| setup);
        self.rules.store(true, Ordering::Release);
    }

    /// What one CPU has for itself.
    pub(crate) fn local(&self, cpu: CpuId) -> Option<&Local<CLAIMS, TASKS>> {
        self.locals.get(usize::from(cpu.0))
    }

    /// All of them, with their numbers.
    pub(crate) fn locals(&self) -> impl Iterator<Item = (CpuId, &Local<CLAIMS, TASKS>)> {
        (0..=u16::MAX).map(CpuId).zip(&self.locals)
    }

    /// Whether the stub is installed, and has not handed off.
    pub(crate) fn rules(&self) -> bool {
        self.rules.load(Ordering::Acquire)
    }

    /// Rules no more.
    pub(crate) fn abdicate(&self) {
        self.rules.store(false, Ordering::Release);
    }

    /// How often the claims have changed.
    pub(crate) fn revision(&self) -> u32 {
        self.revision.load(Ordering::Relaxed)
    }

    pub(crate) fn set_revision(&self, revision: u32) {
        self.revision.store(revision, Ordering::Relaxed);
    }

    /// What time it is, for claims that take turns.
    pub(crate) fn now(&self) -> u64 {
        self.setup().map_or(0, |setup| (setup.clock)())
    }

    /// Resets the machine.
    pub(crate) fn reset(&self) -> ! {
        match self.setup() {
            Some(setup) => (setup.reset)(),
            None => cpus::reset(),
        }
    }

    /// The CPU that executes the call, if it was started.
    pub(crate) fn here(&self) -> Option<(CpuId, &Local<CLAIMS, TASKS>)> {
        let cpu = if CPUS == 1 { CpuId(0) } else { directory::of_this_cpu()?.cpu() };
        Some((cpu, self.local(cpu)?))
    }

    /// Whether there is room for other CPUs.
    pub(crate) fn others() -> Others {
        if CPUS == 1 { Others::None } else { Others::Some }
    }

    /// Whether an NMI came in an exception of this CPU's, which did not look any more.
    pub(crate) fn has_marked(&self, local: &Local<CLAIMS, TASKS>) -> bool {
        local.memory().is_some_and(|memory| memory.nmi_noted().load(Ordering::Relaxed))
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
    /// The caller must be in ring 0 and 64-bit mode, on the CPU that is 0 from then on; any other
    /// that will call the library must have come in by [`start_cpu`](Self::start_cpu) before. The
    /// GDT, the IDT and TR must be valid or empty and stay so; page tables must keep the image
    /// mapped where it is, on all CPUs; nobody else may use the I/O ports of `config.port` or write
    /// the debug registers.
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

    /// Refuses all further breakpoints in a range, or all but data watchpoints, and what the debugger
    /// would write there: for memory that the firmware's own exception path needs, and, with a linker
    /// script that gathers it, for the code of the library.
    ///
    /// # Errors
    ///
    /// There are too many ranges, or a claim is there already. Before the installation and out
    /// of a handler none can be added: that is [`ProtectError::TooMany`], too.
    pub fn protect(&self, range: Protected) -> Result<(), ProtectError> {
        self.exclusively(|lead| lead.state().arbiter.protect(range))
            .unwrap_or(Err(ProtectError::TooMany))
    }

    /// Looks at the serial port, and stops in the debugger if a client wants that. For
    /// firmware whose port does not interrupt: call it where nothing is half done.
    pub fn poll(&self) {
        cpus::without_interrupts(|| match self.exclusively(|lead| lead.state().overhear()) {
            Ok(Overheard::Interrupt | Overheard::Packet | Overheard::HangUp) => {
                self.ask(pending::Request::Attend)
            }
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
                self.ask(pending::Request::HandOff);
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
}
