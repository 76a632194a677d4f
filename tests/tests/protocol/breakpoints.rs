//! `Z` and `z`: malformed, repeated, out of order, on other people's bytes.

use anyhow::{Result, ensure};
use tetrarch_tests::rsp::{Said, frame};

use crate::bench::{all, errno, stopped, stopped_in, unguarded};
use crate::symbols::address;

const KINDS: [u8; 5] = [0, 1, 2, 3, 4];

#[test]
fn breakpoint_packets_that_are_malformed_are_errors() -> Result<()> {
    let at = address("scratch")?;
    let mut packets = Vec::new();
    for letter in ["Z", "z"] {
        packets.push((letter.to_owned(), errno::INVALID));
        for kind in KINDS {
            for rest in ["", ",", ",,", ",,1", ",zz,1", ",-1,1"] {
                packets.push((format!("{letter}{kind}{rest}"), errno::INVALID));
            }
            for rest in ["", ",", ",zz", ",-1", ",0", ",1,1", ",1;X3,220027", ";1", " ,1"] {
                packets.push((format!("{letter}{kind},{at:x}{rest}"), errno::INVALID));
            }
            packets.push((format!("{letter}{kind},fffffffffffffffc,8"), errno::ADDRESS));
            packets.push((format!("{letter}{kind},{at:x},ffffffffffffffff"), errno::ADDRESS));
            packets.push((format!("{letter}{kind},1{at:016x},1"), errno::ADDRESS));
            packets.push((format!("{letter}{kind},{at:x},10000000000000001"), errno::ADDRESS));
        }
        packets.push((format!("{letter},{at:x},1"), errno::INVALID));
        packets.push((format!("{letter}x,{at:x},1"), errno::INVALID));
        packets.push((format!("{letter}-1,{at:x},1"), errno::INVALID));
    }
    stopped(|bench| bench.expect_errors(&packets))
}

#[test]
fn kinds_of_breakpoints_that_do_not_exist_are_not_supported() -> Result<()> {
    let packets = all("", &["Z5,1000,1", "Z9,1000,1", "Zff,1000,1", "z5,1000,1", "z9,1000,1"]);
    stopped(|bench| bench.expect_errors(&packets))
}

#[test]
fn regions_that_no_four_registers_can_cover_are_refused() -> Result<()> {
    let at = address("scratch")?;
    let mut packets = Vec::new();
    for kind in [2, 3, 4] {
        for length in ["100", "10000", "ffff"] {
            packets.push((format!("Z{kind},{at:x},{length}"), errno::FULL));
        }
        // The stub's own memory is in there.
        packets.push((format!("Z{kind},0,ffffffffffffffff"), errno::PROTECTED));
        packets.push((format!("Z{kind},1,ffffffffffffffff"), errno::PROTECTED));
    }
    stopped(|bench| bench.expect_errors(&packets))
}

#[test]
fn software_breakpoints_where_no_memory_is_are_errors() -> Result<()> {
    let unmapped = address("unmapped_page")?;
    let packets: Vec<_> = [unmapped, 0x8000_0000_0000, 0xffff_8000_0000_0000, u64::MAX]
        .into_iter()
        .map(|address| (format!("Z0,{address:x},1"), errno::ADDRESS))
        .collect();
    stopped(|bench| bench.expect_errors(&packets))
}

/// A register compares addresses and reads no memory: a page may be mapped later.
#[test]
fn hardware_breakpoints_where_no_memory_is_are_armed_and_harm_nobody() -> Result<()> {
    stopped_in(unguarded()?, |bench| {
        for address in
            [address("unmapped_page")?, 0xffff_8000_0000_0000, 0x8000_0000_0000, u64::MAX]
        {
            for kind in [1, 2, 3, 4] {
                bench.expect(&format!("Z{kind},{address:x},1"), "OK")?;
                ensure!(bench.armed()? == [address], "Z{kind} at {address:#x}");
                bench.expect(&format!("z{kind},{address:x},1"), "OK")?;
            }
        }
        ensure!(bench.armed()?.is_empty());
        Ok(())
    })
}

