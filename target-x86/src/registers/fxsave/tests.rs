//! Against an image made by hand from the manual's table.

use super::*;

/// 1.0, pi, +0, infinity, a denormal, and a number of old without its integer bit.
const ONE: [u8; 10] = [0, 0, 0, 0, 0, 0, 0, 0x80, 0xff, 0x3f];
const PI: [u8; 10] = [0x35, 0xc2, 0x68, 0x21, 0xa2, 0xda, 0x0f, 0xc9, 0x00, 0x40];
const ZERO: [u8; 10] = [0; 10];
const INFINITY: [u8; 10] = [0, 0, 0, 0, 0, 0, 0, 0x80, 0xff, 0xff];
const DENORMAL: [u8; 10] = [1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
const UNNORMAL: [u8; 10] = [0, 0, 0, 0, 0, 0, 0, 0x40, 0xff, 0x3f];

/// TOP is 5: ST(0) is physical register 5, ST(3) is register 0. Registers 5, 6, 7, 0, 1 and 2
/// are used, in this order from ST(0) on.
fn image() -> Image {
    let mut image = [0; 512];
    image[0..2].copy_from_slice(&[0x7f, 0x03]);
    image[2..4].copy_from_slice(&[0x00, 0x28]);
    image[4] = 0b1110_0111;
    image[5] = 0xaa; // reserved
    image[6..8].copy_from_slice(&[0x1d, 0x05]);
    image[8..16].copy_from_slice(&0xffff_8000_1234_5678_u64.to_le_bytes());
    image[16..24].copy_from_slice(&0x0000_7fff_9abc_def0_u64.to_le_bytes());
    image[24..28].copy_from_slice(&0x1fa0_u32.to_le_bytes());
    image[28..32].copy_from_slice(&0x0002_ffff_u32.to_le_bytes());
    for (index, value) in [ONE, PI, ZERO, INFINITY, DENORMAL, UNNORMAL].iter().enumerate() {
        image[32 + 16 * index..][..10].copy_from_slice(value);
        image[42 + 16 * index..][..6].fill(0xbb); // reserved
    }
    for index in 0..16_u8 {
        image[160 + 16 * usize::from(index)..][..16].fill(0x10 + index);
    }
    image[416..].fill(0xcc); // reserved, and the software's
    image
}

fn decoded(image: &Image) -> X86_64Registers {
    let mut registers = X86_64Registers::default();
    decode(image, &mut registers);
    registers
}

#[test]
fn every_field_is_found() {
    let mut expected = X86_64Registers::default();
    let core = &mut expected.core;
    core.st = [ONE, PI, ZERO, INFINITY, DENORMAL, UNNORMAL, ZERO, ZERO];
    core.xmm = core::array::from_fn(|index| u128::from_ne_bytes([0x10 + index as u8; 16]));
    core.mxcsr = 0x1fa0;
    core.fpu.fctrl = 0x037f;
    core.fpu.fstat = 0x2800;
    // Register 7 to 0: zero, valid, valid, empty, empty, special, special, special.
    core.fpu.ftag = 0b01_00_00_11_11_10_10_10;
    core.fpu.fiseg = 0xffff_8000;
    core.fpu.fioff = 0x1234_5678;
    core.fpu.foseg = 0x0000_7fff;
    core.fpu.fooff = 0x9abc_def0;
    core.fpu.fop = 0x51d;
    assert_eq!(decoded(&image()), expected);
}

#[test]
fn what_was_read_can_be_written_back() {
    for top in 0..8_u16 {
        for tags in 0..=0xff {
            let mut before = image();
            before[2..4].copy_from_slice(&(top << 11).to_le_bytes());
            before[4] = tags;
            let mut after = before;
            assert_eq!(encode(&decoded(&before), &mut after), Ok(()));
            assert_eq!(after, before);
        }
    }
}

#[test]
fn every_field_is_written() {
    let mut after = [0; 512];
    after[28..32].copy_from_slice(&image()[28..32]);
    assert_eq!(encode(&decoded(&image()), &mut after), Ok(()));
    assert_eq!(decoded(&after), decoded(&image()));
    assert_eq!(after[416..], [0; 96]);
}

#[test]
fn what_fxrstor_refuses_is_refused() {
    let edits: [fn(&mut X86_64Registers); 6] = [
        |registers| registers.core.mxcsr |= 1 << 16,
        |registers| registers.core.mxcsr |= 1 << 31,
        |registers| registers.core.fpu.fctrl |= 1 << 16,
        |registers| registers.core.fpu.fstat |= 1 << 16,
        |registers| registers.core.fpu.ftag |= 1 << 16,
        |registers| registers.core.fpu.fop |= 1 << 11,
    ];
    for (index, edit) in edits.into_iter().enumerate() {
        let mut registers = decoded(&image());
        registers.core.xmm[0] = 0;
        edit(&mut registers);
        let mut after = image();
        assert_eq!(encode(&registers, &mut after), Err(Unloadable), "edit {index}");
        assert_eq!(after, image(), "edit {index}");
    }
}

#[test]
fn a_mask_of_zero_allows_all_but_denormals_are_zeros() {
    let mut old = image();
    old[28..32].fill(0);
    let mut registers = decoded(&old);
    registers.core.mxcsr = 0xffbf;
    assert_eq!(encode(&registers, &mut old), Ok(()));
    registers.core.mxcsr = 1 << 6;
    assert_eq!(encode(&registers, &mut old), Err(Unloadable));
}

#[test]
fn the_reset_state_is_empty() {
    let registers = decoded(&RESET);
    let fpu = &registers.core.fpu;
    assert_eq!((fpu.fctrl, fpu.ftag, registers.core.mxcsr), (0x37f, 0xffff, 0x1f80));
}
