//! The promises of the arbiter, one by one, and (in `model`) all at once.

extern crate std;

use std::string::ToString;
use std::vec::Vec;

use super::*;
use crate::bank::Bank;
use crate::dr::{Dr6, Dr7, Slot};
use crate::machine::{DebugRegisters, Memory};

mod deferral;
mod exploration;
mod model;
mod quanta;
mod refusal;
mod rotation;
mod scopes;
mod sharing;
mod switching;
mod turns;
mod writes;

/// Registers that remember, and count what is written to them.
#[derive(Clone, Debug)]
struct Registers {
    bank: Bank,
    /// What they held after each write.
    states: Vec<Bank>,
    addresses: usize,
    writes: usize,
}

impl Default for Registers {
    fn default() -> Registers {
        Registers { bank: Bank::RESET, states: Vec::new(), addresses: 0, writes: 0 }
    }
}

impl DebugRegisters for Registers {
    fn write_address(&mut self, slot: Slot, address: usize) {
        let mut addresses = Slot::ALL.map(|slot| self.bank.address(slot));
        addresses[slot.index()] = address;
        self.bank = Bank::new(addresses, self.bank.control());
        self.states.push(self.bank);
        self.addresses += 1;
        self.writes += 1;
    }

    fn write_control(&mut self, control: Dr7) {
        self.bank = Bank::new(Slot::ALL.map(|slot| self.bank.address(slot)), control);
        self.states.push(self.bank);
        self.writes += 1;
    }
}

/// Where a region is does not matter to these tests, and what it holds even less.
struct NoMemory;

impl Memory for NoMemory {
    fn read(&mut self, _: usize, _: &mut [u8]) -> usize {
        0
    }

    fn write(&mut self, _: usize, _: &[u8]) -> usize {
        0
    }

    fn patch(&mut self, _: usize, _: &[u8]) -> usize {
        0
    }
}

const CPU: CpuId = CpuId(0);

type TestArbiter = Arbiter<8, 2>;

fn region(address: usize, length: usize) -> Region {
    Region::new(address, length).unwrap()
}

fn reserving(debugger: u8, system: u8) -> TestArbiter {
    let reservations = Reservations::new(debugger, system, 0).unwrap();
    TestArbiter::new(Config { reservations, ..Config::DEFAULT })
}

fn debugger(address: usize, length: usize) -> Request {
    Request::pinned(Owner::Debugger, region(address, length), Condition::Write)
}

fn guard(address: usize, length: usize) -> Request {
    Request::pinned(Owner::System("guard"), region(address, length), Condition::Write)
}

/// A change to another region and condition.
fn to(region: Region, condition: Condition) -> impl FnOnce(Request) -> Request {
    move |request| Request { region, condition, ..request }
}

fn claim(arbiter: &mut TestArbiter, request: Request) -> Handle {
    arbiter.claim(request, carry_on).unwrap()
}

/// Promise 2: all CPUs or none.
#[test]
fn scopes_are_all_or_nothing() {
    let mut arbiter = reserving(0, 0);
    let full = claim(&mut arbiter, guard(0, 32).on(Scope::Cpu(CpuId(1))));
    let refused = arbiter.claim(debugger(64, 1), carry_on).unwrap_err();
    let Rejection::Full(shortage) = refused else { panic!("{refused}") };
    assert_eq!((shortage.cpu, shortage.available), (CpuId(1), 0));
    claim(&mut arbiter, debugger(64, 1).on(Scope::Cpu(CPU)));
    assert_eq!(arbiter.wanted(CPU).len(), 1);
    arbiter.release(full).unwrap();
    claim(&mut arbiter, debugger(64, 1));
    let nowhere = debugger(64, 1).on(Scope::Cpu(CpuId(2)));
    assert_eq!(arbiter.claim(nowhere, carry_on), Err(Rejection::NoSuchCpu(CpuId(2))));
}

/// Promise 4: shared windows need one slot, which is free when its last claim goes.
#[test]
fn windows_are_shared() {
    let mut arbiter = reserving(0, 0);
    let mut registers = Registers::default();
    let handles: Vec<_> = [debugger(0, 8), guard(0, 8), guard(0, 8), guard(0, 16)]
        .into_iter()
        .map(|request| claim(&mut arbiter, request))
        .collect();
    assert_eq!(arbiter.available(Class::System), 2);
    arbiter.resume(CPU, &mut registers);
    assert_eq!((registers.addresses, registers.writes), (1, 2), "0 is in DR0 after reset");
    for (handle, left) in handles.into_iter().zip([2, 2, 2, 0]) {
        arbiter.release(handle).unwrap();
        assert_eq!(arbiter.wanted(CPU).len(), left);
    }
}

