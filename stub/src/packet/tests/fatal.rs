//! Why there is a fence: what gdbstub 0.7.10 does with packets that nothing stops.
//!
//! Each of these is a packet that ends the session, resumes the target, or is taken for
//! something else. When a new gdbstub changes one of them, its test says so, and the fence
//! can be opened there.

use super::std::{string::String, vec::Vec};

use gdbstub_arch::x86::X86_64_SSE;

use super::fake::{Outcome, Resumed, Run, register_sizes, run};
use super::{LIMITS, check};
use crate::cases::one_in;
use crate::packet::{Checked, Limits};
use crate::register_file;

fn limits() -> Limits {
    let register_sizes = register_sizes::<X86_64_SSE>();
    let block = register_file::length(register_sizes);
    Limits { packet: 2048, register_sizes, block, ..LIMITS }
}

/// What gdbstub makes of a packet, having checked that it never gets it.
fn unfenced(packet: &str) -> Run {
    let limits = limits();
    let passes = match check(packet.as_bytes(), &limits) {
        Checked::Forward(checked) => checked.payload() == packet.as_bytes(),
        Checked::NewClient(checked, _) => checked.payload() == packet.as_bytes(),
        Checked::SelectThread(checked, _) => checked.payload() == packet.as_bytes(),
        Checked::StopReason
        | Checked::CurrentThread
        | Checked::StopAcknowledging
        | Checked::Kill(_)
        | Checked::Reset
        | Checked::Answer(_) => false,
    };
    assert!(!passes, "{packet} passes the fence");
    run::<X86_64_SSE>(packet.as_bytes(), &limits)
}

fn all_end_as(expected: Outcome, packets: &[&str]) {
    let wrong: Vec<_> = packets
        .iter()
        .step_by(one_in(5))
        .map(|packet| (*packet, unfenced(packet).outcome))
        .filter(|(_, outcome)| *outcome != expected)
        .collect();
    assert!(wrong.is_empty(), "expected {expected:?}: {wrong:?}");
}

fn reply(packet: &str) -> String {
    let run = unfenced(packet);
    assert_eq!(run.outcome, Outcome::Idle, "{packet}");
    String::from_utf8_lossy(&run.output).into_owned()
}

#[test]
fn numbers_wider_than_the_word_are_fatal() {
    all_end_as(
        Outcome::Fatal,
        &[
            "m10000000000000000,1",
            "m0,10000000000000000",
            "M10000000000000000,1:00",
            "X10000000000000000,1:a",
            "Z0,10000000000000000,1",
            "Z2,0,10000000000000000",
            "p10000000000000000",
            "vCont;r0,10000000000000000:1",
            "T10000000000000000",
            "qXfer:features:read:target.xml:10000000000000000,1",
        ],
    );
}

#[test]
fn malformed_packets_are_fatal() {
    all_end_as(
        Outcome::Fatal,
        &[
            "m",
            "mango",
            "m0",
            "M0,1",
            "M0,2:0z",
            "X0,1",
            "X0,1:}",
            "Z",
            "Z0,0",
            "Z100,0,1",
            "p",
            "pz",
            "P1",
            "G0z",
            "kx",
            "gx",
            "?x",
            "H",
            "Hx0",
            "Hg00",
            "Hgx",
            "Tx",
            "T00",
            "D;",
            "D;0",
            "qAttached:0",
            "vKill",
            "vKill;0",
            "qRcmdx",
            "qRcmd,zz",
            "qThreadExtraInfo",
            "qThreadExtraInfo,0",
            "qThreadExtraInfo,p0.1",
            "qXfer:features:read",
            "qXfer:features:read:target.xml:0",
            "qXfer:memory-map:read:a:0,1",
            "qfThreadInfox",
            "qSupportedx",
            "cz",
            "sz",
        ],
    );
}

#[test]
fn a_new_client_without_features_is_fatal() {
    all_end_as(Outcome::Fatal, &["qSupported", "qSupported:", "qSupported:a+;", "qSupported:;a+"]);
}

#[test]
fn registers_of_too_few_bytes_are_fatal() {
    all_end_as(Outcome::Fatal, &["G", "G00"]);
}

#[test]
fn threads_that_are_none_are_fatal() {
    all_end_as(Outcome::Fatal, &["Hg-1", "Hgp1", "Hgp1.-1", "T-1", "T0", "Tp1"]);
}

#[test]
fn odd_resume_actions_are_fatal() {
    all_end_as(
        Outcome::Fatal,
        &[
            "vCont;s",
            "vCont;s:-1",
            "vCont;s:0",
            "vCont;r0,10",
            "vCont;t:1",
            "vCont;x",
            "vCont;",
            "vCont;c;",
            "vCont;C",
            "vCont;C100",
            "vCont;r1000:1",
            "vCont;c:p0.1",
            "vCont;s:1;x",
        ],
    );
}

#[test]
fn a_resume_without_an_action_resumes_all_the_same() {
    for packet in ["vCont", "vContinue", "vCont?x", "vCont,s:1", "vCont:"] {
        let run = unfenced(packet);
        assert_eq!(run.outcome, Outcome::Running, "{packet}");
        assert_eq!(run.resumed, [Resumed::Lock, Resumed::Go], "{packet}");
    }
}

#[test]
fn letters_after_a_resume_are_an_address_that_is_ignored() {
    all_end_as(Outcome::Running, &["cafe", "c1000", "cx", "s1000"]);
}

#[test]
fn letters_after_a_detach_are_ignored() {
    all_end_as(Outcome::Disconnected, &["Dxyz", "D;2", "Da"]);
}

#[test]
fn the_leftmost_action_does_not_win() {
    let run = unfenced("vCont;c;s:1");
    assert_eq!(run.resumed, [Resumed::Step(1), Resumed::Go], "the c was for all threads");
    let run = unfenced("vCont;s:1;c:1");
    assert_eq!(run.resumed[..2], [Resumed::Step(1), Resumed::Continue(1)]);
}

#[test]
fn letters_that_are_no_digits_are_zeros() {
    assert!(reply("mx,1").ends_with("$5a#96"));
    assert!(reply("m,1").ends_with("$5a#96"), "no address at all");
    assert!(reply("Mx,1:xx").ends_with("$OK#9a"));
    assert!(reply("Z0,,").ends_with("$OK#9a"));
}

#[test]
fn counts_that_disagree_with_the_data_are_ignored() {
    assert!(reply("M0,8:00").ends_with("$OK#9a"));
    assert!(reply("X0,8:a").ends_with("$OK#9a"));
}

#[test]
fn what_follows_a_packet_is_ignored() {
    assert_eq!(reply("qAttachedToNothing"), "+$1#31");
    assert_eq!(reply("m0,1,2:3"), "+$5a#96");
    assert_eq!(reply("Hgp1.1.1"), "+$OK#9a");
    assert_eq!(reply("Z0,0,1;X3,220127"), "+$OK#9a");
}

#[test]
fn an_unknown_register_turns_single_register_access_off() {
    assert_eq!(reply("pff"), "+$#00");
    assert_eq!(reply("Pff=00"), "+$#00");
}

#[test]
fn a_long_read_makes_a_reply_longer_than_any_packet() {
    assert_eq!(reply("m0,1000").len(), "+$#00".len() + 0x2000);
}
