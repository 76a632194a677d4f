//! The firmware claims and releases on two CPUs, while gdb does on its stops.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use tetrarch_tests::{Session, under_gdb};

use crate::support::{boot, same, tally, told_armed};

/// On each of two CPUs.
const ROUNDS: u64 = 5000;

/// As in the image.
const FREE: u64 = 0;
const HELD: u64 = 2;
const MILESTONES: u64 = 2 * ROUNDS / 100;

#[test]
fn claims_of_two_cpus_and_of_gdb_do_not_disturb_one_another() -> Result<()> {
    let boot = boot(2)?.argument(format!("rounds={ROUNDS}"));
    under_gdb(boot, |session| {
        let mut milestones = 0;
        loop {
            session.gdb.expect("watch smp::work::shared", "Hardware watchpoint")?;
            session.gdb.expect("tbreak finish", "Temporary breakpoint")?;
            // Anywhere, most often in the middle of a change.
            session.gdb.resume()?;
            let output = session.gdb.interrupt()?;
            if output.contains("finish (") {
                break;
            }
            ensure!(output.contains("SIGINT"), "{output}");
            check_banks(session)?;
            session.gdb.expect("tbreak milestone", "Temporary breakpoint")?;
            let output = session.gdb.command("continue")?;
            if output.contains("finish (") {
                break;
            }
            ensure!(output.contains("milestone ("), "{output}");
            milestones += 1;
            check_banks(session)?;
            session.gdb.command("delete")?;
        }
        // A CPU runs on when the other has stopped at one, and may pass its own; and one that was
        // stopped again before it had executed anything comes by the same one twice.
        ensure!(milestones >= MILESTONES / 2, "{milestones} milestones");
        let tally = tally(&mut session.gdb)?;
        let figures = ["churned-0", "churned-1", "wrong", "strays"].map(|name| tally[name]);
        same("rounds, and claims that were wrong", figures, [ROUNDS, ROUNDS, 0, 0])
    })
}

/// What is told of each CPU is what the firmware says that it holds, gdb's watchpoint and the null
/// guard; it is the same on both, and off in all registers.
fn check_banks(session: &mut Session) -> Result<()> {
    let gdb = &mut session.gdb;
    let told = [told_armed(gdb, 0)?, told_armed(gdb, 1)?];
    let [first, second] = told.map(|slots| slots.into_iter().flatten().collect::<BTreeSet<_>>());
    same("what is told of both", &first, &second)?;
    let mut sure = BTreeSet::from([0, gdb.number("&smp::work::shared")?]);
    let mut possible = sure.clone();
    for cpu in 0..2 {
        let word = gdb.number(&format!("&smp::churn::WORDS[{cpu}]"))?;
        match gdb.number(&format!("smp::churn::stages[{cpu}].v.value"))? {
            FREE => {}
            HELD => {
                sure.insert(word);
                possible.insert(word);
            }
            // In the middle of a call.
            _ => {
                possible.insert(word);
            }
        }
    }
    ensure!(
        first.is_superset(&sure) && first.is_subset(&possible),
        "told {first:x?}, expected at least {sure:x?}, at most {possible:x?}"
    );
    for registers in session.qemu.monitor().all_registers()? {
        same("armed while stopped", registers.armed(), [None; 4])?;
    }
    Ok(())
}
