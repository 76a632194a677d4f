//! `m`, `M` and `X`: whatever the address and the length, an error or the bytes.

use anyhow::{Result, ensure};
use tetrarch_tests::rsp::{Said, frame};

use crate::bench::{Bench, PACKET_SIZE, all, errno, stopped};
use crate::symbols::address;
use crate::text::bytes;

/// Below the middle of the address space, and above: not canonical with 48 bits.
const NOT_CANONICAL: [u64; 3] = [0x8000_0000_0000, 0xffff_7fff_ffff_fffc, 0x8000_0000_0000_0000];

/// Canonical, and not mapped.
const NOT_MAPPED: [u64; 3] = [0x7fff_ffff_f000, 0xffff_8000_0000_0000, 0xffff_ffff_ffff_fff8];

/// Byte `index` of the demo's `scratch`.
fn pattern(index: usize) -> u8 {
    ((index as u32).wrapping_mul(2_654_435_761) >> 24) as u8
}

#[test]
fn reads_that_are_malformed_are_errors() -> Result<()> {
    let invalid = all(
        errno::INVALID,
        &[
            "m",
            "m,",
            "m,4",
            "m1000",
            "m1000,",
            "m1000;4",
            "m1000:4",
            "mzz,4",
            "m1000,zz",
            "m 1000,4",
            "m-1000,4",
            "m0x1000,4",
            "m1000,4,4",
            "m1000,4;",
            "m1000,-1",
            "m1000, 4",
        ],
    );
    stopped(|bench| bench.expect_errors(&invalid))
}

#[test]
fn reads_that_wrap_around_are_errors() -> Result<()> {
    let packets = all(
        errno::ADDRESS,
        &[
            "mffffffffffffffff,2",
            "m2,ffffffffffffffff",
            "mffffffffffffffff,ffffffffffffffff",
            "m8000000000000000,8000000000000001",
            // Wider than any address.
            "m10000000000000000,4",
            "m1000,10000000000000000",
            "m1000,ffffffffffffffffffffffffffffffffffffffff",
        ],
    );
    stopped(|bench| bench.expect_errors(&packets))
}

#[test]
fn a_read_that_is_longer_than_a_reply_gives_as_much_as_fits() -> Result<()> {
    /// PacketSize without `$`, `#` and two digits, at two digits a byte.
    const LONGEST: usize = (PACKET_SIZE - 4) / 2;
    stopped(|bench| {
        let scratch = address("scratch")?;
        let pattern: Vec<u8> = (0..LONGEST).map(pattern).collect();
        for length in [LONGEST, LONGEST + 1, 0x800, 0x10000, u64::MAX as usize >> 1] {
            ensure!(bench.memory(scratch, length)? == pattern, "{length:#x} bytes");
        }
        ensure!(bench.memory(0, usize::MAX)?.len() == LONGEST);
        bench.runs_on()
    })
}

#[test]
fn reads_where_nothing_is_are_errors() -> Result<()> {
    let unmapped = address("unmapped_page")?;
    let addresses = NOT_CANONICAL.into_iter().chain(NOT_MAPPED).chain([unmapped, unmapped + 0xFFF]);
    let packets: Vec<_> = addresses
        .flat_map(|address| {
            [1, 4, 8].map(|length| (format!("m{address:x},{length:x}"), errno::ADDRESS))
        })
        // The last of these would wrap around, which is the same error.
        .collect();
    stopped(|bench| bench.expect_errors(&packets))
}

#[test]
fn a_read_across_the_end_of_what_is_mapped_gives_the_part_that_is() -> Result<()> {
    stopped(|bench| {
        let unmapped = address("unmapped_page")?;
        for readable in [1, 7, 8, 100] {
            let start = unmapped - readable as u64;
            let real = bench.qemu.monitor().memory(start, readable)?;
            ensure!(bench.memory(start, readable + 8)? == real, "{readable} bytes");
        }
        bench.runs_on()
    })
}

#[test]
fn sixty_four_kilobytes_can_be_read() -> Result<()> {
    stopped(|bench| {
        let scratch = address("scratch")?;
        let mut read = Vec::new();
        while read.len() < 65536 {
            let next = bench.memory(scratch + read.len() as u64, 0x80)?;
            ensure!(next.len() == 0x80, "{} bytes at {:#x}", next.len(), read.len());
            read.extend(next);
        }
        ensure!(read == (0..65536).map(pattern).collect::<Vec<_>>());
        bench.runs_on()
    })
}

