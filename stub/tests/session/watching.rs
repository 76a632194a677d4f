//! Claims of both sides: watchpoints and guards, from the packet to the registers and back.

use tetrarch::arbiter::{Condition, Owner, Region, Request, Verdict};
use tetrarch::bank::DebugWrite;
use tetrarch::dr::{Dr7, Length, Slot};
use tetrarch::session::{Cause, Motion, Next, ResumeFlag};

use crate::bench::{BASE, Bench, CPU, STEP, WRITABLE, console, go};

#[test]
fn each_watchpoint_is_armed_at_resume_and_reported_by_the_clients_address() {
    let kinds = [
        ("Z2", "watch", Condition::Write),
        ("Z3", "rwatch", Condition::ReadWrite),
        ("Z4", "awatch", Condition::ReadWrite),
    ];
    for (packet, word, condition) in kinds {
        let mut bench = Bench::attached(2, 0);
        let address = WRITABLE + 8;
        assert_eq!(bench.ask(&format!("{packet},{address:x},4")), "OK");
        let control = Dr7::OFF.arm(Slot::Zero, condition, Length::Four);
        assert_eq!(
            bench.resume("vCont;c"),
            [DebugWrite::Address(Slot::Zero, address), DebugWrite::Control(control)]
        );
        assert_eq!(bench.debug_exception(1), [format!("T05thread:p01.01;{word}:{address:x};")]);
        assert_eq!(bench.next, Some(Next::Stay));
    }
}

#[test]
fn taking_watchpoints_out_and_putting_them_back_in_another_order_writes_no_address() {
    let mut bench = Bench::attached(2, 0);
    let (first, second) = (WRITABLE, WRITABLE + 64);
    for address in [first, second] {
        assert_eq!(bench.ask(&format!("Z2,{address:x},8")), "OK");
    }
    bench.resume("vCont;c");
    bench.debug_exception(bench.bit_of(first));
    for address in [first, second] {
        assert_eq!(bench.ask(&format!("z2,{address:x},8")), "OK");
    }
    for address in [second, first] {
        assert_eq!(bench.ask(&format!("Z2,{address:x},8")), "OK");
    }
    let writes = bench.resume("vCont;c");
    assert!(matches!(writes[..], [DebugWrite::Control(_)]), "{writes:?}");
}

#[test]
fn a_step_keeps_the_place_of_what_was_taken_out_and_a_continue_gives_it_up() {
    let mut bench = Bench::attached(1, 3);
    let address = WRITABLE;
    assert_eq!(bench.ask(&format!("Z2,{address:x},8")), "OK");
    bench.resume("vCont;c");
    bench.debug_exception(1);
    assert_eq!(bench.ask(&format!("z2,{address:x},8")), "OK");
    assert_eq!(bench.arbiter.claims().count(), 1);
    bench.resume("vCont;s:p1.1;c");
    assert_eq!(bench.arbiter.claims().count(), 1);
    assert_eq!(bench.debug_exception(STEP), ["T05thread:p01.01;"]);
    bench.resume("vCont;c");
    assert_eq!(bench.arbiter.claims().count(), 0);
}

#[test]
fn a_read_watchpoint_stops_for_reads_and_not_for_writes() {
    let mut bench = Bench::attached(2, 0);
    let address = WRITABLE;
    assert_eq!(bench.ask(&format!("Z3,{address:x},4")), "OK");
    bench.resume("vCont;c");
    bench.machine.at(address)[0] ^= 0xFF;
    assert_eq!(bench.debug_exception(1), Vec::<String>::new());
    assert_eq!(bench.next, go(Motion::Continue, ResumeFlag::Keep));
    // The write refreshed what is remembered, so the same bytes seen again are a read.
    assert_eq!(bench.debug_exception(1), [format!("T05thread:p01.01;rwatch:{address:x};")]);
}

#[test]
fn a_read_is_told_though_it_was_put_off_together_with_a_write_beside_it() {
    for order in [[0, 8], [8, 0]] {
        let mut bench = Bench::attached(2, 0);
        assert_eq!(bench.ask(&format!("Z3,{WRITABLE:x},10")), "OK");
        bench.resume("vCont;c");
        bench.machine.at(WRITABLE + 8)[0] ^= 0xFF;
        let bits = order.map(|offset| bench.bit_of(WRITABLE + offset));
        let told = bench.debug_exceptions(&bits);
        assert_eq!(told, [format!("T05thread:p01.01;rwatch:{WRITABLE:x};")], "{order:?}");
    }
}

