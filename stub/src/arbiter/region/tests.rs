//! Tiling: exact, aligned, the fewest, and counted without counting.

extern crate std;

use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::cases::{cases, one_in};

fn widest() -> impl Strategy<Value = Widest> {
    prop_oneof![Just(Widest::Four), Just(Widest::Eight)]
}

/// Short regions everywhere, and at the ends of the address space.
fn short_region() -> impl Strategy<Value = Region> {
    let address = prop_oneof![any::<usize>(), 0..100usize, (usize::MAX - 100)..=usize::MAX];
    (address, 1..100usize)
        .prop_filter_map("wraps", |(address, length)| Region::new(address, length).ok())
}

/// Promise 2 needs it: the region, the whole region, and nothing but the region.
fn assert_exact(region: &Region, windows: &[Window], widest: Widest) {
    let mut next = Some(region.address());
    for window in windows {
        assert_eq!(Some(window.address()), next, "a gap or an overlap");
        assert!(window.address().is_multiple_of(window.length().bytes()), "not aligned");
        assert!(window.length().bytes() <= widest.bytes());
        next = window.address().checked_add(window.length().bytes());
    }
    assert_eq!(windows.last().map(|window| window.region().last()), Some(region.last()));
}

/// The fewest windows for `length` bytes from an address that is `offset` into its block,
/// by trying everything.
fn fewest(offset: usize, length: usize, widest: Widest) -> usize {
    let mut best = std::vec![0; length + 1];
    for left in 1..=length {
        let at = offset + length - left;
        let fits =
            |bytes: &usize| *bytes <= left && *bytes <= widest.bytes() && at.is_multiple_of(*bytes);
        best[left] = 1 + [1, 2, 4, 8]
            .into_iter()
            .filter(fits)
            .map(|bytes| best[left - bytes])
            .min()
            .unwrap();
    }
    best[length]
}

proptest! {
    #![proptest_config(cases(2000))]

    #[test]
    fn tiles_exactly(region in short_region(), widest in widest()) {
        let windows: Vec<_> = region.windows(Condition::Write, widest).collect();
        assert_exact(&region, &windows, widest);
        prop_assert_eq!(windows.len(), region.window_count(widest));
    }

    /// However long the region is, the count is that of its parts, cut at an aligned address.
    #[test]
    fn counts_add_up(mut ends in any::<[usize; 3]>(), widest in widest()) {
        ends.sort_unstable();
        let [first, cut, last] = ends;
        let cut = cut & !7;
        prop_assume!(first < cut);
        let part = |first: usize, last: usize| Region::new(first, last - first + 1).unwrap();
        prop_assert_eq!(
            Region::new(first, (last - first).saturating_add(1)).unwrap().window_count(widest),
            part(first, cut - 1).window_count(widest) + part(cut, last).window_count(widest)
        );
    }

    #[test]
    fn overlap_is_a_byte_in_common(
        left in (0..20usize, 1..20usize),
        right in (0..20usize, 1..20usize),
    ) {
        let [left, right] =
            [left, right].map(|(address, length)| Region::new(address, length).unwrap());
        let common = (0..64).any(|byte| left.contains(byte) && right.contains(byte));
        prop_assert_eq!(left.overlaps(&right), common);
    }
}

#[test]
fn tiling_is_minimal() {
    for widest in [Widest::Four, Widest::Eight] {
        for offset in 0..8 {
            for length in (1..40).step_by(one_in(9)) {
                let region = Region::new(0x1000 + offset, length).unwrap();
                assert_eq!(region.window_count(widest), fewest(offset, length, widest), "{region}");
            }
        }
    }
}

/// No loop over 2^61 windows.
#[test]
fn longest_regions() {
    let all_but_one = Region::new(0, usize::MAX).unwrap();
    // Whole blocks, and the last one without its last byte: 4 + 2 + 1.
    assert_eq!(all_but_one.window_count(Widest::Eight), usize::MAX / 8 + 3);
    assert_eq!(Region::new(1, usize::MAX).unwrap().window_count(Widest::Eight), usize::MAX / 8 + 3);
    assert_eq!(Region::new(2, usize::MAX), Err(RegionError::Wraps));
    assert_eq!(Region::new(usize::MAX, 1).unwrap().window_count(Widest::Eight), 1);
    assert_eq!(Region::new(7, 0), Err(RegionError::Empty));
}

/// An access to a port has four bytes at most.
#[test]
fn ports_have_no_eight_byte_windows() {
    let region = Region::new(0x60, 8).unwrap();
    assert_eq!(region.windows(Condition::Io, Widest::Eight).count(), 2);
    assert_eq!(region.windows(Condition::Write, Widest::Eight).count(), 1);
}
