//! Everything but the registers that only ring 0 can reach.

use super::*;
use crate::frame::{FPU_SAVED, flag};
use crate::step::fake::frame;

const OK: Result<(), RegisterError> = Ok(());
const REFUSED: Result<(), RegisterError> = Err(RegisterError::Refused);

/// A context whose FPU state is known.
fn saved() -> Frame {
    let mut frame = frame();
    frame.fx.0 = fxsave::RESET;
    frame.fx.0[FPU_SAVED] = 1;
    frame
}

fn file(frame: &Frame) -> X86_64Registers {
    let mut registers = X86_64Registers {
        cr0: 0x8001_0033,
        cr3: 0x1000,
        cr4: 0x120_06a0,
        efer: 0xd01,
        ..X86_64Registers::default()
    };
    read_frame(frame, &mut registers);
    registers
}

#[test]
fn general_registers_are_in_gdbs_order() {
    let registers = file(&saved());
    let rsp = crate::step::fake::STACK as u64;
    assert_eq!(registers.core.regs, [0, 3, 1, 2, 6, 7, 5, rsp, 8, 9, 10, 11, 12, 13, 14, 15]);
    assert_eq!(registers.core.rip, crate::step::fake::CODE as u64);
    assert_eq!(registers.core.eflags, 0x202);
    assert_eq!((registers.core.segments.cs, registers.core.segments.ss), (8, 0x10));
}

#[test]
fn what_is_written_is_read_back() {
    let mut target = saved();
    let mut wanted = file(&target);
    wanted.core.regs = core::array::from_fn(|index| 0x1111_1111_1111_1111 * index as u64);
    wanted.core.rip = 0xffff_8000_0000_0000;
    write_frame(&mut target, &wanted);
    assert_eq!(file(&target), wanted);
}

#[test]
fn reserved_flags_stay_as_they_are() {
    let mut target = saved();
    let mut wanted = file(&target);
    wanted.core.eflags = 0xffff_ffff;
    write_frame(&mut target, &wanted);
    assert_eq!(target.rflags, 0x003d_7fd7);
    wanted.core.eflags = 0;
    write_frame(&mut target, &wanted);
    assert_eq!(target.rflags, flag::FIXED);
}

#[test]
fn changes_that_end_the_session_are_refused() {
    let edits: [fn(&mut X86_64Registers); 26] = [
        |registers| registers.cr0 ^= 1 << 0,
        |registers| registers.cr0 ^= 1 << 2,
        |registers| registers.cr0 ^= 1 << 31,
        |registers| registers.cr3 ^= 1 << 12,
        |registers| registers.cr3 ^= 1,
        |registers| registers.cr4 ^= 1 << 5,
        |registers| registers.cr4 ^= 1 << 12,
        |registers| registers.cr4 ^= 1 << 23,
        |registers| registers.cr4 ^= 1 << 24,
        |registers| registers.cr4 ^= 1 << 32,
        |registers| registers.cr4 ^= 1 << 13,
        |registers| registers.cr4 ^= 1 << 15,
        |registers| registers.fs_base = 0x8000_0000_0000_0000,
        |registers| registers.gs_base = 0x8000_0000_0000_0000,
        |registers| registers.efer ^= 1 << 8,
        |registers| registers.efer ^= 1 << 10,
        |registers| registers.efer ^= 1 << 11,
        |registers| registers.core.segments.cs ^= 8,
        |registers| registers.core.segments.ss ^= 8,
        |registers| registers.core.segments.ds ^= 8,
        |registers| registers.core.segments.es ^= 8,
        |registers| registers.core.segments.fs ^= 8,
        |registers| registers.core.segments.gs ^= 8,
        |registers| registers.core.rip = 0x0000_8000_0000_0000,
        |registers| registers.core.rip = 0xffff_7fff_ffff_ffff,
        |registers| registers.core.eflags |= 1 << 17,
    ];
    let current = file(&saved());
    for (index, edit) in edits.into_iter().enumerate() {
        let mut wanted = current.clone();
        edit(&mut wanted);
        assert_eq!(check(&current, &wanted, 48), REFUSED, "edit {index}");
    }
}

#[test]
fn other_changes_are_not() {
    let edits: [fn(&mut X86_64Registers); 11] = [
        |_| (),
        |registers| registers.cr0 ^= 1 << 16,
        |registers| registers.cr0 ^= 1 << 3,
        |registers| registers.cr2 = 0xdead,
        |registers| registers.cr4 ^= 1 << 3,
        |registers| registers.cr4 ^= 1 << 21,
        |registers| registers.cr8 = 15,
        |registers| registers.efer ^= 1,
        |registers| registers.fs_base = 0x1234,
        |registers| registers.core.regs[7] = 0x0000_8000_0000_0000,
        |registers| registers.core.rip = 0x0000_7fff_ffff_ffff,
    ];
    let current = file(&saved());
    for (index, edit) in edits.into_iter().enumerate() {
        let mut wanted = current.clone();
        edit(&mut wanted);
        assert_eq!(check(&current, &wanted, 48), OK, "edit {index}");
    }
    let mut far = current.clone();
    far.core.rip = 0x0080_0000_0000_0000;
    assert_eq!(check(&current, &far, 57), OK);
    far.core.rip <<= 1;
    assert_eq!(check(&current, &far, 57), REFUSED);
}

#[test]
fn a_refused_register_takes_back_the_others() {
    let changes = Special::ALL.map(|special| Change { special, old: 1, new: 2 });
    for refused in 0..=changes.len() {
        let mut values = [1; 8];
        let mut writes = 0;
        let result = apply(&changes, |special, value| {
            let index = Special::ALL.iter().position(|&other| other == special).unwrap();
            writes += 1;
            values[index] = value;
            if index == refused && value == 2 { Err(Refused) } else { Ok(()) }
        });
        if refused == changes.len() {
            assert_eq!((result, values, writes), (Ok(()), [2; 8], 8));
        } else {
            assert_eq!((result, values, writes), (Err(Refused), [1; 8], 2 * refused + 2));
        }
    }
}

#[test]
fn equal_registers_are_not_written() {
    let changes = Special::ALL.map(|special| Change { special, old: 1, new: 1 });
    assert_eq!(apply(&changes, |_, _| panic!("a write")), Ok(()));
}

#[test]
fn only_a_different_fpu_is_written() {
    let current = file(&saved());
    assert_eq!(write_fpu(&saved(), &current, &current), Ok(None));
    let mut wanted = current.clone();
    wanted.core.xmm[15] = 1;
    let image = write_fpu(&saved(), &current, &wanted).unwrap().unwrap();
    assert_eq!(image[400..416], 1_u128.to_le_bytes());
    assert_eq!(image[FPU_SAVED], 1);
    wanted.core.mxcsr = 1 << 31;
    assert_eq!(write_fpu(&saved(), &current, &wanted), Err(RegisterError::Refused));
}

#[test]
fn an_fpu_that_was_not_saved_shows_its_reset_state_and_takes_nothing() {
    let hidden = Frame { fx: crate::frame::FpuImage([0; 512]), ..saved() };
    let current = file(&hidden);
    assert_eq!(current, file(&saved()));
    assert_eq!(write_fpu(&hidden, &current, &current), Ok(None));
    let mut wanted = current.clone();
    wanted.core.st[0][0] = 1;
    assert_eq!(write_fpu(&hidden, &current, &wanted), Err(RegisterError::Refused));
}
