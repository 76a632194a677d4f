//! A machine without hardware, and a client that speaks frames.

use gdbstub::common::Signal;
use tetrarch::arbiter::{Arbiter, Config, CpuId, PlanId, Reservations};
use tetrarch::bank::{Bank, DebugWrite};
use tetrarch::dr::{Dr6, Dr7};
use tetrarch::hit::DebugException;
use tetrarch::link::frame;
use tetrarch::session::{Cause, Fault, Go, Motion, Next, Overheard, ResumeFlag, Session};
use tetrarch::target::{CpuState, Machine};
use tetrarch::x86_64::X86_64Registers;

use crate::machine::FakeMachine;
pub use crate::machine::{BASE, WRITABLE};

pub const CPU: CpuId = CpuId(0);

/// An image with a session in it, and the client's end of its line.
pub struct BenchOf<const CPUS: usize> {
    pub arbiter: Arbiter<16, CPUS>,
    pub machine: FakeMachine<CPUS>,
    pub session: Session<1024, 4096, CPUS>,
    /// What the last call answered.
    pub next: Option<Next>,
    /// What each CPU was told when the machine last went on; nothing if it ran.
    pub orders: [Option<Go>; CPUS],
    /// CPUs that do not stop for the debugger.
    pub late: Vec<CpuId>,
}

/// With one CPU.
pub type Bench = BenchOf<1>;

impl<const CPUS: usize> BenchOf<CPUS> {
    /// A running image, with slots reserved for the debugger and for the system.
    pub fn new(debugger: u8, system: u8) -> Self {
        let reservations = Reservations::new(debugger, system, 0).expect("at most four");
        let config = Config { reservations, ..Config::DEFAULT };
        Self {
            arbiter: Arbiter::new(config),
            machine: FakeMachine::new(),
            session: Session::new(),
            next: None,
            orders: [None; CPUS],
            late: Vec::new(),
        }
    }

    /// An image that a client has just attached to.
    pub fn attached(debugger: u8, system: u8) -> Self {
        let mut bench = Self::new(debugger, system);
        bench.running_packet("qSupported:multiprocess+;swbreak+;hwbreak+");
        bench
    }

    /// A packet that arrives while the target runs, and what it is answered.
    pub fn running_packet(&mut self, payload: &str) -> Vec<String> {
        let mut heard = Overheard::Nothing;
        for byte in frame(payload.as_bytes()) {
            heard = self.session.overhear(byte);
        }
        if heard == Overheard::Packet { self.stop(Cause::Packet) } else { self.drain() }
    }

    /// A packet to the stopped target, and the payloads that it is answered with.
    pub fn send(&mut self, payload: &str) -> Vec<String> {
        for byte in frame(payload.as_bytes()) {
            self.receive(byte);
        }
        self.drain()
    }

    /// A byte that arrives while the target is stopped, and what comes of it.
    pub fn receive(&mut self, byte: u8) -> Next {
        let next = self.session.receive(&mut self.arbiter, &mut self.machine, byte);
        self.next = Some(next);
        next
    }

    /// [`send`](Self::send), for a packet with one reply.
    pub fn ask(&mut self, payload: &str) -> String {
        let replies = self.send(payload);
        assert_eq!(replies.len(), 1, "{payload} was answered by {replies:?}");
        replies.concat()
    }

    /// The client says nothing for a while.
    pub fn pass_time(&mut self) -> Next {
        let next = self.session.pass_time(&mut self.arbiter, &mut self.machine);
        self.next = Some(next);
        next
    }

    /// Whoever is at the other end hangs up.
    pub fn hang_up(&mut self) {
        if self.next == Some(Next::Stay) {
            let next = self.session.hang_up(&mut self.arbiter, &mut self.machine);
            self.next = Some(next);
            if matches!(next, Next::Run(_)) {
                self.let_go();
            }
        } else if self.session.overhear_hang_up() == Overheard::HangUp {
            self.stop_unheard(Cause::HangUp);
        }
    }

    /// `monitor` with what it printed.
    pub fn monitor(&mut self, line: &str) -> String {
        let replies = self.send(&format!("qRcmd,{}", hex(line.as_bytes())));
        assert_eq!(replies.last().map(String::as_str), Some("OK"));
        replies.iter().filter_map(|reply| reply.strip_prefix('O')).map(console).collect()
    }

    /// Resumes with this packet, arms the registers, and says which writes that took.
    pub fn resume(&mut self, payload: &str) -> Vec<DebugWrite> {
        assert_eq!(self.send(payload), Vec::<String>::new());
        assert!(matches!(self.next, Some(Next::Run(_))), "{payload}: {:?}", self.next);
        self.machine.writes.clear();
        self.let_go();
        self.machine.writes.clone()
    }

    /// Lets each CPU that has stopped do as it is ordered.
    pub fn let_go(&mut self) {
        self.orders = [None; CPUS];
        for cpu in Self::cpus() {
            if self.machine.state(cpu) != CpuState::Stopped {
                continue;
            }
            let order = self.session.order(&self.arbiter, &self.machine, cpu);
            if cpu == self.machine.cpu {
                assert_eq!(self.next, Some(Next::Run(order)));
            }
            self.orders[usize::from(cpu.0)] = Some(order);
        }
        for cpu in Self::cpus() {
            let order = self.orders[usize::from(cpu.0)];
            if order.is_some_and(|order| order.motion != Motion::Wait) {
                self.machine.states[usize::from(cpu.0)] = CpuState::NotResponding;
                self.session.departed(cpu);
                self.arbiter.resume(cpu, &mut self.machine);
            }
        }
    }

