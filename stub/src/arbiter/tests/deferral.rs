//! Promise 5: what the debugger takes away while stopped is kept for it.

extern crate std;

use std::vec::Vec;

use super::*;
use crate::cases::one_in;

/// Promise 4 too: `Z Z z z` leaves nothing, and not a trace of the other owner's claim.
#[test]
fn insert_is_idempotent() {
    let mut arbiter = reserving(0, 0);
    let guarded = claim(&mut arbiter, guard(0, 4));
    let first = claim(&mut arbiter, debugger(0, 4));
    assert_eq!(claim(&mut arbiter, debugger(0, 4)), first);
    arbiter.hold(first).unwrap();
    assert_eq!(arbiter.find(&debugger(0, 4)), None);
    arbiter.hold(first).unwrap();
    // (Made again, it is in force again, and held like any other.)
    assert_eq!(arbiter.claim(debugger(0, 4), stop), Ok(first));
    // (Under Miri a function has an address each time that it is asked for one.)
    let handler = arbiter.get(first).unwrap().handler();
    assert!(cfg!(miri) || core::ptr::fn_addr_eq(handler, stop as Handler));
    arbiter.hold(first).unwrap();
    arbiter.end_deferrals();
    assert_eq!(arbiter.claims().map(|(handle, _)| handle).collect::<Vec<_>>(), [guarded]);
    assert_eq!(arbiter.hold(first), Err(HoldError::Stale));
    assert_eq!(arbiter.hold(guarded), Err(HoldError::NotTheDebuggers));
}

/// Taken away and put back in any order: no address is written, and DR7 once.
#[test]
fn putting_back_writes_no_address() {
    let requests = [debugger(0x10, 4), debugger(0x20, 8), debugger(0x31, 1), debugger(0x40, 2)];
    for number in (0..24).step_by(one_in(11)) {
        let mut order = [0, 1, 2, 3];
        order.swap(0, number / 6);
        order.swap(1, 1 + number / 2 % 3);
        order.swap(2, 2 + number % 2);
        let mut arbiter = reserving(0, 0);
        let mut registers = Registers::default();
        let handles = requests.map(|request| claim(&mut arbiter, request));
        arbiter.resume(CPU, &mut registers);
        let running = registers.bank;
        let live = arbiter.suspend(CPU, &mut registers);
        assert_eq!(live, running.control());
        for index in order {
            arbiter.hold(handles[index]).unwrap();
        }
        // A step over a breakpoint: nothing is armed, everything is kept.
        registers.writes = 0;
        arbiter.resume(CPU, &mut registers);
        arbiter.suspend(CPU, &mut registers);
        assert_eq!((registers.writes, arbiter.available(Class::System)), (0, 0));
        for index in order.into_iter().rev() {
            assert_eq!(claim(&mut arbiter, requests[index]), handles[index]);
        }
        arbiter.resume(CPU, &mut registers);
        assert_eq!((registers.writes, registers.bank), (1, running));
    }
}

/// A new window goes where it costs nobody's way back.
#[test]
fn newcomers_spare_held_addresses() {
    let mut arbiter = reserving(0, 0);
    let mut registers = Registers::default();
    let held = claim(&mut arbiter, debugger(0x10, 4));
    arbiter.resume(CPU, &mut registers);
    arbiter.suspend(CPU, &mut registers);
    arbiter.hold(held).unwrap();
    let other = claim(&mut arbiter, debugger(0x20, 4));
    arbiter.resume(CPU, &mut registers);
    arbiter.suspend(CPU, &mut registers);
    arbiter.hold(other).unwrap();
    registers.addresses = 0;
    claim(&mut arbiter, debugger(0x10, 4));
    claim(&mut arbiter, debugger(0x20, 4));
    arbiter.resume(CPU, &mut registers);
    assert_eq!(registers.addresses, 0);
}

#[test]
fn the_system_cannot_take_what_is_held() {
    let mut arbiter = reserving(0, 0);
    let held = claim(&mut arbiter, debugger(0, 32));
    arbiter.hold(held).unwrap();
    assert!(arbiter.claim(guard(0x100, 1), carry_on).is_err());
    // The same window is no further slot.
    claim(&mut arbiter, guard(0, 8));
    arbiter.end_deferrals();
    claim(&mut arbiter, guard(0x100, 1));
}

fn left(arbiter: &TestArbiter, handles: &[Handle]) -> Vec<bool> {
    handles.iter().map(|handle| arbiter.get(*handle).is_some()).collect()
}

/// The oldest goes first, and only as many as must; none, if all would not do.
#[test]
fn only_as_many_as_necessary() {
    let mut arbiter = reserving(0, 0);
    claim(&mut arbiter, guard(0x100, 1));
    let handles = [0, 8, 16].map(|address| claim(&mut arbiter, debugger(address, 8)));
    for index in [1, 0, 2] {
        arbiter.hold(handles[index]).unwrap();
    }
    let before = arbiter.clone();
    let refused = arbiter.claim(debugger(0x200, 32), carry_on).unwrap_err();
    let Rejection::Full(shortage) = refused else { panic!("{refused}") };
    assert_eq!((shortage.needed, shortage.available), (4, 3));
    assert!(before == arbiter);
    claim(&mut arbiter, debugger(0x200, 8));
    assert_eq!(left(&arbiter, &handles), [true, false, true]);
    claim(&mut arbiter, debugger(0x300, 8));
    assert_eq!(left(&arbiter, &handles), [false, false, true]);
}

/// One that is on another CPU helps nobody by going.
#[test]
fn elders_elsewhere_stay() {
    let mut arbiter = reserving(0, 0);
    let elsewhere = claim(&mut arbiter, debugger(0, 32).on(Scope::Cpu(CpuId(1))));
    let here = claim(&mut arbiter, debugger(0x40, 32).on(Scope::Cpu(CPU)));
    arbiter.hold(elsewhere).unwrap();
    arbiter.hold(here).unwrap();
    claim(&mut arbiter, debugger(0x80, 1).on(Scope::Cpu(CPU)));
    assert_eq!(left(&arbiter, &[elsewhere, here]), [true, false]);
}

/// A place in the table is taken over as well.
#[test]
fn full_table() {
    let mut arbiter: Arbiter<2, 1> = Arbiter::new(Config::DEFAULT);
    arbiter.claim(guard(0, 1), carry_on).unwrap();
    let held = arbiter.claim(debugger(0, 1), carry_on).unwrap();
    assert_eq!(arbiter.claim(debugger(8, 1), carry_on), Err(Rejection::TableFull(2)));
    arbiter.hold(held).unwrap();
    assert_eq!(arbiter.claim(guard(8, 1), carry_on), Err(Rejection::TableFull(2)));
    arbiter.claim(debugger(8, 1), carry_on).unwrap();
    assert!(arbiter.get(held).is_none());
}

/// A change that makes a claim the same as a held one takes its place.
#[test]
fn modify_takes_the_place_of_its_twin() {
    let mut arbiter = reserving(0, 0);
    let twin = claim(&mut arbiter, debugger(0, 8));
    let other = claim(&mut arbiter, debugger(8, 24));
    assert_eq!(
        arbiter.modify(other, to(region(0, 8), Condition::Write)),
        Err(Rejection::Duplicate(twin))
    );
    arbiter.hold(twin).unwrap();
    assert_eq!(
        arbiter.modify(twin, to(region(0, 4), Condition::Write)),
        Err(Rejection::StaleHandle)
    );
    arbiter.modify(other, to(region(0, 8), Condition::Write)).unwrap();
    assert_eq!(left(&arbiter, &[twin, other]), [false, true]);
}
