//! Who gets a debug register: the debugger and the firmware ask for more than there are.
//!
//! By default each side has two of the four: one is reserved for the system, two for the
//! debugger, and the demo's guards take two. The firmware asks again when gdb sets `claim`.
//! "Nothing disturbed" is the whole text of `monitor dr` before and after.

use anyhow::{Context, Result};
use tetrarch_tests::{Boot, Gdb, Session, under_gdb};

use crate::support::{Row, TOO_MANY, address, same, table, to_next_turn};

/// The answer to a claim beyond capacity: ENOSPC.
const NO_SPACE: &str = "E1c";

/// Sends a packet past gdb's own bookkeeping, and checks the reply.
fn packet(gdb: &mut Gdb, packet: &str, reply: &str) -> Result<()> {
    gdb.expect(&format!("maint packet {packet}"), &format!("received: \"{reply}\""))?;
    Ok(())
}

/// Lets the firmware obey an order to claim (1) or release (2) its config guard.
fn order(session: &mut Session, order: u32) -> Result<()> {
    session.gdb.command(&format!("set var demo::claim = {order}"))?;
    to_next_turn(&mut session.gdb)?;
    same("the order, once obeyed", session.gdb.number("demo::claim")?, 0)
}

/// The lines of the image's log that say what became of an order.
fn answers(session: &Session, word: &str) -> Vec<String> {
    let lines = session.qemu.log().lines();
    let found = lines.iter().filter_map(|line| line.split_once("config-guard: "));
    found.map(|(_, answer)| answer.to_owned()).filter(|answer| answer.starts_with(word)).collect()
}

#[test]
fn every_kind_of_claim_beyond_capacity_is_refused_and_disturbs_nothing() -> Result<()> {
    under_gdb(Boot::new("demo")?, |session| {
        let gdb = &mut session.gdb;
        to_next_turn(gdb)?;
        gdb.command("set breakpoint always-inserted on")?;
        gdb.command("hbreak write_config")?;
        gdb.command("awatch setpoint")?;
        let full = gdb.command("monitor dr")?;
        let (setpoint, config) = (address(gdb, "setpoint")?, address(gdb, "config")?);
        let execute = table(gdb)?.into_iter().flatten().find(|row| row.condition == "execute");
        let breakpoint = execute.context("the breakpoint is inserted")?.address;
        let scratch = address(gdb, "scratch")?;
        let requests = [
            (1, "hardware breakpoint", 1, "1 debug register"),
            (2, "write watchpoint", 8, "1 debug register"),
            (3, "read watchpoint", 4, "1 debug register"),
            (4, "access watchpoint", 3, "2 debug registers"),
        ];
        for (kind, name, length, needed) in requests {
            packet(gdb, &format!("Z{kind},{scratch:x},{length:x}"), NO_SPACE)?;
            same("the table", gdb.command("monitor dr")?, full.clone())?;
            let reason = format!(
                "{name} on {scratch:#x}+{length} refused: needs {needed}, 0 are available to the debugger on cpu 0, \
                 0 kept for others; slot 0: 0x0+8 read/write, null-guard; slot 1: {config:#x}+8 write, config-guard; \
                 slot 2: {breakpoint:#x}+1 execute, debugger; slot 3: {setpoint:#x}+4 read/write, debugger\n"
            );
            same("the reason", gdb.command("monitor why")?, reason)?;
        }
        // Through gdb's own command: it says so, and keeps the breakpoint for later.
        gdb.expect("hbreak touch_unmapped_page", TOO_MANY)?;
        same("the table", gdb.command("monitor dr")?, full)?;
        gdb.command("delete 4")?;
        // Those that were accepted still work.
        gdb.expect("continue", "access (read/write) watchpoint 3: setpoint")?;
        gdb.command("set var demo::provoke = 2")?;
        gdb.command("delete 3")?;
        gdb.expect("continue", "Breakpoint 2, ")?;
        Ok(())
    })
}

#[test]
fn a_region_that_fits_only_in_part_takes_nothing() -> Result<()> {
    under_gdb(Boot::new("demo")?, |session| {
        let gdb = &mut session.gdb;
        to_next_turn(gdb)?;
        let (scratch, setpoint, config) =
            (address(gdb, "scratch")?, address(gdb, "setpoint")?, address(gdb, "config")?);
        packet(gdb, &format!("Z2,{setpoint:x},4"), "OK")?;
        let before = gdb.command("monitor dr")?;
        packet(gdb, &format!("Z2,{scratch:x},10"), NO_SPACE)?;
        same("the table", gdb.command("monitor dr")?, before)?;
        let reason = format!(
            "write watchpoint on {scratch:#x}+16 refused: needs 2 debug registers, 1 is available to the debugger \
             on cpu 0, 0 kept for others; slot 0: 0x0+8 read/write, null-guard; slot 1: {config:#x}+8 write, \
             config-guard; slot 2: {setpoint:#x}+4 write, debugger\n"
        );
        same("the reason", gdb.command("monitor why")?, reason)
    })
}