#[test]
fn an_access_and_a_read_watchpoint_on_the_same_bytes_come_and_go_by_themselves() {
    let mut bench = Bench::attached(2, 0);
    let address = WRITABLE;
    assert_eq!(bench.ask(&format!("Z3,{address:x},4")), "OK");
    assert_eq!(bench.ask(&format!("Z4,{address:x},4")), "OK");
    assert_eq!(bench.ask(&format!("z3,{address:x},4")), "OK");
    bench.resume("vCont;c");
    bench.machine.at(address)[0] ^= 0xFF;
    assert_eq!(bench.debug_exception(1), [format!("T05thread:p01.01;awatch:{address:x};")]);
}

#[test]
fn two_windows_hit_at_once_are_told_one_after_the_other() {
    let mut bench = Bench::attached(2, 0);
    let (first, second) = (WRITABLE, WRITABLE + 64);
    for address in [first, second] {
        assert_eq!(bench.ask(&format!("Z2,{address:x},8")), "OK");
    }
    bench.resume("vCont;c");
    let told = bench.debug_exception(0b11);
    assert_eq!(told, [format!("T05thread:p01.01;watch:{first:x};")]);
    assert_eq!(bench.send("vCont;c"), [format!("T05thread:p01.01;watch:{second:x};")]);
    assert_eq!(bench.next, Some(Next::Stay));
    bench.resume("vCont;c");
}

#[test]
fn a_hit_that_waits_to_be_told_is_dropped_with_its_watchpoint() {
    let mut bench = Bench::attached(2, 0);
    let (first, second) = (WRITABLE, WRITABLE + 64);
    for address in [first, second] {
        assert_eq!(bench.ask(&format!("Z2,{address:x},8")), "OK");
    }
    bench.resume("vCont;c");
    bench.debug_exception(0b11);
    assert_eq!(bench.ask(&format!("z2,{second:x},8")), "OK");
    bench.resume("vCont;c");
}

#[test]
fn a_hit_that_waits_is_told_where_it_came_and_nowhere_else() {
    let stop = |address: usize| [format!("T05thread:p01.01;watch:{address:x};")];
    let (first, second) = (WRITABLE, WRITABLE + 64);
    for is_put_back in [true, false] {
        let mut bench = Bench::attached(2, 0);
        for address in [first, second] {
            assert_eq!(bench.ask(&format!("Z2,{address:x},8")), "OK");
        }
        bench.resume("vCont;c");
        assert_eq!(bench.debug_exception(0b11), stop(first));
        let place = *bench.rip(CPU);
        // It calls a function, which comes to its end at an INT3; then to another.
        for call in [place + 0x100, place + 0x200] {
            *bench.rip(CPU) = call;
            bench.resume("vCont;c");
            *bench.rip(CPU) += 0x10;
            assert_eq!(bench.stop(Cause::Breakpoint), ["T05thread:p01.01;"]);
        }
        if is_put_back {
            *bench.rip(CPU) = place;
            assert_eq!(bench.send("vCont;c"), stop(second));
        }
        bench.resume("vCont;c");
        // It comes by elsewhere, and then there, by itself.
        for came in [place + 0x500, place] {
            *bench.rip(CPU) = came;
            assert_eq!(bench.stop(Cause::Breakpoint), ["T05thread:p01.01;"]);
            bench.resume("vCont;c");
        }
    }
}

#[test]
fn a_hit_is_not_lost_with_another_that_was_to_tell_it() {
    let stop = |address: usize| [format!("T05thread:p01.01;watch:{address:x};")];
    let (first, second) = (WRITABLE, WRITABLE + 64);
    for is_deleted in [false, true] {
        let mut bench = Bench::attached(4, 0);
        // The third has the window of the second, and one more.
        for (address, length) in [(first, 8), (second, 8), (second, 16)] {
            assert_eq!(bench.ask(&format!("Z2,{address:x},{length:x}")), "OK");
        }
        bench.resume("vCont;c");
        let hits = bench.bit_of(first) | bench.bit_of(second);
        assert_eq!(bench.debug_exception(hits), stop(first));
        if is_deleted {
            assert_eq!(bench.ask(&format!("z2,{second:x},8")), "OK");
        }
        assert_eq!(bench.send("vCont;c"), stop(second), "{is_deleted}");
        // One address for both.
        bench.resume("vCont;c");
    }
}

