//! What a stock gdb makes of a stub that does not let it do everything.

use anyhow::{Result, ensure};
use tetrarch_tests::conversation::Echo;
use tetrarch_tests::{Boot, Gdb, poll, under_gdb};

use crate::support::same;

/// Long enough for a test.
const PATIENT: &str = "locked=1000000";

#[test]
fn a_locked_stub_lets_gdb_attach_and_see_nothing_before_the_word() -> Result<()> {
    under_gdb(Boot::new("demo")?.argument(PATIENT), |session| {
        let gdb = &mut session.gdb;
        same("the program counter", gdb.value("/x $pc")?, "0x0".to_owned())?;
        gdb.expect("print demo::ticks", "Cannot access memory at address")?;
        gdb.expect("stepi", "")?;
        gdb.expect("hbreak control_loop", "")?;
        let output = gdb.expect("monitor dr", "monitor unlock WORD")?;
        ensure!(!output.contains("guard"), "{output}");
        gdb.expect("monitor unlock me", "that is not the word")?;
        gdb.expect("delete", "")?;
        poll::until("the delay is over", || {
            let output = gdb.command("monitor unlock sesame")?;
            Ok(output.contains("unlocked; to see the registers").then_some(()))
        })?;
        gdb.command("maintenance flush register-cache")?;
        gdb.expect("monitor dr", "config-guard")?;
        ensure!(gdb.number("$pc")? > 0x10_0000, "the image is there");
        gdb.expect("break step_once", "Breakpoint")?;
        gdb.expect("continue", "step_once")?;
        gdb.command("detach")?;
        // The next one is asked again.
        session.replace_gdb()?;
        session.gdb.expect("print demo::ticks", "Cannot access memory at address")?;
        Ok(())
    })
}

#[test]
fn gdb_that_does_not_know_the_word_is_sent_away_and_the_image_runs_on() -> Result<()> {
    let turns = 1_000_000;
    let boot = Boot::new("demo")?.argument("locked=500").argument(format!("turns={turns}"));
    let mut qemu = boot.start()?;
    let mut gdb = Gdb::start(qemu.image(), Echo::Silent)?;
    gdb.attach(&qemu)?;
    // It has neither detached nor gone.
    qemu.wait_for_success()?;
    gdb.expect("print 6 * 7", "42")?;
    Ok(())
}

#[test]
fn gdb_that_may_look_watches_and_steps_and_writes_nothing() -> Result<()> {
    under_gdb(Boot::new("demo")?.argument("read-only"), |session| {
        let gdb = &mut session.gdb;
        gdb.expect("hbreak step_once", "Hardware assisted breakpoint 1")?;
        gdb.expect("continue", "Breakpoint 1")?;
        let ticks = gdb.number("ticks")?;
        gdb.expect("set variable ticks = 0", "Cannot access memory at address")?;
        gdb.expect("monitor why", "write to memory")?;
        gdb.expect("set variable $rax = 1", "Could not write register")?;
        gdb.expect("set variable $pc = $pc + 1", "Could not write register")?;
        gdb.expect("monitor reset", "Protocol error with Rcmd")?;
        same("ticks", gdb.number("ticks")?, ticks)?;
        gdb.expect("break read_setpoint", "Breakpoint 2")?;
        gdb.expect("continue", "Cannot insert breakpoint 2")?;
        gdb.expect("monitor why", "try: hbreak")?;
        gdb.expect("delete 2", "")?;
        gdb.expect("watch status", "Hardware watchpoint 3")?;
        gdb.expect("stepi", "")?;
        gdb.expect("continue", "Breakpoint 1")?;
        same("ticks", gdb.number("ticks")?, ticks + 1)
    })
}

#[test]
fn devices_are_not_read_and_gdb_is_told_why() -> Result<()> {
    under_gdb(Boot::new("demo")?, |session| {
        let gdb = &mut session.gdb;
        gdb.command("set language c")?;
        gdb.expect("x/4wx 0xfec00000", "Cannot access memory at address 0xfec00000")?;
        gdb.expect("monitor why", "0xfec00000 is in the interrupt controllers")?;
        gdb.command("set variable *(int *) 0xfee000b0 = 0")?;
        gdb.expect("monitor why", "0xfee000b0 is in the interrupt controllers")?;
        gdb.command("watch -l *(int *) 0xfee00080")?;
        gdb.expect("continue", "Could not insert hardware watchpoint")?;
        gdb.expect("monitor why", "0xfee00080 is in the interrupt controllers")?;
        Ok(())
    })
}
