//! A line of which the firmware says that it loses nothing.

use anyhow::{Result, ensure};
use tetrarch_tests::{Boot, under_gdb};

use crate::support::{same, to_next_turn};

/// How many acknowledgements gdb has seen.
const ACKNOWLEDGED: &str = "Received Ack";

#[test]
fn gdb_does_without_acknowledgements_and_so_does_the_next_one() -> Result<()> {
    under_gdb(Boot::new("demo")?.argument("reliable"), |session| {
        for _ in 0..3 {
            let gdb = &mut session.gdb;
            let attached = gdb.packets();
            ensure!(attached.contains("Sending packet: $QStartNoAckMode#b0"), "{attached}");
            let before = attached.matches(ACKNOWLEDGED).count();
            to_next_turn(gdb)?;
            gdb.expect("watch ticks", "Hardware watchpoint")?;
            let start = gdb.number("ticks")?;
            for turn in 1..=20 {
                gdb.expect("continue", &format!("New value = {}", start + turn))?;
            }
            gdb.expect("monitor dr", "null-guard")?;
            gdb.command("detach")?;
            same("acknowledgements", gdb.packets().matches(ACKNOWLEDGED).count(), before)?;
            ensure!(before > 0, "the first packets are acknowledged");
            session.replace_gdb()?;
        }
        Ok(())
    })
}

#[test]
fn a_line_that_may_lose_bytes_is_acknowledged() -> Result<()> {
    under_gdb(Boot::new("demo")?, |session| {
        let attached = session.gdb.packets();
        ensure!(!attached.contains("NoAckMode"), "{attached}");
        Ok(())
    })
}