#[test]
fn the_systems_reservation_holds_when_the_debugger_asks_first() -> Result<()> {
    let boot = Boot::new("demo")?.argument("no-null-guard").argument("no-config-guard");
    under_gdb(boot, |session| {
        to_next_turn(&mut session.gdb)?;
        let scratch = address(&mut session.gdb, "scratch")?;
        let gdb = &mut session.gdb;
        for slot in 0..3 {
            packet(gdb, &format!("Z2,{:x},8", scratch + 8 * slot), "OK")?;
        }
        packet(gdb, &format!("Z2,{:x},8", scratch + 24), NO_SPACE)?;
        let holders = [0, 1, 2]
            .map(|slot| format!("; slot {slot}: {:#x}+8 write, debugger", scratch + 8 * slot));
        let reason = format!(
            "write watchpoint on {:#x}+8 refused: needs 1 debug register, 0 are available to the debugger on cpu 0, \
             1 kept for others{}\n",
            scratch + 24,
            holders.concat()
        );
        same("the reason", gdb.command("monitor why")?, reason)?;
        // What was kept is there for the firmware.
        order(session, 1)?;
        session.qemu.log().wait_for("config-guard: claimed")?;
        same("refusals", answers(session, "refused"), Vec::<String>::new())?;
        let config = address(&mut session.gdb, "config")?;
        let row = Row::armed(config, 8, "write", 0, "config-guard");
        same("the row", table(&mut session.gdb)?[3].clone(), Some(row))
    })
}

#[test]
fn the_debuggers_reservation_holds_when_the_system_asks_first() -> Result<()> {
    let boot = Boot::new("demo")?.argument("reserve=1,3").argument("no-config-guard");
    under_gdb(boot, |session| {
        to_next_turn(&mut session.gdb)?;
        let before = session.gdb.command("monitor dr")?;
        // Nobody uses the other three, and they are the debugger's all the same.
        order(session, 1)?;
        let line = session.qemu.log().wait_for("config-guard: refused")?;
        let reason = "refused: needs 1 debug register, 0 are available to the system on cpu 0, 3 kept for others; \
                      slot 0: 0x0+8 read/write, null-guard";
        same(
            "the answer",
            line.split_once("config-guard: ").map(|(_, answer)| answer),
            Some(reason),
        )?;
        let gdb = &mut session.gdb;
        same("the table", gdb.command("monitor dr")?, before)?;
        let scratch = address(gdb, "scratch")?;
        packet(gdb, &format!("Z2,{scratch:x},18"), "OK")?;
        packet(gdb, &format!("Z2,{:x},1", scratch + 64), NO_SPACE)
    })
}

#[test]
fn the_firmware_is_refused_what_the_debugger_holds_and_gets_it_when_it_is_released() -> Result<()> {
    let boot = Boot::new("demo")?.argument("no-config-guard");
    under_gdb(boot, |session| {
        let gdb = &mut session.gdb;
        to_next_turn(gdb)?;
        for index in [0, 8, 16] {
            gdb.command(&format!("watch *(&scratch[{index}] as *mut u64)"))?;
        }
        let scratch = address(gdb, "scratch")?;
        order(session, 1)?;
        let holders = [0, 1, 2].map(|slot| {
            format!("; slot {}: {:#x}+8 write, debugger", slot + 1, scratch + 8 * slot)
        });
        let reason = format!(
            "refused: needs 1 debug register, 0 are available to the system on cpu 0, 0 kept for others; \
             slot 0: 0x0+8 read/write, null-guard{}",
            holders.concat()
        );
        session.qemu.log().wait_for("config-guard: refused")?;
        same("the answers", answers(session, "refused"), vec![reason])?;

        session.gdb.command("delete 3")?;
        order(session, 1)?;
        session.qemu.log().wait_for("config-guard: claimed")?;
        // And now the debugger is the one who is late.
        let gdb = &mut session.gdb;
        gdb.command("watch *(&scratch[8] as *mut u64)")?;
        gdb.expect("continue", TOO_MANY)?;
        gdb.command("delete 7")?;
        order(session, 2)?;
        session.qemu.log().wait_for("config-guard: released: true")?;
        session.gdb.command("watch *(&scratch[8] as *mut u64)")?;
        to_next_turn(&mut session.gdb)?;
        let holds = table(&mut session.gdb)?
            .into_iter()
            .flatten()
            .filter(|row| row.owners == "debugger")
            .count();
        same("what the debugger holds", holds, 3)
    })
}

