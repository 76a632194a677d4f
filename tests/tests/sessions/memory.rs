//! What gdb reads and writes in memory, and where it gets an error instead.

use std::fs;

use anyhow::{Context, Result, ensure};
use tetrarch_tests::{Boot, Gdb, under_gdb};

use crate::asking::{bytes, go_to, physical, still_turns, store, words};
use crate::support::{address, same};

const SCRATCH: usize = 65536;

/// The demo's `scratch`, by the formula that its source gives.
fn pattern() -> Vec<u8> {
    (0..SCRATCH as u32).map(|index| (index.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

/// Stops the demo at the beginning of a turn, with gdb's expressions in C.
fn on_demo(test: impl FnOnce(&mut Gdb) -> Result<()>) -> Result<()> {
    under_gdb(Boot::new("demo")?, |session| {
        go_to(&mut session.gdb, "step_once")?;
        session.gdb.command("set language c")?;
        test(&mut session.gdb)?;
        session.gdb.command("set language auto")?;
        still_turns(&mut session.gdb)
    })
}

/// All of `scratch`, as gdb saves it.
fn dump(gdb: &mut Gdb, start: u64) -> Result<Vec<u8>> {
    let file = tempfile::NamedTempFile::new()?;
    let end = start + SCRATCH as u64;
    let output =
        gdb.command(&format!("dump binary memory {} {start:#x} {end:#x}", file.path().display()))?;
    same("what gdb says to that", output.as_str(), "")?;
    Ok(fs::read(file.path())?)
}

/// Fails at the first byte that differs: 64 KiB are too many to show.
fn same_bytes(found: &[u8], expected: &[u8]) -> Result<()> {
    same("length", found.len(), expected.len())?;
    match found.iter().zip(expected).position(|(found, expected)| found != expected) {
        Some(index) => same(&format!("byte {index:#x}"), found[index], expected[index]),
        None => Ok(()),
    }
}

#[test]
fn sixty_four_kilobytes_are_read_as_the_image_wrote_them() -> Result<()> {
    on_demo(|gdb| {
        let start = address(gdb, "scratch")?;
        same_bytes(&dump(gdb, start)?, &pattern())
    })
}

#[test]
fn sixty_four_kilobytes_are_written_and_come_back() -> Result<()> {
    under_gdb(Boot::new("demo")?, |session| {
        let (gdb, monitor) = (&mut session.gdb, session.qemu.monitor());
        go_to(gdb, "step_once")?;
        let start = address(gdb, "scratch")?;
        // Every value a byte can have, the protocol's own characters among them, in runs and
        // out of step with the packets.
        let written: Vec<u8> =
            (0..SCRATCH).map(|index| (index / 7 * 11 + index % 3 / 2) as u8).collect();
        let file = tempfile::NamedTempFile::new()?;
        fs::write(file.path(), &written)?;
        gdb.expect(
            &format!("restore {} binary {start:#x}", file.path().display()),
            "Restoring binary file",
        )?;
        ensure!(gdb.packets().contains("$X"), "not by binary packets");
        same_bytes(&physical(monitor, start, SCRATCH)?, &written)?;
        same_bytes(&dump(gdb, start)?, &written)?;
        still_turns(gdb)
    })
}

#[test]
fn a_write_to_read_only_text_is_refused_and_changes_nothing() -> Result<()> {
    on_demo(|gdb| {
        let place = address(gdb, "step_once")?;
        let code = bytes(gdb, place, 16)?;
        for (width, place) in [("char", place), ("int", place + 3), ("long", place + 8)] {
            let output = store(gdb, width, place, 0x9090)?;
            gdb.check(width, &output, &format!("Cannot access memory at address {place:#x}"))?;
        }
        same("the code", bytes(gdb, place, 16)?, code)
    })
}

#[test]
fn an_address_without_memory_gives_an_error_each_time() -> Result<()> {
    on_demo(|gdb| {
        let unmapped = address(gdb, "unmapped_page")?;
        for place in [
            unmapped,
            unmapped + 0xFF8,
            0x4000_0000,           // the first that is not mapped at all
            0x7FFF_FFFF_FFF8,      // the last below the gap
            0x8000_0000_0000,      // not canonical
            0x8000_0000_0000_0000, // not canonical
            0xFFFF_7FFF_FFFF_FFF8, // not canonical
            0xFFFF_8000_0000_0000, // the first above the gap
            0xFFFF_FFFF_FFFF_FFF8, // the last of all
        ] {
            let error = format!("Cannot access memory at address {place:#x}");
            gdb.expect(&format!("x/gx {place:#x}"), &error)?;
            let output = store(gdb, "long", place, 1)?;
            gdb.check("the write", &output, &error)?;
        }
        Ok(())
    })
}

#[test]
fn a_read_across_the_end_of_what_is_mapped_shows_what_there_is() -> Result<()> {
    on_demo(|gdb| {
        let end = address(gdb, "unmapped_page")?;
        store(gdb, "long", end - 8, 0x1122_3344_5566_7788)?;
        let output = gdb.command(&format!("x/2gx {:#x}", end - 8))?;
        let (line, error) = output.split_once("0x1122334455667788").context(output.clone())?;
        gdb.check("x", line, &format!("{:#x}", end - 8))?;
        same(
            "what follows",
            error.trim(),
            format!("Cannot access memory at address {end:#x}").as_str(),
        )?;

        // A write that crosses the end is an error.
        let output = store(gdb, "long", end - 4, 0)?;
        gdb.check("the write", &output, "Cannot access memory at address")
    })
}

#[test]
fn find_finds_every_place() -> Result<()> {
    on_demo(|gdb| {
        let start = address(gdb, "scratch")?;
        // gdb searches in pieces of 16,000 bytes: one of these lies across two of them.
        let places = [0, 1_003, 15_996, SCRATCH as u64 - 8].map(|offset| start + offset);
        let text = u64::from_le_bytes(*b"tetrarch");
        for place in places {
            store(gdb, "long", place, text)?;
        }
        let output = gdb.command(&format!("find /g {start:#x}, +{SCRATCH}, {text:#x}"))?;
        let found: Vec<u64> = output
            .lines()
            .filter_map(|line| line.strip_prefix("0x")?.split(' ').next())
            .map(|digits| u64::from_str_radix(digits, 16))
            .collect::<Result<_, _>>()?;
        same("the places", found, places.to_vec())
    })
}

#[test]
fn variables_and_arrays_are_shown_and_set() -> Result<()> {
    under_gdb(Boot::new("demo")?, |session| {
        let gdb = &mut session.gdb;
        go_to(gdb, "step_once")?;
        gdb.command("set var ticks = 31")?;
        gdb.command("set var setpoint = 7")?;
        for index in 0..32 {
            gdb.command(&format!("set var frame[{index}] = {}", index * 8))?;
        }
        let mut expected: Vec<u8> = (0..32).map(|index| index * 8).collect();
        let shown = |array: &[u8]| {
            let list: Vec<String> = array.iter().map(u8::to_string).collect();
            format!("[{}]", list.join(", "))
        };
        gdb.command("set print elements 0")?;
        same("frame", gdb.value("frame")?, shown(&expected))?;
        // The image goes on with them: turn 32 stores the setpoint in byte 0.
        go_to(gdb, "step_once")?;
        expected[0] = 7;
        same("ticks", gdb.number("ticks")?, 32)?;
        same("frame", gdb.value("frame")?, shown(&expected))?;
        let place = address(gdb, "frame")?;
        same("frame, byte by byte", bytes(gdb, place, 32)?, expected)?;
        gdb.command("set var setpoint = 40")?;
        still_turns(gdb)
    })
}

#[test]
fn gdb_reads_and_writes_what_a_guard_watches_without_setting_it_off() -> Result<()> {
    on_demo(|gdb| {
        let writes = address(gdb, "config_writes")?;
        let (config, counted) = (address(gdb, "config")?, bytes(gdb, writes, 4)?);
        for place in [0, config] {
            let value = words(gdb, place, 1)?[0];
            store(gdb, "long", place, !value)?;
            same("what was written", words(gdb, place, 1)?, vec![!value])?;
            store(gdb, "long", place, value)?;
        }
        same("writes that the guard counted", bytes(gdb, writes, 4)?, counted)
    })
}
