//! Bytes and what they mean.

use super::*;

fn long(bytes: &[u8]) -> Instruction {
    Instruction::decode(bytes, Mode::Long)
}

/// What has no operand: `kind` for the whole of `bytes`, and plain if anything is cut off.
fn whole(bytes: &[u8], kind: Kind) {
    assert_eq!(long(bytes), Instruction { kind, length: bytes.len() as u8 }, "{bytes:x?}");
    for end in 0..bytes.len() {
        assert_eq!(long(&bytes[..end]).kind, Kind::Plain, "{:x?}", &bytes[..end]);
    }
}

#[test]
fn instructions_are_told_apart_by_their_opcode() {
    for (bytes, kind) in [
        (&[0xf4][..], Kind::Sleep),
        (&[0x0f, 0x01, 0xc9], Kind::Sleep),
        (&[0x0f, 0x01, 0xfb], Kind::Sleep),
        (&[0xfa], Kind::ChangeInterruptFlag),
        (&[0xfb], Kind::SetInterruptFlag),
        (&[0x0f, 0x34], Kind::ClearInterruptFlag),
        (&[0x9c], Kind::PushFlags),
        (&[0x9d], Kind::LoadFlags),
        (&[0xcf], Kind::LoadFlags),
        (&[0x0f, 0x05], Kind::SystemCall),
        (&[0x0f, 0x07], Kind::SystemReturn),
        (&[0xcc], Kind::Interrupt(3)),
        (&[0xcd, 0x80], Kind::Interrupt(0x80)),
        (&[0xcd, 0xcc], Kind::Interrupt(0xcc)),
    ] {
        whole(bytes, kind);
        for prefix in [0x66, 0x67, 0x2e, 0x36, 0x3e, 0x26, 0x64, 0x65, 0xf2, 0xf3, 0x40, 0x48] {
            let mut longer = [prefix; 6];
            longer[1..][..bytes.len()].copy_from_slice(bytes);
            whole(&longer[..=bytes.len()], kind);
        }
        let mut locked = [0xf0; 6];
        locked[1..][..bytes.len()].copy_from_slice(bytes);
        assert_eq!(long(&locked[..=bytes.len()]).kind, Kind::Plain, "LOCK is #UD");
    }
}

#[test]
fn everything_else_is_plain() {
    let told_apart = [0x9c, 0x9d, 0xcc, 0xcd, 0xcf, 0xf4, 0xfa, 0xfb];
    for opcode in 0..=0xff {
        let plain = long(&[opcode, 0, 0, 0, 0, 0, 0, 0]).kind == Kind::Plain;
        assert_eq!(plain, !told_apart.contains(&opcode), "{opcode:x}");
    }
    for opcode in 0..=0xff {
        // ModRM 0 of group 0F 01 is SGDT.
        let plain = long(&[0x0f, opcode, 0, 0, 0, 0, 0, 0]).kind == Kind::Plain;
        assert_eq!(plain, ![0x05, 0x07, 0x34].contains(&opcode), "0f {opcode:x}");
    }
    for modrm in 0..=0xff {
        let kind = long(&[0x0f, 0x01, modrm, 0, 0, 0, 0, 0]).kind;
        let expected = match (modrm >> 6, modrm >> 3 & 7) {
            _ if matches!(modrm, 0xc9 | 0xfb) => matches!(kind, Kind::Sleep),
            (0..=2, 1) => matches!(kind, Kind::StoreIdt(_)),
            (0..=2, 3) => matches!(kind, Kind::LoadIdt(_)),
            _ => kind == Kind::Plain,
        };
        assert!(expected, "0f 01 {modrm:x}: {kind:?}");
    }
}

#[test]
fn fifteen_bytes_are_the_limit() {
    let mut bytes = [0x2e; 17];
    bytes[14] = 0xf4;
    assert_eq!(long(&bytes), Instruction { kind: Kind::Sleep, length: 15 });
    bytes[14] = 0x2e;
    bytes[15] = 0xf4;
    assert_eq!(long(&bytes).kind, Kind::Plain);
    assert_eq!(long(&[]).kind, Kind::Plain);
}

