//! Frames: damaged, torn, refused, too long, and what lies between them.

use anyhow::{Result, ensure};
use serde_json::json;
use tetrarch_tests::poll;
use tetrarch_tests::rsp::{Said, frame};

use crate::bench::{ATTACHED, Bench, PACKET_SIZE, errno, stopped};
use crate::symbols::address;

/// The PacketSize that the stub declares, less `$`, `#` and the two digits.
const LONGEST_PAYLOAD: usize = PACKET_SIZE - 4;

/// How often a reply is sent again before the stub takes the client to be gone.
const RESENDS: usize = 5;

#[test]
fn a_frame_with_a_wrong_checksum_is_refused_and_has_no_effect() -> Result<()> {
    stopped(|bench| {
        let before = bench.state()?;
        for payload in ["vCont;c", "D;1", "k", "c", "M0,1:00"] {
            let whole = frame(payload.as_bytes());
            let digits = whole.len() - 2;
            for wrong in [whole[digits] ^ 1, b'z', b' '] {
                let mut damaged = whole.clone();
                damaged[digits] = wrong;
                bench.client.send_bytes(&damaged)?;
                bench.hear(&Said::Refused)?;
            }
            let mut damaged = whole.clone();
            damaged[1] ^= 0x20;
            bench.client.send_bytes(&damaged)?;
            bench.hear(&Said::Refused)?;
        }
        ensure!(bench.state()? == before, "a damaged frame had an effect");
        bench.expect("?", ATTACHED)?;
        bench.runs_on()
    })
}

/// It reads as a zero byte, which the checksum does not notice.
#[test]
fn a_frame_with_a_break_in_it_is_refused() -> Result<()> {
    stopped(|bench| {
        bench.client.send_bytes(b"$?#3f$?")?;
        bench.hear(&Said::Acknowledged)?;
        bench.hear(&Said::Packet(ATTACHED.into()))?;
        // It is sent again when nothing has come for a while: so all that was sent has been taken.
        bench.hear(&Said::Packet(ATTACHED.into()))?;
        bench.qemu.monitor().execute("chardev-send-break", &json!({ "id": "serial" }))?;
        bench.client.send_bytes(b"#3f")?;
        bench.hear(&Said::Refused)?;
        bench.expect("?", ATTACHED)?;
        bench.runs_on()
    })
}

#[test]
fn bytes_between_frames_mean_nothing() -> Result<()> {
    stopped(|bench| {
        let before = bench.state()?;
        let noise: Vec<u8> =
            (0..=u8::MAX).filter(|byte| !matches!(byte, 0x03 | b'$')).cycle().take(1000).collect();
        bench.client.send_bytes(&noise)?;
        bench.expect("?", ATTACHED)?;
        // What looks like a packet, without its `$`.
        bench.client.send_bytes(b"vCont;c#a8 D;1#af k#6b")?;
        bench.expect("?", ATTACHED)?;
        ensure!(bench.state()? == before, "noise had an effect");
        bench.runs_on()
    })
}

#[test]
fn a_frame_that_is_torn_off_anywhere_is_forgotten_at_the_next_one() -> Result<()> {
    stopped(|bench| {
        let before = bench.state()?;
        let whole = frame(format!("M{:x},1:ee", address("scratch")?).as_bytes());
        for length in 1..whole.len() {
            bench.client.send_bytes(&whole[..length])?;
            bench.expect("?", ATTACHED)?;
        }
        ensure!(bench.state()? == before, "a torn frame had an effect");
        bench.runs_on()
    })
}

#[test]
fn a_packet_longer_than_the_packet_size_is_an_error_and_the_longest_one_is_not() -> Result<()> {
    stopped(|bench| {
        ensure!(
            bench
                .ask("qSupported:multiprocess+;swbreak+;hwbreak+")?
                .starts_with("PacketSize=0200;")
        );
        let scratch = address("scratch")?;
        let header = |count: usize| format!("M{scratch:x},{count:x}:");
        let count = (LONGEST_PAYLOAD - header(0xff).len()) / 2;
        let longest = format!("{}{}", header(count), "5a".repeat(count));
        ensure!(LONGEST_PAYLOAD - longest.len() < 2, "{} is not the longest", longest.len());
        bench.expect(&longest, "OK")?;
        ensure!(
            bench.memory(scratch, count)? == vec![0x5A; count],
            "it was not written as a whole"
        );

        let before = bench.state()?;
        for excess in [1, 2, 3, 1000, 3000] {
            let length = LONGEST_PAYLOAD + excess;
            let mut packet = header(count + excess);
            packet.push_str(&"a".repeat(length - packet.len()));
            bench.expect(&packet, errno::TOO_LONG)?;
        }
        ensure!(bench.state()? == before, "a packet that was too long had an effect");
        bench.runs_on()
    })
}

#[test]
fn a_frame_that_never_ends_does_not_silence_ctrl_c() -> Result<()> {
    stopped(|bench| {
        bench.client.send("vCont;c")?;
        bench.wait_for_turns()?;
        bench.client.send_bytes(b"$")?;
        bench.client.send_bytes(&vec![b'a'; 20_000])?;
        bench.client.send_bytes(b"\x03")?;
        bench.hear_packet(ATTACHED)?;
        bench.runs_on()
    })
}

