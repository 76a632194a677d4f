//! Promises 1 and 7: what is refused, with which words.

extern crate std;

use std::string::ToString;

use super::*;

/// Promise 1: the figures, and that nothing changed. A region of 2^64 − 1 bytes is refused
/// at once.
#[test]
fn refusal_says_why() {
    let mut arbiter = reserving(1, 1);
    claim(&mut arbiter, guard(0, 8));
    claim(&mut arbiter, guard(0, 8));
    let held = claim(&mut arbiter, debugger(0x20, 2));
    arbiter.hold(held).unwrap();
    let before = arbiter.clone();
    let refused = arbiter.claim(guard(0x101, 7), carry_on).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "needs 3 debug registers, 2 are available to the system on cpu 0, 0 kept for others; \
         slot 0: 0x0+8 write, guard and 1 more; slot 1: 0x20+2 write, debugger (held)",
    );
    let refused = arbiter.claim(guard(1, usize::MAX), carry_on).unwrap_err();
    let Rejection::Full(shortage) = refused else { panic!("{refused}") };
    assert_eq!((shortage.needed, shortage.available), (usize::MAX / 8 + 3, 2));
    assert!(before == arbiter);
}

/// Promise 1: a slot that is free but promised to the other side is not available.
#[test]
fn reservations_are_kept() {
    let mut arbiter = reserving(2, 1);
    for address in [0, 8] {
        claim(&mut arbiter, guard(address, 8));
    }
    assert_eq!((arbiter.available(Class::System), arbiter.available(Class::Debugger)), (0, 2));
    let refused = arbiter.claim(guard(16, 8), carry_on).unwrap_err();
    let Rejection::Full(shortage) = refused else { panic!("{refused}") };
    assert_eq!((shortage.needed, shortage.available, shortage.kept), (1, 0, 2));
    claim(&mut arbiter, debugger(16, 16));
}

/// Promise 7.
#[test]
fn protected_ranges() {
    let mut arbiter = reserving(0, 0);
    let idt =
        Protected { region: region(0x1000, 0x100), name: "idt", against: Against::Everything };
    let code =
        Protected { region: region(0x2000, 0x100), name: "entry", against: Against::Execute };
    arbiter.protect(idt).unwrap();
    arbiter.protect(code).unwrap();
    let at = |address, length, condition| Request { condition, ..debugger(address, length) };
    for (request, name) in [
        (at(0xfff, 2, Condition::Write), "idt"),
        (at(0x10ff, 1, Condition::ReadWrite), "idt"),
        (at(0x1000, 1, Condition::Execute), "idt"),
        (at(0x20ff, 1, Condition::Execute), "entry"),
        (at(0, usize::MAX, Condition::Write), "idt"),
    ] {
        assert_eq!(
            arbiter.claim(request, carry_on),
            Err(Rejection::Protected(name)),
            "{request:?}"
        );
    }
    let watched = claim(&mut arbiter, at(0x2000, 8, Condition::Write));
    claim(&mut arbiter, at(0x1100, 8, Condition::Write));
    // An accepted claim is not taken away by protecting its place.
    let late = Protected { against: Against::Everything, ..code };
    assert_eq!(arbiter.protect(late), Err(ProtectError::InUse(Owner::Debugger)));
    assert!(arbiter.modify(watched, to(region(0x1000, 1), Condition::Write)).is_err());
    // Repeating is harmless; there is an end to them.
    let filler = |page| Protected {
        region: region(0x10000 * page, 1),
        name: "filler",
        against: Against::Execute,
    };
    for page in 3..=PROTECTED_RANGES {
        arbiter.protect(filler(page)).unwrap();
    }
    assert_eq!(arbiter.protect(filler(99)), Err(ProtectError::TooMany));
    assert_eq!(arbiter.protect(idt), Ok(()));
}

/// I/O needs CR4.DE, and ports are no addresses.
#[test]
fn ports() {
    let port = |address, length| Request { condition: Condition::Io, ..guard(address, length) };
    let mut arbiter = reserving(0, 0);
    assert_eq!(arbiter.claim(port(0x60, 1), carry_on), Err(Rejection::IoUnavailable));
    arbiter.configure(Config { io: IoBreakpoints::Available, ..Config::DEFAULT }).unwrap();
    let low = Protected { region: region(0, 0x1000), name: "low", against: Against::Everything };
    arbiter.protect(low).unwrap();
    claim(&mut arbiter, port(0x60, 8));
    assert_eq!(arbiter.available(Class::Debugger), 2);
    assert_eq!(arbiter.claim(port(0xffff, 2), carry_on), Err(Rejection::PortRange));
    assert_eq!(arbiter.configure(Config::DEFAULT), Err(ClaimsLive));
}
