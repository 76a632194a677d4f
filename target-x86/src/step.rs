//! Single step: TF and IF, and the instructions that can tell.
//!
//! A step runs one instruction with TF = 1, so that #DB follows it, and IF = 0, so that no
//! interrupt handler comes in between. Both must be invisible: to the instructions that
//! store the flags, in what those that change them leave behind, and in what a fault pushes.
//! So a step has two halves around the instruction. [`begin`] looks at it ([`decode`]) and
//!
//! * does it itself where running it would lose control or show the stub: HLT and MWAIT would
//!   sleep; SYSCALL and INT n would store the wrong flags; LIDT would send its own trap to
//!   the new table, and SIDT would store the stub's; MOV SS, and STI in QEMU, would put the
//!   trap off;
//! * otherwise sets the two flags and remembers what they were.
//!
//! [`finish`] puts them right afterwards, by what that instruction does with them. If a fault
//! came instead of the trap, [`deliver`] takes it to the firmware's handler, and the step
//! ends at the first instruction there: a synchronous transfer is the same context.
//!
//! ```text
//!                      IF afterwards                    TF afterwards
//!   most               as before                        as before
//!   STI CLI            as loaded, if CPL ≤ IOPL         as before
//!   POPF IRET          as loaded, if CPL ≤ IOPL         as loaded
//!   SYSRET             as R11 had it                    as R11 had it
//!   SYSENTER           0                                as before
//!   PUSHF              as before, in the image too      as before, in the image too
//!   fault              as before                        as before
//! ```
//!
//! "As before" includes a TF that the firmware set for itself. A REP instruction is stepped
//! by iterations, as the processor does it.
//!
//! SYSRET looks at TF *after* it has loaded the flags: R11 gets TF for its time. What carries
//! out an instruction here does not trigger watchpoints on what it writes.
//!
//! Limits: LGDT under a step needs the stub's code segment in the new table, and LTR changes
//! the exception stacks. SYSCALL from 32-bit code, and SIDT in user mode, run as they are.
//! An interrupt may come between STI and the instruction after it, once that was stepped to.

pub mod decode;
pub mod deliver;
mod emulate;
pub mod operand;
pub mod segment;
pub mod system;

#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
mod tests;

use tetrarch::dr::Dr6;
use tetrarch::machine::Memory;

use crate::frame::{Frame, flag, vector};
use crate::tables::DescriptorTable;
use decode::{Instruction, Kind, LONGEST, Mode};
pub use deliver::{Delivery, Event, Origin, deliver, handler};
use emulate::Emulation;
use segment::Descriptor;
pub use system::System;

/// How a step starts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Begun {
    /// It is over: the instruction was carried out here, and the frame is behind it.
    Completed,
    /// The same, and it was LIDT: this is the firmware's table from now on.
    LoadedIdt(DescriptorTable),
    /// The instruction raises an exception whose gate leads to the stub, which has to report
    /// it. The frame is as the entry would have left it.
    Exception(Event),
    /// The instruction raises an exception that cannot be delivered. The frame is as it was;
    /// going on raises it for real.
    Impossible(Event),
    /// The frame is ready to be returned to, with the stub's own IDT loaded.
    Armed(Pending),
}

/// How a step ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Finished {
    /// With a debug exception: DR6 says which.
    Debug,
    /// With another exception, which has to be [delivered](deliver).
    Exception(Event),
}

/// What has to be remembered while the instruction runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pending {
    effect: Effect,
    rip: u64,
    rflags: u64,
    r11: u64,
    privilege: u8,
}

/// What the running instruction does with IF and TF.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Effect {
    None,
    ChangesInterruptFlag,
    ClearsInterruptFlag,
    PushesFlags,
    LoadsFlags,
    LoadsR11,
}

/// What a step takes away for its time.
const HELD: u64 = flag::TRAP | flag::INTERRUPT;

/// Starts a step of the instruction that `frame` is at.
///
/// `frame`'s RF is to be what the instruction should run with.
pub fn begin(frame: &mut Frame, memory: &mut impl Memory, system: &System) -> Begun {
    let mut bytes = [0; LONGEST];
    let count = memory.read(frame.rip as usize, &mut bytes);
    let mode = mode(frame, memory, system);
    let Instruction { kind, length } =
        Instruction::decode(bytes.get(..count).unwrap_or(&bytes), mode);
    let next = frame.rip.wrapping_add(u64::from(length));
    let privilege = privilege(frame);

    let mut emulation = Emulation { frame, memory, system, next, privilege };
    // One that does not apply leaves the instruction to the processor, which knows better how
    // to refuse it.
    let done = match kind {
        Kind::Sleep => emulation.sleep(),
        Kind::SetInterruptFlag => emulation.set_interrupt_flag(),
        Kind::SystemCall => emulation.system_call(),
        Kind::Interrupt(number) => Some(emulation.interrupt(number)),
        Kind::LoadIdt(place) => emulation.load_idt(place),
        Kind::StoreIdt(place) => emulation.store_idt(place),
        Kind::LoadStackSegment(operand) => emulation.load_stack_segment(operand),
        Kind::Plain
        | Kind::ChangeInterruptFlag
        | Kind::ClearInterruptFlag
        | Kind::PushFlags
        | Kind::LoadFlags
        | Kind::SystemReturn => None,
    };
    done.unwrap_or_else(|| Begun::Armed(arm(frame, kind, privilege)))
}