#[test]
fn a_refused_reply_comes_again_as_it_was_and_not_for_ever() -> Result<()> {
    stopped(|bench| {
        bench.client.send("g")?;
        let reply = bench.client.next(poll::LIMIT)?;
        ensure!(matches!(reply, Said::Packet(_)), "{reply:?}");
        for _ in 0..RESENDS {
            bench.client.send_bytes(b"-")?;
            bench.hear(&reply)?;
        }
        // Once more is once too often: what comes next is the answer to what comes next.
        bench.client.send_bytes(b"-")?;
        bench.expect("?", ATTACHED)?;
        // With nothing to send again, a refusal means nothing.
        bench.client.send_bytes(b"---")?;
        bench.expect("?", ATTACHED)?;
        bench.runs_on()
    })
}

#[test]
fn other_bytes_than_a_refusal_do_not_make_a_reply_come_again() -> Result<()> {
    stopped(|bench| {
        bench.client.send("g")?;
        bench.client.next(poll::LIMIT)?;
        bench.client.send_bytes(b"x\0\xff!*#~")?;
        bench.expect("?", ATTACHED)?;
        bench.runs_on()
    })
}

/// Lets the target run, interrupts it, and hears the stop reply without acknowledging it.
fn interrupted(bench: &mut Bench) -> Result<Said> {
    bench.client.send("vCont;c")?;
    bench.wait_for_turns()?;
    bench.client.send_bytes(b"\x03")?;
    let reply = Said::Packet(ATTACHED.to_owned());
    bench.hear(&reply)?;
    Ok(reply)
}

#[test]
fn a_stop_reply_that_is_refused_comes_again() -> Result<()> {
    stopped(|bench| {
        let reply = interrupted(bench)?;
        bench.client.send_bytes(b"-")?;
        bench.hear(&reply)?;
        bench.client.send_bytes(b"+")?;
        bench.runs_on()
    })
}

#[test]
fn a_command_that_comes_before_the_last_reply_is_acknowledged_is_answered() -> Result<()> {
    stopped(|bench| {
        for _ in 0..20 {
            bench.client.send("g")?;
            let reply = bench.client.next(poll::LIMIT)?;
            ensure!(matches!(reply, Said::Packet(_)), "{reply:?}");
            bench.expect("?", ATTACHED)?;
        }
        bench.runs_on()
    })
}

#[test]
fn commands_that_do_not_wait_for_any_reply_leave_the_last_one_answered() -> Result<()> {
    stopped(|bench| {
        let burst: Vec<u8> =
            ["g", "qC", "Hg1", "?"].iter().flat_map(|packet| frame(packet.as_bytes())).collect();
        bench.client.send_bytes(&burst)?;
        let mut acknowledged = 0;
        loop {
            match bench.client.next(poll::LIMIT)? {
                Said::Acknowledged => acknowledged += 1,
                Said::Packet(reply) if reply == ATTACHED => break,
                Said::Packet(_) => {}
                said @ (Said::Refused | Said::Garbage(_) | Said::Nothing) => {
                    anyhow::bail!("said {said:?}")
                }
            }
        }
        ensure!(acknowledged == 4, "{acknowledged} of 4 commands were acknowledged");
        bench.client.send_bytes(b"+")?;
        bench.expect("qC", "QCp1.1")?;
        bench.runs_on()
    })
}

#[test]
fn ctrl_c_on_a_stopped_target_is_kept_for_the_next_resume() -> Result<()> {
    stopped(|bench| {
        let before = bench.state()?;
        // It may have crossed a stop reply; pressed three times, it is still one wish.
        bench.client.send_bytes(b"\x03\x03\x03")?;
        bench.expect("?", ATTACHED)?;
        ensure!(bench.state()? == before, "it had an effect");
        ensure!(bench.next_stop()? == (String::new(), ATTACHED.to_owned()));
        ensure!(bench.state()? == before, "the target has run");
        bench.runs_on()
    })
}

#[test]
fn ctrl_c_pressed_again_brings_a_stop_reply_that_was_not_acknowledged() -> Result<()> {
    stopped(|bench| {
        let reply = interrupted(bench)?;
        // The client has not heard it, and its user tries again.
        bench.client.send_bytes(b"\x03\x03")?;
        bench.hear(&reply)?;
        bench.client.send_bytes(b"+")?;
        ensure!(bench.next_stop()?.1 == ATTACHED);
        bench.runs_on()
    })
}

#[test]
fn a_byte_3_inside_a_packet_is_data() -> Result<()> {
    stopped(|bench| {
        let scratch = address("scratch")?;
        let mut packet = format!("X{scratch:x},3:").into_bytes();
        packet.extend([3, b'-', 3]);
        bench.client.send_bytes(&frame(&packet))?;
        bench.hear(&Said::Acknowledged)?;
        bench.hear_packet("OK")?;
        ensure!(bench.memory(scratch, 3)? == [3, b'-', 3]);
        bench.runs_on()
    })
}
