//! Synthetic values of DR6: who is told, and what.

extern crate std;

use core::sync::atomic::{AtomicUsize, Ordering};
use std::vec;
use std::vec::Vec;

use super::*;
use crate::arbiter::{Config, Request, Scope, Verdict, carry_on, stop};
use crate::dr::{Condition, Length};
use crate::machine::DebugRegisters;

struct Registers;

impl DebugRegisters for Registers {
    fn write_address(&mut self, _: Slot, _: usize) {}
    fn write_control(&mut self, _: Dr7) {}
}

/// Memory from address 0 on; beyond its end nothing can be read.
struct Bytes(Vec<u8>);

impl Memory for Bytes {
    fn read(&mut self, address: usize, into: &mut [u8]) -> usize {
        let from = self.0.get(address..).unwrap_or(&[]);
        let length = from.len().min(into.len());
        into[..length].copy_from_slice(&from[..length]);
        length
    }
    fn write(&mut self, _: usize, _: &[u8]) -> usize {
        0
    }
    fn patch(&mut self, _: usize, _: &[u8]) -> usize {
        0
    }
}

const CPU: CpuId = CpuId(1);
const RIP: usize = 0x4242;

type TestArbiter = Arbiter<8, 2>;

fn region(address: usize, length: usize) -> Region {
    Region::new(address, length).unwrap()
}

fn claim(
    arbiter: &mut TestArbiter,
    owner: Owner,
    at: Region,
    handler: crate::arbiter::Handler,
) -> Handle {
    arbiter.claim(Request::pinned(owner, at, Condition::Write), handler).unwrap()
}

/// Runs CPU 1 into a #DB with these slots in DR6, and delivers it.
fn hit(arbiter: &mut TestArbiter, windows: &[Window], memory: &mut Bytes) -> Delivery<8> {
    arbiter.resume(CPU, &mut Registers);
    let assignment = arbiter.assignment(CPU);
    let bits =
        Slot::ALL.into_iter().zip(assignment).fold(Dr6::RESET.bits(), |bits, (slot, window)| {
            if windows.iter().any(|wanted| Some(*wanted) == window) {
                bits | 1 << slot.index()
            } else {
                bits
            }
        });
    let live = arbiter.suspend(CPU, &mut Registers);
    let exception = arbiter.exception(CPU, Dr6::from_bits(bits), live, RIP);
    arbiter.deliver(CPU, &[exception], memory)
}

fn write_window(address: usize, length: Length) -> Window {
    Window::new(address, length, Condition::Write).unwrap()
}

/// Promise 10: all sixteen values of B0–B3, with every set of enabled slots.
#[test]
fn disabled_bits_are_ignored() {
    let bank = Bank::new([0x10, 0x20, 0x30, 0x40], Dr7::OFF);
    for hits in 0..16u32 {
        for enabled in 0..16u32 {
            let armed = |slot: &Slot| enabled & 1 << slot.index() != 0;
            let live = Slot::ALL
                .into_iter()
                .filter(armed)
                .fold(Dr7::OFF, |dr7, slot| dr7.arm(slot, Condition::Write, Length::Four));
            let found: Vec<_> =
                attribute(Dr6::from_bits(Dr6::RESET.bits() | hits), &bank.under(live)).collect();
            let expected: Vec<_> = Slot::ALL
                .into_iter()
                .filter(|slot| hits & enabled & 1 << slot.index() != 0)
                .map(|slot| (slot, write_window(bank.address(slot), Length::Four)))
                .collect();
            assert_eq!(found, expected);
        }
    }
}

/// Promise 10: everyone who shares the slot, nobody else; the debugger's claim too.
#[test]
fn exactly_the_owners() {
    let mut arbiter = TestArbiter::new(Config::DEFAULT);
    let mut memory = Bytes(vec![0; 0x100]);
    let shared = claim(&mut arbiter, Owner::System("first"), region(0x10, 4), stop);
    let second = claim(&mut arbiter, Owner::System("second"), region(0x10, 4), carry_on);
    let other = claim(&mut arbiter, Owner::System("other"), region(0x20, 4), stop);
    let debugger = claim(&mut arbiter, Owner::Debugger, region(0x10, 6), stop);
    let elsewhere = Request::pinned(Owner::System("cpu 0"), region(0x10, 4), Condition::Write);
    let elsewhere = arbiter.claim(elsewhere.on(Scope::Cpu(CpuId(0))), stop).unwrap();

    let window = write_window(0x10, Length::Four);
    let delivery = hit(&mut arbiter, &[window], &mut memory);

    assert_eq!(delivery.windows.iter().map(|(_, window)| *window).collect::<Vec<_>>(), [window]);
    let stopped = Stopped {
        handle: shared,
        owner: "first",
        region: region(0x10, 4),
        condition: Condition::Write,
        window,
    };
    assert_eq!(delivery.stops, [stopped]);
    // Nobody looked at its bytes before.
    assert_eq!(
        delivery.debugger,
        [DebuggerHit { handle: debugger, window, change: Change::Unknown }]
    );
    let hits = |handle| arbiter.get(handle).unwrap().hits();
    assert_eq!([shared, second, other, debugger, elsewhere].map(hits), [1, 1, 0, 1, 0]);
}

