//! Two CPUs in Bochs, through the local APIC in both of its modes: QEMU has no x2APIC.

use anyhow::{Result, ensure};
use tetrarch_tests::conversation::Echo;
use tetrarch_tests::{Gdb, bochs};

use crate::smp::{have_write, same, selected, tally, threads};

#[test]
fn two_cpus_stop_and_step_as_one_machine_through_an_xapic() -> Result<()> {
    two_cpus(bochs::Boot::new("smp")?)
}

#[test]
fn two_cpus_stop_and_step_as_one_machine_through_an_x2apic() -> Result<()> {
    two_cpus(bochs::Boot::new("smp")?.argument("x2apic"))
}

fn two_cpus(boot: bochs::Boot) -> Result<()> {
    let bochs = boot.cpus(2).start()?;
    let mut gdb = Gdb::start(bochs.image(), Echo::Silent)?;
    let attached = gdb.attach_to(&bochs.address()).map(drop);
    attached
        .and_then(|()| session(&mut gdb))
        .map_err(|error| error.context(format!("{}\n{}", gdb.evidence(), bochs.evidence())))
}

fn session(gdb: &mut Gdb) -> Result<()> {
    same("threads", threads(gdb)?.len(), 2)?;
    gdb.expect("watch smp::work::shared", "Hardware watchpoint")?;
    for cpu in [1, 0, 1] {
        have_write(gdb, cpu, 1)?;
        gdb.expect("continue", "Hardware watchpoint")?;
        same("the CPU that wrote", selected(gdb)?, cpu)?;
    }
    gdb.command("delete")?;

    gdb.command("set scheduler-locking step")?;
    let before = tally(gdb)?;
    for _ in 0..20 {
        gdb.command("stepi")?;
        same("the CPU that steps", selected(gdb)?, 1)?;
    }
    same("what the other has counted", tally(gdb)?["counted-0"], before["counted-0"])?;
    gdb.command("set scheduler-locking off")?;

    // Both run on, and their guards see all that they are for.
    for cpu in [0, 1] {
        gdb.command(&format!("tbreak turn if cpu == {cpu}"))?;
        gdb.expect("continue", "Temporary breakpoint")?;
        same("the CPU, which runs again", selected(gdb)?, cpu)?;
    }
    let after = tally(gdb)?;
    same("strays", after["strays"], 0)?;
    for cpu in [0, 1] {
        let [written, seen] = ["written", "seen"].map(|name| after[&format!("{name}-{cpu}")]);
        same("writes that a guard saw", seen, written)?;
        ensure!(written > 0, "{after:?}");
    }
    gdb.expect("detach", "detached")?;
    Ok(())
}
