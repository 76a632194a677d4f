//! The two ways into an image, and the way out: own IDT entries, the image's own, hand-off.

use anyhow::{Context, Result, ensure};
use tetrarch_tests::{Boot, Qemu, poll, under_gdb};

use crate::support::{address, same, to_next_turn};

/// DR7 with nothing armed.
const OFF: u64 = 0x400;

/// An 8-byte variable of the running image, read past the stub.
fn variable(qemu: &mut Qemu, address: u64) -> Result<u64> {
    let line = qemu.monitor().human(&format!("x /1gx {address:#x}"))?;
    let digits = line.trim().rsplit_once("0x").context("QEMU reads memory")?.1;
    Ok(u64::from_str_radix(digits, 16)?)
}

#[test]
fn an_image_that_keeps_its_own_idt_is_debugged_like_any_other() -> Result<()> {
    under_gdb(Boot::new("demo")?.argument("hook"), |session| {
        let gdb = &mut session.gdb;
        to_next_turn(gdb)?;
        gdb.command("watch ticks")?;
        gdb.expect("continue", "Hardware watchpoint 2: ticks")?;
        gdb.command("delete")?;
        // A step onto a watched store, which QEMU delivers as two exceptions.
        gdb.command("watch ticks")?;
        to_next_turn(gdb)?;
        gdb.expect("next", "ticks += 1;")?;
        gdb.expect("next", "Hardware watchpoint 3: ticks")?;
        gdb.command("delete")?;
        // A fault inside the stub is the stub's, though the image's table leads faults elsewhere.
        gdb.expect("x/1gx 0x40000000", "Cannot access memory at address 0x40000000")?;
        gdb.command("set var demo::provoke = 1")?;
        gdb.expect("continue", "tetrarch: stopped by null-guard")?;
        gdb.resume()?;
        let output = gdb.interrupt()?;
        gdb.check("Ctrl-C", &output, "SIGINT")?;
        gdb.command("set var demo::provoke = 4")?;
        gdb.expect("continue", "SIGSEGV").map(drop)
    })
}

#[test]
fn after_hand_off_nothing_is_armed_and_the_image_runs_on() -> Result<()> {
    under_gdb(Boot::new("demo")?, |session| {
        let gdb = &mut session.gdb;
        to_next_turn(gdb)?;
        let ticks = address(gdb, "ticks")?;
        gdb.command("watch setpoint")?;
        gdb.command("break control_loop")?;
        gdb.command("set var demo::claim = 3")?;
        gdb.resume()?;
        session.qemu.log().wait_for("handed off")?;
        let registers = session.qemu.monitor().registers()?;
        same("DR7 after hand-off", registers.control, OFF)?;
        let before = variable(&mut session.qemu, ticks)?;
        poll::until("the image to run on", || {
            Ok((variable(&mut session.qemu, ticks)? > before + 1000).then_some(()))
        })?;
        ensure!(session.qemu.is_running()?, "the image ended");
        Ok(())
    })
}
