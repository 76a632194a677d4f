//! The link against a line that damages, repeats and invents bytes.

extern crate std;

mod random;

use std::{string::String, vec, vec::Vec};

use gdbstub::conn::Connection;
use proptest::prelude::*;

use super::*;

type Small = Link<32, 96>;

fn framed(payload: &[u8]) -> Vec<u8> {
    frame(payload).collect()
}

/// Feeds bytes, and returns what they led to, leaving out the bytes that led to nothing.
fn feed<const P: usize, const Q: usize>(link: &mut Link<P, Q>, bytes: &[u8]) -> Vec<Received> {
    bytes
        .iter()
        .map(|byte| link.receive(*byte))
        .filter(|received| !matches!(received, Received::Nothing | Received::Unframed(_)))
        .collect()
}

/// Everything that is ready to go out, as text.
fn drain<const P: usize, const Q: usize>(link: &mut Link<P, Q>) -> String {
    let bytes: Vec<u8> = core::iter::from_fn(|| link.next_byte()).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_frame_is_framed_as_the_protocol_says() {
    assert_eq!(text(&framed(b"")), "$#00");
    assert_eq!(text(&framed(b"OK")), "$OK#9a");
    assert_eq!(text(&framed(b"vCont;c")), "$vCont;c#a8");
}

/// Both copies were waiting; the client will see one `+` and one reply.
#[test]
fn a_copy_that_is_late_is_not_answered_and_one_of_which_the_answer_was_lost_is() {
    let mut link = Small::new();
    for start in [0, 1000] {
        link.keep_time(Some(start), 100);
        assert_eq!(feed(&mut link, b"$g#67"), [Received::Packet]);
        link.send(b"OK");
        link.keep_time(Some(start + 99), 100);
        assert_eq!(feed(&mut link, b"$g#67"), []);
        assert_eq!(drain(&mut link), "+$OK#9a");
        assert_eq!(feed(&mut link, b"$g#67"), []);
        assert_eq!(drain(&mut link), "");
        // Seen, or asked for later, or something else.
        link.keep_time(Some(start + 100), 100);
        assert_eq!(feed(&mut link, b"$g#67"), [Received::Packet]);
        link.send(b"OK");
        assert_eq!(drain(&mut link), "+$OK#9a");
        assert_eq!(feed(&mut link, b"+$g#67"), [Received::Packet]);
        assert_eq!(feed(&mut link, b"$?#3f$g#67"), [Received::Packet; 2]);
        assert_eq!(drain(&mut link), "+++");
    }
    // It took long to answer, and the copy came meanwhile.
    link.keep_time(Some(5000), 100);
    assert_eq!(feed(&mut link, b"$g#67"), [Received::Packet]);
    link.answered(Some(5300));
    link.keep_time(Some(5301), 100);
    assert_eq!(feed(&mut link, b"$g#67"), []);
    link.keep_time(None, 100);
    assert_eq!(feed(&mut link, b"$g#67$g#67"), [Received::Packet; 2], "without a clock");
}

#[test]
fn what_is_outside_of_frames_and_answers_nothing_is_handed_on() {
    let mut link = Small::new();
    let unframed: Vec<Received> = b"a+\r$g#67-".iter().map(|byte| link.receive(*byte)).collect();
    let mut expected = vec![Received::Unframed(b'a'), Received::Unframed(b'+')];
    expected.extend([Received::Unframed(b'\r')].into_iter().chain([Received::Nothing; 4]));
    expected.extend([Received::Packet, Received::Unframed(b'-')]);
    assert_eq!(unframed, expected);
    drain(&mut link);
    link.send(b"OK");
    drain(&mut link);
    assert_eq!(link.receive(b'-'), Received::Nothing, "it is refused");
}

#[test]
fn what_has_begun_and_is_no_frame_can_be_had_back() {
    let mut link = Small::new();
    assert_eq!(link.abandon(), None);
    assert_eq!(feed(&mut link, b"$HOME"), []);
    assert_eq!(link.abandon(), Some(&b"HOME"[..]));
    assert_eq!(link.abandon(), None);
    assert_eq!(link.receive(b'\n'), Received::Unframed(b'\n'));
    assert_eq!(feed(&mut link, b"$g#67"), [Received::Packet]);
}

#[test]
fn a_frame_is_found_in_garbage_and_acknowledged() {
    let mut link = Small::new();
    assert_eq!(feed(&mut link, b"\0\xFFnoise#12#+$g#67"), [Received::Packet]);
    assert_eq!(link.packet(), b"g");
    assert_eq!(drain(&mut link), "+");
}

#[test]
fn a_client_that_went_in_the_middle_of_a_frame_costs_the_next_one_nothing() {
    for begun in ["$", "$g", "$g#", "$g#6"] {
        let mut link = Small::new();
        assert_eq!(feed(&mut link, begun.as_bytes()), []);
        assert_eq!(feed(&mut link, b"+$?#3f"), [Received::Packet], "{begun}");
        assert_eq!(drain(&mut link), "+", "{begun}");
    }
}

/// A break reads as a zero byte, which no checksum notices.
#[test]
fn a_frame_that_the_line_says_is_damaged_is_refused_whatever_its_checksum() {
    let mut link = Small::new();
    for damaged in 1..4 {
        for (place, byte) in b"$g#67".iter().enumerate() {
            if place == damaged {
                link.damage();
            }
            assert_eq!(link.receive(*byte), Received::Nothing);
        }
        assert_eq!(drain(&mut link), "-");
        assert_eq!(feed(&mut link, b"$g#67"), [Received::Packet], "the next one is another");
        assert_eq!(drain(&mut link), "+");
    }
    // Between frames there is nothing to damage.
    link.damage();
    assert_eq!(feed(&mut link, b"$g#67"), [Received::Packet]);
}

#[test]
fn a_checksum_may_be_written_in_capitals() {
    let mut link = Small::new();
    assert_eq!(feed(&mut link, b"$OK#9A"), [Received::Packet]);
}

#[test]
fn a_damaged_frame_is_refused() {
    for damaged in [&b"$g#68"[..], b"$f#67", b"$g#6x", b"$g#x7", b"$g##67", b"$g#-7"] {
        let mut link = Small::new();
        assert_eq!(feed(&mut link, damaged), [], "{}", text(damaged));
        assert_eq!(drain(&mut link), "-", "{}", text(damaged));
        assert_eq!(feed(&mut link, b"$g#67"), [Received::Packet], "{}", text(damaged));
    }
}

#[test]
fn a_dollar_restarts_the_frame_wherever_it_comes() {
    for torn in [&b"$m1000,"[..], b"$m1000,4#", b"$m1000,4#8", b"$"] {
        let mut link = Small::new();
        assert_eq!(feed(&mut link, torn), []);
        assert_eq!(feed(&mut link, b"$g#67"), [Received::Packet], "{}", text(torn));
        assert_eq!(link.packet(), b"g");
        assert_eq!(drain(&mut link), "+");
    }
}

#[test]
fn an_interrupt_counts_between_frames_and_where_a_frame_cannot_have_it() {
    let mut link = Small::new();
    assert_eq!(feed(&mut link, b"\x03"), [Received::Interrupt]);
    assert_eq!(feed(&mut link, &framed(b"X0,1:\x03")), [Received::Packet]);
    assert_eq!(link.packet(), b"X0,1:\x03");
    assert_eq!(feed(&mut link, b"\x03\x03"), [Received::Interrupt; 2]);
    // A noise `$` does not deafen us.
    assert_eq!(feed(&mut link, b"$\x03"), [Received::Interrupt]);
    assert_eq!(feed(&mut link, b"$m0\x03"), [Received::Interrupt]);
    // Not in the data of anything, whatever it begins with.
    assert_eq!(feed(&mut link, b"$X\x03"), [Received::Interrupt]);
    assert_eq!(feed(&mut link, b"$X0,1\x03"), [Received::Interrupt]);
    // In the place of a digit it is the client's, too, whose frame has lost its end.
    assert_eq!(feed(&mut link, b"$g#\x03"), [Received::Interrupt]);
    assert_eq!(feed(&mut link, b"$g#6\x03"), [Received::Interrupt]);
}

#[test]
fn escapes_stay_in_the_payload() {
    let mut link = Small::new();
    assert_eq!(feed(&mut link, &framed(b"X0,1:}\x03")), [Received::Packet]);
    assert_eq!(link.packet(), b"X0,1:}\x03");
}

#[test]
fn the_longest_frame_fits_and_one_more_byte_is_reported_and_acknowledged() {
    let mut link = Small::new();
    assert_eq!(feed(&mut link, &framed(&[b'a'; 28])), [Received::Packet]);
    assert_eq!(link.packet(), [b'a'; 28]);
    assert_eq!(drain(&mut link), "+");
    assert_eq!(feed(&mut link, &framed(&[b'a'; 29])), [Received::Oversized]);
    assert_eq!(drain(&mut link), "+");
    assert_eq!(feed(&mut link, &framed(&[b'a'; 200])), [Received::Oversized]);
    assert_eq!(drain(&mut link), "+");
    assert_eq!(feed(&mut link, b"$g#67"), [Received::Packet]);
    assert_eq!(link.packet(), b"g");
}

#[test]
fn a_damaged_oversized_frame_is_refused() {
    let mut link = Small::new();
    let mut bytes = framed(&[b'a'; 100]);
    bytes[50] = b'b';
    assert_eq!(feed(&mut link, &bytes), []);
    assert_eq!(drain(&mut link), "-");
}

#[test]
fn a_frame_without_an_end_does_not_hide_interrupts_for_ever() {
    let mut link = Small::new();
    assert_eq!(feed(&mut link, b"$"), []);
    assert_eq!(feed(&mut link, &[b'a'; 1000]), []);
    assert_eq!(feed(&mut link, b"\x03"), [Received::Interrupt]);
}

#[test]
fn a_frame_is_kept_until_it_is_acknowledged() {
    let mut link = Small::new();
    link.send(b"OK");
    assert_eq!(drain(&mut link), "$OK#9a");
    assert_eq!(drain(&mut link), "");
    assert!(!link.is_drained());
    assert_eq!(feed(&mut link, b"+"), []);
    assert!(link.is_drained());
    assert_eq!(drain(&mut link), "");
    assert_eq!(feed(&mut link, b"-"), [], "nothing is left to be sent again");
    assert_eq!(drain(&mut link), "");
}

#[test]
fn several_frames_go_out_one_at_a_time() {
    let mut link = Small::new();
    for payload in [b"O61", b"O62", b"O63"] {
        link.send(payload);
    }
    link.send(b"OK");
    for expected in ["$O61#b6", "$O62#b7", "$O63#b8", "$OK#9a"] {
        assert_eq!(drain(&mut link), expected);
        assert_eq!(feed(&mut link, b"-"), []);
        assert_eq!(drain(&mut link), expected, "the refused frame, not the next one");
        assert_eq!(feed(&mut link, b"+"), []);
    }
    assert!(link.is_drained());
}

#[test]
fn a_frame_is_sent_again_five_times_and_then_given_up_with_all_behind_it() {
    let mut link = Small::new();
    link.send(b"OK");
    link.send(b"O61");
    assert_eq!(drain(&mut link), "$OK#9a");
    for _ in 0..5 {
        assert_eq!(feed(&mut link, b"-"), []);
        assert_eq!(drain(&mut link), "$OK#9a");
    }
    assert_eq!(feed(&mut link, b"-"), [Received::GaveUp]);
    assert_eq!(drain(&mut link), "");
    assert!(link.is_drained());
    assert_eq!(feed(&mut link, b"$g#67"), [Received::Packet], "a new client is welcome");
}

#[test]
fn a_frame_that_is_not_acknowledged_in_time_is_sent_again_five_times_and_given_up() {
    let mut link = Small::new();
    link.send(b"OK");
    assert_eq!(link.pass_time(0, 10), Received::Nothing, "it has not left");
    for resend in 0..=5 {
        assert_eq!(drain(&mut link), "$OK#9a", "{resend}");
        let start = 100 * resend;
        for now in [start, start + 9] {
            assert_eq!(link.pass_time(now, 10), Received::Nothing);
            assert_eq!(drain(&mut link), "");
        }
        let expected = if resend == 5 { Received::GaveUp } else { Received::Nothing };
        assert_eq!(link.pass_time(start + 10, 10), expected);
    }
    assert_eq!(drain(&mut link), "");
    link.send(b"E01");
    assert_eq!(drain(&mut link), "$E01#a6");
}

/// Each frame has its own time.
#[test]
fn an_acknowledgement_in_time_keeps_a_frame_from_being_sent_again() {
    let mut link = Small::new();
    link.send(b"OK");
    link.send(b"OK");
    drain(&mut link);
    assert_eq!(link.pass_time(0, 10), Received::Nothing);
    assert_eq!(feed(&mut link, b"+"), []);
    assert_eq!(drain(&mut link), "$OK#9a");
    for now in [20, 29] {
        assert_eq!(link.pass_time(now, 10), Received::Nothing);
        assert_eq!(drain(&mut link), "");
    }
    assert_eq!(feed(&mut link, b"+"), []);
    assert_eq!(link.pass_time(99, 10), Received::Nothing);
    assert_eq!(drain(&mut link), "");
}

#[test]
fn an_acknowledgement_starts_the_count_anew() {
    let mut link = Small::new();
    for _ in 0..3 {
        link.send(b"OK");
        assert_eq!(drain(&mut link), "$OK#9a");
        assert_eq!(feed(&mut link, b"-"), []);
        assert_eq!(drain(&mut link), "$OK#9a");
        assert_eq!(feed(&mut link, b"-"), []);
        assert_eq!(drain(&mut link), "$OK#9a");
        assert_eq!(feed(&mut link, b"+"), []);
    }
}

#[test]
fn answers_count_only_while_a_frame_waits_for_one() {
    let mut link = Small::new();
    assert_eq!(feed(&mut link, b"+-+-"), []);
    link.send(b"OK");
    assert_eq!(feed(&mut link, b"+-"), [], "not begun");
    assert_eq!(link.next_byte(), Some(b'$'));
    assert_eq!(feed(&mut link, b"+-"), [], "half way");
    assert_eq!(drain(&mut link), "OK#9a");
    assert_eq!(drain(&mut link), "");
    assert_eq!(feed(&mut link, b"-"), []);
    assert_eq!(drain(&mut link), "$OK#9a");
}

#[test]
fn without_acknowledgements_frames_follow_one_another_and_a_plus_is_the_next_client() {
    let mut link = Small::new();
    assert_eq!(feed(&mut link, &framed(b"QStartNoAckMode")), [Received::Packet]);
    link.send(b"OK");
    link.stop_acknowledging();
    assert_eq!(feed(&mut link, b"+"), [], "of an earlier frame");
    assert_eq!(drain(&mut link), "+$OK#9a");
    assert_eq!(feed(&mut link, b"-"), []);
    assert_eq!(drain(&mut link), "$OK#9a", "the consent itself is kept");
    assert_eq!(feed(&mut link, b"+"), []);

    link.send(b"O61");
    link.send(b"OK");
    assert_eq!(drain(&mut link), "$O61#b6$OK#9a");
    assert!(link.is_drained());
    assert_eq!(feed(&mut link, b"-"), [], "nothing was kept");
    assert_eq!(link.pass_time(0, 1), Received::Nothing);
    assert_eq!(link.pass_time(9, 1), Received::Nothing);
    assert_eq!(feed(&mut link, b"$g#67$g#68"), [Received::Packet], "one is damaged");
    assert_eq!(drain(&mut link), "");

    assert_eq!(feed(&mut link, b"+$g#67"), [Received::Packet]);
    link.send(b"OK");
    assert_eq!(drain(&mut link), "+$OK#9a");
    assert!(!link.is_drained());
}

/// A link whose client wants no acknowledgements, and has acknowledged our consent.
fn without_acknowledgements() -> Small {
    let mut link = Small::new();
    link.set_transport(Transport::Reliable);
    assert_eq!(feed(&mut link, &framed(b"QStartNoAckMode")), [Received::Packet]);
    link.send(b"OK");
    link.stop_acknowledging();
    assert_eq!(drain(&mut link), "+$OK#9a");
    assert_eq!(feed(&mut link, b"+"), []);
    link
}

#[test]
fn without_acknowledgements_a_client_that_went_within_a_packet_costs_the_next_one_nothing() {
    for begun in ["$", "$vCont;", "$g#", "$g#6"] {
        let mut link = without_acknowledgements();
        assert_eq!(feed(&mut link, begun.as_bytes()), []);
        assert_eq!(feed(&mut link, b"+$?#3f"), [Received::Packet], "{begun}");
        assert_eq!(drain(&mut link), "+", "{begun}");
    }
}

#[test]
fn a_client_that_does_not_acknowledge_the_consent_is_understood_all_the_same() {
    let mut link = Small::new();
    assert_eq!(feed(&mut link, &framed(b"QStartNoAckMode")), [Received::Packet]);
    link.send(b"OK");
    link.stop_acknowledging();
    assert_eq!(drain(&mut link), "+$OK#9a");
    assert_eq!(feed(&mut link, b"$g#67"), [Received::Packet]);
    link.send(b"OK");
    assert_eq!(drain(&mut link), "$OK#9a");
    assert!(link.is_drained());
}

/// An acknowledgement that is late there is not lost, and what is sent twice is one too many.
#[test]
fn nothing_is_sent_again_by_time_where_nothing_is_lost() {
    let mut link = Small::new();
    link.set_transport(Transport::Reliable);
    link.send(b"OK");
    assert_eq!(drain(&mut link), "$OK#9a");
    for now in [0, 10, 20, 30, 40, 50] {
        assert_eq!(link.pass_time(now, 10), Received::Nothing);
        assert_eq!(drain(&mut link), "");
    }
    assert_eq!(link.pass_time(60, 10), Received::GaveUp);
    assert!(link.is_drained());
}

#[test]
fn an_answer_never_goes_into_a_frame() {
    let mut link = Small::new();
    link.send(b"OK");
    assert_eq!(link.next_byte(), Some(b'$'));
    assert_eq!(feed(&mut link, b"$g#68"), []);
    assert_eq!(drain(&mut link), "OK#9a-");
    assert_eq!(feed(&mut link, b"+"), [], "damage is no acknowledgement, so it waited");
    assert!(link.is_drained());
}

#[test]
fn of_many_answers_the_latest_are_given() {
    let mut link = Small::new();
    for _ in 0..10 {
        assert_eq!(feed(&mut link, b"$g#68"), []);
    }
    assert_eq!(feed(&mut link, b"$g#67"), [Received::Packet]);
    assert_eq!(drain(&mut link), "---+");
}

#[test]
fn a_new_packet_acknowledges_everything_before_it() {
    let mut link = Small::new();
    link.send(b"O61");
    link.send(b"OK");
    assert_eq!(drain(&mut link), "$O61#b6");
    assert_eq!(feed(&mut link, b"$g#67"), [Received::Packet]);
    link.send(b"E0e");
    assert_eq!(drain(&mut link), "+$E0e#da");
    assert_eq!(feed(&mut link, b"-"), []);
    assert_eq!(drain(&mut link), "$E0e#da");
}

#[test]
fn a_frame_that_was_begun_is_finished_before_it_is_forgotten() {
    let mut link = Small::new();
    link.send(b"O61");
    link.send(b"OK");
    assert_eq!(link.next_byte(), Some(b'$'));
    assert_eq!(feed(&mut link, b"$g#67"), [Received::Packet]);
    link.send(b"E0e");
    assert_eq!(drain(&mut link), "O61#b6+$E0e#da");
    assert_eq!(feed(&mut link, b"-"), []);
    assert_eq!(drain(&mut link), "$E0e#da");
}

#[test]
fn an_oversized_packet_acknowledges_too() {
    let mut link = Small::new();
    link.send(b"OK");
    assert_eq!(drain(&mut link), "$OK#9a");
    assert_eq!(feed(&mut link, &framed(&[b'a'; 64])), [Received::Oversized]);
    assert_eq!(drain(&mut link), "+");
    assert!(link.is_drained());
}

#[test]
fn a_frame_without_room_is_dropped_whole_and_remembered() {
    let mut link = Link::<32, 32>::new();
    link.send(&[b'a'; 20]);
    assert_eq!(link.overflowed(), Overflow::None);
    link.send(&[b'b'; 5]);
    assert_eq!(link.overflowed(), Overflow::FrameLost);
    assert_eq!(link.overflowed(), Overflow::None, "it is taken");
    link.send(&[b'c'; 4]);
    assert_eq!(link.overflowed(), Overflow::None, "exactly full");
    assert_eq!(drain(&mut link), text(&framed(&[b'a'; 20])));
    assert_eq!(feed(&mut link, b"+"), []);
    assert_eq!(drain(&mut link), text(&framed(&[b'c'; 4])));
}

#[test]
fn a_torn_payload_is_mended() {
    let mut link = Small::new();
    link.send(b"a#b$c");
    let sent = drain(&mut link);
    assert_eq!(sent, text(&framed(b"a}\x03b}\x04c")));
    assert_eq!(feed(&mut link, b"+"), []);
    assert!(link.is_drained());
}

#[test]
fn the_output_of_gdbstub_is_cut_into_frames() {
    let mut link = Small::new();
    let mut sink = link.sink();
    sink.write_all(b"+$O61#b6$OK#9a").unwrap();
    sink.write_all(b"$never finished").unwrap();
    assert_eq!(drain(&mut link), "$O61#b6");
    assert_eq!(feed(&mut link, b"+"), []);
    link.sink().write_all(b"+$#00").unwrap();
    assert_eq!(drain(&mut link), "$OK#9a");
    assert_eq!(feed(&mut link, b"+"), []);
    assert_eq!(drain(&mut link), "$#00");
    assert_eq!(feed(&mut link, b"+"), []);
    assert!(link.is_drained());
}

#[test]
fn a_reply_that_does_not_fit_is_dropped_whole() {
    let mut link = Link::<32, 32>::new();
    let mut sink = link.sink();
    sink.write_all(b"+").unwrap();
    sink.write_all(&framed(&[b'a'; 29])).unwrap();
    sink.write_all(b"$OK#9a").unwrap();
    assert_eq!(link.overflowed(), Overflow::FrameLost);
    assert_eq!(drain(&mut link), "$OK#9a");
}

#[test]
fn a_discarded_reply_goes_nowhere() {
    let mut sink = FrameSink::<96>::discard();
    sink.write_all(b"+$OK#9a").unwrap();
    sink.send(b"OK");
}

#[test]
fn parts_give_the_packet_and_the_place_of_its_answer() {
    let mut link = Small::new();
    assert_eq!(feed(&mut link, b"$g#67"), [Received::Packet]);
    let (packet, mut sink) = link.parts();
    sink.write_all(&framed(packet)).unwrap();
    assert_eq!(drain(&mut link), "+$g#67");
}

#[test]
fn a_link_costs_little_more_than_its_buffers() {
    assert!(size_of::<Link<1024, 2048>>() < 1024 + 2048 + 224);
}