/// A deferred claim is not armed; what its window hits belongs to the others.
#[test]
fn held_claims_are_not_told() {
    let mut arbiter = TestArbiter::new(Config::DEFAULT);
    let debugger = claim(&mut arbiter, Owner::Debugger, region(0x10, 4), stop);
    let guard = claim(&mut arbiter, Owner::System("guard"), region(0x10, 4), carry_on);
    arbiter.hold(debugger).unwrap();
    let window = write_window(0x10, Length::Four);
    let delivery = hit(&mut arbiter, &[window], &mut Bytes(vec![0; 0x100]));
    assert!(delivery.debugger.is_empty() && !delivery.stopped_by_system());
    assert_eq!(arbiter.get(guard).unwrap().hits(), 1);
    assert_eq!(arbiter.owners(CPU, window).map(|(handle, _)| handle).collect::<Vec<_>>(), [guard]);
}

/// The handler is called once for an access that spans two windows, with both of them and
/// with what the region held before and holds now.
#[test]
fn handlers_see_old_and_new() {
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    fn handler(hit: &Hit<'_>) -> Verdict {
        let windows = [write_window(0x1c, Length::Four), write_window(0x20, Length::Four)];
        assert_eq!(hit.windows, windows);
        assert_eq!((hit.owner, hit.cpu, hit.rip, hit.hits), ("table", CPU, RIP, 1));
        assert_eq!((hit.region, hit.condition), (region(0x1c, 8), Condition::Write));
        assert_eq!(hit.old, [1, 1, 1, 1, 1, 1, 1, 1]);
        assert_eq!(hit.new, [1, 1, 1, 9, 9, 1, 1, 1]);
        CALLS.fetch_add(1, Ordering::Relaxed);
        Verdict::Continue
    }
    let mut arbiter = TestArbiter::new(Config::DEFAULT);
    let mut memory = Bytes(vec![1; 0x100]);
    let handle = claim(&mut arbiter, Owner::System("table"), region(0x1c, 8), handler);
    arbiter.remember(handle, &mut memory);
    memory.0[0x1f..0x21].fill(9);
    let windows = [write_window(0x1c, Length::Four), write_window(0x20, Length::Four)];
    let delivery = hit(&mut arbiter, &windows, &mut memory);
    assert!(!delivery.stopped_by_system());
    assert_eq!(CALLS.load(Ordering::Relaxed), 1);
    assert_eq!(arbiter.get(handle).unwrap().snapshot().bytes(), [1, 1, 1, 9, 9, 1, 1, 1]);
}

/// A read is a hit that changed nothing since the last hit of *that window*; what changed
/// next to it is not this hit's.
#[test]
fn read_or_write() {
    let mut arbiter = TestArbiter::new(Config::DEFAULT);
    let mut memory = Bytes(vec![0; 0x100]);
    let handle = claim(&mut arbiter, Owner::Debugger, region(0x14, 8), stop);
    let (low, high) = (write_window(0x14, Length::Four), write_window(0x18, Length::Four));
    arbiter.refresh_snapshots(&mut memory);
    memory.0[0x16] = 7;
    memory.0[0x19] = 7;
    let mut change = |window, memory: &mut Bytes| hit(&mut arbiter, &[window], memory).debugger[0];
    let expected = |window, change| DebuggerHit { handle, window, change };
    assert_eq!(change(low, &mut memory), expected(low, Change::Changed));
    assert_eq!(change(low, &mut memory), expected(low, Change::Unchanged));
    assert_eq!(change(high, &mut memory), expected(high, Change::Changed));
    assert_eq!(change(high, &mut memory), expected(high, Change::Unchanged));
    memory.0.truncate(0x19);
    assert_eq!(change(high, &mut memory), expected(high, Change::Unknown));
    assert_eq!(change(low, &mut memory), expected(low, Change::Unchanged));
    // Readable again, and remembered from then on.
    memory.0.resize(0x100, 0);
    assert_eq!(change(high, &mut memory), expected(high, Change::Unknown));
    assert_eq!(change(high, &mut memory), expected(high, Change::Unchanged));
}

