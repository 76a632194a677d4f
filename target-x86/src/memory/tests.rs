//! The copies on real memory; the fault itself needs a machine.

use tetrarch::machine::Memory;

use super::copy::is_supervisor;
use super::guarded;
use super::{Linear, fixup, until_wrap};
use crate::frame::{Frame, vector};

#[test]
fn the_host_runs_in_user_mode() {
    assert!(!is_supervisor());
}

#[test]
fn reads_every_length_and_nothing_else() {
    let source: [u8; 40] = core::array::from_fn(|index| index as u8 + 1);
    for length in 0..=source.len() {
        let mut into = [0xee; 41];
        assert_eq!(Linear.read(source.as_ptr() as usize, &mut into[..length]), length);
        assert_eq!(into[..length], source[..length]);
        assert!(into[length..].iter().all(|&byte| byte == 0xee), "{length}: {into:x?}");
    }
}

#[test]
fn writes_where_it_is_told() {
    let mut target = [0u8; 8];
    assert_eq!(Linear.write(&raw mut target[2] as usize, &[1, 2, 3]), 3);
    assert_eq!(target, [0, 0, 1, 2, 3, 0, 0, 0]);
}

#[test]
fn a_patch_reads_back_as_written() {
    let mut target = [0u8; 8];
    assert_eq!(Linear.patch(&raw mut target[1] as usize, &[0xcc, 0xcd]), 2);
    assert_eq!(target, [0, 0xcc, 0xcd, 0, 0, 0, 0, 0]);
}

#[test]
fn a_copy_ends_with_the_address_space() {
    assert_eq!(until_wrap(0, 10), 10);
    assert_eq!(until_wrap(0x1000, 10), 10);
    assert_eq!(until_wrap(usize::MAX, 10), 1);
    assert_eq!(until_wrap(usize::MAX - 9, 10), 10);
    assert_eq!(until_wrap(usize::MAX - 8, 10), 9);
    assert_eq!(until_wrap(0, usize::MAX), usize::MAX);
}

#[test]
fn only_guarded_faults_land() {
    let guards = guarded::guards();
    for guard in &guards {
        assert!(guard.start < guard.end);
        assert!(!(guard.start..guard.end).contains(&guard.landing));
    }
    let rips = guards.iter().flat_map(|guard| [guard.start as u64, guard.end as u64 - 1]);
    for (rip, landing) in rips.zip(guards.iter().flat_map(|guard| [guard.landing; 2])) {
        for number in 0..vector::COUNT as u64 {
            let mut frame = Frame { rip, vector: number, ..crate::step::fake::frame() };
            let lands = matches!(number, 12..=14);
            assert_eq!(fixup(&mut frame), lands, "vector {number}");
            assert_eq!(frame.rip, if lands { landing as u64 } else { rip });
        }
    }
    for guard in &guards {
        for rip in [guard.start as u64 - 1, guard.end as u64, guard.landing as u64] {
            let mut frame = Frame { rip, vector: vector::PAGE, ..crate::step::fake::frame() };
            assert!(!fixup(&mut frame), "{rip:#x}");
            assert_eq!(frame.rip, rip);
        }
    }
}
