//! Software breakpoints, the flags that a resume needs, steps and faults.

use tetrarch::arbiter::{Against, Condition, Owner, Protected, Region, Request, Verdict};
use tetrarch::session::{Cause, Mishap, Motion, Overheard, ResumeFlag};
use tetrarch::text::Text;

use crate::bench::{BASE, Bench, CPU, STEP, WRITABLE, console, go};

/// Not even the bytes beside it, and gdb may look.
#[test]
fn what_the_stub_runs_on_is_not_written() {
    let mut bench = Bench::attached(2, 0);
    let region = Region::new(WRITABLE + 0x100, 0x10).expect("a region");
    let against = Against::Execute;
    bench.arbiter.protect(Protected { region, name: "the entry", against }).expect("room");
    let before = bench.machine.bytes.clone();
    for (offset, length) in [(0x100, 1), (0x10f, 1), (0xfe, 4), (0x10e, 4), (0xf0, 0x40)] {
        let bytes = "5a".repeat(length);
        let address = WRITABLE + offset;
        assert_eq!(bench.ask(&format!("M{address:x},{length:x}:{bytes}")), "E0d", "{offset:#x}");
        assert_eq!(
            bench.monitor("why"),
            format!(
                "write at {address:#x} refused: it overlaps the entry, which the stub itself runs on\n"
            )
        );
        assert_eq!(bench.ask(&format!("m{address:x},1")).len(), 2);
    }
    assert!(bench.machine.bytes == before);
    for offset in [0xff, 0x110] {
        assert_eq!(bench.ask(&format!("M{:x},1:5a", WRITABLE + offset)), "OK");
    }
}

#[test]
fn a_software_breakpoint_is_invisible_and_gone_when_it_is_taken_away() {
    let mut bench = Bench::attached(2, 0);
    let address = BASE + 16;
    let original = bench.machine.at(address)[0];
    for _ in 0..2 {
        assert_eq!(bench.ask(&format!("Z0,{address:x},1")), "OK");
        assert_eq!(bench.machine.at(address)[0], 0xCC);
        assert_eq!(bench.ask(&format!("m{address:x},1")), format!("{original:02x}"));
    }
    assert_eq!(bench.ask(&format!("z0,{address:x},1")), "OK");
    assert_eq!(bench.machine.at(address)[0], original);
    assert_eq!(bench.ask(&format!("z0,{address:x},1")), "OK");
}

#[test]
fn what_is_written_under_a_software_breakpoint_is_there_when_it_is_gone() {
    let mut bench = Bench::attached(2, 0);
    let address = WRITABLE + 16;
    assert_eq!(bench.ask(&format!("Z0,{address:x},1")), "OK");
    assert_eq!(bench.ask(&format!("M{:x},3:aabbdd", address - 1)), "OK");
    assert_eq!(bench.machine.at(address - 1)[..3], [0xAA, 0xCC, 0xDD]);
    assert_eq!(bench.ask(&format!("m{:x},3", address - 1)), "aabbdd");
    assert_eq!(bench.ask(&format!("z0,{address:x},1")), "OK");
    assert_eq!(bench.machine.at(address - 1)[..3], [0xAA, 0xBB, 0xDD]);
}

#[test]
fn an_int3_of_the_clients_is_reported_at_it_and_one_of_the_firmwares_after_it() {
    let mut bench = Bench::attached(2, 0);
    let address = BASE + 16;
    assert_eq!(bench.ask(&format!("Z0,{address:x},1")), "OK");
    bench.resume("vCont;c");
    *bench.rip(CPU) = address as u64 + 1;
    assert_eq!(bench.stop(Cause::Breakpoint), ["T05thread:p01.01;swbreak:;"]);
    assert_eq!(*bench.rip(CPU), address as u64);
    bench.resume("vCont;c");
    *bench.rip(CPU) = address as u64 + 9;
    assert_eq!(bench.stop(Cause::Breakpoint), ["T05thread:p01.01;"]);
    assert_eq!(*bench.rip(CPU), address as u64 + 9);
}

#[test]
fn a_client_that_never_offered_hwbreak_is_not_told_it() {
    let mut bench = Bench::new(2, 0);
    bench.running_packet("qSupported:multiprocess-");
    let here = BASE;
    assert_eq!(bench.ask(&format!("Z1,{here:x},1")), "OK");
    bench.resume("vCont;c");
    assert_eq!(bench.debug_exception(1), ["T05thread:01;"]);
}