    fn cpus() -> impl Iterator<Item = CpuId> {
        (0..=u16::MAX).take(CPUS).map(CpuId)
    }

    /// What happens next, happens on this CPU.
    pub fn on(&mut self, cpu: CpuId) -> &mut Self {
        self.machine.cpu = cpu;
        self
    }

    pub fn registers(&mut self, cpu: CpuId) -> &mut X86_64Registers {
        &mut self.machine.registers[usize::from(cpu.0)]
    }

    /// The next instruction of a CPU.
    pub fn rip(&mut self, cpu: CpuId) -> &mut u64 {
        &mut self.registers(cpu).core.rip
    }

    /// The CPU stops.
    fn halt(&mut self, cpu: CpuId) -> Dr7 {
        self.machine.states[usize::from(cpu.0)] = CpuState::Stopped;
        self.arbiter.suspend(cpu, &mut self.machine)
    }

    /// All others have stopped as well.
    fn gather(&mut self) {
        for cpu in Self::cpus() {
            if self.machine.state(cpu) == CpuState::NotResponding && !self.late.contains(&cpu) {
                self.halt(cpu);
            }
            if self.machine.state(cpu) == CpuState::Stopped {
                self.session.arrived(&self.machine, cpu);
            }
        }
    }

    /// The machine stops.
    pub fn stop(&mut self, cause: Cause<'_>) -> Vec<String> {
        self.stop_unheard(cause);
        self.drain()
    }

    /// The same, and nobody listens.
    pub fn stop_unheard(&mut self, cause: Cause<'_>) {
        let cpu = self.machine.cpu;
        let live = self.halt(cpu);
        let exceptions: Vec<_>;
        let cause = if let Cause::Debug(came) = cause {
            let came = came.iter();
            exceptions =
                came.map(|one| self.arbiter.exception(cpu, one.status, live, one.rip)).collect();
            Cause::Debug(&exceptions)
        } else {
            cause
        };
        let next = self.session.stopped(&mut self.arbiter, &mut self.machine, cause);
        self.next = Some(next);
        match next {
            Next::Run(_) => self.let_go(),
            Next::Stay | Next::Reset => self.gather(),
        }
    }

    /// A #DB with these bits set in DR6.
    pub fn debug_exception(&mut self, bits: u32) -> Vec<String> {
        self.debug_exceptions(&[bits])
    }

    /// A #DB for each of these, put off to be told together.
    pub fn debug_exceptions(&mut self, bits: &[u32]) -> Vec<String> {
        self.debug_exceptions_unheard(bits);
        self.drain()
    }

    /// The same, and nobody listens.
    pub fn debug_exceptions_unheard(&mut self, bits: &[u32]) {
        let rip = *self.rip(self.machine.cpu) as usize;
        let exceptions: Vec<_> = bits
            .iter()
            .map(|bits| {
                let status = Dr6::from_bits(Dr6::RESET.bits() | bits);
                // What was live is filled in at the stop.
                DebugException { status, live: Bank::RESET, plan: PlanId::NONE, rip }
            })
            .collect();
        self.stop_unheard(Cause::Debug(&exceptions));
    }

    /// A page fault.
    pub fn fault(&mut self, address: usize) -> Vec<String> {
        let fault = Fault { name: "page fault", signal: Signal::SIGSEGV, address: Some(address) };
        self.stop(Cause::Fault(fault))
    }

    /// Everything the session wants to say, each frame acknowledged.
    pub fn drain(&mut self) -> Vec<String> {
        let mut payloads = Vec::new();
        let mut raw = Vec::new();
        while let Some(byte) = self.session.next_byte() {
            raw.push(byte);
            if let Some(payload) = whole_frame(&raw) {
                payloads.push(payload);
                raw.clear();
                self.session.overhear(b'+');
            }
        }
        payloads
    }

    /// The bit that a hit of this window sets in DR6.
    pub fn bit_of(&self, address: usize) -> u32 {
        let placed = self.arbiter.assignment(self.machine.cpu);
        let slot = placed
            .iter()
            .position(|window| window.is_some_and(|window| window.address() == address))
            .expect("the window is placed");
        1 << slot
    }
}

/// The payload of the frame that `raw` ends with, run-length encoding undone.
pub fn whole_frame(raw: &[u8]) -> Option<String> {
    let start = raw.iter().position(|&byte| byte == b'$')?;
    let end = raw.iter().position(|&byte| byte == b'#')?;
    if raw.len() < end + 3 {
        return None;
    }
    let mut payload = String::new();
    let mut bytes = raw[start + 1..end].iter().copied();
    while let Some(byte) = bytes.next() {
        if byte == b'*' {
            let last = payload.chars().last().expect("a run repeats something");
            let count = bytes.next().expect("a run has a count") - 29;
            payload.extend(std::iter::repeat_n(last, usize::from(count)));
        } else {
            payload.push(char::from(byte));
        }
    }
    Some(payload)
}

/// Two digits for each byte.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What an `O` packet prints.
pub fn console(hex: &str) -> String {
    (0..hex.len() / 2)
        .map(|index| u8::from_str_radix(&hex[2 * index..2 * index + 2], 16).expect("hex"))
        .map(char::from)
        .collect()
}

/// DR6.BS.
pub const STEP: u32 = 1 << 14;

/// What a session answers that lets the target go.
pub const fn go(motion: Motion, resume_flag: ResumeFlag) -> Option<Next> {
    Some(Next::Run(Go { motion, resume_flag }))
}
