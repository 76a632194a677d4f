//! Between the saved frame and the debugger's register file.
//!
//! General registers, RIP, RFLAGS, CS and SS are in the frame, x87 and SSE in its FXSAVE
//! image ([`fxsave`]); the rest is still in the CPU ([`processor`]), which the stub leaves as
//! the firmware had it.
//!
//! A write is all or nothing, and touches only what differs: the debugger sends the whole
//! file even if its user changed one register. It is looked at first, as a value
//! ([`check`]). What would end the session there is refused: turning off paging or long
//! mode, other page tables (the stub may not be in them), another segment selector (the IRET
//! out of the stub would raise #GP in the stub), an RIP or MXCSR that IRET or FXRSTOR would
//! choke on. Then the registers of the CPU are written, which can refuse; what was written
//! until then is taken back. The frame comes last and cannot refuse.
//!
//! RFLAGS is gdb's 32 bits. TF is the firmware's own, because [`step`](crate::step) takes its
//! away before anyone looks; RF is as the frame has it.

pub mod fxsave;
pub mod processor;

#[cfg(test)]
mod tests;

use tetrarch::target::RegisterError;
use tetrarch::x86_64::X86_64Registers;

use crate::frame::Frame;
use crate::step::system::is_canonical;
use processor::{Refused, Special};

/// The bits of RFLAGS that a debugger may change: all but the reserved ones and VM.
const WRITABLE_FLAGS: u64 = 0x003d_7fd5;
const VIRTUAL: u32 = 1 << 17;
/// Of CR0: PE, EM and PG. Emulation decides whether the way out restores the FPU.
const FIXED_CR0: u64 = 1 << 0 | 1 << 2 | 1 << 31;
/// Of CR4: PAE, LA57, and from CET (23) on what changes how returns and exceptions work, or
/// may do so one day.
const FIXED_CR4: u64 = 1 << 5 | 1 << 12 | u64::MAX << 23;
/// Bits of CR4 that every processor with 64-bit mode has. The others can be cleared but not
/// set: QEMU 7.2 does not raise #GP for one that its CPU lacks, it hangs.
const COMMON_CR4: u64 = 0x7ff;
/// Of EFER: LME, LMA and NXE, without which page tables that use it fault everywhere.
const FIXED_EFER: u64 = 1 << 8 | 1 << 10 | 1 << 11;

/// Reads all registers of the context in `frame`. Supervisor mode only.
pub fn read(frame: &Frame, registers: &mut X86_64Registers) {
    read_frame(frame, registers);
    let segments = &mut registers.core.segments;
    segments.ds = processor::ds().into();
    segments.es = processor::es().into();
    segments.fs = processor::fs().into();
    segments.gs = processor::gs().into();
    for special in Special::ALL {
        *field(registers, special) = special.read();
    }
}

/// Writes those that differ: all of them, or none. Supervisor mode only.
pub fn write(frame: &mut Frame, registers: &X86_64Registers) -> Result<(), RegisterError> {
    let mut current = X86_64Registers::default();
    read(frame, &mut current);
    check(&current, registers, processor::address_bits())?;
    let fpu = write_fpu(frame, &current, registers)?;

    let mut wanted = registers.clone();
    let changes = Special::ALL.map(|special| Change {
        special,
        old: *field(&mut current, special),
        new: *field(&mut wanted, special),
    });
    apply(&changes, |special, value| {
        // SAFETY: a wrong value would end the session. `check` has refused every change that
        // the stub depends on; the old values, which come back after a refusal, were there.
        unsafe { special.write(value) }
    })
    .map_err(|Refused| RegisterError::Refused)?;
    if let Some(image) = fpu {
        frame.fx.0 = image;
    }
    write_frame(frame, registers);
    Ok(())
}

/// One register of the CPU, before and after.
#[derive(Clone, Copy)]
struct Change {
    special: Special,
    old: u64,
    new: u64,
}

/// Makes the changes in order, or none of them.
fn apply(
    changes: &[Change],
    mut write: impl FnMut(Special, u64) -> Result<(), Refused>,
) -> Result<(), Refused> {
    for (index, change) in changes.iter().enumerate() {
        if change.old == change.new {
            continue;
        }
        if write(change.special, change.new).is_err() {
            let made = changes.iter().take(index + 1).filter(|made| made.old != made.new);
            for made in made.rev() {
                // The value was in the register a moment ago: there is nothing to refuse.
                let _ = write(made.special, made.old);
            }
            return Err(Refused);
        }
    }
    Ok(())
}

