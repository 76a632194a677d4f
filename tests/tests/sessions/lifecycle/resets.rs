//! The machine is reset from gdb, and the image that comes up is as good as new.

use anyhow::{Result, ensure};
use tetrarch_tests::qemu::OnReset;
use tetrarch_tests::{Boot, Session, under_gdb};

use super::{Places, set_everything};

/// The image has come up once more: gdb can have it, with nothing left of what was before.
fn came_up_again(session: &mut Session, places: &Places, times: usize) -> Result<()> {
    let Session { qemu, gdb } = session;
    qemu.log().wait_for_times("demo: running", times)?;
    places.only_guards(qemu)?;
    gdb.command("delete")?;
    gdb.attach(qemu)?;
    gdb.expect("watch demo::ticks", "Hardware watchpoint")?;
    gdb.expect("continue", "Old value = ")?;
    ensure!(gdb.value("demo::scratch[0]")? == "0", "memory is as it was before the reset");
    Ok(())
}

#[test]
fn kill_resets_the_machine_and_the_image_can_be_attached_to_again() -> Result<()> {
    under_gdb(Boot::new("demo")?.on_reset(OnReset::Reboot), |session| {
        let places = Places::ask(&mut session.gdb)?;
        session.gdb.command("set var demo::scratch[0] = 77")?;
        set_everything(&mut session.gdb)?;
        session.gdb.expect("kill", "[Inferior 1 (process 1) killed]")?;
        came_up_again(session, &places, 2)
    })
}

#[test]
fn monitor_reset_resets_the_machine_and_the_image_can_be_attached_to_again() -> Result<()> {
    under_gdb(Boot::new("demo")?.on_reset(OnReset::Reboot), |session| {
        let places = Places::ask(&mut session.gdb)?;
        session.gdb.command("set var demo::scratch[0] = 77")?;
        session.gdb.command("monitor reset")?;
        session.gdb.command("disconnect")?;
        came_up_again(session, &places, 2)
    })
}
