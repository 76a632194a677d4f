//! The session against a machine without hardware: every effect of a packet or an exception.

mod common;

use common::{BASE, Bench, CPU, WRITABLE, console};
use tetrarch::arbiter::{Condition, Owner, Region, Request, Verdict};
use tetrarch::bank::DebugWrite;
use tetrarch::dr::{Dr7, Length, Slot};
use tetrarch::session::{Cause, Go, Motion, Next, Overheard, ResumeFlag};
use tetrarch::target::monitor::Command;

const STEP: u32 = 1 << 14;

fn go(motion: Motion, resume_flag: ResumeFlag) -> Option<Next> {
    Some(Next::Run(Go { motion, resume_flag }))
}

#[test]
fn a_client_that_attaches_to_a_running_target_gets_its_answer_and_no_stop_reply() {
    let mut bench = Bench::new(2, 0);
    let replies = bench.running_packet("qSupported:swbreak+;hwbreak+");
    assert_eq!(replies.len(), 1);
    assert!(replies[0].starts_with("PacketSize="), "{replies:?}");
    assert_eq!(bench.next, Some(Next::Stay));
    assert_eq!(bench.ask("?"), "T02thread:01;");
}

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
    bench.machine.registers.core.rip = address as u64 + 1;
    assert_eq!(bench.stop(Cause::Breakpoint), ["T05thread:p01.01;swbreak:;"]);
    assert_eq!(bench.machine.registers.core.rip, address as u64);
    bench.resume("vCont;c");
    bench.machine.registers.core.rip = address as u64 + 9;
    assert_eq!(bench.stop(Cause::Breakpoint), ["T05thread:p01.01;"]);
    assert_eq!(bench.machine.registers.core.rip, address as u64 + 9);
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
    bench.machine.registers.core.rip = here as u64;
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
        bench.machine.registers.core.rip = (BASE + offset) as u64;
        assert_eq!(bench.debug_exception(STEP), Vec::<String>::new());
        assert_eq!(bench.next, go(Motion::Step, ResumeFlag::Keep));
    }
    bench.machine.registers.core.rip = (BASE + 8) as u64;
    assert_eq!(bench.debug_exception(STEP), ["T05thread:p01.01;"]);

    bench.machine.registers.core.rip = BASE as u64;
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
    assert_eq!(bench.monitor("why"), why);
    assert_eq!(bench.ask(&format!("M{BASE:x},1:00")), "E0e");
    assert_eq!(bench.monitor("why"), format!("memory at {BASE:#x} cannot be written\n"));
}

#[test]
fn a_new_client_inherits_nothing_and_the_guards_never_notice() {
    let mut bench = Bench::attached(2, 1);
    let region = Region::new(WRITABLE + 128, 8).expect("a region");
    let request = Request::pinned(Owner::System("guard"), region, Condition::Write);
    bench.arbiter.claim(request, |_| Verdict::Stop).expect("there is room");
    let code = BASE + 16;
    let original = bench.machine.at(code)[0];
    assert_eq!(bench.ask(&format!("Z0,{code:x},1")), "OK");
    assert_eq!(bench.ask(&format!("Z2,{WRITABLE:x},8")), "OK");
    bench.resume("vCont;c");
    bench.running_packet("qSupported:multiprocess+");
    assert_eq!(bench.machine.at(code)[0], original);
    let owners: Vec<_> = bench.arbiter.claims().map(|(_, claim)| claim.request().owner).collect();
    assert_eq!(owners, [Owner::System("guard")]);
}

#[test]
fn a_repeated_resume_does_not_stop_the_target_and_noise_does_not_wake_it() {
    let mut bench = Bench::attached(2, 0);
    bench.resume("vCont;c:p1.-1");
    assert_eq!(bench.running_packet("vCont;c:p1.-1"), Vec::<String>::new());
    assert_eq!(bench.next, go(Motion::Continue, ResumeFlag::Keep));
    let mut alone = Bench::new(2, 0);
    assert_eq!(alone.session.overhear(3), Overheard::Nothing);
}

#[test]
fn kill_restart_and_monitor_reset_reset_the_machine() {
    for (packet, replies) in [("k", vec![]), ("vKill;1", vec!["OK".to_owned()]), ("R00", vec![])] {
        let mut bench = Bench::attached(2, 0);
        assert_eq!(bench.send(packet), replies);
        assert_eq!(bench.next, Some(Next::Reset), "{packet}");
    }
    let mut bench = Bench::attached(2, 0);
    bench.monitor("reset");
    assert_eq!(bench.next, Some(Next::Reset));
}

