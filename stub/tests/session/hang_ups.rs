//! The line is hung up: a client that is known to have gone.

use tetrarch::arbiter::{Condition, Owner, Region, Request, Verdict};
use tetrarch::link::{Transport, frame};
use tetrarch::session::{Cause, Motion, Next, Overheard, ResumeFlag, Said};

use crate::bench::{BASE, Bench, CPU, WRITABLE, go};
use crate::policy::{HELLO, LOCKED};

const RUNS_ON: Option<Next> = go(Motion::Continue, ResumeFlag::Keep);

/// A client that has set something, and what was there before.
fn busy() -> (Bench, Vec<u8>) {
    let mut bench = Bench::attached(2, 1);
    let region = Region::new(WRITABLE + 128, 8).expect("a region");
    let guard = Request::pinned(Owner::System("guard"), region, Condition::Write);
    bench.arbiter.claim(guard, |_| Verdict::Stop).expect("there is room");
    let before = bench.machine.bytes.clone();
    assert_eq!(bench.ask(&format!("Z0,{:x},1", BASE + 16)), "OK");
    assert_eq!(bench.ask(&format!("Z2,{WRITABLE:x},8")), "OK");
    (bench, before)
}

/// Only what is the firmware's is left.
fn assert_is_clean(bench: &Bench, before: &[u8]) {
    assert!(!bench.session.has_client());
    assert_eq!(bench.machine.bytes, before);
    let owners: Vec<_> = bench.arbiter.claims().map(|(_, claim)| claim.request().owner).collect();
    assert_eq!(owners, [Owner::System("guard")]);
}

#[test]
fn a_running_target_runs_on_without_what_the_client_had_set() {
    let (mut bench, before) = busy();
    bench.resume("vCont;c");
    assert_eq!(bench.arbiter.wanted(CPU).len(), 2);
    bench.hang_up();
    assert_eq!(bench.next, RUNS_ON);
    assert_is_clean(&bench, &before);
    assert_eq!(bench.arbiter.wanted(CPU).len(), 1);
    assert_eq!(bench.session.say(b"hi"), Said::Raw, "it is a console");
    assert_eq!(bench.session.next_byte(), None);
    // The next one finds a machine that runs.
    bench.running_packet(HELLO);
    assert_eq!(bench.ask("?"), "T02thread:p01.01;");
}

#[test]
fn a_step_that_nobody_waits_for_any_more_goes_on() {
    let (mut bench, before) = busy();
    bench.resume("vCont;s:p1.1");
    bench.hang_up();
    assert_eq!(bench.next, RUNS_ON);
    assert_is_clean(&bench, &before);
}

#[test]
fn a_stopped_target_stays_stopped_without_what_the_client_had_set() {
    let (mut bench, before) = busy();
    // A reply is on its way.
    for byte in frame(b"qC") {
        bench.receive(byte);
    }
    assert_eq!(bench.session.next_byte(), Some(b'+'));
    assert_eq!(bench.session.next_byte(), Some(b'$'));
    bench.hang_up();
    assert_eq!(bench.next, Some(Next::Stay));
    assert_is_clean(&bench, &before);
    assert_eq!(bench.session.next_byte(), None, "nobody listens");
    assert_eq!(bench.ask("?"), "T02thread:01;", "the next one has not said anything yet");
}

#[test]
fn half_a_packet_is_forgotten_and_acknowledgements_are_back() {
    let mut bench = Bench::new(2, 0);
    bench.session.set_transport(Transport::Reliable);
    bench.running_packet(HELLO);
    assert_eq!(bench.ask("QStartNoAckMode"), "OK");
    for byte in *b"$qSup" {
        bench.receive(byte);
    }
    bench.hang_up();
    for byte in *b"ported#37" {
        bench.receive(byte);
    }
    assert_eq!(bench.session.next_byte(), None);
    for byte in frame(b"qC") {
        bench.receive(byte);
    }
    let said: Vec<u8> = std::iter::from_fn(|| bench.session.next_byte()).collect();
    assert_eq!(said, b"+$QC1#c5");
}

#[test]
fn without_a_client_nothing_happens() {
    let mut bench = Bench::new(2, 0);
    assert_eq!(bench.session.overhear_hang_up(), Overheard::Nothing);
    bench.stop(Cause::Nmi);
    bench.hang_up();
    assert_eq!(bench.next, Some(Next::Stay));
}

#[test]
fn a_packet_that_waits_to_be_answered_is_forgotten() {
    let mut bench = Bench::new(2, 0);
    let heard: Vec<_> = frame(HELLO.as_bytes()).map(|byte| bench.session.overhear(byte)).collect();
    assert_eq!(heard.last(), Some(&Overheard::Packet));
    bench.hang_up();
    assert_eq!(bench.next, RUNS_ON);
    assert_eq!(bench.session.overheard(), Overheard::Nothing);
    assert_eq!(bench.drain(), Vec::<String>::new());
}

/// Both came before anybody could act on either.
#[test]
fn what_stops_the_target_meanwhile_is_told_to_the_next_client() {
    let (mut bench, before) = busy();
    bench.resume("vCont;c");
    assert_eq!(bench.session.overhear_hang_up(), Overheard::HangUp);
    assert_eq!(bench.stop(Cause::Panic("oh")), Vec::<String>::new());
    assert_eq!(bench.next, Some(Next::Stay));
    assert_is_clean(&bench, &before);
    assert_eq!(bench.monitor("stop"), "stopped by a panic: oh\n");
}

#[test]
fn who_was_locked_out_leaves_no_stopped_target_behind_and_who_was_in_no_open_door() {
    let mut bench = Bench::new(2, 0);
    bench.session.set_policy(LOCKED);
    bench.running_packet(HELLO);
    bench.hang_up();
    assert_eq!(bench.next, RUNS_ON);
    bench.running_packet(HELLO);
    assert!(bench.monitor("unlock open sesame").starts_with("unlocked"));
    bench.hang_up();
    assert_eq!(bench.next, Some(Next::Stay));
    assert_eq!(bench.ask(&format!("m{BASE:x},1")), "E7e");
    // It had stopped by itself.
    let mut bench = Bench::new(2, 0);
    bench.session.set_policy(LOCKED);
    bench.stop(Cause::Nmi);
    bench.send(HELLO);
    bench.hang_up();
    assert_eq!(bench.next, Some(Next::Stay));
}