/// Starts a step of an instruction that an execute breakpoint comes before: the processor
/// raises it, even where [`begin`] would carry the instruction out.
pub fn begin_at_breakpoint(frame: &mut Frame) -> Begun {
    let privilege = privilege(frame);
    Begun::Armed(arm(frame, Kind::Plain, privilege))
}

/// Sets the flags for one instruction.
fn arm(frame: &mut Frame, kind: Kind, privilege: u8) -> Pending {
    let effect = match kind {
        Kind::SetInterruptFlag | Kind::ChangeInterruptFlag => Effect::ChangesInterruptFlag,
        Kind::ClearInterruptFlag => Effect::ClearsInterruptFlag,
        Kind::PushFlags => Effect::PushesFlags,
        Kind::LoadFlags => Effect::LoadsFlags,
        Kind::SystemReturn => Effect::LoadsR11,
        Kind::Plain
        | Kind::Sleep
        | Kind::SystemCall
        | Kind::Interrupt(_)
        | Kind::LoadIdt(_)
        | Kind::StoreIdt(_)
        | Kind::LoadStackSegment(_) => Effect::None,
    };
    let Frame { rip, rflags, r11, .. } = *frame;
    frame.rflags = rflags & !flag::INTERRUPT | flag::TRAP;
    if effect == Effect::LoadsR11 {
        frame.r11 = r11 & !flag::INTERRUPT | flag::TRAP;
    }
    Pending { effect, rip, rflags, r11, privilege }
}

/// Ends a step, at any exception but an NMI. `status` is DR6 and matters for #DB only.
///
/// Afterwards TF and IF in `frame` are the firmware's. To be called with DR7 off: it may
/// write to the context's stack.
pub fn finish(
    pending: Pending,
    frame: &mut Frame,
    memory: &mut impl Memory,
    status: Dr6,
) -> Finished {
    let Pending { effect, rip, rflags: before, r11, privilege } = pending;
    if effect == Effect::LoadsR11 {
        frame.r11 = r11;
    }
    let debug = frame.vector == vector::DEBUG;
    // An execute breakpoint comes before the instruction, and without BS.
    let executed = debug && (status.single_step() || frame.rip != rip);
    if !executed {
        assume(frame, HELD, before);
    } else {
        let loads_interrupt_flag = emulate::may_change_interrupt_flag(before, privilege);
        match effect {
            Effect::None => assume(frame, HELD, before),
            Effect::PushesFlags => {
                assume(frame, HELD, before);
                repair_image(frame.rsp, memory, before);
            }
            Effect::ChangesInterruptFlag if loads_interrupt_flag => {
                assume(frame, flag::TRAP, before);
            }
            Effect::ChangesInterruptFlag => assume(frame, HELD, before),
            Effect::ClearsInterruptFlag => assume(frame, HELD, before & !flag::INTERRUPT),
            Effect::LoadsFlags if loads_interrupt_flag => {}
            Effect::LoadsFlags => assume(frame, flag::INTERRUPT, before),
            Effect::LoadsR11 => assume(frame, HELD, r11),
        }
    }
    if debug { Finished::Debug } else { Finished::Exception(Event::of(frame)) }
}

/// Gives the bits `mask` of the frame's flags the values that they have in `source`.
fn assume(frame: &mut Frame, mask: u64, source: u64) {
    frame.rflags = frame.rflags & !mask | source & mask;
}

/// Puts IF and TF right in what a PUSHF of any width has just stored at `stack`. Both are in
/// the image's second byte, and nothing else of it is touched.
fn repair_image(stack: u64, memory: &mut impl Memory, before: u64) {
    let address = (stack as usize).wrapping_add(1);
    let mut byte = [0];
    if memory.read(address, &mut byte) == 1 {
        let held = (HELD >> 8) as u8;
        let byte = byte[0] & !held | (before >> 8) as u8 & held;
        // It was pushed there a moment ago; where even so it cannot be written, nobody reads
        // it either.
        memory.write(address, &[byte]);
    }
}

fn privilege(frame: &Frame) -> u8 {
    frame.cs as u8 & 3
}

/// How the code segment is read; as 64-bit code where it cannot be found.
fn mode(frame: &Frame, memory: &mut impl Memory, system: &System) -> Mode {
    match Descriptor::find(memory, system.gdt, frame.cs as u16) {
        Some(segment) if !segment.is_long_code() => Mode::Compatibility,
        _ => Mode::Long,
    }
}