/// More owners want to stop than are named.
#[test]
fn further_stops_are_counted() {
    let mut arbiter = TestArbiter::new(Config::DEFAULT);
    for name in ["a", "b", "c", "d", "e", "f"] {
        claim(&mut arbiter, Owner::System(name), region(0x10, 4), stop);
    }
    let window = write_window(0x10, Length::Four);
    let delivery = hit(&mut arbiter, &[window], &mut Bytes(vec![0; 0x100]));
    assert_eq!(
        delivery.stops.iter().map(|stopped| stopped.owner).collect::<Vec<_>>(),
        ["a", "b", "c", "d"]
    );
    assert_eq!(delivery.further_stops, 2);
}

/// What the old place held says nothing of the new one.
#[test]
fn a_moved_claim_has_forgotten() {
    let mut arbiter = TestArbiter::new(Config::DEFAULT);
    let mut memory = Bytes((0..=255).collect());
    let handle = claim(&mut arbiter, Owner::Debugger, region(0x10, 4), stop);
    arbiter.remember(handle, &mut memory);
    assert_eq!(arbiter.get(handle).unwrap().snapshot().bytes(), [0x10, 0x11, 0x12, 0x13]);
    arbiter.modify(handle, |request| Request { region: region(0x20, 4), ..request }).unwrap();
    assert!(arbiter.get(handle).unwrap().snapshot().bytes().is_empty());
    arbiter
        .modify(handle, |request| {
            let region = region(0x20, 1);
            Request { region, condition: Condition::Execute, ..request }
        })
        .unwrap();
    arbiter.refresh_snapshots(&mut memory);
    assert!(arbiter.get(handle).unwrap().snapshot().bytes().is_empty());
}

/// One window that changed is enough, whatever is unknown of the other.
#[test]
fn a_change_is_a_change() {
    let mut arbiter = TestArbiter::new(Config::DEFAULT);
    let mut memory = Bytes(vec![0; 0x18]);
    claim(&mut arbiter, Owner::Debugger, region(0x14, 8), stop);
    let windows = [write_window(0x14, Length::Four), write_window(0x18, Length::Four)];
    arbiter.refresh_snapshots(&mut memory);
    memory.0[0x14] = 1;
    let mut change = || hit(&mut arbiter, &windows, &mut memory).debugger[0].change;
    assert_eq!([change(), change()], [Change::Changed, Change::Unknown]);
}

/// Several exceptions that were put off: a claim of the debugger is told once. The bytes are looked
/// at after all of them: what has changed may be the doing of each that could have; an access that
/// left its own windows as they were may have been a read, and is what is told.
#[test]
fn promise_10_exceptions_that_were_put_off_are_told_together() {
    // The slots of each exception, whether the upper bytes change, and which slot is told.
    let cases: [(&[u32], bool, Slot, Change); 6] = [
        (&[0b01, 0b10, 0b01], true, Slot::Zero, Change::Unchanged),
        (&[0b10, 0b01], true, Slot::Zero, Change::Unchanged),
        (&[0b10, 0b10], true, Slot::One, Change::Changed),
        (&[0b10, 0b11], true, Slot::One, Change::Changed),
        (&[0b11, 0b10], true, Slot::Zero, Change::Changed),
        (&[0b10, 0b01], false, Slot::One, Change::Unchanged),
    ];
    for (hits, changes, told, change) in cases {
        let mut arbiter = TestArbiter::new(Config::DEFAULT);
        let mut memory = Bytes(vec![0; 0x20]);
        let handle = claim(&mut arbiter, Owner::Debugger, region(0x10, 16), carry_on);
        arbiter.remember(handle, &mut memory);
        arbiter.resume(CPU, &mut Registers);
        memory.0[0x18] = u8::from(changes);
        let live = *arbiter.bank(CPU);
        let plan = arbiter.in_force(CPU);
        let exceptions: Vec<_> = hits
            .iter()
            .map(|hits| {
                let status = Dr6::from_bits(Dr6::RESET.bits() | hits);
                DebugException { status, live, plan, rip: RIP }
            })
            .collect();
        let delivery = arbiter.deliver(CPU, &exceptions, &mut memory);
        let window = live.armed(told).unwrap();
        assert_eq!(delivery.debugger, [DebuggerHit { handle, window, change }], "{hits:?}");
        let claim = arbiter.get(handle).unwrap();
        assert_eq!(claim.hits(), hits.len() as u64);
        assert_eq!(claim.snapshot().bytes(), &memory.0[0x10..0x20], "{hits:?}");
    }
}
