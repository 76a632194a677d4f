//! A machine without hardware.
//!
//! Memory is one block of bytes with unmapped space around it, of which the first half cannot
//! be written. The registers are a value for each CPU. What is written to the debug registers is
//! kept in order, so that a test can compare whole lists of writes.

use tetrarch::arbiter::CpuId;
use tetrarch::bank::DebugWrite;
use tetrarch::dr::{Dr7, Slot};
use tetrarch::machine::{DebugRegisters, Memory};
use tetrarch::target::{CpuState, Machine, RegisterError};
use tetrarch::x86_64::{X86_64, X86_64Registers};

/// Where the fake memory begins.
pub const BASE: usize = 0x10_0000;
/// Where it can be written as well.
pub const WRITABLE: usize = BASE + 0x1000;
const SIZE: usize = 0x2000;
/// After how long a client may repeat itself.
pub const PATIENCE: u64 = 1000;

pub struct FakeMachine<const CPUS: usize> {
    pub bytes: Vec<u8>,
    pub registers: [X86_64Registers; CPUS],
    pub writes: Vec<DebugWrite>,
    /// How often memory was written, but for breakpoints.
    pub stores: usize,
    /// The CPU that runs the stub, or will when the machine stops.
    pub cpu: CpuId,
    pub states: [CpuState; CPUS],
    pub activities: [&'static str; CPUS],
    pub now: Option<u64>,
}

impl<const CPUS: usize> FakeMachine<CPUS> {
    /// All CPUs run; they have not stopped, as far as the session knows.
    pub fn new() -> Self {
        let bytes = (0..SIZE).map(|index| (index % 251) as u8).collect();
        let mut registers = X86_64Registers::default();
        registers.core.rip = BASE as u64;
        Self {
            bytes,
            registers: std::array::from_fn(|_| registers.clone()),
            writes: Vec::new(),
            stores: 0,
            cpu: CpuId(0),
            states: [CpuState::NotResponding; CPUS],
            activities: [""; CPUS],
            now: Some(0),
        }
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

    /// The registers of a CPU that has stopped.
    fn stopped(&self, cpu: CpuId) -> Result<usize, RegisterError> {
        let has_stopped = self.state(cpu) == CpuState::Stopped;
        has_stopped.then_some(usize::from(cpu.0)).ok_or(RegisterError::NotStopped)
    }
}

impl<const CPUS: usize> DebugRegisters for FakeMachine<CPUS> {
    fn write_address(&mut self, slot: Slot, address: usize) {
        self.writes.push(DebugWrite::Address(slot, address));
    }

    fn write_control(&mut self, control: Dr7) {
        self.writes.push(DebugWrite::Control(control));
    }
}

impl<const CPUS: usize> Memory for FakeMachine<CPUS> {
    fn read(&mut self, address: usize, into: &mut [u8]) -> usize {
        let span = self.span(address, into.len(), BASE);
        into[..span.len()].copy_from_slice(&self.bytes[span.clone()]);
        span.len()
    }

    fn write(&mut self, address: usize, bytes: &[u8]) -> usize {
        let span = self.span(address, bytes.len(), WRITABLE);
        self.stores += 1;
        self.bytes[span.clone()].copy_from_slice(&bytes[..span.len()]);
        span.len()
    }

    fn patch(&mut self, address: usize, bytes: &[u8]) -> usize {
        let span = self.span(address, bytes.len(), BASE);
        self.bytes[span.clone()].copy_from_slice(&bytes[..span.len()]);
        span.len()
    }
}

impl<const CPUS: usize> Machine for FakeMachine<CPUS> {
    type Arch = X86_64;

    fn cpu(&self) -> CpuId {
        self.cpu
    }

    fn state(&self, cpu: CpuId) -> CpuState {
        self.states.get(usize::from(cpu.0)).copied().unwrap_or(CpuState::Absent)
    }

    fn activity(&self, cpu: CpuId) -> &'static str {
        self.activities.get(usize::from(cpu.0)).copied().unwrap_or_default()
    }

    fn now(&self) -> Option<u64> {
        self.now
    }

    fn client_patience(&self) -> u64 {
        PATIENCE
    }

    fn program_counter(&self, cpu: CpuId) -> Result<usize, RegisterError> {
        self.stopped(cpu).map(|cpu| self.registers[cpu].core.rip as usize)
    }

    fn set_program_counter(&mut self, cpu: CpuId, address: usize) -> Result<(), RegisterError> {
        let cpu = self.stopped(cpu)?;
        self.registers[cpu].core.rip = address as u64;
        Ok(())
    }

    fn read_registers(
        &mut self,
        cpu: CpuId,
        registers: &mut X86_64Registers,
    ) -> Result<(), RegisterError> {
        *registers = self.registers[self.stopped(cpu)?].clone();
        Ok(())
    }

    fn write_registers(
        &mut self,
        cpu: CpuId,
        registers: &X86_64Registers,
    ) -> Result<(), RegisterError> {
        let cpu = self.stopped(cpu)?;
        self.registers[cpu] = registers.clone();
        Ok(())
    }
}
