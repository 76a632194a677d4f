//! QEMU as the independent witness: what the debug registers really hold.
//!
//! `info registers` on QEMU's monitor is read while the image runs, so nothing that the stub
//! believes can colour it. DR7 is compared as a whole, with values worked out by hand: slot
//! *n* has its global enable bit at 2n+1 and a digit at bit 16+4n, LEN in the upper half and
//! R/W in the lower; bit 10 is always 1, bit 9 (GE) is set while anything is armed.
//!
//! | digit | 1 byte | 2 | 4 | 8 |
//! | --- | --- | --- | --- | --- |
//! | execute | 0 | | | |
//! | write | 1 | 5 | D | 9 |
//! | read/write | 3 | 7 | F | B |

use anyhow::{Context, Result};
use tetrarch_tests::monitor::Registers;
use tetrarch_tests::{Boot, Session, poll, under_gdb};

use crate::support::{Row, TOO_MANY, address, same, table, to_next_turn};

/// Nothing armed.
const OFF: u64 = 0x400;
/// Both guards, read/write in slot 0 and write in slot 1, 8 bytes each.
const GUARDS: u64 = 0x009B_060A;

fn without_guards() -> Result<Boot> {
    Ok(Boot::new("demo")?
        .argument("reserve=0,4")
        .argument("no-null-guard")
        .argument("no-config-guard"))
}

/// The registers while the image runs: read after it has done a whole turn since `before`, in
/// which it has claimed and released what it was told to, and with nothing that could bring it
/// back into the stub.
fn registers_once_past(session: &mut Session, ticks: u64, before: u64) -> Result<Registers> {
    poll::until("the image to do a turn", || {
        let line = session.qemu.monitor().human(&format!("x /1gx {ticks:#x}"))?;
        let now = line.trim().rsplit_once("0x").context("QEMU reads memory")?.1;
        Ok((u64::from_str_radix(now, 16)? > before + 1).then_some(()))
    })?;
    // While the stub takes a byte, gdb's last acknowledgement for instance, the registers are off.
    const LOOKS: usize = 50;
    let mut registers = session.qemu.monitor().registers()?;
    for _ in 1..LOOKS {
        if registers.control != OFF {
            break;
        }
        registers = session.qemu.monitor().registers()?;
    }
    Ok(registers)
}

/// Lets the image run, looks at its registers, and interrupts it again.
fn running(session: &mut Session) -> Result<Registers> {
    let ticks = address(&mut session.gdb, "ticks")?;
    let before = session.gdb.number("demo::ticks")?;
    session.gdb.resume()?;
    let registers = registers_once_past(session, ticks, before)?;
    session.gdb.interrupt()?;
    Ok(registers)
}

/// What the rows of `monitor dr` say about slot addresses; free slots say nothing.
fn addresses(rows: &[Option<Row>; 4]) -> Vec<Option<u64>> {
    rows.iter().map(|row| row.as_ref().map(|row| row.address)).collect()
}

/// Fails unless the running registers are DR7 = `control` and the addresses of the table.
fn agrees(session: &mut Session, control: u64) -> Result<()> {
    let registers = running(session)?;
    same("DR7", format!("{:#x}", registers.control), format!("{control:#x}"))?;
    let rows = table(&mut session.gdb)?;
    same("the armed addresses", registers.armed().to_vec(), addresses(&rows))
}

#[test]
fn nothing_is_armed_when_nothing_was_claimed() -> Result<()> {
    under_gdb(without_guards()?, |session| agrees(session, OFF))
}

#[test]
fn the_guards_are_armed_while_the_image_runs_and_off_while_it_is_stopped() -> Result<()> {
    under_gdb(Boot::new("demo")?, |session| {
        for _ in 0..3 {
            agrees(session, GUARDS)?;
            let stopped = session.qemu.monitor().registers()?;
            same("DR7 while stopped", stopped.control, OFF)?;
            let config = address(&mut session.gdb, "config")?;
            same("DR0 and DR1", stopped.addresses[..2].to_vec(), vec![0, config])?;
        }
        Ok(())
    })
}

#[test]
fn each_kind_and_length_has_its_encoding_in_dr7() -> Result<()> {
    // Command, size, DR7 with the guards and this one in slot 2.
    const CASES: [(&str, &str, u64); 13] = [
        ("hbreak *0x100000", "", 0x009B_062A),
        ("watch", "u8", 0x019B_062A),
        ("watch", "u16", 0x059B_062A),
        ("watch", "u32", 0x0D9B_062A),
        ("watch", "u64", 0x099B_062A),
        ("rwatch", "u8", 0x039B_062A),
        ("rwatch", "u16", 0x079B_062A),
        ("rwatch", "u32", 0x0F9B_062A),
        ("rwatch", "u64", 0x0B9B_062A),
        ("awatch", "u8", 0x039B_062A),
        ("awatch", "u16", 0x079B_062A),
        ("awatch", "u32", 0x0F9B_062A),
        ("awatch", "u64", 0x0B9B_062A),
    ];
    under_gdb(Boot::new("demo")?, |session| {
        for (command, size, control) in CASES {
            let line = match size {
                "" => command.to_owned(),
                _ => format!("{command} *(&demo::scratch as *mut {size})"),
            };
            session.gdb.command(&line)?;
            agrees(session, control).with_context(|| line.clone())?;
            session.gdb.command("delete")?;
        }
        agrees(session, GUARDS)
    })
}

