//! What gdb shows of threads and monitor commands, the same through MI, and the smallest image.

use anyhow::{Context, Result, ensure};
use tetrarch_tests::conversation::Echo;
use tetrarch_tests::{Boot, Gdb, Mi, Session, poll, under_gdb};

use super::Places;

#[test]
fn threads_and_their_reasons_are_listed() -> Result<()> {
    under_gdb(Boot::new("demo")?, |Session { qemu, gdb }| {
        gdb.expect("info threads", "* 1    Thread 1.1 (stopped because a debugger attached) ")?;
        let places = Places::ask(gdb)?;
        gdb.resume()?;
        places.wait_for_turns(qemu, 1)?;
        gdb.interrupt()?;
        gdb.expect("info threads", "* 1    Thread 1.1 (interrupted by the debugger) ")?;
        gdb.command("watch demo::ticks")?;
        gdb.command("continue")?;
        let reason =
            format!("* 1    Thread 1.1 (stopped by a write watchpoint at {:#x}) ", places.ticks);
        gdb.expect("info threads", &reason)?;
        Ok(())
    })
}

#[test]
fn monitor_says_what_it_can_do_and_what_it_does_not_know() -> Result<()> {
    under_gdb(Boot::new("demo")?, |Session { gdb, .. }| {
        let help = gdb.command("monitor help")?;
        let names: Vec<_> =
            help.lines().filter_map(|line| line.split_whitespace().next()).collect();
        let known = ["help", "dr", "cpus", "tasks", "why", "stop", "reset", "fail", "count"];
        ensure!(names == known, "{help}");
        for line in ["monitor nonsense", "monitor nonsense with words"] {
            let output = gdb.command(line)?;
            ensure!(output == "no such command: nonsense (try: monitor help)\n", "{output}");
        }
        let output = gdb.command("monitor why")?;
        ensure!(output == "nothing was refused in this session\n", "{output}");
        Ok(())
    })
}

#[test]
fn a_development_environment_can_watch_continue_interrupt_and_detach() -> Result<()> {
    let mut qemu = Boot::new("demo")?.start()?;
    let mut mi = Mi::attach(&qemu.image().clone(), &qemu)?;
    let watch = mi.command("-break-watch demo::ticks")?;
    ensure!(watch.field("number") == Some("1"), "{}", watch.text());
    let mut last = None;
    for _ in 0..3 {
        mi.command("-exec-continue")?;
        let stop = mi.wait_for_stop()?;
        ensure!(
            stop.field("reason") == Some("watchpoint-trigger"),
            "{}\n{}",
            stop.text(),
            mi.transcript()
        );
        let number =
            |name| -> Result<u64> { Ok(stop.field(name).context("both values")?.parse()?) };
        let (old, new) = (number("old")?, number("new")?);
        ensure!(new == old + 1 && last.is_none_or(|last| last == old), "{}", stop.text());
        last = Some(new);
    }
    mi.command("-break-delete 1")?;
    mi.command("-exec-continue")?;
    mi.command("-exec-interrupt")?;
    let stop = mi.wait_for_stop()?;
    ensure!(stop.field("signal-name") == Some("SIGINT"), "{}\n{}", stop.text(), mi.transcript());
    mi.command("-target-detach")?;
    let places = Places::ask(&mut Gdb::start(qemu.image(), Echo::Silent)?)?;
    places.only_guards(&mut qemu)
}

#[test]
fn the_smallest_image_can_be_debugged_and_left_alone() -> Result<()> {
    under_gdb(Boot::new("minimal")?, |Session { qemu, gdb }| {
        let ticks = gdb.number("&examples::interrupts::timer_ticks")?;
        gdb.expect(&format!("watch *({ticks} as *const u64)"), "Hardware watchpoint 1")?;
        let stop = gdb.expect("continue", "Hardware watchpoint 1")?;
        let value = |name: &str| -> Result<u64> {
            let line =
                stop.lines().find_map(|line| line.strip_prefix(name)).context(stop.clone())?;
            Ok(line.parse()?)
        };
        ensure!(value("New value = ")? == value("Old value = ")? + 1, "{stop}");
        gdb.command("delete")?;
        let place = gdb.number("$pc")?;
        gdb.expect("hbreak *$pc", "Hardware assisted breakpoint 2")?;
        gdb.expect("continue", "Breakpoint 2, ")?;
        ensure!(gdb.number("$pc")? == place);
        gdb.expect("detach", "detached]")?;
        let before = qemu.monitor().number(ticks)?;
        poll::until("the timer to go on", || {
            Ok((qemu.monitor().number(ticks)? > before + 2).then_some(()))
        })?;
        let armed = qemu.monitor().registers()?.armed();
        ensure!(armed == [Some(0), None, None, None], "{armed:x?}");
        Ok(())
    })
}

#[test]
fn the_smallest_image_ends_by_itself_if_it_is_told_to() -> Result<()> {
    let mut qemu = Boot::new("minimal")?.argument("turns=20").start()?;
    qemu.wait_for_success()
}
