//! Nothing resumes the target but a packet that says so, and none does it twice.

use anyhow::{Result, ensure};
use tetrarch_tests::poll::LIMIT;
use tetrarch_tests::rsp::{Said, frame};

use crate::bench::{ATTACHED, all, errno, stopped};
use crate::symbols::address;

#[test]
fn resume_packets_that_are_malformed_resume_nothing() -> Result<()> {
    let mut packets = all(
        errno::INVALID,
        &[
            "vCont",
            "vCont;",
            "vCont;;",
            "vCont:c",
            "vCont,c",
            "vCont;x",
            "vCont;t",
            "vCont;cc",
            "vCont;c1000",
            "vCont;c;",
            "vCont;c;x",
            "vCont;;c",
            "vCont;c:",
            "vCont;c:zz",
            "vCont;c:1:1",
            "vCont;s:1x",
            "vCont;C",
            "vCont;Czz",
            "vCont;C:1",
            "vCont;C100",
            "vCont;S",
            "vCont;Szz",
            "vCont;c:p1.1;s:p1.1",
            "vCont;s:1;c:1",
            "vCont;c:p0.1",
            "vCont;c:p-1.1",
            "vCont;r",
            "vCont;r1000",
            "vCont;r1000,",
            "vCont;r,1000",
            "vCont;rzz,1000:1",
            "vCont;r1000,zz:1",
            "vCont;r1000;1010:1",
            "vCont;r1000,1010,1:1",
            "c1000",
            "cc",
            "c 1",
            "C",
            "Czz",
            "C05;1000",
            "C100",
            "s1000",
            "ss",
            "S",
            "Szz",
            "S05;1000",
        ],
    );
    packets.extend(all(
        errno::NO_THREAD,
        &[
            "vCont;c:2",
            "vCont;s:p1.2",
            "vCont;s:p2.1",
            "vCont;c:ffffffffffffffff",
            "vCont;s:11111111111111111",
        ],
    ));
    packets.extend(all(
        errno::ADDRESS,
        &["vCont;r11111111111111111,1:1", "vCont;r1,11111111111111111:1"],
    ));
    stopped(|bench| bench.expect_errors(&packets))
}

#[test]
fn each_form_of_a_step_executes_one_instruction() -> Result<()> {
    stopped(|bench| {
        // The first instruction of step_once, whatever it is, and the one after it.
        let start = address("step_once")?;
        bench.expect(&format!("Z1,{start:x},1"), "OK")?;
        let mut second = None;
        for packet in
            ["vCont;s:p1.1", "vCont;s:1;c", "vCont;s", "vCont;S05:1", "s", "S05", "vCont;r0,0:1"]
        {
            bench.client.send("vCont;c")?;
            bench.hear_packet("T05thread:p01.01;hwbreak:;")?;
            ensure!(bench.program_counter()? == start);
            bench.client.send(packet)?;
            bench.hear_packet("T05thread:p01.01;")?;
            let next = bench.program_counter()?;
            ensure!((start + 1..start + 16).contains(&next), "{packet} went to {next:#x}");
            ensure!(*second.get_or_insert(next) == next, "{packet} went to {next:#x}");
        }
        bench.expect(&format!("z1,{start:x},1"), "OK")?;
        bench.runs_on()
    })
}

#[test]
fn each_form_of_a_continue_continues() -> Result<()> {
    stopped(|bench| {
        for packet in [
            "vCont;c",
            "vCont;c:1",
            "vCont;c:p1.-1",
            "vCont;c:-1",
            "vCont;C02:p1.1",
            "vCont;c;s:1",
            "c",
            "C05",
        ] {
            bench.client.send(packet)?;
            bench.wait_for_turns()?;
            bench.client.send_bytes(b"\x03")?;
            bench.hear_packet(ATTACHED)?;
        }
        Ok(())
    })
}

#[test]
fn a_continue_that_comes_again_while_the_target_runs_does_not_stop_it() -> Result<()> {
    stopped(|bench| {
        let resume = frame(b"vCont;c");
        bench.client.send_bytes(&resume)?;
        bench.hear(&Said::Acknowledged)?;
        for _ in 0..10 {
            bench.wait_for_turns()?;
            // A copy that comes sooner than a client repeats itself is not acknowledged.
            bench.client.send_bytes(&resume)?;
        }
        bench.wait_for_turns()?;
        bench.client.send_bytes(b"\x03")?;
        // The first packet since is the stop that was asked for, and it is said once.
        let mut said = bench.client.next(LIMIT)?;
        while said == Said::Acknowledged {
            said = bench.client.next(LIMIT)?;
        }
        ensure!(said == Said::Packet(ATTACHED.to_owned()), "{said:?}");
        bench.client.send_bytes(b"+")?;
        bench.expect("qC", "QCp1.1")?;
        bench.runs_on()
    })
}

#[test]
fn noise_while_the_target_runs_does_not_stop_it() -> Result<()> {
    stopped(|bench| {
        bench.client.send("vCont;c")?;
        let noise: Vec<u8> =
            (0..=u8::MAX).filter(|byte| *byte != 3 && *byte != b'$').cycle().take(2000).collect();
        bench.client.send_bytes(&noise)?;
        // A damaged frame is refused, and that is all.
        bench.client.send_bytes(b"$g#00")?;
        bench.hear(&Said::Refused)?;
        bench.wait_for_turns()?;
        bench.client.send_bytes(b"\x03")?;
        bench.hear_packet(ATTACHED)?;
        bench.runs_on()
    })
}

#[test]
fn a_packet_while_the_target_runs_stops_it_and_is_answered() -> Result<()> {
    stopped(|bench| {
        bench.client.send("vCont;c")?;
        bench.wait_for_turns()?;
        // The reply to this packet, and no stop reply before or after it.
        bench.expect("qC", "QCp1.1")?;
        bench.expect("?", ATTACHED)?;
        let before = bench.state()?;
        bench.expect("qC", "QCp1.1")?;
        ensure!(bench.state()? == before, "the target is running");
        bench.runs_on()
    })
}
