//! What a client gets to see of a machine that the firmware does not open to everybody.

use tetrarch::arbiter::Region;
use tetrarch::policy::{Access, Grant, Lock, Policy, Range, Rights};
use tetrarch::session::{Cause, Motion, Next, ResumeFlag};
use tetrarch::x86_64::BLOCK_LENGTH;

use crate::bench::{BASE, Bench, CPU, WRITABLE, go};

pub const LOCKED: Policy = Policy {
    access: Access::Locked(Lock {
        check: |word| (word == b"open sesame").then_some(Grant::Open),
        delay: 100,
        patience: 1000,
    }),
    ranges: &[],
};

const READ_ONLY: Policy = Policy { access: Access::ReadOnly, ranges: &[] };

pub const HELLO: &str = "qSupported:multiprocess+;swbreak+;hwbreak+";

/// A client comes to a machine that runs.
fn attached(policy: Policy) -> Bench {
    let mut bench = Bench::new(2, 0);
    bench.session.set_policy(policy);
    let answers = bench.running_packet(HELLO);
    assert!(answers[0].starts_with("PacketSize="), "{answers:?}");
    bench
}

/// Each of these is answered by this error, and the target stays where it is.
fn denies(bench: &mut Bench, packets: &[String], error: &str) {
    for packet in packets {
        assert_eq!(bench.ask(packet), error, "{packet}");
        assert_eq!(bench.next, Some(Next::Stay), "{packet}");
    }
}

#[test]
fn a_locked_machine_shows_zeros_and_lets_nobody_in_but_by_the_word() {
    let mut bench = attached(LOCKED);
    assert_eq!(bench.ask("g"), "0".repeat(2 * BLOCK_LENGTH));
    assert_eq!(bench.ask("p10"), "0".repeat(16), "rip");
    assert_eq!(bench.ask("pffff"), "E16", "no such register");
    let memory = bench.machine.bytes.clone();
    let denied = [
        format!("m{WRITABLE:x},1"),
        format!("M{WRITABLE:x},1:ff"),
        format!("Z0,{BASE:x},1"),
        "vCont;c".into(),
        "c".into(),
        "R00".into(),
    ];
    denies(&mut bench, &denied, "E7e");
    assert_eq!(bench.machine.bytes, memory);
    assert_eq!(bench.monitor("why"), "the debugger is locked: monitor unlock WORD\n");
    assert_eq!(bench.monitor("unlock me"), "still locked: that is not the word\n");
    let too_soon = "still locked: too soon after a wrong word, this one was not looked at\n";
    assert_eq!(bench.monitor("unlock open sesame"), too_soon);

    bench.machine.now = Some(100);
    let unlocked = "unlocked; to see the registers: maintenance flush register-cache\n";
    assert_eq!(bench.monitor("unlock open sesame"), unlocked);
    assert_eq!(bench.monitor("why"), "nothing was refused in this session\n");
    assert_eq!(bench.monitor("unlock open sesame"), "nothing is locked\n");
    assert_eq!(bench.ask("p10"), "0000100000000000");
    assert_eq!(bench.ask(&format!("M{WRITABLE:x},1:ff")), "OK");
    bench.send(HELLO);
    assert_eq!(bench.ask(&format!("m{WRITABLE:x},1")), "E7e", "the next client is not this one");
}

#[test]
fn who_says_hello_again_and_again_is_sent_away_all_the_same() {
    for clock in [Some(0), None] {
        let mut bench = attached(LOCKED);
        bench.machine.now = clock;
        bench.send(HELLO);
        let mut hellos = 0;
        while bench.next == Some(Next::Stay) {
            bench.machine.now = bench.machine.now.map(|now| now + 100);
            bench.send(HELLO);
            hellos += 1;
            assert!(hellos <= 256, "{clock:?}");
        }
        assert_eq!(bench.next, go(Motion::Continue, ResumeFlag::Keep));
    }
}

#[test]
fn who_comes_instead_of_one_that_was_let_in_is_locked_out() {
    let memory = format!("m{BASE:x},1");
    // The one who was let in is gone without a word, while the machine runs.
    let mut bench = attached(LOCKED);
    assert!(bench.monitor("unlock open sesame").starts_with("unlocked"));
    bench.resume("vCont;c");
    assert_eq!(bench.running_packet(&memory), ["E7e"]);
    assert_eq!(bench.next, Some(Next::Stay));
    // Or while it is stopped: nobody has acknowledged anything for long.
    let mut bench = attached(LOCKED);
    assert!(bench.monitor("unlock open sesame").starts_with("unlocked"));
    bench.send("qC");
    for byte in tetrarch::link::frame(b"qC") {
        bench.receive(byte);
    }
    for _ in 0..20 {
        while bench.session.next_byte().is_some() {}
        bench.machine.now = bench.machine.now.map(|now| now + crate::machine::PATIENCE);
        assert_eq!(bench.pass_time(), Next::Stay);
    }
    assert_eq!(bench.ask(&memory), "E7e");
    // It was stopped for one who had the right to that.
    bench.machine.now = bench.machine.now.map(|now| now + 1000);
    assert_eq!(bench.pass_time(), Next::Stay);
}

