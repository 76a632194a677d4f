//! One client after the other: what the next one finds, and what it does not.

use anyhow::{Result, bail, ensure};
use tetrarch_tests::rsp::{Said, frame};
use tetrarch_tests::{Boot, Rsp, poll};

use crate::bench::{ATTACHED, Bench, errno, silent_in, stopped};
use crate::symbols::address;

/// As a client sees it that has not said that it knows processes.
const ATTACHED_PLAINLY: &str = "T02thread:01;";

#[test]
fn a_client_that_attaches_to_a_running_target_gets_answers_and_no_stop_reply() -> Result<()> {
    silent_in(Boot::new("demo")?, |bench| {
        bench.wait_for_turns()?;
        bench.client.send_bytes(&frame(b"qSupported:multiprocess+"))?;
        bench.hear(&Said::Acknowledged)?;
        match bench.client.next(poll::LIMIT)? {
            Said::Packet(answer) => ensure!(answer.starts_with("PacketSize="), "{answer}"),
            said @ (Said::Acknowledged | Said::Refused | Said::Garbage(_) | Said::Nothing) => {
                bail!("said {said:?}")
            }
        }
        bench.client.send_bytes(b"+")?;
        bench.expect("?", ATTACHED)?;
        bench.runs_on()
    })
}

#[test]
fn any_packet_attaches_to_a_running_target() -> Result<()> {
    silent_in(Boot::new("demo")?, |bench| {
        for (packet, reply) in [
            ("?", ATTACHED_PLAINLY),
            ("qC", "QC1"),
            ("Hg0", "OK"),
            ("vNothing", ""),
            ("Hg2", "E03"),
        ] {
            bench.wait_for_turns()?;
            bench.expect(packet, reply)?;
            bench.expect("?", ATTACHED_PLAINLY)?;
            bench.expect("D", "OK")?;
        }
        bench.wait_for_turns()
    })
}

/// Sets breakpoints of every kind, has something refused, and continues.
fn use_everything(bench: &mut Bench) -> Result<()> {
    let code = address("write_config")?;
    let scratch = address("scratch")?;
    bench.expect(&format!("Z0,{code:x},1"), "OK")?;
    bench.expect(&format!("Z1,{code:x},1"), "OK")?;
    bench.expect(&format!("Z2,{scratch:x},8"), "OK")?;
    bench.expect(&format!("Z4,{:x},8", scratch + 8), errno::FULL)?;
    ensure!(bench.real_byte(code)? == 0xCC);
    let mut expected = vec![0, address("config")?, code, scratch];
    expected.sort_unstable();
    ensure!(bench.armed()? == expected);
    Ok(())
}

fn finds_nothing(bench: &mut Bench, table: &str, original: u8) -> Result<()> {
    let answer = bench.ask("qSupported:xmlRegisters=i386")?;
    ensure!(answer.starts_with("PacketSize=0200;"), "{answer}");
    ensure!(
        bench.real_byte(address("write_config")?)? == original,
        "the old client's Z0 is still there"
    );
    bench.expect("?", ATTACHED_PLAINLY)?;
    ensure!(bench.monitor("dr")? == table, "{}", bench.monitor("dr")?);
    ensure!(bench.monitor("why")? == "nothing was refused in this session\n");
    // It has not offered `hwbreak`; its predecessor had.
    let place = address("step_once")?;
    bench.expect(&format!("Z1,{place:x},1"), "OK")?;
    ensure!(bench.next_stop()?.1 == "T05thread:01;");
    Ok(())
}

#[test]
fn a_client_that_comes_without_the_old_one_leaving_inherits_nothing() -> Result<()> {
    stopped(|bench| {
        let table = bench.monitor("dr")?;
        let original = bench.real_byte(address("write_config")?)?;
        // On the same line, while the target is stopped: the old one is gone without a word.
        use_everything(bench)?;
        finds_nothing(bench, &table, original)?;
        bench.introduce()?;
        bench.runs_on()?;

        // While the target runs, on a new connection.
        use_everything(bench)?;
        bench.client.send("vCont;c")?;
        bench.wait_for_turns()?;
        bench.client = Rsp::connect(&bench.qemu)?;
        finds_nothing(bench, &table, original)?;

        // While the target is stopped, in the middle of a packet and of a reply.
        bench.introduce()?;
        bench.runs_on()?;
        use_everything(bench)?;
        bench.client.send_bytes(&frame(b"g"))?;
        bench.client.send_bytes(b"$vCont;")?;
        bench.client = Rsp::connect(&bench.qemu)?;
        bench.client.send_bytes(b"+")?;
        // First comes what the old one was told and has not read any more.
        bench.client.send_bytes(&frame(b"qSupported:xmlRegisters=i386"))?;
        poll::until("the new client's answer", || {
            let said = bench.client.next(poll::LIMIT)?;
            let answered =
                matches!(&said, Said::Packet(answer) if answer.starts_with("PacketSize="));
            Ok(answered.then_some(()))
        })?;
        bench.client.send_bytes(b"+")?;
        finds_nothing(bench, &table, original)
    })
}

#[test]
fn asking_for_the_reason_does_not_make_a_new_client() -> Result<()> {
    stopped(|bench| {
        use_everything(bench)?;
        let table = bench.monitor("dr")?;
        for _ in 0..3 {
            bench.expect("?", ATTACHED)?;
        }
        ensure!(bench.monitor("dr")? == table);
        ensure!(bench.real_byte(address("write_config")?)? == 0xCC);
        Ok(())
    })
}

#[test]
fn a_client_that_detaches_leaves_the_target_running_with_its_guards() -> Result<()> {
    stopped(|bench| {
        for packet in ["D", "D;1"] {
            let original = bench.memory(address("write_config")?, 1)?;
            use_everything(bench)?;
            bench.expect(packet, "OK")?;
            bench.wait_for_turns()?;
            let armed = bench.qemu.monitor().registers()?.armed();
            ensure!(armed == [Some(0), Some(address("config")?), None, None], "{armed:?}");
            ensure!([bench.real_byte(address("write_config")?)?] == original.as_slice());
            bench.introduce()?;
        }
        bench.expect("?", ATTACHED)
    })
}

#[test]
fn ctrl_c_without_a_client_does_not_stop_the_target() -> Result<()> {
    stopped(|bench| {
        bench.expect("D;1", "OK")?;
        bench.client.send_bytes(b"\x03\x03\x03")?;
        // A refusal shows that all before it has arrived.
        bench.client.send_bytes(b"$?#00")?;
        bench.hear(&Said::Refused)?;
        bench.wait_for_turns()?;
        let answer = bench.ask("qSupported:multiprocess+")?;
        ensure!(answer.starts_with("PacketSize="), "{answer}");
        bench.expect("?", ATTACHED)?;
        ensure!(bench.monitor("stop")? == "stopped because a debugger attached\n");
        bench.runs_on()
    })
}
