//! Three descriptions of one register file must agree.

extern crate std;

use std::{collections::BTreeSet, vec::Vec};

use super::*;
use crate::cases::one_in;
use crate::register_file::{place, read_register, write_register};

/// The value of an attribute in an XML element.
fn attribute<'a>(element: &'a str, name: &str) -> Option<&'a str> {
    let start = element.find(&std::format!(" {name}=\""))? + name.len() + 3;
    element[start..].split('"').next()
}

/// Name and size in bytes of each register in the target description.
fn described() -> Vec<(&'static str, usize)> {
    TARGET_DESCRIPTION
        .split('<')
        .filter(|element| element.starts_with("reg "))
        .map(|element| {
            let bits: usize = attribute(element, "bitsize").unwrap().parse().unwrap();
            (attribute(element, "name").unwrap(), bits / 8)
        })
        .collect()
}

fn numbered(name: &str) -> usize {
    described().iter().position(|(described, _)| *described == name).unwrap()
}

/// Registers that all differ: byte n of the block is n, modulo 251.
fn distinct() -> X86_64Registers {
    let block: Vec<u8> = (0..LENGTH).map(|byte| (byte % 251) as u8).collect();
    let mut registers = X86_64Registers::default();
    registers.deserialize_all(&block).unwrap();
    registers
}

fn serialized(registers: &X86_64Registers) -> Vec<u8> {
    let mut block = Vec::new();
    registers.serialize_all(|byte| block.push(byte.unwrap()));
    block
}

#[test]
fn the_description_has_the_sizes_in_the_same_order() {
    let sizes: Vec<usize> = described().iter().map(|(_, size)| *size).collect();
    let expected: Vec<usize> = SIZES.iter().map(|size| usize::from(*size)).collect();
    assert_eq!(sizes, expected);
    assert_eq!(REGISTERS, 65);
    assert_eq!(LENGTH, 0x218 + 64);
}

#[test]
fn the_description_has_the_names_in_the_order_of_the_block() {
    let names: Vec<&str> = described().into_iter().map(|(name, _)| name).collect();
    let expected = "rax rbx rcx rdx rsi rdi rbp rsp r8 r9 r10 r11 r12 r13 r14 r15 rip eflags \
        cs ss ds es fs gs st0 st1 st2 st3 st4 st5 st6 st7 \
        fctrl fstat ftag fiseg fioff foseg fooff fop \
        xmm0 xmm1 xmm2 xmm3 xmm4 xmm5 xmm6 xmm7 \
        xmm8 xmm9 xmm10 xmm11 xmm12 xmm13 xmm14 xmm15 mxcsr \
        fs_base gs_base cr0 cr2 cr3 cr4 cr8 efer";
    assert_eq!(names, expected.split_whitespace().collect::<Vec<_>>());
}

#[test]
fn each_field_is_where_the_description_says() {
    type Set = fn(&mut X86_64Registers);
    let fields: &[(&str, &[u8], Set)] = &[
        ("rax", &[1, 0, 0, 0, 0, 0, 0, 0], |r| r.core.regs[0] = 1),
        ("r15", &[1, 0, 0, 0, 0, 0, 0, 0], |r| r.core.regs[15] = 1),
        ("rip", &[2, 1, 0, 0, 0, 0, 0, 0], |r| r.core.rip = 0x102),
        ("eflags", &[2, 1, 0, 0], |r| r.core.eflags = 0x102),
        ("cs", &[8, 0, 0, 0], |r| r.core.segments.cs = 8),
        ("gs", &[8, 0, 0, 0], |r| r.core.segments.gs = 8),
        ("st7", &[9; 10], |r| r.core.st[7] = [9; 10]),
        ("fctrl", &[0x7F, 3, 0, 0], |r| r.core.fpu.fctrl = 0x37F),
        ("fop", &[1, 0, 0, 0], |r| r.core.fpu.fop = 1),
        ("xmm15", &[0xAA; 16], |r| r.core.xmm[15] = u128::from_le_bytes([0xAA; 16])),
        ("mxcsr", &[0x80, 0x1F, 0, 0], |r| r.core.mxcsr = 0x1F80),
        ("fs_base", &[0, 0, 0, 0, 0, 0, 0, 1], |r| r.fs_base = 1 << 56),
        ("gs_base", &[0, 0, 0, 0, 0, 0, 0, 1], |r| r.gs_base = 1 << 56),
        ("cr0", &[0x33, 0, 0, 0x80, 0, 0, 0, 0], |r| r.cr0 = 0x8000_0033),
        ("cr2", &[4, 0, 0, 0, 0, 0, 0, 0], |r| r.cr2 = 4),
        ("cr3", &[0, 0x10, 0, 0, 0, 0, 0, 0], |r| r.cr3 = 0x1000),
        ("cr4", &[0x20, 0, 0, 0, 0, 0, 0, 0], |r| r.cr4 = 0x20),
        ("cr8", &[5, 0, 0, 0, 0, 0, 0, 0], |r| r.cr8 = 5),
        ("efer", &[0, 5, 0, 0, 0, 0, 0, 0], |r| r.efer = 0x500),
    ];
    for (name, value, set) in fields.iter().step_by(one_in(6)) {
        let mut expected = X86_64Registers::default();
        set(&mut expected);

        let mut into = [0; 16];
        let size = read_register(&expected, numbered(name), &mut into);
        assert_eq!(&into[..size], *value, "reading {name}");

        let mut written = X86_64Registers::default();
        write_register(&mut written, numbered(name), value).unwrap();
        assert_eq!(written, expected, "writing {name}");
    }
}