#[test]
fn rf_is_set_for_a_reported_breakpoint_and_cleared_for_another_place() {
    let mut bench = Bench::attached(2, 0);
    let here = BASE;
    assert_eq!(bench.ask(&format!("Z1,{here:x},1")), "OK");
    bench.resume("vCont;c");
    assert_eq!(bench.debug_exception(1), ["T05thread:p01.01;hwbreak:;"]);
    bench.resume("vCont;c");
    assert_eq!(bench.next, go(Motion::Continue, ResumeFlag::Set));
    bench.debug_exception(1);
    assert_eq!(bench.ask("P10=0800100000000000"), "OK");
    bench.resume("vCont;c");
    assert_eq!(bench.next, go(Motion::Continue, ResumeFlag::Clear));
    // A stop for another reason at an armed breakpoint has not reported it.
    *bench.rip(CPU) = here as u64;
    assert_eq!(bench.session.overhear(3), Overheard::Interrupt);
    assert_eq!(bench.stop(Cause::Interrupt), ["T02thread:p01.01;"]);
    bench.resume("vCont;c");
    assert_eq!(bench.next, go(Motion::Continue, ResumeFlag::Keep));
}

#[test]
fn a_range_is_stepped_through_without_a_word_and_heeds_ctrl_c() {
    let mut bench = Bench::attached(2, 0);
    bench.resume(&format!("vCont;r{BASE:x},{:x}:p1.1;c", BASE + 8));
    for offset in [2, 4] {
        *bench.rip(CPU) = (BASE + offset) as u64;
        assert_eq!(bench.debug_exception(STEP), Vec::<String>::new());
        assert_eq!(bench.next, go(Motion::Step, ResumeFlag::Keep));
    }
    *bench.rip(CPU) = (BASE + 8) as u64;
    assert_eq!(bench.debug_exception(STEP), ["T05thread:p01.01;"]);

    *bench.rip(CPU) = BASE as u64;
    bench.resume(&format!("vCont;r{BASE:x},{:x}:p1.1;c", BASE + 8));
    assert_eq!(bench.session.overhear(3), Overheard::Interrupt);
    assert_eq!(bench.debug_exception(STEP), ["T02thread:p01.01;"]);
}

#[test]
fn a_sticky_bs_without_a_step_is_nobodys() {
    let mut bench = Bench::attached(2, 0);
    bench.resume("vCont;c");
    assert_eq!(bench.debug_exception(STEP), Vec::<String>::new());
    assert_eq!(bench.next, go(Motion::Continue, ResumeFlag::Keep));
}

#[test]
fn a_fault_is_named_and_shown_as_its_signal() {
    let mut bench = Bench::attached(2, 0);
    bench.resume("vCont;c");
    let replies = bench.fault(0xdead_0000);
    assert_eq!(console(&replies[0][1..]), "tetrarch: stopped by a page fault at 0xdead0000\n");
    assert_eq!(replies[1..], ["T0bthread:p01.01;"]);
}

#[test]
fn a_breakpoint_whose_page_is_gone_is_not_forgotten() {
    let mut bench = Bench::attached(2, 0);
    let address = BASE + 16;
    let original = bench.machine.at(address)[0];
    assert_eq!(bench.ask(&format!("Z0,{address:x},1")), "OK");
    let bytes = std::mem::take(&mut bench.machine.bytes);
    assert_eq!(bench.ask(&format!("z0,{address:x},1")), "E0e");
    bench.machine.bytes = bytes;
    assert_eq!(bench.ask(&format!("z0,{address:x},1")), "OK");
    assert_eq!(bench.machine.at(address)[0], original);
}

#[test]
fn code_that_the_firmware_loads_over_a_breakpoint_stays_as_it_is() {
    let mut bench = Bench::attached(2, 0);
    let address = BASE + 16;
    assert_eq!(bench.ask(&format!("Z0,{address:x},1")), "OK");
    bench.machine.at(address)[0] = 0x90;
    assert_eq!(bench.ask(&format!("m{address:x},1")), "90");
    assert_eq!(bench.ask(&format!("Z0,{address:x},1")), "OK");
    assert_eq!(bench.machine.at(address)[0], 0xCC);
    bench.machine.at(address)[0] = 0x91;
    assert_eq!(bench.ask(&format!("z0,{address:x},1")), "OK");
    assert_eq!(bench.machine.at(address)[0], 0x91);
}

/// It would come again for ever.
#[test]
fn rf_is_set_for_a_breakpoint_whose_owner_failed() {
    let mut bench = Bench::attached(2, 1);
    let here = Region::new(BASE, 1).expect("a region");
    let request = Request::pinned(Owner::System("guard"), here, Condition::Execute);
    bench.arbiter.claim(request, |_| Verdict::Continue).expect("there is room");
    bench.resume("vCont;c");
    let mishap = Mishap { what: "page fault", address: 0x1234, message: Text::new() };
    let told = bench.stop(Cause::Mishap(mishap));
    assert_eq!(
        console(&told[0][1..]),
        "tetrarch: stopped by a page fault at 0x1234 inside the stub or what it called of the firmware's\n"
    );
    bench.resume("vCont;c");
    assert_eq!(bench.next, go(Motion::Continue, ResumeFlag::Set));
}