/// Refuses what would end the session.
fn check(
    current: &X86_64Registers,
    wanted: &X86_64Registers,
    address_bits: u32,
) -> Result<(), RegisterError> {
    let changes = |old: u64, new: u64, mask: u64| (old ^ new) & mask != 0;
    let addresses = [wanted.core.rip, wanted.fs_base, wanted.gs_base];
    let refused = current.core.segments != wanted.core.segments
        || !addresses.iter().all(|&address| is_canonical(address, address_bits))
        || wanted.core.eflags & VIRTUAL != 0
        || changes(current.cr0, wanted.cr0, FIXED_CR0)
        || changes(current.cr3, wanted.cr3, u64::MAX)
        || changes(current.cr4, wanted.cr4, FIXED_CR4)
        || wanted.cr4 & !current.cr4 & !COMMON_CR4 != 0
        || changes(current.efer, wanted.efer, FIXED_EFER);
    if refused { Err(RegisterError::Refused) } else { Ok(()) }
}

/// The FXSAVE image that the frame has to get, if x87 or SSE differ.
fn write_fpu(
    frame: &Frame,
    current: &X86_64Registers,
    wanted: &X86_64Registers,
) -> Result<Option<[u8; 512]>, RegisterError> {
    let (old, new) = (&current.core, &wanted.core);
    if (&old.st, &old.fpu, &old.xmm, old.mxcsr) == (&new.st, &new.fpu, &new.xmm, new.mxcsr) {
        return Ok(None);
    }
    if !frame.fx.is_saved() {
        // CR0.EM: what is in the FPU is not known, and will not be loaded.
        return Err(RegisterError::Refused);
    }
    let mut image = frame.fx.0;
    match fxsave::encode(wanted, &mut image) {
        Ok(()) => Ok(Some(image)),
        Err(fxsave::Unloadable) => Err(RegisterError::Refused),
    }
}

/// The part that is in the frame.
fn read_frame(frame: &Frame, registers: &mut X86_64Registers) {
    let core = &mut registers.core;
    core.regs = [
        frame.rax, frame.rbx, frame.rcx, frame.rdx, frame.rsi, frame.rdi, frame.rbp, frame.rsp,
        frame.r8, frame.r9, frame.r10, frame.r11, frame.r12, frame.r13, frame.r14, frame.r15,
    ];
    core.rip = frame.rip;
    core.eflags = frame.rflags as u32;
    core.segments.cs = u32::from(frame.cs as u16);
    core.segments.ss = u32::from(frame.ss as u16);
    let image = if frame.fx.is_saved() { &frame.fx.0 } else { &fxsave::RESET };
    fxsave::decode(image, registers);
}

/// Writes what [`read_frame`] reads, but the FXSAVE image and the selectors.
fn write_frame(frame: &mut Frame, registers: &X86_64Registers) {
    let core = &registers.core;
    [
        frame.rax, frame.rbx, frame.rcx, frame.rdx, frame.rsi, frame.rdi, frame.rbp, frame.rsp,
        frame.r8, frame.r9, frame.r10, frame.r11, frame.r12, frame.r13, frame.r14, frame.r15,
    ] = core.regs;
    frame.rip = core.rip;
    let flags = u64::from(core.eflags) & WRITABLE_FLAGS;
    frame.rflags = frame.rflags & !WRITABLE_FLAGS | flags;
}

/// Where the register file keeps a register of the CPU.
fn field(registers: &mut X86_64Registers, special: Special) -> &mut u64 {
    match special {
        Special::FsBase => &mut registers.fs_base,
        Special::GsBase => &mut registers.gs_base,
        Special::Cr0 => &mut registers.cr0,
        Special::Cr2 => &mut registers.cr2,
        Special::Cr3 => &mut registers.cr3,
        Special::Cr4 => &mut registers.cr4,
        Special::Cr8 => &mut registers.cr8,
        Special::Efer => &mut registers.efer,
    }
}
