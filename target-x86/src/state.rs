//! What the lock guards: arbiter, session and port, and the conversation between them.
//!
//! One stop is one call of [`State::serve`]: it takes the machine from the exception to the
//! session, carries bytes until the session lets the machine go, and prepares the frame for
//! that. Steps that can be done without the processor never leave it.

use tetrarch::arbiter::{self, Arbiter, Condition};
use tetrarch::dr::Dr7;
use tetrarch::machine::Memory;
use tetrarch::session::{Cause, Go, Motion, Next, Overheard, ResumeFlag, Session};

use crate::area::{self, DebugStack, Gates};
use crate::config::Config;
use crate::cpus;
use crate::entry;
use crate::exception::single_step;
use crate::fault;
use crate::frame::{Frame, flag, vector};
use crate::memory::Linear;
use crate::pending::Pending;
use crate::step::{self, Begun, Event, System};
use crate::stopped::Stopped;
use crate::tables::{self, DescriptorTable};
use crate::uart::{Backlog, Uart};

/// The longest packet, in bytes.
const PACKET: usize = 2048;
/// Room for replies that wait to be acknowledged, in bytes.
const QUEUE: usize = 8192;

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
pub(crate) struct State<const CLAIMS: usize> {
    pub arbiter: Arbiter<CLAIMS, { cpus::COUNT }>,
    pub session: Session<PACKET, QUEUE>,
    pub uart: Option<Uart>,
    /// `None` before the installation and after hand-off.
    pub tables: Option<Tables>,
    pub end_of_interrupt: Option<fn()>,
    pub reset: fn() -> !,
    /// The step that is under way. The working IDT is loaded then.
    pub step: Option<step::Pending>,
    /// The IDT that the firmware runs under, while the working one is loaded.
    pub firmware_idt: DescriptorTable,
}

/// Why the machine does not run after all, and whether anything can be said about it.
enum Departure {
    /// It can be let go.
    Ready,
    /// The session has to be told this first.
    Instead(Cause<'static>),
}

impl<const CLAIMS: usize> State<CLAIMS> {
    /// Before the installation.
    pub const fn new() -> Self {
        Self {
            arbiter: Arbiter::new(arbiter::Config::DEFAULT),
            session: Session::new(),
            uart: None,
            tables: None,
            end_of_interrupt: None,
            reset: Config::DEFAULT.reset,
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

    /// Takes what has arrived while the target runs, until a client wants something.
    pub fn overhear(&mut self) -> Overheard {
        let mut overheard = Overheard::Nothing;
        while overheard == Overheard::Nothing {
            let Some(byte) = self.uart.as_mut().and_then(Uart::receive) else { break };
            overheard = self.session.overhear(byte);
        }
        self.drain();
        overheard
    }

    /// Sends what there is to send now. An answer that waits for the client's
    /// acknowledgement of another does not count.
    fn drain(&mut self) {
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

    /// Prepares the frame for what the session wants of it. What arrived in the meantime
    /// comes first, so that a client can interrupt what never leaves here.
    fn depart(&mut self, machine: &mut Stopped<'_>, go: Go, pending: &Pending) -> Departure {
        match go.resume_flag {
            ResumeFlag::Keep => {}
            ResumeFlag::Set => machine.frame.set(flag::RESUME),
            ResumeFlag::Clear => machine.frame.clear(flag::RESUME),
        }
        self.drain();
        match self.overhear() {
            Overheard::Nothing => {}
            Overheard::Interrupt => return Departure::Instead(Cause::Interrupt),
            Overheard::Packet => return Departure::Instead(Cause::Packet),
        }
        if pending.take_nmi() {
            return Departure::Instead(Cause::Nmi);
        }
        match go.motion {
            Motion::Continue => Departure::Ready,
            Motion::Step => self.begin_step(machine.frame, pending),
        }
    }

    fn begin_step(&mut self, frame: &mut Frame, pending: &Pending) -> Departure {
        let stepped = Departure::Instead(Cause::Debug { status: single_step(), live: Dr7::OFF });
        let begun = if self.has_breakpoint_at(frame) {
            step::begin_at_breakpoint(frame)
        } else {
            step::begin(frame, &mut Linear, &self.system())
        };
        match begun {
            Begun::Completed => stepped,
            Begun::LoadedIdt(table) => {
                self.firmware_idt = table;
                stepped
            }
            Begun::Exception(Event { vector: number, .. })
            | Begun::Impossible(Event { vector: number, .. }) => {
                frame.vector = u64::from(number);
                match frame.vector {
                    vector::BREAKPOINT if pending.is_requested() => {
                        // The library's own INT3: its handler knows what it is for.
                        frame.rip = frame.rip.wrapping_sub(1);
                        Departure::Ready
                    }
                    vector::BREAKPOINT => Departure::Instead(Cause::Breakpoint),
                    vector::DEBUG => stepped,
                    _ => Departure::Instead(Cause::Fault(fault::describe(frame))),
                }
            }
            Begun::Armed(step) => {
                self.step = Some(step);
                Departure::Ready
            }
        }
    }

    /// Whether the next instruction is to be reported before it runs.
    fn has_breakpoint_at(&self, frame: &Frame) -> bool {
        !frame.has(flag::RESUME)
            && self.arbiter.wanted(cpus::current()).iter().any(|window| {
                window.condition() == Condition::Execute && window.address() as u64 == frame.rip
            })
    }

    /// Where the #DB of the coming step shall arrive: see [`DebugStack`].
    fn choose_debug_stack(&self, frame: &Frame) {
        let Some(Tables { gates, .. }) = self.tables else { return };
        let watches = self
            .arbiter
            .wanted(cpus::current())
            .iter()
            .any(|window| window.condition() != Condition::Execute);
        let delivers_twice = cpus::is_emulated_by_tcg();
        let ring_0 = frame.cs & 3 == 0;
        let stack = if watches && delivers_twice && ring_0 && has_room_below(frame.rsp) {
            DebugStack::Interrupted
        } else {
            DebugStack::Separate
        };
        area::set_debug_stack(gates, stack);
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

/// Whether two exceptions can be delivered on the interrupted stack.
fn has_room_below(stack_pointer: u64) -> bool {
    const TWO_FRAMES: usize = 2 * 64;
    let mut bytes = [0; TWO_FRAMES];
    let lowest = (stack_pointer as usize & !15).wrapping_sub(TWO_FRAMES);
    Linear.read(lowest, &mut bytes) == TWO_FRAMES && Linear.write(lowest, &bytes) == TWO_FRAMES
}