#[test]
fn compatibility_code_has_no_rex_and_no_syscall() {
    let plain = |bytes: &[u8]| Instruction::decode(bytes, Mode::Compatibility).kind == Kind::Plain;
    assert!(plain(&[0x48, 0xfb]));
    assert!(plain(&[0x0f, 0x05]));
    assert!(plain(&[0x0f, 0x07]));
    assert!(plain(&[0x0f, 0x01, 0x18]));
    assert!(plain(&[0x8e, 0xd0]));
    assert!(!plain(&[0x66, 0x9c]));
    assert!(!plain(&[0xcd, 0x80]));
}

/// `[base + (index << shift) + displacement]` with no segment.
fn place(base: Base, index: Option<(u8, u8)>, displacement: i32) -> Place {
    let index = index.map(|(register, shift)| Index { register, shift });
    Place { base, index, displacement, segment: Segment::Flat, address_size: AddressSize::Eight }
}

#[test]
fn operands_are_decoded_as_the_manual_tabulates_them() {
    use Base::{None as Zero, Register as R, Rip};
    let flat = place;
    // LIDT of each form; objdump reads them the same way.
    for (bytes, expected) in [
        (&[0x0f, 0x01, 0x18][..], flat(R(0), None, 0)),
        (&[0x0f, 0x01, 0x1f], flat(R(7), None, 0)),
        (&[0x41, 0x0f, 0x01, 0x18], flat(R(8), None, 0)),
        (&[0x0f, 0x01, 0x5d, 0xf6], flat(R(5), None, -10)),
        (&[0x0f, 0x01, 0x5d, 0x00], flat(R(5), None, 0)),
        (&[0x41, 0x0f, 0x01, 0x5d, 0x00], flat(R(13), None, 0)),
        (&[0x0f, 0x01, 0x9b, 0x78, 0x56, 0x34, 0x12], flat(R(3), None, 0x1234_5678)),
        (&[0x0f, 0x01, 0x1d, 0xff, 0xff, 0xff, 0xff], flat(Rip, None, -1)),
        (&[0x41, 0x0f, 0x01, 0x1d, 4, 0, 0, 0], flat(Rip, None, 4)),
        (&[0x0f, 0x01, 0x1c, 0x24], flat(R(4), None, 0)),
        (&[0x41, 0x0f, 0x01, 0x1c, 0x24], flat(R(12), None, 0)),
        (&[0x42, 0x0f, 0x01, 0x1c, 0x20], flat(R(0), Some((12, 0)), 0)),
        (&[0x0f, 0x01, 0x5c, 0xcb, 0x08], flat(R(3), Some((1, 3)), 8)),
        (&[0x43, 0x0f, 0x01, 0x5c, 0xbd, 0x00], flat(R(13), Some((15, 2)), 0)),
        (&[0x0f, 0x01, 0x1c, 0x25, 0, 0x10, 0, 0], flat(Zero, None, 0x1000)),
        (&[0x41, 0x0f, 0x01, 0x1c, 0x25, 0, 0x10, 0, 0], flat(Zero, None, 0x1000)),
        (&[0x0f, 0x01, 0x1c, 0x4d, 0xf0, 0xff, 0xff, 0xff], flat(Zero, Some((1, 1)), -16)),
    ] {
        whole(bytes, Kind::LoadIdt(expected));
    }
    let fs = Place { segment: Segment::Fs, ..flat(R(0), None, 0) };
    whole(&[0x64, 0x0f, 0x01, 0x18], Kind::LoadIdt(fs));
    let gs = Place { segment: Segment::Gs, address_size: AddressSize::Four, ..fs };
    whole(&[0x65, 0x67, 0x0f, 0x01, 0x08], Kind::StoreIdt(gs));
    // A REX before another prefix is void.
    whole(&[0x41, 0x64, 0x0f, 0x01, 0x18], Kind::LoadIdt(fs));
    // MOV to SS, and to DS.
    whole(&[0x8e, 0xd0], Kind::LoadStackSegment(Operand::Register(0)));
    whole(&[0x41, 0x8e, 0xd7], Kind::LoadStackSegment(Operand::Register(15)));
    whole(&[0x8e, 0x10], Kind::LoadStackSegment(Operand::Memory(flat(R(0), None, 0))));
    assert_eq!(long(&[0x8e, 0xd8]).kind, Kind::Plain);
}