#[test]
fn a_guard_that_stops_is_named_on_the_console_and_the_client_survives_it() {
    let mut bench = Bench::attached(2, 1);
    let region = Region::new(WRITABLE, 8).expect("a region");
    let request = Request::pinned(Owner::System("null-guard"), region, Condition::ReadWrite);
    let guard = bench.arbiter.claim(request, |_| Verdict::Stop).expect("there is room");
    bench.resume("vCont;c");
    let replies = bench.debug_exception(1);
    assert_eq!(replies.len(), 2, "{replies:?}");
    let text = console(&replies[0][1..]);
    assert!(
        text.starts_with("tetrarch: stopped by null-guard: read/write at 0x101000+8"),
        "{text}"
    );
    assert_eq!(replies[1], "T05thread:p01.01;");
    assert!(bench.monitor("stop").starts_with("stopped by null-guard"));
    // Nothing that the client says in its own name touches the guard.
    assert_eq!(bench.ask(&format!("z4,{WRITABLE:x},8")), "OK");
    assert_eq!(bench.ask(&format!("z2,{WRITABLE:x},8")), "OK");
    assert_eq!(bench.ask("D;1"), "OK");
    assert!(bench.arbiter.get(guard).is_some());
}

#[test]
fn a_guard_and_a_watchpoint_on_the_same_bytes_are_both_told() {
    let mut bench = Bench::attached(2, 1);
    let region = Region::new(WRITABLE, 8).expect("a region");
    let request = Request::pinned(Owner::System("table"), region, Condition::Write);
    let guard = bench.arbiter.claim(request, |_| Verdict::Continue).expect("there is room");
    assert_eq!(bench.ask(&format!("Z2,{WRITABLE:x},8")), "OK");
    bench.resume("vCont;c");
    let replies = bench.debug_exception(1);
    assert_eq!(replies, [format!("T05thread:p01.01;watch:{WRITABLE:x};")]);
    assert_eq!(bench.arbiter.get(guard).map(|claim| claim.hits()), Some(1));
}

#[test]
fn why_gives_the_figures_of_the_last_refusal() {
    let mut bench = Bench::attached(2, 2);
    assert_eq!(bench.ask(&format!("Z2,{WRITABLE:x},20")), "E1c");
    let why = bench.monitor("why");
    assert!(why.contains("needs 4") && why.contains('2'), "{why}");
    // What gdb looks at by itself does not hide what a person was refused.
    assert_eq!(bench.ask("m0,4"), "E0e");
    assert_eq!(bench.ask("m4,4"), "E0e");
    assert_eq!(bench.monitor("why"), format!("{why}after that, memory at 0x4 cannot be read\n"));
    assert_eq!(bench.ask(&format!("M{BASE:x},1:00")), "E0e");
    assert_eq!(bench.monitor("why"), format!("memory at {BASE:#x} cannot be written\n"));
}

#[test]
fn the_reported_address_is_not_that_of_a_watchpoint_that_was_not_hit() {
    let mut bench = Bench::attached(2, 0);
    assert_eq!(bench.ask(&format!("Z4,{WRITABLE:x},1")), "OK");
    assert_eq!(bench.ask(&format!("Z4,{WRITABLE:x},8")), "OK");
    bench.resume("vCont;c");
    let placed = bench.arbiter.assignment(CPU);
    let long = placed
        .iter()
        .position(|window| window.is_some_and(|window| window.length() == Length::Eight));
    let told = bench.debug_exception(1 << long.expect("it is placed"));
    assert_eq!(told, [format!("T05thread:p01.01;awatch:{:x};", WRITABLE + 1)]);
}