#[test]
fn four_windows_fill_four_registers() -> Result<()> {
    under_gdb(without_guards()?, |session| {
        session.gdb.command("watch *(&demo::scratch[32] as *mut [u8; 32])")?;
        agrees(session, 0x9999_06AA)?;
        session.gdb.command("delete")?;
        // 1 byte at 3, 4 at 4, 4 at 8, 1 at 12.
        session.gdb.command("awatch *(&demo::scratch[3] as *mut [u8; 10])")?;
        agrees(session, 0x3FF3_06AA)?;
        session.gdb.command("delete")?;
        agrees(session, OFF)
    })
}

#[test]
fn a_refused_claim_leaves_the_registers_alone() -> Result<()> {
    under_gdb(Boot::new("demo")?, |session| {
        session.gdb.command("watch *(&demo::scratch[0] as *mut u64)")?;
        session.gdb.command("watch *(&demo::scratch[8] as *mut u32)")?;
        let before = running(session)?;
        same("DR7", before.control, 0xD99B_06AA)?;
        session.gdb.command("set breakpoint always-inserted on")?;
        session.gdb.expect("hbreak step_once", TOO_MANY)?;
        session.gdb.command("delete 3")?;
        let after = running(session)?;
        same("DR0 to DR3", after.addresses, before.addresses)?;
        same("DR7", after.control, before.control)
    })
}

#[test]
fn what_is_taken_out_and_put_back_stays_in_its_register() -> Result<()> {
    under_gdb(Boot::new("demo")?, |session| {
        session.gdb.command("watch *(&demo::scratch[0] as *mut u64)")?;
        session.gdb.command("awatch *(&demo::scratch[8] as *mut u32)")?;
        let before = running(session)?;
        // gdb now puts them back in the other order.
        session.gdb.command("delete 1")?;
        session.gdb.command("watch *(&demo::scratch[0] as *mut u64)")?;
        let after = running(session)?;
        same("DR0 to DR3", after.addresses, before.addresses)?;
        same("DR7", after.control, before.control)?;
        same("DR7", after.control, 0xF99B_06AA)
    })
}

#[test]
fn a_watchpoint_deleted_at_its_own_stop_leaves_its_register() -> Result<()> {
    under_gdb(Boot::new("demo")?, |session| {
        to_next_turn(&mut session.gdb)?;
        session.gdb.command("watch ticks")?;
        session.gdb.expect("continue", "Old value")?;
        session.gdb.command("delete")?;
        agrees(session, GUARDS)?;
        session.gdb.command("hbreak *0x100000")?;
        agrees(session, 0x009B_062A)
    })
}

#[test]
fn the_firmware_arms_and_disarms_on_its_own() -> Result<()> {
    under_gdb(Boot::new("demo")?, |session| {
        agrees(session, GUARDS)?;
        session.gdb.command("set var demo::claim = 2")?;
        to_next_turn(&mut session.gdb)?;
        agrees(session, 0x000B_0602)?;
        session.gdb.command("set var demo::claim = 1")?;
        to_next_turn(&mut session.gdb)?;
        agrees(session, GUARDS)
    })
}

#[test]
fn after_detach_only_the_guards_are_left() -> Result<()> {
    under_gdb(Boot::new("demo")?, |session| {
        let ticks = address(&mut session.gdb, "ticks")?;
        let config = address(&mut session.gdb, "config")?;
        let scratch = address(&mut session.gdb, "scratch")?;
        session.gdb.command("hbreak *0x100000")?;
        // Past gdb's own bookkeeping, so that it does not take this one out before it goes.
        session.gdb.expect(&format!("maint packet Z2,{scratch:x},8"), "OK")?;
        let attached = running(session)?;
        same("DR7 before", attached.control, 0x099B_06AA)?;
        let before = session.gdb.number("demo::ticks")?;
        session.gdb.expect("detach", "Ending remote debugging.")?;
        let left = registers_once_past(session, ticks, before)?;
        same("DR7", left.control, GUARDS)?;
        same("the armed addresses", left.armed(), [Some(0), Some(config), None, None])?;
        session.gdb.attach(&session.qemu)?;
        session.gdb.command("delete")?;
        same("the debugger's rows", table(&mut session.gdb)?[2..].to_vec(), vec![None, None])?;
        agrees(session, GUARDS)
    })
}
