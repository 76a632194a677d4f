//! Stop replies, to the letter: the kind, and an address that the client asked for.

use anyhow::{Context, Result, ensure};
use tetrarch_tests::{Boot, Rsp, poll};

use crate::bench::{ATTACHED, Bench, silent_in, stopped, stopped_in, unguarded};
use crate::symbols::address;

const TRAP: &str = "T05thread:p01.01;";

/// Asks for a breakpoint, and gives the next stop reply after checking that `?` repeats it.
fn stop_at(bench: &mut Bench, request: &str) -> Result<String> {
    bench.expect(&format!("Z{request}"), "OK")?;
    let (console, reply) = bench.next_stop()?;
    ensure!(console.is_empty(), "{console}");
    bench.expect("?", &reply)?;
    bench.expect("?", &reply)?;
    bench.expect(&format!("z{request}"), "OK")?;
    Ok(reply)
}

#[test]
fn each_kind_of_watchpoint_is_told_by_its_word_and_address() -> Result<()> {
    stopped(|bench| {
        for (kind, variable, length, word) in [
            (2, "ticks", 8, "watch"),
            (2, "status", 4, "watch"),
            (3, "setpoint", 4, "rwatch"),
            (4, "setpoint", 4, "awatch"),
            (4, "status", 4, "awatch"),
        ] {
            let at = address(variable)?;
            let reply = stop_at(bench, &format!("{kind},{at:x},{length}"))?;
            ensure!(reply == format!("T05thread:p01.01;{word}:{at:x};"), "{variable}: {reply}");
        }
        bench.runs_on()
    })
}

#[test]
fn nothing_of_a_hit_or_a_step_is_left_in_dr6() -> Result<()> {
    /// DR6 after a reset: what must be in it whenever it is not just being read.
    const RESET: u64 = 0xFFFF_0FF0;
    stopped(|bench| {
        let ticks = address("ticks")?;
        for request in [
            format!("2,{ticks:x},8"),
            format!("4,{ticks:x},8"),
            format!("1,{:x},1", address("step_once")?),
        ] {
            stop_at(bench, &request)?;
            let status = bench.qemu.monitor().registers()?.status;
            ensure!(status == RESET, "{status:#x} after Z{request}");
            bench.client.send("vCont;s:p1.1")?;
            bench.hear_packet(TRAP)?;
            let status = bench.qemu.monitor().registers()?.status;
            ensure!(status == RESET, "{status:#x} after a step");
            bench.client.send("vCont;c")?;
            bench.wait_for_turns()?;
            let status = bench.qemu.monitor().registers()?.status;
            ensure!(status == RESET, "{status:#x} while it runs");
            bench.client.send_bytes(b"\x03")?;
            bench.hear_packet(ATTACHED)?;
        }
        Ok(())
    })
}

#[test]
fn a_region_of_two_windows_is_told_by_the_address_of_the_one_that_was_hit() -> Result<()> {
    stopped(|bench| {
        // One byte of 32 is written in each turn, so these come one after the other.
        let first = address("frame")? + 3;
        let second = first + 1;
        bench.expect(&format!("Z2,{first:x},3"), "OK")?;
        let mut told = Vec::new();
        for _ in 0..9 {
            told.push(bench.next_stop()?.1);
        }
        let word = |address: u64| format!("T05thread:p01.01;watch:{address:x};");
        // The last two bytes are one window.
        let round = [word(first), word(second), word(second)];
        let start = (0..3).find(|&start| told.iter().eq(round.iter().cycle().skip(start).take(9)));
        ensure!(start.is_some(), "{told:?}");
        bench.expect(&format!("z2,{first:x},3"), "OK")?;
        bench.runs_on()
    })
}

#[test]
fn a_read_watchpoint_says_nothing_of_writes() -> Result<()> {
    stopped_in(unguarded()?, |bench| {
        // Changed by one instruction that reads and writes, which is a write.
        let at = address("timer_ticks")?;
        bench.expect(&format!("Z3,{at:x},8"), "OK")?;
        bench.client.send("vCont;c")?;
        let before = bench.qemu.monitor().number(at)?;
        poll::until("twenty ticks of the timer", || {
            let now = bench.qemu.monitor().number(at)?;
            Ok((now >= before + 20).then_some(()))
        })?;
        bench.client.send_bytes(b"\x03")?;
        bench.hear_packet(ATTACHED)?;
        bench.expect(&format!("z3,{at:x},8"), "OK")?;
        bench.runs_on()
    })
}

#[test]
fn breakpoints_are_told_by_their_kind_at_their_address() -> Result<()> {
    stopped(|bench| {
        let at = address("step_once")?;
        for (kind, reply) in [(1, "T05thread:p01.01;hwbreak:;"), (0, "T05thread:p01.01;swbreak:;")]
        {
            // Again and again, without being hit a second time by the same instruction.
            bench.expect(&format!("Z{kind},{at:x},1"), "OK")?;
            for _ in 0..3 {
                let (console, said) = bench.next_stop()?;
                ensure!((console.as_str(), said.as_str()) == ("", reply), "{console}{said}");
                ensure!(bench.program_counter()? == at);
                if kind == 0 {
                    // gdb's way over it: out, one step, in again.
                    bench.expect(&format!("z0,{at:x},1"), "OK")?;
                    bench.client.send("vCont;s:p1.1;c")?;
                    bench.hear_packet(TRAP)?;
                    bench.expect(&format!("Z0,{at:x},1"), "OK")?;
                }
            }
            bench.expect(&format!("z{kind},{at:x},1"), "OK")?;
        }
        bench.runs_on()
    })
}

