//! The codec against the bit layout, written out by hand.

use super::*;

/// Bits 31–16 and 7–0 of DR7 for slot 0, from the manual: R/W in bits 16–17, LEN in 18–19,
/// G0 is bit 1. The other slots are 4 and 2 bits further up.
const SLOT_ZERO: [(Condition, Length, u32); 16] = [
    (Condition::Execute, Length::One, 0b0000 << 16),
    (Condition::Execute, Length::Two, 0b0100 << 16),
    (Condition::Execute, Length::Four, 0b1100 << 16),
    (Condition::Execute, Length::Eight, 0b1000 << 16),
    (Condition::Write, Length::One, 0b0001 << 16),
    (Condition::Write, Length::Two, 0b0101 << 16),
    (Condition::Write, Length::Four, 0b1101 << 16),
    (Condition::Write, Length::Eight, 0b1001 << 16),
    (Condition::Io, Length::One, 0b0010 << 16),
    (Condition::Io, Length::Two, 0b0110 << 16),
    (Condition::Io, Length::Four, 0b1110 << 16),
    (Condition::Io, Length::Eight, 0b1010 << 16),
    (Condition::ReadWrite, Length::One, 0b0011 << 16),
    (Condition::ReadWrite, Length::Two, 0b0111 << 16),
    (Condition::ReadWrite, Length::Four, 0b1111 << 16),
    (Condition::ReadWrite, Length::Eight, 0b1011 << 16),
];

/// Bit 10 is always 1, bit 9 is GE.
const FIXED: u32 = 0x600;

/// Two of them in full, to be compared with what a debugger shows.
#[test]
fn whole_values() {
    let control = Dr7::OFF.arm(Slot::Zero, Condition::Write, Length::Four);
    assert_eq!(control.bits(), 0x000d_0602);
    let control = control.arm(Slot::Three, Condition::ReadWrite, Length::Eight);
    assert_eq!(control.bits(), 0xb00d_0682);
}

/// All 64 combinations of slot, R/W and LEN, one by one and on top of all others.
#[test]
fn every_combination() {
    for slot in Slot::ALL {
        for (condition, length, kind) in SLOT_ZERO {
            let expected = FIXED | 0b10 << (2 * slot.index()) | kind << (4 * slot.index());
            let armed = Dr7::OFF.arm(slot, condition, length);
            assert_eq!(armed.bits(), expected, "{slot} {condition} {length:?}");
            assert_eq!((armed.condition(slot), armed.length(slot)), (condition, length));
            assert!(Slot::ALL.iter().all(|other| armed.is_armed(*other) == (*other == slot)));
            assert_eq!(armed.disarm(slot), Dr7::OFF);

            let full = Dr7::from_bits(0xffff_06ff);
            let changed = full.arm(slot, condition, length);
            let own = 0b11 << (2 * slot.index()) | 0xf_0000 << (4 * slot.index());
            assert_eq!(changed.bits() & own, expected & own);
            assert_eq!(changed.bits() & !own, full.bits() & !own);
        }
    }
}

#[test]
fn either_enable_bit_arms() {
    for slot in Slot::ALL {
        for bit in [2 * slot.index(), 2 * slot.index() + 1] {
            let control = Dr7::from_bits(0x400 | 1 << bit);
            assert!(control.is_armed(slot) && control.any_armed());
            assert_eq!(control.disarm(slot), Dr7::OFF);
        }
    }
    // LE, GE, GD, and kinds without an enable bit arm nothing.
    assert!(!Dr7::from_bits(0xffff_2700).any_armed());
}

#[test]
fn status_bits() {
    assert_eq!(Dr6::RESET.bits(), 0xffff_0ff0);
    for (index, slot) in Slot::ALL.into_iter().enumerate() {
        let status = Dr6::from_bits(0xffff_0ff0 | 1 << index);
        assert!(Slot::ALL.iter().all(|other| status.hit(*other) == (*other == slot)));
        assert!(!(status.single_step() || status.register_access() || status.task_switch()));
    }
    assert!(Dr6::from_bits(0xffff_2ff0).register_access());
    assert!(Dr6::from_bits(0xffff_4ff0).single_step());
    assert!(Dr6::from_bits(0xffff_8ff0).task_switch());
}

/// RTM (16) and BLD (11) say "yes" with a 0.
#[test]
fn union_of_status() {
    let step = Dr6::from_bits(0xffff_4ff0);
    let bus_lock = Dr6::from_bits(0xffff_07f1);
    let transaction = Dr6::from_bits(0xfffe_0ff8);
    assert_eq!(step.union(bus_lock).union(transaction).bits(), 0xfffe_47f9);
    assert_eq!(step.union(Dr6::RESET), step);
}

#[test]
fn windows_are_aligned() {
    for (length, misaligned) in
        [(Length::Two, 1), (Length::Four, 1), (Length::Four, 2), (Length::Eight, 4)]
    {
        assert!(Window::new(0x1000, length, Condition::Write).is_some());
        assert_eq!(Window::new(0x1000 + misaligned, length, Condition::Write), None);
        assert_eq!(Window::new(0x1000, length, Condition::Execute), None);
        let covered = Window::covered(0x1000 + misaligned, length, Condition::Write);
        assert_eq!(covered.address(), 0x1000);
    }
}

#[test]
fn numbers_and_back() {
    for slot in Slot::ALL {
        assert_eq!(Slot::from_index(slot.index()), Some(slot));
    }
    assert_eq!(Slot::from_index(4), None);
    for bytes in 0..=16 {
        let length = Length::from_bytes(bytes);
        assert_eq!(length.is_some(), [1, 2, 4, 8].contains(&bytes));
        assert!(length.is_none_or(|length| length.bytes() == bytes));
    }
}
