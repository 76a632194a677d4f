//! A machine that stands still, or takes its time, for longer than gdb waits: nothing is lost, and
//! everything is there twice when it goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};
use serde_json::json;
use tetrarch_tests::conversation::Echo;
use tetrarch_tests::proxy::{Direction, Noise, Proxy};
use tetrarch_tests::{Boot, Gdb, Qemu, poll, under_gdb};

use crate::support::{same, to_next_turn};

/// A good line that counts the packets of gdb's.
fn counting(packets: Arc<AtomicUsize>) -> Noise {
    Box::new(move |direction, byte, arrives| {
        if direction == Direction::ToStub && byte == b'#' {
            packets.fetch_add(1, Ordering::Relaxed);
        }
        arrives.push(byte);
    })
}

/// Suspends the machine, gives a command, and lets the machine go on when gdb has sent its packet
/// twice.
fn while_suspended(
    gdb: &mut Gdb,
    qemu: &mut Qemu,
    packets: &AtomicUsize,
    command: &str,
) -> Result<String> {
    qemu.monitor().execute("stop", &json!({}))?;
    let before = packets.load(Ordering::Relaxed);
    gdb.begin(command)?;
    poll::until("gdb to repeat itself", || {
        Ok((packets.load(Ordering::Relaxed) >= before + 2).then_some(()))
    })?;
    qemu.monitor().execute("cont", &json!({}))?;
    gdb.finish()
}

#[test]
fn what_gdb_asks_of_a_suspended_machine_is_answered_once() -> Result<()> {
    let mut qemu = Boot::new("demo")?.start()?;
    let packets = Arc::new(AtomicUsize::new(0));
    let proxy = Proxy::start(qemu.address(), counting(packets.clone()))?;
    let mut gdb = Gdb::start(qemu.image(), Echo::Silent)?;
    gdb.attach_to(proxy.address())?;
    to_next_turn(&mut gdb)?;
    gdb.command("set remotetimeout 2")?;
    gdb.command("set language c")?;
    let mut session = || -> Result<()> {
        let [one, other] = [64, 128].map(|offset| format!("x/8bx (char *) &scratch + {offset}"));
        let expected = [gdb.command(&one)?, gdb.command(&other)?];
        let found = while_suspended(&mut gdb, &mut qemu, &packets, &one)?;
        // The next answers are those of the next questions.
        same("what is read", [found, gdb.command(&other)?], expected)?;
        // A step is one, too.
        let start = gdb.number("$rip")?;
        gdb.command("stepi")?;
        let first = gdb.number("$rip")?;
        gdb.command(&format!("set variable $rip = {start:#x}"))?;
        while_suspended(&mut gdb, &mut qemu, &packets, "stepi")?;
        same("after a step", gdb.number("$rip")?, first)
    };
    let done = session();
    done.with_context(|| gdb.evidence())
}

#[test]
fn a_command_that_takes_longer_than_gdb_waits_is_carried_out_once() -> Result<()> {
    under_gdb(Boot::new("demo")?, |session| {
        let gdb = &mut session.gdb;
        to_next_turn(gdb)?;
        gdb.command("set remotetimeout 2")?;
        for _ in 0..2 {
            same("what it says", gdb.command("monitor fail slow")?.as_str(), "about to fail\n")?;
            // The next answers are those of the next questions.
            gdb.expect("monitor why", "nothing was refused")?;
            let ticks = gdb.number("ticks")?;
            to_next_turn(gdb)?;
            same("ticks", gdb.number("ticks")?, ticks + 1)?;
        }
        Ok(())
    })
}
