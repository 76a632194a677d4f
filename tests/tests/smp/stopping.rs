//! The world stops, and goes on: all of it, again and again.

use anyhow::{Result, ensure};
use tetrarch_tests::under_gdb;

use crate::support::{
    CPUS, boot, order, run_until, same, tally, threads, told_armed, wait_for_armed,
};

#[test]
fn ctrl_c_stops_all_cpus_a_hundred_times() -> Result<()> {
    under_gdb(boot(4)?, |session| {
        let gdb = &mut session.gdb;
        for time in 0..100 {
            gdb.resume()?;
            let output = gdb.interrupt()?;
            ensure!(output.contains("SIGINT"), "the {time}. time: {output}");
            if time % 10 == 0 {
                let threads = threads(gdb)?;
                same("threads", threads.len() as u64, CPUS)?;
                for line in &threads {
                    ensure!(!line.contains("not responding"), "the {time}. time: {threads:#?}");
                }
                // None of them runs: what they count stands still.
                let counts = tally(gdb)?;
                same("what was counted meanwhile", tally(gdb)?, counts)?;
            }
        }
        same("hits where they do not belong", tally(gdb)?["strays"], 0)
    })
}

#[test]
fn all_cpus_go_on_after_a_detach_and_stop_for_the_next_client() -> Result<()> {
    under_gdb(boot(4)?, |session| {
        for _ in 0..5 {
            let gdb = &mut session.gdb;
            gdb.expect("watch smp::work::shared", "Hardware watchpoint")?;
            let before = tally(gdb)?;
            gdb.command("detach")?;
            session.replace_gdb()?;
            let gdb = &mut session.gdb;
            same("threads", threads(gdb)?.len() as u64, CPUS)?;
            // gdb takes longer than a CPU to count.
            let after = tally(gdb)?;
            for cpu in 0..CPUS {
                let name = format!("counted-{cpu}");
                ensure!(after[&name] > before[&name], "cpu {cpu} did not run");
            }
            same(
                "claims of the debugger's",
                gdb.command("monitor dr")?.matches("debugger\n").count(),
                0,
            )?;
        }
        Ok(())
    })
}

#[test]
fn a_cpu_that_spins_with_interrupts_off_stops_too() -> Result<()> {
    under_gdb(boot(4)?, |session| {
        let gdb = &mut session.gdb;
        order(gdb, 2, 3)?;
        run_until(gdb, 2, "cpu 2 — spinning with interrupts off")?;
        gdb.command("thread 3")?;
        gdb.expect("bt", "while_ordered")?;
        let flags = gdb.value("$eflags")?;
        ensure!(!flags.contains(" IF "), "{flags}");
        order(gdb, 2, 0)?;
        run_until(gdb, 2, "cpu 2 — counting")
    })
}

#[test]
fn the_processor_agrees_with_what_is_told_of_each_cpu() -> Result<()> {
    under_gdb(boot(4)?, |session| {
        let gdb = &mut session.gdb;
        for watch in ["smp::work::shared", "smp::hot_start"] {
            gdb.expect(&format!("watch {watch}"), "Hardware watchpoint")?;
            // It is inserted when the target goes on.
            gdb.resume()?;
            gdb.interrupt()?;
            let told: Vec<_> = (0..CPUS).map(|cpu| told_armed(gdb, cpu)).collect::<Result<_>>()?;
            for (cpu, slots) in told.iter().enumerate() {
                // Null guard, its own guard, the debugger's.
                let armed = slots.iter().flatten().count();
                ensure!(armed == 3, "cpu {cpu}: {slots:x?}");
            }
            let stopped: Vec<_> = session
                .qemu
                .monitor()
                .all_registers()?
                .iter()
                .map(|registers| registers.armed())
                .collect();
            same("armed while stopped", stopped, vec![[None; 4]; CPUS as usize])?;
            gdb.resume()?;
            wait_for_armed(session.qemu.monitor(), &told)?;
            gdb.interrupt()?;
            gdb.command("delete")?;
        }
        Ok(())
    })
}