#[test]
fn removing_what_the_firmware_owns_changes_nothing() -> Result<()> {
    under_gdb(Boot::new("demo")?, |session| {
        let gdb = &mut session.gdb;
        to_next_turn(gdb)?;
        let config = address(gdb, "config")?;
        let before = gdb.command("monitor dr")?;
        for kind in 0..=4 {
            for (address, length) in [(0, 8), (0, 1), (config, 8), (config, 1)] {
                // Whatever the answer: a `z` for what is not the debugger's has nothing to do.
                gdb.command(&format!("maint packet z{kind},{address:x},{length}"))?;
                same("the table", gdb.command("monitor dr")?, before.clone())?;
            }
        }
        // Armed too, not only in the table.
        gdb.command("set var demo::provoke = 1")?;
        gdb.expect("continue", "tetrarch: stopped by null-guard")?;
        Ok(())
    })
}

#[test]
fn a_request_that_is_made_twice_is_one_request() -> Result<()> {
    under_gdb(Boot::new("demo")?, |session| {
        let gdb = &mut session.gdb;
        to_next_turn(gdb)?;
        let scratch = address(gdb, "scratch")?;
        let nothing = gdb.command("monitor dr")?;
        for kind in 1..=4 {
            let length = if kind == 1 { 1 } else { 8 };
            let request = format!("{kind},{scratch:x},{length}");
            packet(gdb, &format!("Z{request}"), "OK")?;
            let once = gdb.command("monitor dr")?;
            packet(gdb, &format!("Z{request}"), "OK")?;
            same("the table after the second Z", gdb.command("monitor dr")?, once)?;
            packet(gdb, &format!("z{request}"), "OK")?;
            let held = gdb.command("monitor dr")?;
            packet(gdb, &format!("z{request}"), "OK")?;
            same("the table after the second z", gdb.command("monitor dr")?, held)?;
            to_next_turn(gdb)?;
            same("the table after a turn", gdb.command("monitor dr")?, nothing.clone())?;
        }
        Ok(())
    })
}

/// gdb takes all its watchpoints out at every stop, and puts them back when it continues.
#[test]
fn what_gdb_takes_out_at_a_stop_is_held_and_the_firmware_cannot_have_it() -> Result<()> {
    let boot = Boot::new("demo")?.argument("no-config-guard");
    under_gdb(boot, |session| {
        let gdb = &mut session.gdb;
        to_next_turn(gdb)?;
        for index in [0, 8, 16] {
            gdb.command(&format!("watch *(&scratch[{index}] as *mut u64)"))?;
        }
        to_next_turn(gdb)?;
        let scratch = address(gdb, "scratch")?;
        let held = [0, 8, 16].map(|offset| Some(Row::held(scratch + offset, 8, "write", 0)));
        same("the rows", table(gdb)?[1..].to_vec(), held.to_vec())?;
        let before = gdb.command("monitor dr")?;
        for refusals in 1..=3 {
            order(session, 1)?;
            session.qemu.log().wait_for_times("config-guard: refused", refusals)?;
            same("the table", session.gdb.command("monitor dr")?, before.clone())?;
        }
        session.gdb.command("stepi")?;
        same("the table after a step", session.gdb.command("monitor dr")?, before)
    })
}

#[test]
fn a_new_watchpoint_takes_the_place_of_one_that_was_deleted_at_the_stop() -> Result<()> {
    under_gdb(Boot::new("demo")?, |session| {
        let gdb = &mut session.gdb;
        to_next_turn(gdb)?;
        gdb.command("watch *(&scratch[0] as *mut u64)")?;
        gdb.command("watch *(&scratch[8] as *mut u64)")?;
        to_next_turn(gdb)?;
        gdb.command("delete 2")?;
        gdb.command("watch *(&scratch[16] as *mut u64)")?;
        to_next_turn(gdb)?;
        let scratch = address(gdb, "scratch")?;
        let rows = [16, 8].map(|offset| Some(Row::held(scratch + offset, 8, "write", 0)));
        same("the rows", table(gdb)?[2..].to_vec(), rows.to_vec())
    })
}
