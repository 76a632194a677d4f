//! Packets that start the machine from the beginning, and what they must find there.

use anyhow::{Result, ensure};
use tetrarch_tests::qemu::OnReset;
use tetrarch_tests::rsp::{Said, frame};
use tetrarch_tests::{Boot, Rsp, poll};

use crate::bench::{ATTACHED, Bench, stopped_in};
use crate::symbols::address;

/// Leaves a mark in memory and breakpoints behind, resets, and looks whether they are gone.
fn resets(
    bench: &mut Bench,
    times: usize,
    reset: impl FnOnce(&mut Bench) -> Result<()>,
) -> Result<()> {
    let scratch = address("scratch")?;
    let code = address("step_once")?;
    let fresh = bench.memory(scratch, 4)?;
    let original = bench.real_byte(code)?;
    let table = bench.monitor("dr")?;
    bench.expect(&format!("M{scratch:x},4:6d61726b"), "OK")?;
    bench.expect(&format!("Z0,{code:x},1"), "OK")?;
    bench.expect(&format!("Z2,{scratch:x},4"), "OK")?;
    reset(bench)?;
    bench.qemu.log().wait_for_times("demo: running", times + 1)?;
    bench.wait_for_turns()?;
    ensure!(bench.real_byte(code)? == original, "it runs with the old client's Z0");
    bench.client = Rsp::connect(&bench.qemu)?;
    bench.introduce()?;
    ensure!(bench.memory(scratch, 4)? == fresh, "memory is as it was");
    ensure!(bench.monitor("dr")? == table, "{}", bench.monitor("dr")?);
    bench.runs_on()
}

#[test]
fn every_way_to_reset_brings_the_image_up_again_ready_for_a_client() -> Result<()> {
    stopped_in(Boot::new("demo")?.on_reset(OnReset::Reboot), |bench| {
        resets(bench, 1, |bench| bench.client.send("k"))?;
        resets(bench, 2, |bench| bench.expect("vKill;1", "OK"))?;
        resets(bench, 3, |bench| bench.client.send("R00"))?;
        // What it says does not matter; without the `OK` behind it gdb waits for ever.
        resets(bench, 4, |bench| bench.monitor("reset").map(drop))
    })
}

#[test]
fn a_target_that_runs_can_be_reset_too() -> Result<()> {
    stopped_in(Boot::new("demo")?.on_reset(OnReset::Reboot), |bench| {
        resets(bench, 1, |bench| {
            let code = address("step_once")?;
            bench.expect(&format!("z0,{code:x},1"), "OK")?;
            bench.client.send("vCont;c")?;
            bench.wait_for_turns()?;
            bench.client.send("k")
        })
    })
}

#[test]
fn a_reset_that_is_malformed_or_damaged_resets_nothing() -> Result<()> {
    stopped_in(Boot::new("demo")?.on_reset(OnReset::Reboot), |bench| {
        let before = bench.state()?;
        for packet in ["kx", "R", "Rzz", "vKill", "vKill;", "vKill;2"] {
            let reply = bench.ask(packet)?;
            ensure!(reply.starts_with('E') && reply.len() == 3, "{packet}: {reply}");
        }
        for packet in ["k", "vKill;1", "R00"] {
            let mut damaged = frame(packet.as_bytes());
            damaged[1] ^= 1;
            bench.client.send_bytes(&damaged)?;
            let said = bench.client.next(poll::LIMIT)?;
            ensure!(said == Said::Refused, "{packet}: {said:?}");
        }
        ensure!(bench.state()? == before);
        bench.expect("?", ATTACHED)?;
        bench.runs_on()?;
        let boots =
            bench.qemu.log().lines().iter().filter(|line| line.contains("demo: running")).count();
        ensure!(boots == 1, "it was started {boots} times");
        Ok(())
    })
}