#[test]
fn a_client_that_stays_locked_is_sent_away_and_the_machine_runs_on() {
    let mut bench = attached(LOCKED);
    let runs = go(Motion::Continue, ResumeFlag::Keep);
    bench.machine.now = Some(999);
    assert_eq!(bench.pass_time(), Next::Stay);
    bench.machine.now = Some(1000);
    assert_eq!(Some(bench.pass_time()), runs);
    assert!(!bench.session.has_client());
    // One that says something all the time is no better.
    let mut bench = attached(LOCKED);
    bench.machine.now = Some(1000);
    assert_eq!(bench.send("?"), Vec::<String>::new());
    assert_eq!((bench.next, bench.session.has_client()), (runs, false));
}

#[test]
fn a_client_that_stays_locked_does_not_wake_what_had_stopped_by_itself() {
    for leave in ["", "D;1", "k"] {
        let mut bench = Bench::new(2, 0);
        bench.session.set_policy(LOCKED);
        bench.stop(Cause::Panic("oh"));
        bench.send(HELLO);
        if leave.is_empty() {
            bench.machine.now = Some(1000);
            assert_eq!(bench.pass_time(), Next::Stay);
        } else {
            bench.send(leave);
            assert_eq!(bench.next, Some(Next::Stay), "{leave}");
        }
        assert!(!bench.session.has_client(), "{leave}");
        // The next one is asked for the word as well, and has as long.
        bench.send(HELLO);
        assert_eq!(bench.ask("m0,1"), "E7e");
        bench.monitor("unlock open sesame");
        assert_eq!(bench.ask("p10"), "0000100000000000");
    }
}

#[test]
fn detach_and_kill_of_a_locked_client_let_the_machine_run_that_was_stopped_for_it() {
    for (leave, replies) in [("D;1", vec!["OK".to_owned()]), ("k", vec![])] {
        let mut bench = attached(LOCKED);
        assert_eq!(bench.send(leave), replies);
        assert_eq!(bench.next, go(Motion::Continue, ResumeFlag::Keep), "{leave}");
    }
}

#[test]
fn who_may_look_only_can_stop_watch_and_go_on_and_changes_nothing() {
    let mut bench = attached(READ_ONLY);
    let (memory, rip) = (bench.machine.bytes.clone(), *bench.rip(CPU));
    assert_eq!(bench.ask(&format!("m{BASE:x},2")), "0001");
    assert_eq!(bench.ask(&format!("Z2,{WRITABLE:x},8")), "OK");
    assert_eq!(bench.ask(&format!("Z1,{BASE:x},1")), "OK");
    let denied = [
        format!("M{WRITABLE:x},1:ff"),
        format!("X{WRITABLE:x},1:a"),
        "P10=0000000000000000".into(),
        format!("Z0,{BASE:x},1"),
        "R00".into(),
        "vKill;1".into(),
        "qRcmd,7265736574".into(),
    ];
    denies(&mut bench, &denied, "E1e");
    let why = bench.monitor("why");
    assert!(why.starts_with("refused: the firmware lets the debugger look only"), "{why}");
    assert!(!bench.resume("vCont;c").is_empty(), "the watchpoint is armed");
    assert_eq!((bench.machine.bytes.clone(), *bench.rip(CPU)), (memory, rip));
    assert_eq!(bench.stop(Cause::Interrupt), ["T02thread:p01.01;"]);
    // It leaves: the machine is not reset.
    bench.send("k");
    assert_eq!(bench.next, go(Motion::Continue, ResumeFlag::Keep));
}

#[test]
fn what_the_firmware_forbids_is_not_touched_and_why_says_so() {
    const DEVICE: usize = WRITABLE + 0x100;
    let device = Region::new(DEVICE, 0x10).expect("it does not wrap");
    let range = Range { region: device, name: "the timer", rights: Rights::None };
    let ranges = Box::leak(Box::new([range]));
    let mut bench = attached(Policy { access: Access::Open, ranges });
    // The part in front of it, as the protocol says.
    assert_eq!(bench.ask(&format!("m{:x},8", DEVICE - 4)).len(), 8);
    assert_eq!(bench.ask(&format!("m{DEVICE:x},8")), "E01");
    assert_eq!(bench.ask(&format!("Z2,{DEVICE:x},8")), "E01");
    let why = format!(
        "refused: {DEVICE:#x} is in the timer, which the firmware does not let be looked at\n"
    );
    assert_eq!(bench.monitor("why"), why);
    let memory = bench.machine.bytes.clone();
    assert_eq!(bench.ask(&format!("M{:x},8:{}", DEVICE - 4, "ff".repeat(8))), "E01");
    assert_eq!(bench.machine.bytes, memory, "all of it or nothing");
    // A read that a person may not have asked for does not hide the reason.
    bench.ask(&format!("Z1,{:x},1", DEVICE + 8));
    bench.ask(&format!("m{DEVICE:x},1"));
    let sentence = "is in the timer, which the firmware does not let be looked at\n";
    let why =
        format!("refused: {:#x} {sentence}after that, refused: {DEVICE:#x} {sentence}", DEVICE + 8);
    assert_eq!(bench.monitor("why"), why);
}