/// gdb says nothing of a read watchpoint whose bytes have changed, so a write that is told does not
/// tell of the read beside it, in whatever order they were asked for.
#[test]
fn a_read_is_told_though_another_watchpoint_tells_of_the_write_beside_it() {
    for (order, z2_first) in [([0, 8], true), ([8, 0], true), ([0, 8], false), ([8, 0], false)] {
        let mut bench = Bench::attached(4, 0);
        let packets = [format!("Z2,{WRITABLE:x},8"), format!("Z3,{WRITABLE:x},10")];
        let [first, second] = if z2_first { [0, 1] } else { [1, 0] };
        assert_eq!(bench.ask(&packets[first]), "OK");
        assert_eq!(bench.ask(&packets[second]), "OK");
        bench.resume("vCont;c");
        bench.machine.at(WRITABLE)[0] ^= 0xFF;
        let placed = bench.arbiter.assignment(CPU);
        let bits = order.map(|offset| {
            let is_there = |slot: &usize| {
                placed[*slot].is_some_and(|window| window.address() == WRITABLE + offset)
            };
            (0..4).filter(is_there).fold(0, |bits, slot| bits | 1 << slot)
        });
        let mut told = bench.debug_exceptions(&bits);
        told.extend(bench.send("vCont;c"));
        told.sort();
        let expected = [
            format!("T05thread:p01.01;rwatch:{:x};", WRITABLE + 8),
            format!("T05thread:p01.01;watch:{WRITABLE:x};"),
        ];
        assert_eq!(told, expected, "{order:?} {z2_first}");
        bench.resume("vCont;c");
    }
}

/// Two hits at once, of which one waits, and where that was.
fn with_one_that_waits() -> (Bench, u64, [String; 1]) {
    let mut bench = Bench::attached(2, 0);
    for address in [WRITABLE, WRITABLE + 64] {
        assert_eq!(bench.ask(&format!("Z2,{address:x},8")), "OK");
    }
    bench.resume("vCont;c");
    *bench.rip(CPU) += 0x10;
    let told = bench.debug_exception(0b11);
    assert_eq!(told, [format!("T05thread:p01.01;watch:{WRITABLE:x};")]);
    let place = *bench.rip(CPU);
    (bench, place, [format!("T05thread:p01.01;watch:{:x};", WRITABLE + 64)])
}

/// Also if nothing was executed since it was moved.
#[test]
fn rf_is_cleared_for_another_place_though_a_hit_was_told_there() {
    let (mut bench, place, waiting) = with_one_that_waits();
    *bench.rip(CPU) = place + 0x100;
    bench.resume("vCont;c");
    *bench.rip(CPU) += 0x10;
    bench.fault(0);
    *bench.rip(CPU) = place;
    assert_eq!(bench.send("vCont;c"), waiting);
    bench.resume("vCont;c");
    assert_eq!(bench.next, go(Motion::Continue, ResumeFlag::Clear));

    let mut bench = Bench::attached(2, 0);
    bench.resume("vCont;c");
    bench.fault(0);
    let _ = bench.session.receive(&mut bench.arbiter, &mut bench.machine, 3);
    *bench.rip(CPU) += 0x100;
    assert_eq!(bench.send("vCont;c"), ["T02thread:p01.01;"]);
    bench.resume("vCont;c");
    assert_eq!(bench.next, go(Motion::Continue, ResumeFlag::Clear));
}

/// A breakpoint on the instruction before is none on this one.
#[test]
fn a_hit_that_waits_is_told_though_there_was_a_breakpoint_right_before_it() {
    let (mut bench, place, waiting) = with_one_that_waits();
    assert_eq!(bench.ask(&format!("Z0,{:x},1", place - 1)), "OK");
    *bench.rip(CPU) = place + 0x100;
    bench.resume("vCont;c");
    *bench.rip(CPU) = place;
    assert_eq!(bench.stop(Cause::Breakpoint), ["T05thread:p01.01;swbreak:;"]);
    *bench.rip(CPU) = place;
    assert_eq!(bench.send("vCont;c"), waiting);
}

/// What was told since is not told once more, and another's hits elsewhere do not drop it.
#[test]
fn a_hit_that_waits_is_out_of_date_when_its_claim_is_hit_again() {
    for hits_again in [true, false] {
        let (mut bench, place, waiting) = with_one_that_waits();
        *bench.rip(CPU) = place + 0x100;
        bench.resume("vCont;c");
        *bench.rip(CPU) = place + 0x200;
        bench.debug_exception(if hits_again { 0b10 } else { 0b01 });
        *bench.rip(CPU) = place;
        if !hits_again {
            assert_eq!(bench.send("vCont;c"), waiting);
        }
        bench.resume("vCont;c");
    }
}