/// Promise 6: in place, under the same handle, also when there is no slot to spare.
#[test]
fn modify_is_atomic() {
    let mut arbiter = reserving(0, 0);
    let handle = claim(&mut arbiter, guard(0, 16));
    claim(&mut arbiter, debugger(64, 16));
    let before = arbiter.clone();
    assert!(arbiter.modify(handle, to(region(0, 24), Condition::Write)).is_err());
    assert!(before == arbiter);
    arbiter.modify(handle, to(region(8, 16), Condition::ReadWrite)).unwrap();
    let request = arbiter.get(handle).unwrap().request();
    assert_eq!((request.region, request.condition), (region(8, 16), Condition::ReadWrite));
    assert_eq!(arbiter.modify(handle, to(region(8, 16), Condition::ReadWrite)), Ok(()));
}

/// Promise 11: detach takes the debugger's claims, hand-off takes all.
#[test]
fn detach_and_hand_off() {
    let mut arbiter = reserving(0, 0);
    let mut registers = Registers::default();
    let guard = claim(&mut arbiter, guard(0, 8));
    let held = claim(&mut arbiter, debugger(0, 8));
    arbiter.hold(held).unwrap();
    claim(&mut arbiter, debugger(8, 8));
    arbiter.resume(CPU, &mut registers);
    arbiter.release_class(Class::Debugger);
    assert_eq!(arbiter.claims().map(|(handle, _)| handle).collect::<Vec<_>>(), [guard]);
    arbiter.release_all();
    assert_eq!(arbiter.claims().count(), 0);
    registers.writes = 0;
    arbiter.resume(CPU, &mut registers);
    assert_eq!((registers.writes, registers.bank.control()), (1, Dr7::OFF));
}

/// Promise 9: nothing armed and nothing wanted costs no write, and nor does a CPU that does
/// not exist.
#[test]
fn idle_costs_nothing() {
    let mut arbiter = reserving(0, 0);
    let mut registers = Registers::default();
    arbiter.resume(CPU, &mut registers);
    assert_eq!(arbiter.suspend(CPU, &mut registers), Dr7::OFF);
    claim(&mut arbiter, guard(0x40, 8));
    arbiter.resume(CpuId(2), &mut registers);
    assert_eq!(registers.writes, 0);
    arbiter.resume(CPU, &mut registers);
    arbiter.resume(CPU, &mut registers);
    assert_eq!(registers.writes, 2);
    // After INIT the registers are empty, and everything is written again.
    arbiter.forget_bank(CPU);
    arbiter.resume(CPU, &mut registers);
    assert_eq!(registers.writes, 4);
}

#[test]
fn table_is_readable() {
    let mut arbiter = reserving(2, 1);
    let null = Request { condition: Condition::ReadWrite, ..guard(0, 8) };
    claim(&mut arbiter, Request { owner: Owner::System("null-guard"), ..null });
    let handle = claim(&mut arbiter, debugger(0x1008, 4).on(Scope::Cpu(CPU)));
    claim(&mut arbiter, Request { owner: Owner::Debugger, ..null });
    arbiter.resume(CPU, &mut Registers::default());
    arbiter.hold(handle).unwrap();
    let expected = "\
slot  address             len  condition   state      hits  scope     owners
 0    0x0000000000000000    8  read/write  armed         0  all cpus  null-guard, debugger
 1    0x0000000000001008    4  write       held          0  cpu 0     debugger
 2    -                     -  -           free
 3    -                     -  -           free
reserved: system 1, debugger 2; available: debugger 2, system 1
";
    assert_eq!(arbiter.table(CPU).to_string(), expected);
}

/// A held window is shown where its address still is, though an earlier slot is free.
#[test]
fn spare_windows_are_shown_at_home() {
    let mut arbiter = reserving(0, 0);
    let first = claim(&mut arbiter, debugger(0x10, 4));
    let second = claim(&mut arbiter, debugger(0x20, 4));
    arbiter.resume(CPU, &mut Registers::default());
    arbiter.hold(second).unwrap();
    arbiter.release(first).unwrap();
    let window = region(0x20, 4).windows(Condition::Write, Widest::Eight).next().unwrap();
    let expected = [SlotState::Free, SlotState::Held(window), SlotState::Free, SlotState::Free];
    assert_eq!(arbiter.table(CPU).rows().map(|row| row.state), expected);
}
