//! Debuggers that come, go, die and interrupt.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Result, ensure};
use tetrarch_tests::conversation::Echo;
use tetrarch_tests::{Boot, Gdb, Session, poll, under_gdb};

use super::{Places, address, set_everything};

#[test]
fn a_hundred_visits_leave_the_image_running_with_its_guards() -> Result<()> {
    under_gdb(Boot::new("demo")?, |Session { qemu, gdb }| {
        let places = Places::ask(gdb)?;
        let mut ticks = gdb.number("demo::ticks")?;
        for _ in 0..100 {
            gdb.command("tbreak step_once")?;
            gdb.expect("continue", "Temporary breakpoint")?;
            gdb.expect("detach", "[Inferior 1 (process 1) detached]")?;
            places.wait_for_turns(qemu, 1)?;
            let attached = gdb.attach(qemu)?;
            ensure!(attached.starts_with("Remote debugging using "), "{attached}");
            let now = gdb.number("demo::ticks")?;
            ensure!(now > ticks, "it stood still at {now}");
            ticks = now;
        }
        gdb.expect("detach", "[Inferior 1 (process 1) detached]")?;
        places.only_guards(qemu)
    })
}

#[test]
fn the_breakpoints_of_a_gdb_that_was_killed_are_gone_with_it() -> Result<()> {
    under_gdb(Boot::new("demo")?, |session| {
        let places = Places::ask(&mut session.gdb)?;
        let code = address(&mut session.gdb, "write_config")?;
        let original = session.qemu.monitor().memory(code, 16)?;
        for killed_while_running in [false, true] {
            let Session { qemu, gdb } = session;
            let table = gdb.command("monitor dr")?;
            set_everything(gdb)?;
            if killed_while_running {
                gdb.resume()?;
                places.wait_for_turns(qemu, 1)?;
            }
            let patched = qemu.monitor().memory(code, 16)?;
            ensure!(patched != original, "the breakpoint was not in");

            session.replace_gdb()?;
            let Session { qemu, gdb } = session;
            ensure!(qemu.monitor().memory(code, 16)? == original, "its Z0 is still in");
            ensure!(gdb.command("monitor dr")? == table, "its claims are still there");
            gdb.resume()?;
            places.only_guards(qemu)?;
            gdb.interrupt()?;
            // The guard still answers for its address.
            gdb.command("set var demo::provoke = 1")?;
            gdb.expect("continue", "tetrarch: stopped by null-guard: read/write at 0x0+8")?;
        }
        Ok(())
    })
}

#[test]
fn what_a_gdb_has_set_that_hangs_up_is_gone_at_once() -> Result<()> {
    under_gdb(Boot::new("demo")?, |session| {
        let Session { qemu, gdb } = session;
        let places = Places::ask(gdb)?;
        let code = address(gdb, "write_config")?;
        let original = qemu.monitor().memory(code, 16)?;
        set_everything(gdb)?;
        ensure!(qemu.monitor().memory(code, 16)? != original, "the breakpoint was not in");
        gdb.command("set variable provoke = 5")?;
        gdb.resume()?;
        poll::until("the breakpoint to go", || {
            Ok((qemu.monitor().memory(code, 16)? == original).then_some(()))
        })?;
        places.only_guards(qemu)?;
        session.replace_gdb()?;
        let table = session.gdb.command("monitor dr")?;
        ensure!(!table.contains("armed         0  all cpus  debugger"), "{table}");
        session.gdb.expect("monitor stop", "stopped because a debugger attached")?;
        Ok(())
    })
}

/// Numbers that are different in each run, and the same for the same seed (xorshift64).
struct Random(u64);

impl Random {
    fn seeded() -> Result<Self> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let seed = u64::try_from(now.as_nanos() & u128::from(u64::MAX))? | 1;
        println!("seed {seed}");
        Ok(Self(seed))
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

#[test]
fn ctrl_c_stops_the_image_a_hundred_times_wherever_it_is() -> Result<()> {
    under_gdb(Boot::new("demo")?, |Session { qemu, gdb }| {
        let places = Places::ask(gdb)?;
        let mut random = Random::seeded()?;
        for turn in 0..100 {
            let before = gdb.number("demo::ticks")?;
            gdb.resume()?;
            places.wait_for_turns(qemu, random.below(100_000))?;
            let output = gdb.interrupt()?;
            gdb.check("Ctrl-C", &output, "Program received signal SIGINT, Interrupt.")?;
            let after = gdb.number("demo::ticks")?;
            ensure!(after >= before, "turn {turn}: {before} before, {after} after");
            ensure!(gdb.number("demo::ticks")? == after, "turn {turn}: it has not stopped");
        }
        gdb.command("detach")?;
        places.only_guards(qemu)
    })
}

#[test]
fn two_debuggers_in_turn_do_not_see_each_others_breakpoints() -> Result<()> {
    under_gdb(Boot::new("demo")?, |Session { qemu, gdb }| {
        let table = gdb.command("monitor dr")?;
        let mut other = Gdb::start(qemu.image(), Echo::Silent)?;
        gdb.expect("watch demo::ticks", "Hardware watchpoint 1")?;
        for _ in 0..3 {
            gdb.expect("continue", "Hardware watchpoint 1: demo::ticks")?;
            // It keeps its list and takes it out of the target.
            gdb.expect("disconnect", "Ending remote debugging.")?;

            other.attach(qemu)?;
            ensure!(other.command("monitor dr")? == table, "something was left behind");
            other.expect("rwatch demo::setpoint", "Hardware read watchpoint")?;
            other.expect("continue", "Hardware read watchpoint")?;
            other.command("delete")?;
            other.expect("detach", "detached]")?;
            gdb.attach(qemu)?;
        }
        gdb.expect("continue", "Hardware watchpoint 1: demo::ticks")?;
        Ok(())
    })
}

#[test]
fn an_image_that_a_guard_has_stopped_can_be_attached_to() -> Result<()> {
    let mut qemu = Boot::new("demo")?.argument("provoke=1").start()?;
    // It has stopped by itself, with nobody there to be told.
    qemu.log().wait_for("hit ")?;
    let mut gdb = Gdb::start(qemu.image(), Echo::Silent)?;
    let attached = gdb.attach(&qemu)?;
    gdb.check("target remote", &attached, "write_through_null")?;
    gdb.expect("monitor stop", "stopped by null-guard: read/write at 0x0+8, next instruction 0x")?;
    gdb.expect("print demo::ticks", "= 1\n")?;
    let places = Places::ask(&mut gdb)?;
    gdb.resume()?;
    places.wait_for_turns(&mut qemu, 1)?;
    let output = gdb.interrupt()?;
    gdb.check("Ctrl-C", &output, "Program received signal SIGINT, Interrupt.")
}

#[test]
fn an_image_that_has_panicked_can_be_attached_to() -> Result<()> {
    let qemu = Boot::new("demo")?.argument("provoke=3").start()?;
    // It comes again if it is gone on from, so it does not matter who sees it first.
    let mut gdb = Gdb::start(qemu.image(), Echo::Silent)?;
    poll::until("the panic", || {
        gdb.attach(&qemu)?;
        let reason = gdb.command("monitor stop")?;
        gdb.expect("detach", "detached]")?;
        Ok(reason.contains("stopped by a panic: provoked (").then_some(()))
    })?;
    gdb.attach(&qemu)?;
    gdb.expect("backtrace", "control_loop")?;
    gdb.expect("print demo::ticks", "= 1\n")?;
    Ok(())
}
