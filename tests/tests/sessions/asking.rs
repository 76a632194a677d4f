//! Questions that several of these tests put to gdb or to QEMU.

use anyhow::{Result, ensure};
use tetrarch_tests::monitor::Monitor;
use tetrarch_tests::{Boot, Gdb, under_gdb};

use crate::support::{address, same};

/// Runs a test on the image `steps`, with gdb's expressions in C whatever the frame.
pub fn on_steps(test: impl FnOnce(&mut Gdb) -> Result<()>) -> Result<()> {
    under_gdb(Boot::new("steps")?, |session| {
        session.gdb.command("set language c")?;
        test(&mut session.gdb)
    })
}

/// Runs a test on the image `demo`, stopped before the first instruction of a turn.
pub fn on_demo(test: impl FnOnce(&mut Gdb) -> Result<()>) -> Result<()> {
    under_gdb(Boot::new("demo")?, |session| {
        go_to(&mut session.gdb, "step_once")?;
        test(&mut session.gdb)
    })
}

/// Lets the image run to the first byte of `symbol`, with a hardware breakpoint.
pub fn go_to(gdb: &mut Gdb, symbol: &str) -> Result<()> {
    gdb.command(&format!("thbreak *{symbol}"))?;
    gdb.command("continue")?;
    let expected = address(gdb, symbol)?;
    same(symbol, gdb.number("$pc")?, expected)
}

/// The turns that the demo has done.
pub fn ticks(gdb: &mut Gdb) -> Result<u64> {
    gdb.number("demo::ticks")
}

/// Bytes of memory, as gdb shows them.
pub fn bytes(gdb: &mut Gdb, address: u64, count: usize) -> Result<Vec<u8>> {
    let output = gdb.command(&format!("x/{count}xb {address:#x}"))?;
    let numbers = numbers(&output)?;
    ensure!(numbers.len() == count, "{count} bytes at {address:#x}: {output}");
    Ok(numbers.into_iter().map(|number| number as u8).collect())
}

/// Words of 64 bits, as gdb shows them.
pub fn words(gdb: &mut Gdb, address: u64, count: usize) -> Result<Vec<u64>> {
    let output = gdb.command(&format!("x/{count}gx {address:#x}"))?;
    let numbers = numbers(&output)?;
    ensure!(numbers.len() == count, "{count} words at {address:#x}: {output}");
    Ok(numbers)
}

/// What follows the addresses in the output of `x`.
fn numbers(output: &str) -> Result<Vec<u64>> {
    let fields = output.lines().flat_map(|line| line.split('\t').skip(1));
    fields
        .map(|field| Ok(u64::from_str_radix(field.trim().trim_start_matches("0x"), 16)?))
        .collect()
}

/// Bytes of memory, as QEMU has them. The images map it one to one.
pub fn physical(monitor: &mut Monitor, address: u64, count: usize) -> Result<Vec<u8>> {
    let output = monitor.human(&format!("xp /{count}xb {address:#x}"))?;
    let fields = output
        .lines()
        .filter_map(|line| line.split_once(": "))
        .flat_map(|(_, line)| line.split_whitespace());
    fields.map(|field| Ok(u8::from_str_radix(field.trim_start_matches("0x"), 16)?)).collect()
}

/// Writes a number through a pointer, as a C program would. Gives what gdb says.
pub fn store(gdb: &mut Gdb, width: &str, address: u64, value: u64) -> Result<String> {
    gdb.command(&format!("set var *(unsigned {width} *) {address:#x} = {value:#x}"))
}

/// Checks that the image turns: from one stop at the beginning of a turn to the next.
pub fn still_turns(gdb: &mut Gdb) -> Result<()> {
    go_to(gdb, "step_once")?;
    let before = ticks(gdb)?;
    go_to(gdb, "step_once")?;
    same("ticks after one more turn", ticks(gdb)?, before + 1)
}
