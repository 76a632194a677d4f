//! Coming and going: attach, detach, die, interrupt, reset, and what the image has of it.
//!
//! Whether the image runs, and which registers are armed then, is asked of QEMU.

mod conversations;
mod resets;
mod visits;

use anyhow::{Result, ensure};
use tetrarch_tests::{Gdb, Qemu, poll};

/// Where the demo counts its turns, and what its guards watch.
struct Places {
    ticks: u64,
    config: u64,
}

impl Places {
    fn ask(gdb: &mut Gdb) -> Result<Self> {
        Ok(Self { ticks: address(gdb, "ticks")?, config: address(gdb, "config")? })
    }

    /// Waits until the control loop has turned `turns` times more.
    fn wait_for_turns(&self, qemu: &mut Qemu, turns: u64) -> Result<()> {
        let before = qemu.monitor().number(self.ticks)?;
        poll::until("the control loop to turn", || {
            Ok((qemu.monitor().number(self.ticks)? >= before + turns).then_some(()))
        })
    }

    /// The image runs, and exactly its guards are armed.
    fn only_guards(&self, qemu: &mut Qemu) -> Result<()> {
        self.wait_for_turns(qemu, 1)?;
        let armed = qemu.monitor().registers()?.armed();
        ensure!(armed == [Some(0), Some(self.config), None, None], "armed: {armed:x?}");
        Ok(())
    }
}

/// The address of a symbol, which needs neither a frame nor a crate's name.
fn address(gdb: &mut Gdb, symbol: &str) -> Result<u64> {
    let answer = gdb.expect(&format!("info address {symbol}"), "0x")?;
    let digits = answer.split("0x").nth(1).unwrap_or_default();
    let end = digits.find(|character: char| !character.is_ascii_hexdigit()).unwrap_or(digits.len());
    Ok(u64::from_str_radix(&digits[..end], 16)?)
}

/// Sets breakpoints of every kind, which gdb puts in at once.
fn set_everything(gdb: &mut Gdb) -> Result<()> {
    gdb.command("set breakpoint always-inserted on")?;
    gdb.expect("break write_config", "Breakpoint")?;
    gdb.expect("watch *(&demo::scratch as *const u64)", "Hardware watchpoint")?;
    gdb.expect("hbreak write_through_null", "Hardware assisted breakpoint")?;
    Ok(())
}
