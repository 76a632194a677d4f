//! A machine without hardware, and a client that speaks frames.
//!
//! Memory is one block of bytes with unmapped space around it, of which the first half cannot
//! be written. The registers are a value. What is written to the debug registers is kept in
//! order, so that a test can compare whole lists of writes.

use gdbstub::common::Signal;
use tetrarch::arbiter::{Arbiter, Config, CpuId, PlanId, Reservations};
use tetrarch::bank::{Bank, DebugWrite};
use tetrarch::dr::{Dr6, Dr7, Slot};
use tetrarch::hit::DebugException;
use tetrarch::link::frame;
use tetrarch::machine::{DebugRegisters, Memory};
use tetrarch::session::{Cause, Fault, Go, Motion, Next, Overheard, ResumeFlag, Session};
use tetrarch::target::{Machine, RegisterError};
use tetrarch::x86_64::{X86_64, X86_64Registers};

pub const CPU: CpuId = CpuId(0);
/// Where the fake memory begins.
pub const BASE: usize = 0x10_0000;
/// Where it can be written as well.
pub const WRITABLE: usize = BASE + 0x1000;
const SIZE: usize = 0x2000;

pub struct FakeMachine {
    pub bytes: Vec<u8>,
    pub registers: X86_64Registers,
    pub writes: Vec<DebugWrite>,
}

impl FakeMachine {
    pub fn new() -> Self {
        let bytes = (0..SIZE).map(|index| (index % 251) as u8).collect();
        let mut registers = X86_64Registers::default();
        registers.core.rip = BASE as u64;
        Self { bytes, registers, writes: Vec::new() }
    }

    fn span(&self, address: usize, length: usize, lowest: usize) -> std::ops::Range<usize> {
        if address < lowest || address >= BASE + self.bytes.len() {
            return 0..0;
        }
        let start = address - BASE;
        start..self.bytes.len().min(start + length)
    }

    pub fn at(&mut self, address: usize) -> &mut [u8] {
        &mut self.bytes[address - BASE..]
    }
}

impl DebugRegisters for FakeMachine {
    fn write_address(&mut self, slot: Slot, address: usize) {
        self.writes.push(DebugWrite::Address(slot, address));
    }

    fn write_control(&mut self, control: Dr7) {
        self.writes.push(DebugWrite::Control(control));
    }
}

impl Memory for FakeMachine {
    fn read(&mut self, address: usize, into: &mut [u8]) -> usize {
        let span = self.span(address, into.len(), BASE);
        into[..span.len()].copy_from_slice(&self.bytes[span.clone()]);
        span.len()
    }

    fn write(&mut self, address: usize, bytes: &[u8]) -> usize {
        let span = self.span(address, bytes.len(), WRITABLE);
        self.bytes[span.clone()].copy_from_slice(&bytes[..span.len()]);
        span.len()
    }

    fn patch(&mut self, address: usize, bytes: &[u8]) -> usize {
        let span = self.span(address, bytes.len(), BASE);
        self.bytes[span.clone()].copy_from_slice(&bytes[..span.len()]);
        span.len()
    }
}

impl Machine for FakeMachine {
    type Arch = X86_64;

    fn cpu(&self) -> CpuId {
        CPU
    }

    fn program_counter(&self, _: CpuId) -> Result<usize, RegisterError> {
        Ok(self.registers.core.rip as usize)
    }

    fn set_program_counter(&mut self, _: CpuId, address: usize) -> Result<(), RegisterError> {
        self.registers.core.rip = address as u64;
        Ok(())
    }

    fn read_registers(
        &mut self,
        _: CpuId,
        registers: &mut X86_64Registers,
    ) -> Result<(), RegisterError> {
        *registers = self.registers.clone();
        Ok(())
    }

    fn write_registers(
        &mut self,
        _: CpuId,
        registers: &X86_64Registers,
    ) -> Result<(), RegisterError> {
        self.registers = registers.clone();
        Ok(())
    }
}

pub type TestArbiter = Arbiter<16, 1>;