#[test]
fn a_client_is_told_no_word_that_it_has_not_offered() -> Result<()> {
    let offers = [
        ("qSupported", "T05thread:01;", "T05thread:01;"),
        ("qSupported:xmlRegisters=i386", "T05thread:01;", "T05thread:01;"),
        ("qSupported:multiprocess+", TRAP, TRAP),
        ("qSupported:swbreak+", "T05thread:01;", "T05thread:01;swbreak:;"),
        ("qSupported:hwbreak+;multiprocess-", "T05thread:01;hwbreak:;", "T05thread:01;"),
        ("qSupported:swbreak-;hwbreak-", "T05thread:01;", "T05thread:01;"),
        (
            "qSupported:swbreak+;hwbreak+;multiprocess+",
            "T05thread:p01.01;hwbreak:;",
            "T05thread:p01.01;swbreak:;",
        ),
    ];
    stopped(|bench| {
        let at = address("step_once")?;
        let ticks = address("ticks")?;
        for (offer, hardware, software) in offers {
            let answer = bench.ask(offer)?;
            ensure!(answer.starts_with("PacketSize=0200;"), "{offer}: {answer}");
            ensure!(stop_at(bench, &format!("1,{at:x},1"))? == hardware, "{offer}");
            // Off this instruction, or the software breakpoint would be at it again.
            let (watch, _) = hardware.split_once(';').context("a thread")?;
            ensure!(
                stop_at(bench, &format!("2,{ticks:x},8"))? == format!("{watch};watch:{ticks:x};"),
                "{offer}"
            );
            ensure!(stop_at(bench, &format!("0,{at:x},1"))? == software, "{offer}");
            bench.expect("D;1", "OK")?;
            // It runs; the next client stops it.
            bench.wait_for_turns()?;
        }
        Ok(())
    })
}

#[test]
fn a_guard_that_stops_says_who_it_is_before_the_stop_reply() -> Result<()> {
    stopped(|bench| {
        bench.provoke(1)?;
        let (console, reply) = bench.next_stop()?;
        let next = bench.program_counter()?;
        let text =
            format!("stopped by null-guard: read/write at 0x0+8, next instruction {next:#x}\n");
        ensure!(console == format!("tetrarch: {text}"), "{console}");
        ensure!(reply == TRAP, "{reply}");
        bench.expect("?", TRAP)?;
        ensure!(bench.monitor("stop")? == text);
        bench.runs_on()
    })
}

#[test]
fn a_fault_a_panic_and_an_nmi_say_what_they_are() -> Result<()> {
    stopped(|bench| {
        bench.client.send("vCont;c")?;
        bench.wait_for_turns()?;
        bench.qemu.monitor().human("nmi")?;
        bench.hear_console("tetrarch: stopped by an NMI\n")?;
        bench.hear_packet(ATTACHED)?;
        bench.expect("?", ATTACHED)?;

        bench.provoke(4)?;
        let (console, reply) = bench.next_stop()?;
        let unmapped = address("unmapped_page")?;
        ensure!(
            console == format!("tetrarch: stopped by a page fault at {unmapped:#x}\n"),
            "{console}"
        );
        ensure!(reply == "T0bthread:p01.01;", "{reply}");
        bench.expect("?", &reply)
    })?;
    stopped(|bench| {
        bench.provoke(3)?;
        let (console, reply) = bench.next_stop()?;
        ensure!(
            console.starts_with("tetrarch: stopped by a panic: provoked (examples/src/bin/demo/"),
            "{console}"
        );
        ensure!(reply == "T06thread:p01.01;", "{reply}");
        bench.expect("?", &reply)
    })
}

#[test]
fn a_stop_that_nobody_waited_for_is_told_when_it_is_asked_for() -> Result<()> {
    let boot = Boot::new("demo")?.argument("wait");
    silent_in(boot, |bench| {
        bench.client.send_bytes(b"+")?;
        let answer = bench.ask("qSupported:multiprocess+")?;
        ensure!(answer.starts_with("PacketSize=0200;"), "{answer}");
        bench.expect("?", TRAP)?;
        ensure!(bench.ticks()? == 0, "it has not waited");
        bench.runs_on()
    })?;
    let boot = Boot::new("demo")?.argument("provoke=1");
    silent_in(boot, |bench| {
        // It has stopped at the guard some time ago.
        bench.client = Rsp::connect(&bench.qemu)?;
        let answer = bench.ask("qSupported:multiprocess+")?;
        ensure!(answer.starts_with("PacketSize=0200;"), "{answer}");
        bench.expect("?", TRAP)?;
        ensure!(
            bench.monitor("stop")?.starts_with("stopped by null-guard: read/write at 0x0+8, next")
        );
        bench.runs_on()
    })
}
