//! Clients that come, go, repeat themselves, interrupt and send nonsense.

use tetrarch::arbiter::{Condition, Owner, Region, Request, Verdict};
use tetrarch::link::Transport;
use tetrarch::session::{Cause, Motion, Next, Overheard, ResumeFlag};
use tetrarch::target::monitor::{Command, Effect};

use crate::bench::{BASE, Bench, BenchOf, CPU, STEP, WRITABLE, console, go};
use crate::machine::PATIENCE;

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
        effect: Effect::Nothing,
        run: |_, out| while out.write_str("0123456789abcdef").is_ok() {},
    }];
    let mut bench = Bench::attached(2, 0);
    bench.session.set_commands(COMMANDS);
    let printed = bench.monitor("flood");
    assert!(printed.starts_with("0123456789") && printed.ends_with("[cut]\n"), "{printed}");
    assert_eq!(bench.ask("qAttached:1"), "1");
}

#[test]
fn a_stop_is_put_down_to_the_step_or_to_the_instruction_that_it_came_of() {
    let mut bench = Bench::attached(2, 0);
    bench.resume("vCont;s:p1.1");
    *bench.rip(CPU) += 1;
    assert_eq!(bench.debug_exception(STEP), ["T05thread:p01.01;"]);
    assert_eq!(bench.monitor("stop"), "stopped after a step\n");
    bench.resume("vCont;c");
    *bench.rip(CPU) += 1;
    assert_eq!(bench.stop(Cause::Breakpoint), ["T05thread:p01.01;"]);
    assert_eq!(bench.monitor("stop"), "stopped by a breakpoint instruction of the firmware\n");
}

#[test]
fn acknowledgements_end_where_the_transport_is_reliable_and_come_back_with_the_next_client() {
    let mut bench = Bench::attached(2, 0);
    assert_eq!(bench.ask("QStartNoAckMode"), "", "a line may lose bytes");
    bench.session.set_transport(Transport::Reliable);
    let offer = bench.ask("qSupported:swbreak+");
    assert!(offer.split(';').any(|feature| feature == "QStartNoAckMode+"), "{offer}");
    assert_eq!(bench.ask("QStartNoAckMode;1"), "E16");
    assert_eq!(bench.ask("QStartNoAckMode"), "OK");
}

#[test]
fn a_stop_that_was_given_up_is_told_when_the_client_asks_by_ctrl_c() {
    let mut bench = Bench::attached(2, 0);
    bench.resume("vCont;c");
    bench.stop_unheard(Cause::Interrupt);
    // Nothing of it arrives, however often.
    for time in 1..20 {
        while bench.session.next_byte().is_some() {}
        bench.machine.now = Some(time * PATIENCE);
        assert_eq!(bench.pass_time(), Next::Stay);
    }
    assert_eq!(bench.receive(3), Next::Stay);
    let told: Vec<u8> = std::iter::from_fn(|| bench.session.next_byte()).collect();
    assert!(told.starts_with(b"$T02thread:p01.01;"), "{told:?}");
}

/// However often it is pressed while nothing arrives.
#[test]
fn a_stop_is_told_in_the_end_however_often_ctrl_c_is_pressed() {
    for presses in 0..20 {
        let mut bench = Bench::attached(2, 0);
        bench.resume("vCont;c");
        bench.stop_unheard(Cause::Interrupt);
        for _ in 0..presses {
            while bench.session.next_byte().is_some() {}
            assert_eq!(bench.receive(3), Next::Stay);
        }
        // The line is good again.
        let mut told = Vec::new();
        for _ in 0..20 {
            bench.machine.now = bench.machine.now.map(|now| now + PATIENCE);
            assert_eq!(bench.pass_time(), Next::Stay);
            told.extend(bench.drain());
        }
        assert!(told.contains(&"T02thread:p01.01;".to_owned()), "{presses}: {told:?}");
    }
}

#[test]
fn a_new_client_looks_at_the_thread_that_has_stopped() {
    let mut bench = BenchOf::<2>::attached(2, 0);
    assert_eq!(bench.ask("Hgp1.2"), "OK");
    assert_eq!(bench.ask("Hcp1.2"), "OK");
    bench.send("qSupported:multiprocess+");
    assert_eq!(bench.ask("qC"), "QCp1.1");
    *bench.rip(CPU) = 0x1234;
    assert_eq!(bench.ask("Hg0"), "OK");
    assert_eq!(bench.ask("p10"), "3412000000000000");
}

/// Noise, or the last word of one that was sent away.
#[test]
fn without_a_client_nothing_resumes_or_resets_a_running_target() {
    let mut bench = Bench::new(2, 0);
    for packet in ["c", "s", "C05", "S05", "vCont;c", "k", "vKill;1", "R00"] {
        assert_eq!(bench.running_packet(packet), ["E16"], "{packet}");
        assert_eq!(bench.next, None, "{packet}");
        assert!(!bench.session.has_client());
    }
}