/// An image with a session in it, and the client's end of its line.
pub struct Bench {
    pub arbiter: TestArbiter,
    pub machine: FakeMachine,
    pub session: Session<1024, 4096>,
    /// What the last call answered.
    pub next: Option<Next>,
}

impl Bench {
    /// A running image, with slots reserved for the debugger and for the system.
    pub fn new(debugger: u8, system: u8) -> Self {
        let reservations = Reservations::new(debugger, system, 0).expect("at most four");
        let config = Config { reservations, ..Config::DEFAULT };
        Self {
            arbiter: Arbiter::new(config),
            machine: FakeMachine::new(),
            session: Session::new(),
            next: None,
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
            self.next = Some(self.session.receive(&mut self.arbiter, &mut self.machine, byte));
        }
        self.drain()
    }

    /// The same, for a packet with one reply.
    pub fn ask(&mut self, payload: &str) -> String {
        let replies = self.send(payload);
        assert_eq!(replies.len(), 1, "{payload} was answered by {replies:?}");
        replies.concat()
    }

    /// `monitor` with what it printed.
    pub fn monitor(&mut self, line: &str) -> String {
        let hex: String = line.bytes().map(|byte| format!("{byte:02x}")).collect();
        let replies = self.send(&format!("qRcmd,{hex}"));
        assert_eq!(replies.last().map(String::as_str), Some("OK"));
        replies.iter().filter_map(|reply| reply.strip_prefix('O')).map(console).collect()
    }

    /// Resumes with this packet, arms the registers, and says which writes that took.
    pub fn resume(&mut self, payload: &str) -> Vec<DebugWrite> {
        assert_eq!(self.send(payload), Vec::<String>::new());
        assert!(matches!(self.next, Some(Next::Run(_))), "{payload}: {:?}", self.next);
        self.machine.writes.clear();
        self.arbiter.resume(CPU, &mut self.machine);
        self.machine.writes.clone()
    }

    /// The machine stops.
    pub fn stop(&mut self, cause: Cause<'_>) -> Vec<String> {
        let live = self.arbiter.suspend(CPU, &mut self.machine);
        let exceptions: Vec<_>;
        let cause = if let Cause::Debug(came) = cause {
            let came = came.iter();
            exceptions =
                came.map(|one| self.arbiter.exception(CPU, one.status, live, one.rip)).collect();
            Cause::Debug(&exceptions)
        } else {
            cause
        };
        let next = self.session.stopped(&mut self.arbiter, &mut self.machine, cause);
        self.next = Some(next);
        if matches!(next, Next::Run(_)) {
            self.arbiter.resume(CPU, &mut self.machine);
        }
        self.drain()
    }

    /// A #DB with these bits set in DR6.
    pub fn debug_exception(&mut self, bits: u32) -> Vec<String> {
        self.debug_exceptions(&[bits])
    }

    /// A #DB for each of these, put off to be told together.
    pub fn debug_exceptions(&mut self, bits: &[u32]) -> Vec<String> {
        let rip = self.machine.registers.core.rip as usize;
        let exceptions: Vec<_> = bits
            .iter()
            .map(|bits| {
                let status = Dr6::from_bits(Dr6::RESET.bits() | bits);
                // What was live is filled in at the stop.
                DebugException { status, live: Bank::RESET, plan: PlanId::NONE, rip }
            })
            .collect();
        self.stop(Cause::Debug(&exceptions))
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

    /// The DR7 bit that a hit of this window sets in DR6.
    pub fn bit_of(&self, address: usize) -> u32 {
        let placed = self.arbiter.assignment(CPU);
        let slot = placed
            .iter()
            .position(|window| window.is_some_and(|window| window.address() == address))
            .expect("the window is placed");
        1 << slot
    }
}

/// The payload of the frame that `raw` ends with, run-length encoding undone.
fn whole_frame(raw: &[u8]) -> Option<String> {
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
pub fn go(motion: Motion, resume_flag: ResumeFlag) -> Option<Next> {
    Some(Next::Run(Go { motion, resume_flag }))
}
