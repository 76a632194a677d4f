//! What the lock guards: arbiter, session and port, and the conversation between them.
//!
//! One stop is one call of [`State::serve`]: it takes the machine from the exception to the
//! session, carries bytes until the session lets the machine go, and prepares the frame for
//! that. Steps that can be done without the processor never leave it.

use tetrarch::arbiter::{self, Arbiter};
use tetrarch::dr::Dr7;
use tetrarch::session::{Cause, Next, Overheard, Session};

use crate::area::{self, Gates};
use crate::config::Config;
use crate::cpus;
use crate::departure::Departure;
use crate::entry;
use crate::frame::Frame;
use crate::pending::Pending;
use crate::step::{self, System};
use crate::stopped::Stopped;
use crate::tables::{self, DescriptorTable};
use crate::uart::{Backlog, Uart};

/// The longest packet, in bytes.
const PACKET: usize = 2048;
/// Room for replies that wait to be acknowledged, in bytes.
const QUEUE: usize = 8192;

/// How many bytes are taken at a time while the target runs.
const BURST: usize = 4096;

/// The tables of an installed stub.
#[derive(Clone, Copy)]
pub(crate) struct Tables {
    /// How its gates look.
    pub gates: Gates,
    /// The working IDT.
    pub working: DescriptorTable,
    /// What the image had before.
    pub image: Option<DescriptorTable>,
}

/// Everything that changes.
pub(crate) struct State<const CLAIMS: usize, const TASKS: usize> {
    pub arbiter: Arbiter<CLAIMS, { cpus::COUNT }, TASKS>,
    pub session: Session<PACKET, QUEUE>,
    pub uart: Option<Uart>,
    /// `None` before the installation and after hand-off.
    pub tables: Option<Tables>,
    pub end_of_interrupt: Option<fn()>,
    pub reset: fn() -> !,
    /// What time it is, for claims that take turns.
    pub clock: fn() -> u64,
    /// The step that is under way. The working IDT is loaded then.
    pub step: Option<step::Pending>,
    /// The IDT that the firmware runs under, while the working one is loaded.
    pub firmware_idt: DescriptorTable,
}

impl<const CLAIMS: usize, const TASKS: usize> State<CLAIMS, TASKS> {
    /// Before the installation.
    pub const fn new() -> Self {
        Self {
            arbiter: Arbiter::new(arbiter::Config::DEFAULT),
            session: Session::new(),
            uart: None,
            tables: None,
            end_of_interrupt: None,
            reset: Config::DEFAULT.reset,
            clock: Config::DEFAULT.clock,
            step: None,
            firmware_idt: DescriptorTable { base: 0, limit: 0 },
        }
    }

    /// What the CPU looks like to the firmware.
    pub fn system(&self) -> System {
        System::of_this_cpu(self.firmware_idt, entry::is_ours)
    }

    /// Works with faults coming home, whoever called.
    pub fn under_working_idt<R>(&mut self, work: impl FnOnce(&mut Self) -> R) -> R {
        let before = tables::store_idt();
        self.load_working_idt();
        let result = work(self);
        // SAFETY: it was loaded before, and its owner keeps it valid.
        unsafe { tables::load_idt(before) };
        result
    }

    fn load_working_idt(&self) {
        if let Some(Tables { working, .. }) = self.tables {
            // SAFETY: all its gates lead to this crate's entry, and it is static.
            unsafe { tables::load_idt(working) };
        }
    }

    /// Takes what has arrived while the target runs, until a client wants something: a
    /// bounded number of bytes, so that a line that never falls silent does not stop it.
    pub fn overhear(&mut self) -> Overheard {
        let mut overheard = Overheard::Nothing;
        for _ in 0..BURST {
            if overheard != Overheard::Nothing {
                break;
            }
            let Some(byte) = self.uart.as_mut().and_then(Uart::receive) else {
                self.drain();
                return overheard;
            };
            overheard = self.session.overhear(byte);
        }
        // There may be more, and an interrupt controller that looks for edges would see none.
        if let (Some(uart), Some(_)) = (&mut self.uart, self.end_of_interrupt) {
            uart.stay_silent();
            uart.interrupt_on_receive();
        }
        self.drain();
        overheard
    }

    /// Sends what there is to send now. An answer that waits for the client's
    /// acknowledgement of another does not count.
    pub fn drain(&mut self) {
        while self.transmit() == Backlog::Waiting {
            core::hint::spin_loop();
        }
    }

    fn transmit(&mut self) -> Backlog {
        match &mut self.uart {
            Some(uart) => uart.transmit(&mut || self.session.next_byte()),
            None => Backlog::Empty,
        }
    }

    /// From an exception to the session and back. Returns what DR7 shall hold.
    pub fn serve(
        &mut self,
        frame: &mut Frame,
        live: Dr7,
        cause: Cause<'_>,
        pending: &Pending,
    ) -> Dr7 {
        let working = self.tables.map(|tables| tables.working);
        let loaded = tables::store_idt();
        if Some(loaded) != working {
            self.firmware_idt = loaded;
            self.load_working_idt();
        }
        let cpu = cpus::current();
        let mut machine = Stopped { frame, control: live };
        self.arbiter.accrue(cpu, (self.clock)());
        self.arbiter.suspend(cpu, &mut machine);
        let mut next = self.session.stopped(&mut self.arbiter, &mut machine, cause);
        loop {
            next = match next {
                Next::Stay => self.converse(&mut machine),
                Next::Reset => {
                    self.drain();
                    (self.reset)()
                }
                Next::Run(go) => match self.depart(&mut machine, go, pending) {
                    Departure::Ready => break,
                    Departure::Instead(cause) => {
                        self.session.stopped(&mut self.arbiter, &mut machine, cause)
                    }
                },
            };
        }
        self.arbiter.resume(cpu, &mut machine);
        // Nobody is watched during a stop, however long it is.
        self.arbiter.skip_to(cpu, (self.clock)());
        let control = machine.control;
        match self.step {
            Some(_) => self.choose_debug_stack(frame),
            // SAFETY: the firmware had it loaded, or loaded it itself since, under a step.
            None => unsafe { tables::load_idt(self.firmware_idt) },
        }
        control
    }

    /// Carries bytes, until the session lets the machine go.
    fn converse(&mut self, machine: &mut Stopped<'_>) -> Next {
        loop {
            self.transmit();
            let Some(byte) = self.uart.as_mut().and_then(Uart::receive) else {
                core::hint::spin_loop();
                continue;
            };
            match self.session.receive(&mut self.arbiter, machine, byte) {
                Next::Stay => {}
                next @ (Next::Run(_) | Next::Reset) => return next,
            }
        }
    }

    /// Lets go of everything. Returns what DR7 shall hold: nothing armed.
    pub fn hand_off(&mut self, frame: &mut Frame, live: Dr7) -> Dr7 {
        let image = self.tables.and_then(|tables| tables.image);
        let under = tables::store_idt();
        let cpu = cpus::current();
        let mut machine = Stopped { frame, control: live };
        self.under_working_idt(|state| {
            state.arbiter.suspend(cpu, &mut machine);
            state.session.close(&mut state.arbiter, &mut machine);
            state.arbiter.release_all();
            state.arbiter.resume(cpu, &mut machine);
        });
        self.drain();
        if let Some(uart) = &mut self.uart {
            uart.stay_silent();
        }
        if let (Some(image), true) = (image, under == area::normal_idt()) {
            // SAFETY: the image had it loaded before, and promised to keep it.
            unsafe { tables::load_idt(image) };
        }
        self.tables = None;
        machine.control
    }
}