#[test]
fn detach_lets_the_target_run_with_nothing_of_the_clients_left() {
    let mut bench = Bench::attached(2, 0);
    let code = BASE + 16;
    let original = bench.machine.at(code)[0];
    assert_eq!(bench.ask(&format!("Z0,{code:x},1")), "OK");
    assert_eq!(bench.ask(&format!("Z2,{WRITABLE:x},8")), "OK");
    assert_eq!(bench.ask("D;1"), "OK");
    assert_eq!(bench.next, go(Motion::Continue, ResumeFlag::Keep));
    assert_eq!(bench.machine.at(code)[0], original);
    assert_eq!(bench.arbiter.claims().count(), 0);
    assert_eq!(bench.arbiter.wanted(CPU).len(), 0);
    assert!(!bench.session.has_client());
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
fn bad_input_is_an_error_each_and_the_session_goes_on() {
    let mut bench = Bench::attached(2, 0);
    for packet in [
        "mffffffffffffffff,ffffffffffffffff",
        "m0,ffffffffffffffff",
        "m11111111111111111,4",
        "Z2,fffffffffffffffc,8",
        "Z2,101000,ffffffffffffffff",
        "Z0,0,1",
        "P99=00",
        "P0=00",
        "vCont;x",
        "Hg-1",
        "T-1",
        "M101000,4:00",
        "G00",
    ] {
        let reply = bench.ask(packet);
        assert!(reply.starts_with('E') && reply.len() == 3, "{packet}: {reply}");
        assert_eq!(bench.next, Some(Next::Stay), "{packet}");
    }
    assert_eq!(bench.ask("vNothing"), "");
    assert_eq!(bench.ask(&format!("m{BASE:x},2")), "0001");
}

#[test]
fn a_ctrl_c_that_crosses_a_stop_reply_is_told_at_the_next_resume() {
    let mut bench = Bench::attached(2, 0);
    bench.resume("vCont;s:p1.1;c");
    assert_eq!(bench.debug_exception(STEP), ["T05thread:p01.01;"]);
    assert_eq!(bench.session.receive(&mut bench.arbiter, &mut bench.machine, 3), Next::Stay);
    assert_eq!(bench.send("vCont;s:p1.1;c"), ["T02thread:p01.01;"]);
    assert_eq!(bench.next, Some(Next::Stay));
    bench.resume("vCont;c");
}

#[test]
fn a_client_that_comes_in_the_middle_of_a_step_is_answered_and_not_told_of_a_stop() {
    let mut bench = Bench::attached(2, 0);
    bench.resume("vCont;s:p1.1;c");
    for byte in tetrarch::link::frame(b"qSupported:multiprocess+") {
        bench.session.overhear(byte);
    }
    let replies = bench.debug_exception(STEP);
    assert_eq!(replies.len(), 1);
    assert!(replies[0].starts_with("PacketSize="), "{replies:?}");
}

#[test]
fn noise_that_happens_to_be_a_frame_does_not_stop_the_target() {
    for attached in [false, true] {
        let mut bench = Bench::attached(2, 0);
        if attached {
            bench.resume("vCont;c");
        } else {
            bench.ask("D;1");
        }
        let before = bench.next;
        let replies = bench.running_packet("");
        assert_eq!(replies.len(), usize::from(!attached), "only who does not wait is answered");
        assert_eq!(bench.next, before);
    }
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

#[test]
fn a_panic_message_that_is_too_long_is_cut_off() {
    let mut bench = Bench::attached(2, 0);
    bench.resume("vCont;c");
    let message = "x".repeat(1000);
    let replies = bench.stop(Cause::Panic(&message));
    let text = console(&replies[0][1..]);
    assert!(
        text.starts_with("tetrarch: stopped by a panic: xxxxx") && text.ends_with("x\n"),
        "{text}"
    );
    assert_eq!(replies[1..], ["T06thread:p01.01;"]);
}

#[test]
fn a_command_that_prints_too_much_is_cut_off_and_still_answered() {
    const COMMANDS: &[Command] = &[Command {
        name: "flood",
        help: "prints without end",
        run: |_, out| while out.write_str("0123456789abcdef").is_ok() {},
    }];
    let mut bench = Bench::attached(2, 0);
    bench.session.set_commands(COMMANDS);
    let printed = bench.monitor("flood");
    assert!(printed.starts_with("0123456789") && printed.ends_with("[cut]\n"), "{printed}");
    assert_eq!(bench.ask("qAttached:1"), "1");
}