#[test]
fn asking_twice_and_taking_back_twice_leaves_nothing() -> Result<()> {
    let places = [
        address("read_setpoint")?,
        address("read_setpoint")?,
        address("scratch")?,
        address("scratch")?,
        address("scratch")?,
    ];
    stopped(|bench| {
        let before = bench.monitor("dr")?;
        let guards = bench.armed()?;
        for (kind, place) in KINDS.into_iter().zip(places) {
            let length = if kind < 2 { 1 } else { 8 };
            let original = bench.real_byte(place)?;
            for packet in ["Z", "Z", "z", "z", "z"] {
                bench.expect(&format!("{packet}{kind},{place:x},{length}"), "OK")?;
            }
            ensure!(bench.real_byte(place)? == original, "kind {kind} left something behind");
            ensure!(bench.armed()? == guards, "kind {kind} is armed");
            ensure!(bench.monitor("dr")? == before, "kind {kind}: {}", bench.monitor("dr")?);
        }
        Ok(())
    })
}

#[test]
fn a_request_that_comes_twice_because_its_acknowledgement_was_lost_counts_once() -> Result<()> {
    stopped(|bench| {
        let scratch = address("scratch")?;
        let request = frame(format!("Z2,{scratch:x},8").as_bytes());
        for _ in 0..3 {
            bench.client.send_bytes(&request)?;
            bench.hear(&Said::Acknowledged)?;
            // As gdb does that has lost the acknowledgement: it throws the reply away, and says so.
            bench.hear(&Said::Packet("OK".to_owned()))?;
            bench.client.send_bytes(b"+")?;
        }
        // There is still room for one.
        bench.expect(&format!("Z2,{:x},8", scratch + 8), "OK")?;
        bench.expect(&format!("Z2,{:x},8", scratch + 16), errno::FULL)?;
        let guards = [0, address("config")?];
        let mut expected = vec![guards[0], guards[1], scratch, scratch + 8];
        expected.sort_unstable();
        ensure!(bench.armed()? == expected);
        Ok(())
    })
}

#[test]
fn a_software_breakpoint_asked_for_twice_keeps_the_original_byte() -> Result<()> {
    stopped(|bench| {
        let place = address("read_setpoint")?;
        let original = bench.real_byte(place)?;
        ensure!(original != 0xCC);
        for _ in 0..2 {
            bench.expect(&format!("Z0,{place:x},1"), "OK")?;
            ensure!(bench.real_byte(place)? == 0xCC);
            bench.expect(&format!("m{place:x},1"), &format!("{original:02x}"))?;
        }
        bench.expect(&format!("z0,{place:x},1"), "OK")?;
        ensure!(bench.real_byte(place)? == original);
        bench.runs_on()
    })
}

#[test]
fn breakpoints_at_one_address_are_told_apart_by_kind_and_length() -> Result<()> {
    stopped_in(unguarded()?, |bench| {
        let at = address("scratch")?;
        // 4 and 8 bytes written, 4 bytes read or written, executed: four registers.
        for request in ["2,4", "2,8", "4,4", "1,1"] {
            let (kind, length) = request.split_at(1);
            bench.expect(&format!("Z{kind},{at:x}{length}"), "OK")?;
        }
        ensure!(bench.armed()? == [at; 4]);
        for (left, request) in [(3, "2,4"), (2, "4,4"), (1, "1,1"), (0, "2,8")] {
            let (kind, length) = request.split_at(1);
            // Another length or kind is another breakpoint, which is not there.
            bench.expect(&format!("z{kind},{at:x},2"), "OK")?;
            bench.expect(&format!("z3,{at:x}{length}"), "OK")?;
            bench.expect(&format!("z{kind},{at:x}{length}"), "OK")?;
            ensure!(bench.armed()? == vec![at; left], "after z{request}");
        }
        Ok(())
    })
}

#[test]
fn taking_away_what_the_firmware_owns_takes_nothing_away() -> Result<()> {
    stopped(|bench| {
        let before = bench.monitor("dr")?;
        let config = address("config")?;
        for at in [0, config] {
            for kind in KINDS {
                bench.expect(&format!("z{kind},{at:x},8"), "OK")?;
            }
            // Also not by first asking for the same.
            for kind in [2, 4] {
                bench.expect(&format!("Z{kind},{at:x},8"), "OK")?;
                bench.expect(&format!("z{kind},{at:x},8"), "OK")?;
            }
        }
        ensure!(bench.armed()? == [0, config]);
        ensure!(bench.monitor("dr")? == before);
        Ok(())
    })
}