#[test]
fn writes_that_are_malformed_are_errors_and_write_nothing() -> Result<()> {
    let at = address("scratch")?;
    let mut packets = Vec::new();
    for rest in [
        "",
        ",",
        ",4",
        ",4:",
        ",:",
        ":00", // something is missing
        ",4:00",
        ",4:000000",
        ",4:0000000",
        ",4:000000000",
        ",4:0000000000", // too few, too many
        ",0:00",
        ",1:",
        ",1:0",
        ",1:zz",
        ",1:0x",
        ",1: 0",
        ",zz:00",
        ",-1:00",
        ";1:00",
        ",1,00",
    ] {
        packets.push((format!("M{at:x}{rest}"), errno::INVALID));
    }
    for rest in
        ["", ",", ",4", ",4:", ",4:abc", ",4:abcde", ",1:}", ",1:ab", ",0:a", ",zz:a", ";1:a"]
    {
        packets.push((format!("X{at:x}{rest}"), errno::INVALID));
    }
    packets.extend(all(
        errno::INVALID,
        &["M", "M,1:00", "M:", "Mzz,1:00", "X", "X,1:a", "X:", "Xzz,1:a"],
    ));
    stopped(|bench| bench.expect_errors(&packets))
}

#[test]
fn writes_that_are_too_long_or_wrap_around_are_errors() -> Result<()> {
    let at = address("scratch")?;
    let mut packets = Vec::new();
    for (letter, data) in [("M", "0000"), ("X", "ab")] {
        packets.push((format!("{letter}{at:x},ffffffffffffffff:{data}"), errno::ADDRESS));
        packets.push((format!("{letter}0,ffffffffffffffff:{data}"), errno::INVALID));
        packets.push((format!("{letter}ffffffffffffffff,2:{data}"), errno::ADDRESS));
        packets.push((format!("{letter}1{at:016x},2:{data}"), errno::ADDRESS));
        packets.push((format!("{letter}{at:x},10000000000000002:{data}"), errno::ADDRESS));
    }
    stopped(|bench| bench.expect_errors(&packets))
}

#[test]
fn writes_where_nothing_is_or_nothing_may_be_written_are_errors() -> Result<()> {
    let unmapped = address("unmapped_page")?;
    let read_only = [address("step_once")?, address("text_start")?, address("rodata_start")?];
    let packets: Vec<_> = NOT_CANONICAL
        .into_iter()
        .chain(NOT_MAPPED)
        .chain([unmapped])
        .chain(read_only)
        .flat_map(|address| [format!("M{address:x},2:a5a5"), format!("X{address:x},2:ab")])
        .map(|packet| (packet, errno::ADDRESS))
        .collect();
    stopped(|bench| {
        let mut before = Vec::new();
        for address in read_only {
            before.push(bench.qemu.monitor().memory(address, 2)?);
        }
        bench.expect_errors(&packets)?;
        for (address, before) in read_only.into_iter().zip(before) {
            ensure!(bench.qemu.monitor().memory(address, 2)? == before, "{address:#x} was written");
        }
        Ok(())
    })
}

#[test]
fn a_write_across_the_end_of_what_is_mapped_is_an_error() -> Result<()> {
    stopped(|bench| {
        let start = address("unmapped_page")? - 4;
        let before = bench.memory(start, 4)?;
        bench.expect(&format!("M{start:x},8:0102030405060708"), errno::ADDRESS)?;
        let digits: String = before.iter().map(|byte| format!("{byte:02x}")).collect();
        bench.expect(&format!("M{start:x},4:{digits}"), "OK")?;
        bench.runs_on()
    })
}

#[test]
fn what_is_written_is_there_and_nothing_beside_it() -> Result<()> {
    stopped(|bench| {
        let at = address("scratch")? + 16;
        let around = |written: &[u8]| {
            let mut expected: Vec<u8> = (8..32).map(pattern).collect();
            expected[8..8 + written.len()].copy_from_slice(written);
            expected
        };
        let real = |bench: &mut Bench| bench.qemu.monitor().memory(at - 8, 24);
        bench.expect(&format!("M{at:x},3:01fF80"), "OK")?;
        ensure!(real(bench)? == around(&[0x01, 0xFF, 0x80]));
        // The bytes that must be escaped, and one that need not be.
        let mut packet = format!("X{at:x},5:").into_bytes();
        packet.extend(*b"}\x03}\x04}]}\x0a}A");
        bench.client.send_bytes(&frame(&packet))?;
        bench.hear(&Said::Acknowledged)?;
        bench.hear_packet("OK")?;
        ensure!(real(bench)? == around(b"#$}*a"));
        // gdb asks in this way whether there is an `X`.
        bench.expect(&format!("X{at:x},0:"), "OK")?;
        ensure!(real(bench)? == around(b"#$}*a"));
        bench.runs_on()
    })
}

#[test]
fn address_zero_can_be_read_and_written_and_its_guard_sees_nothing() -> Result<()> {
    stopped(|bench| {
        let before = bench.ask("m0,8")?;
        let table = bench.monitor("dr")?;
        bench.expect("M0,8:0123456789abcdef", "OK")?;
        bench.expect("m0,8", "0123456789abcdef")?;
        ensure!(bench.qemu.monitor().memory(0, 8)? == bytes("0123456789abcdef")?);
        bench.expect(&format!("M0,8:{before}"), "OK")?;
        ensure!(bench.monitor("dr")? == table);
        bench.runs_on()
    })
}
