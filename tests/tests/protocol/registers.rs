//! `g`, `G`, `p` and `P`: all of it, or an error and nothing.

use anyhow::{Result, ensure};

use crate::bench::{Bench, all, errno, stopped};

/// Sizes in bytes, in the order of the target description: sixteen general registers, rip,
/// eflags and six selectors, x87, SSE, two segment bases, six control registers.
fn sizes() -> Vec<usize> {
    let groups = [(17, 8), (7, 4), (8, 10), (8, 4), (16, 16), (1, 4), (8, 8)];
    groups.iter().flat_map(|&(count, size)| vec![size; count]).collect()
}

const RIP: usize = 16;

/// What `g` and `G` carry: the general registers and the selectors.
const IN_BLOCK: usize = 24;

#[test]
fn register_reads_that_are_malformed_or_name_no_register_are_errors() -> Result<()> {
    let packets = all(
        errno::INVALID,
        &[
            "p",
            "pzz",
            "p-1",
            "p 1",
            "p1,1",
            "p1=0",
            "p41",
            "pff",
            "pffffffff",
            "pffffffffffffffff",
            "p10000000000000000",
            "g0",
            "g;",
        ],
    );
    stopped(|bench| {
        ensure!(sizes().len() == 0x41, "the number of registers in this test is wrong");
        bench.expect_errors(&packets)
    })
}

#[test]
fn register_writes_that_are_malformed_change_nothing() -> Result<()> {
    let mut packets = all(
        errno::INVALID,
        &[
            "P",
            "P=",
            "P0",
            "P0=",
            "P0,0",
            "Pzz=0000000000000000",
            "P=0000000000000000",
            "P-1=0000000000000000",
            "P0=zzzzzzzzzzzzzzzz",
            "P0=000000000000000x",
            "P0=xxxxxxxxxxxxxxxx",
            "P0= 000000000000000",
            "P10000000000000000=0000000000000000",
            "Pffffffffffffffff=00",
            "P41=00",
            "P41=0000000000000000",
        ],
    );
    for (number, size) in sizes().into_iter().enumerate() {
        for digits in [0, 1, 2 * size - 2, 2 * size - 1, 2 * size + 1, 2 * size + 2, 64] {
            packets.push((format!("P{number:x}={}", "0".repeat(digits)), errno::INVALID));
        }
    }
    stopped(|bench| bench.expect_errors(&packets))
}

#[test]
fn writing_the_block_with_any_other_length_changes_nothing() -> Result<()> {
    let length = 2 * sizes()[..IN_BLOCK].iter().sum::<usize>();
    let packets: Vec<_> = [0, 1, 2, length / 2, length - 2, length - 1, length + 1, length + 2]
        .into_iter()
        .map(|digits| (format!("G{}", "0".repeat(digits)), errno::INVALID))
        .chain([(format!("G{}", "z".repeat(length)), errno::INVALID)])
        .chain([(format!("G{}", "x".repeat(length)), errno::INVALID)])
        .collect();
    stopped(|bench| bench.expect_errors(&packets))
}

#[test]
fn values_that_the_processor_would_not_take_change_nothing() -> Result<()> {
    // By number: rip, cs, fs, mxcsr, fs_base, cr0, cr3, cr4, efer.
    let packets = all(
        errno::REGISTER,
        &[
            "P10=0000000000008000", // not canonical, little-endian
            "P12=ffff0000",
            "P16=3b000000",
            "P38=ffffffff",
            "P39=0000000000008000",
            "P3b=0000000000000000",
            "P3d=0000000000000000",
            "P3e=0000000000000000",
            "P40=0000000000000000",
        ],
    );
    stopped(|bench| bench.expect_errors(&packets))
}

#[test]
fn single_registers_are_the_pieces_of_the_block_and_what_is_not_in_it() -> Result<()> {
    stopped(|bench| {
        let whole = bench.ask("g")?;
        let mut pieces = String::new();
        for (number, size) in sizes().into_iter().enumerate() {
            let value = bench.ask(&format!("p{number:x}"))?;
            ensure!(value.len() == 2 * size, "register {number} is {value}");
            if number < IN_BLOCK {
                pieces.push_str(&value);
            }
        }
        ensure!(pieces == whole, "{pieces}\n{whole}");
        bench.runs_on()
    })
}

/// The digits of each register, one by one.
fn everything(bench: &mut Bench) -> Result<Vec<String>> {
    (0..sizes().len()).map(|number| bench.ask(&format!("p{number:x}"))).collect()
}

#[test]
fn a_register_that_is_written_changes_and_no_other() -> Result<()> {
    stopped(|bench| {
        let before = everything(bench)?;
        for (number, size) in sizes().into_iter().enumerate() {
            // General registers and XMM take anything; those behind rip have their own rules.
            let takes_anything = number < RIP || (40..56).contains(&number);
            if !takes_anything {
                continue;
            }
            let value: String = (0..size).map(|byte| format!("{:02x}", 0xA0 + byte)).collect();
            bench.expect(&format!("P{number:x}={value}"), "OK")?;
            let mut expected = before.clone();
            expected[number] = value;
            let after = everything(bench)?;
            ensure!(after == expected, "register {number}:\n{after:?}\n{expected:?}");
            bench.expect(&format!("P{number:x}={}", before[number]), "OK")?;
            ensure!(everything(bench)? == before, "register {number} cannot be put back");
        }
        bench.runs_on()
    })
}

#[test]
fn the_block_is_written_as_a_whole_and_the_other_registers_stay() -> Result<()> {
    stopped(|bench| {
        let before = everything(bench)?;
        let mut expected = before.clone();
        for (number, value) in expected[..RIP].iter_mut().enumerate() {
            *value = format!("{number:02x}bbccddeeff1122");
        }
        bench.expect(&format!("G{}", expected[..IN_BLOCK].concat()), "OK")?;
        let after = everything(bench)?;
        ensure!(after == expected, "{after:?}\n{expected:?}");
        bench.expect(&format!("G{}", before[..IN_BLOCK].concat()), "OK")?;
        ensure!(everything(bench)? == before, "the block cannot be put back");
        bench.runs_on()
    })
}