#[test]
fn all_come_back_as_they_were() {
    let registers = distinct();
    let block = serialized(&registers);
    assert_eq!(block.len(), LENGTH);
    assert_eq!(block[LENGTH - 1], ((LENGTH - 1) % 251) as u8);
    let mut back = X86_64Registers::default();
    back.deserialize_all(&block).unwrap();
    assert_eq!(back, registers);
}

#[test]
fn the_block_has_the_general_registers_and_leaves_the_others() {
    let registers = distinct();
    let mut block = Vec::new();
    registers.gdb_serialize(|byte| block.push(byte.unwrap()));
    assert_eq!(block, serialized(&registers)[..BLOCK_LENGTH]);
    assert_eq!(BLOCK_LENGTH, 17 * 8 + 7 * 4);
    let mut other = X86_64Registers::default();
    other.gdb_deserialize(&block).unwrap();
    let mut expected = X86_64Registers::default();
    let (core, from) = (&mut expected.core, &registers.core);
    (core.regs, core.rip, core.eflags) = (from.regs, from.rip, from.eflags);
    core.segments = from.segments.clone();
    assert_eq!(other, expected);
}

#[test]
fn a_block_of_the_wrong_length_changes_nothing() {
    let block = [0; LENGTH + 1];
    let mut registers = distinct();
    for length in [0, 1, 0x217, 0x218, LENGTH - 1, LENGTH + 1] {
        let result = registers.deserialize_all(&block[..length]);
        assert_eq!(result, Err(WrongRegister::Size), "{length}");
        assert_eq!(registers, distinct(), "{length}");
    }
    for length in [0, 1, BLOCK_LENGTH - 1, BLOCK_LENGTH + 1, LENGTH] {
        assert_eq!(registers.gdb_deserialize(&block[..length]), Err(()), "{length}");
        assert_eq!(registers, distinct(), "{length}");
    }
}

#[test]
fn every_register_is_found_and_no_other() {
    for (id, size) in SIZES.iter().enumerate() {
        let (number, found) = RegisterNumber::from_raw_id(id).unwrap();
        assert_eq!((number.raw(), number.to_raw_id()), (id, Some(id)));
        assert_eq!(found.map(NonZeroUsize::get), Some(usize::from(*size)));
    }
    assert!(RegisterNumber::from_raw_id(REGISTERS).is_none());
    assert!(RegisterNumber::from_raw_id(usize::MAX).is_none());
    assert_eq!(place(&SIZES, REGISTERS - 1).unwrap().end, LENGTH);
}

#[test]
fn the_description_needs_no_escape_and_names_no_type_that_is_not_there() {
    assert!(!TARGET_DESCRIPTION.contains(['#', '$', '}', '*']), "would double in a reply");
    assert!(TARGET_DESCRIPTION.is_ascii());
    assert!(!TARGET_DESCRIPTION.contains("xi:include"));
    let predefined = [
        "int",
        "int8",
        "int16",
        "int32",
        "int64",
        "uint128",
        "data_ptr",
        "code_ptr",
        "i387_ext",
        "ieee_single",
        "ieee_double",
    ];
    let mut known: BTreeSet<&str> = predefined.into();
    for element in TARGET_DESCRIPTION.split('<') {
        if let Some(used) = attribute(element, "type") {
            assert!(known.contains(used), "{used} in <{element}");
        }
        known.extend(attribute(element, "id"));
    }
}

#[test]
fn flags_do_not_overlap() {
    let mut used = BTreeSet::new();
    for element in TARGET_DESCRIPTION.split('<') {
        if element.starts_with("flags") {
            used.clear();
        }
        if let Some(start) = attribute(element, "start") {
            let bits = |text: &str| text.parse::<u32>().unwrap();
            for bit in bits(start)..=bits(attribute(element, "end").unwrap()) {
                assert!(used.insert(bit), "<{element}");
            }
        }
    }
}
