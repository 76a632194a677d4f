//! Watched regions of every size and alignment: how many registers they take, and that each
//! of their bytes stops, and no other.
//!
//! The demo writes one byte of `frame` in each turn, round and round, which makes it easy to
//! foresee every stop. A region is cut into naturally aligned windows, one register each.

use anyhow::Result;
use tetrarch_tests::{Boot, Gdb, under_gdb};

use crate::support::{
    Row, TOO_MANY, address, same, statement, stops, table, to_next_turn, to_turn,
};

/// How long `frame` is.
const LENGTH: usize = 32;

/// The demo with all four registers for the debugger.
fn without_guards() -> Result<Boot> {
    Ok(Boot::new("demo")?
        .argument("reserve=0,4")
        .argument("no-null-guard")
        .argument("no-config-guard"))
}

/// `length` bytes of `frame`, in gdb's Rust.
fn part(first: usize, length: usize) -> String {
    format!("*(&frame[{first}] as *mut [u8; {length}])")
}

/// Watches a part of `frame` for a whole round in which each byte changes, checks every stop,
/// and then that the debugger holds the windows given as (offset, length) and no others.
fn every_byte_stops(
    gdb: &mut Gdb,
    first: usize,
    length: usize,
    windows: &[(u64, u64)],
) -> Result<()> {
    to_next_turn(gdb)?;
    gdb.command("delete")?;
    gdb.command("set print repeats 0")?;
    let after = gdb.number("setpoint")? as u8 + 1;
    gdb.command(&format!("set var setpoint = {after}"))?;
    let mut bytes: Vec<u8> = bytes(&gdb.value("frame")?)?;
    gdb.command("set var ticks = 64")?;
    let region = part(first, length);
    let number = gdb.expect(&format!("watch {region}"), "Hardware watchpoint")?;
    for turn in 65..65 + LENGTH {
        let old = bytes.clone();
        bytes[turn % LENGTH] = after;
        let values = [&old, &bytes].map(|bytes| format!("{:?}", &bytes[first..first + length]));
        if values[0] != values[1] {
            let values =
                [format!("Old value = {}", values[0]), format!("New value = {}", values[1])];
            let expected =
                [number.trim(), &values[0], &values[1], "demo::step_once", statement::AFTER_FRAME];
            stops(gdb, "continue", &expected)?;
            same("the turn", gdb.number("ticks")?, turn as u64)?;
        }
    }
    let frame = address(gdb, "frame")?;
    let hits = length as u64;
    let expected =
        windows.iter().map(|(offset, length)| Row::held(frame + offset, *length, "write", hits));
    let mut debuggers = table(gdb)?
        .into_iter()
        .flatten()
        .filter(|row| row.owners == "debugger")
        .collect::<Vec<_>>();
    debuggers.sort_by_key(|row| row.address);
    same("the debugger's windows", debuggers, expected.collect::<Vec<_>>())
}

/// `[1, 2, 3]` as numbers.
fn bytes(text: &str) -> Result<Vec<u8>> {
    let numbers = text.trim_matches(['[', ']']).split(", ");
    Ok(numbers.map(str::parse).collect::<Result<_, _>>()?)
}

/// With both guards in place, which leaves two registers.
fn is_refused(first: usize, length: usize, needed: usize) -> Result<()> {
    under_gdb(Boot::new("demo")?, |session| {
        let gdb = &mut session.gdb;
        to_turn(gdb, "ticks >= 32")?;
        let before = gdb.command("monitor dr")?;
        gdb.command(&format!("watch {}", part(first, length)))?;
        let ticks = gdb.number("ticks")?;
        gdb.expect("continue", TOO_MANY)?;
        same("the turn, because the image was not resumed", gdb.number("ticks")?, ticks)?;
        same("the table", gdb.command("monitor dr")?, before)?;
        let region = address(gdb, "frame")? + first as u64;
        let config = address(gdb, "config")?;
        same(
            "the reason",
            gdb.command("monitor why")?,
            format!(
                "write watchpoint on {region:#x}+{length} refused: needs {needed} debug registers, \
                 2 are available to the debugger on cpu 0, 0 kept for others; \
                 slot 0: 0x0+8 read/write, null-guard; slot 1: {config:#x}+8 write, config-guard\n"
            ),
        )?;
        // Without it, all goes on.
        gdb.command("delete")?;
        to_turn(gdb, &format!("ticks == {}", ticks + 3))
    })
}

#[test]
fn regions_of_1_2_4_and_8_bytes_take_one_register_each() -> Result<()> {
    under_gdb(Boot::new("demo")?, |session| {
        for length in [1, 2, 4, 8] {
            every_byte_stops(&mut session.gdb, 8, length, &[(8, length as u64)])?;
        }
        Ok(())
    })
}

#[test]
fn three_bytes_take_two_registers() -> Result<()> {
    under_gdb(Boot::new("demo")?, |session| {
        every_byte_stops(&mut session.gdb, 5, 3, &[(5, 1), (6, 2)])
    })
}

#[test]
fn ten_bytes_at_6_modulo_8_take_two_registers() -> Result<()> {
    under_gdb(Boot::new("demo")?, |session| {
        every_byte_stops(&mut session.gdb, 14, 10, &[(14, 2), (16, 8)])
    })
}

#[test]
fn ten_bytes_at_3_modulo_8_are_refused_where_two_registers_are_available() -> Result<()> {
    is_refused(3, 10, 4)
}

#[test]
fn ten_bytes_at_3_modulo_8_take_four_registers_where_four_are_available() -> Result<()> {
    let windows = [(3, 1), (4, 4), (8, 4), (12, 1)];
    under_gdb(without_guards()?, |session| every_byte_stops(&mut session.gdb, 3, 10, &windows))
}

#[test]
fn the_whole_frame_is_refused_where_two_registers_are_available() -> Result<()> {
    is_refused(0, LENGTH, 4)
}

#[test]
fn the_whole_frame_takes_four_registers_where_four_are_available() -> Result<()> {
    let windows = [(0, 8), (8, 8), (16, 8), (24, 8)];
    under_gdb(without_guards()?, |session| every_byte_stops(&mut session.gdb, 0, LENGTH, &windows))
}

/// Five windows fit into no processor.
#[test]
fn a_region_of_five_windows_is_refused_even_with_four_registers() -> Result<()> {
    under_gdb(without_guards()?, |session| {
        let gdb = &mut session.gdb;
        to_turn(gdb, "ticks >= 1")?;
        gdb.command("watch *(&scratch[8] as *mut [u8; 40])")?;
        gdb.expect("continue", TOO_MANY)?;
        let region = address(gdb, "scratch")? + 8;
        same(
            "the reason",
            gdb.command("monitor why")?,
            format!(
                "write watchpoint on {region:#x}+40 refused: needs 5 debug registers, \
                 4 are available to the debugger on cpu 0, 0 kept for others\n"
            ),
        )
    })
}
