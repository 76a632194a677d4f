//! Delivers an exception or a software interrupt to the firmware's handler, as the processor
//! would have done it (Intel SDM vol. 3, 7.14; AMD APM vol. 2, 8.9).
//!
//! ```text
//!   vector ▸ gate in the IDT ▸ code segment in the GDT ▸ privilege of the handler
//!          ▸ stack: IST of the TSS │ RSPn of the TSS if the privilege changes │ the current one
//!          ▸ align to 16, push SS RSP RFLAGS CS RIP (error code) ▸ first instruction
//! ```
//!
//! What goes wrong on this way is, for INT n, the #GP or #NP that the processor would raise
//! at the instruction, and that is delivered in its place. For a fault it would be a double
//! fault, most likely the end: better that the debugger sees the fault itself, so it is
//! handed back as impossible, with nothing changed. The same goes for a stack that cannot be
//! written.
//!
//! Pushed flags: RF is set for a fault, as the processor does it. For INT n it is clear: a
//! set one is there to get past a breakpoint on the INT, and would take the next breakpoint
//! after the handler's IRET with it.
//!
//! Not there: shadow stacks, LDTs, and handlers that are not 64-bit code (which #GP anyway).

use tetrarch::machine::Memory;

use super::segment::Descriptor;
use super::system::{System, is_canonical};
use crate::frame::{Frame, flag, vector};
use crate::tables::{self, Gate, GateKind};

/// An exception or a software interrupt on its way to a handler.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Event {
    /// Its vector.
    pub vector: u8,
    /// The error code, for a vector that pushes one.
    pub error: Option<u64>,
    /// Where the handler returns to.
    pub origin: Origin,
}

impl Event {
    /// Writes into `frame` what the entry would have written for it.
    pub fn describe_in(self, frame: &mut Frame) {
        frame.vector = u64::from(self.vector);
        frame.error = self.error.unwrap_or(0);
    }
}

/// What raised an [`Event`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    /// An instruction that could not be completed and runs again afterwards.
    Fault,
    /// An instruction that asks for it; `next` is the address of the one after it.
    #[allow(missing_docs, reason = "said above")]
    Software { next: u64 },
    /// Nothing in the program: the instruction that was to come next comes next afterwards.
    Interrupt,
}

/// What became of an [`Event`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Delivery {
    /// The frame is at the first instruction of the firmware's handler.
    Handler,
    /// The gate leads to the stub, which has to report the event. The frame is as the entry
    /// would have left it.
    Own(Event),
    /// The processor could not deliver it either. The frame is at the instruction that
    /// raises it.
    Impossible(Event),
}

/// Why a delivery failed.
enum Failure {
    /// The processor would raise this instead.
    Raises(Event),
    /// The handler's stack cannot be written.
    Stack,
}

/// RFLAGS.VM, which 64-bit mode does not have but clears all the same.
const VIRTUAL: u64 = 1 << 17;
/// Not present.
const SEGMENT_NOT_PRESENT: u8 = 11;
/// A bad TSS.
const TASK: u8 = 10;
/// In an error code: the index is one of the IDT.
const IN_IDT: u64 = 1 << 1;

impl Event {
    /// The exception that `frame` was saved for. #BP and #OF report the instruction after
    /// theirs; of all others the handler returns to the one in the frame.
    pub fn of(frame: &Frame) -> Event {
        const OVERFLOW: u64 = 4;
        let origin = match frame.vector {
            vector::BREAKPOINT | OVERFLOW => Origin::Software { next: frame.rip },
            _ => Origin::Fault,
        };
        let has_error = matches!(frame.vector, 8 | 10..=14 | 17 | 21 | 29 | 30);
        Event { vector: frame.vector as u8, error: has_error.then_some(frame.error), origin }
    }

    /// A fault with an error code.
    fn fault(vector: u8, error: u64) -> Event {
        Event { vector, error: Some(error), origin: Origin::Fault }
    }

    fn protection(error: u64) -> Failure {
        Failure::Raises(Event::fault(vector::PROTECTION as u8, error))
    }
}

/// Takes `event` to the handler that the firmware's IDT names for it.
///
/// TF, IF and everything else in `frame` must be the firmware's own by now.
pub fn deliver(
    frame: &mut Frame,
    memory: &mut impl Memory,
    system: &System,
    event: Event,
) -> Delivery {
    let delivered = match (attempt(frame, memory, system, event), event.origin) {
        (Err(Failure::Raises(instead)), Origin::Software { .. }) => {
            attempt(frame, memory, system, instead)
        }
        (delivered, Origin::Software { .. } | Origin::Fault | Origin::Interrupt) => delivered,
    };
    delivered.unwrap_or(Delivery::Impossible(event))
}

/// The address of the handler that the firmware's IDT names for `event`, if there is one.
pub fn handler(memory: &mut impl Memory, system: &System, event: Event) -> Option<u64> {
    gate(memory, system, event, 0).ok().map(Gate::offset)
}

fn attempt(
    frame: &mut Frame,
    memory: &mut impl Memory,
    system: &System,
    event: Event,
) -> Result<Delivery, Failure> {
    let (flags, rip) = match event.origin {
        Origin::Fault => (frame.rflags | flag::RESUME, frame.rip),
        Origin::Software { next } => (frame.rflags & !flag::RESUME, next),
        Origin::Interrupt => (frame.rflags, frame.rip),
    };
    let current = frame.cs as u8 & 3;
    let gate = gate(memory, system, event, current)?;
    if (system.is_ours)(gate.offset()) {
        frame.rflags = flags;
        frame.rip = rip;
        return Ok(Delivery::Own(event));
    }
    let privilege = handler_privilege(memory, system, gate, current)?;
    let top = stack(frame, memory, system, gate, privilege)? & !0xf;
    if !is_canonical(gate.offset(), system.address_bits) {
        return Err(Event::protection(0));
    }

    let pushed = [event.error.unwrap_or(0), rip, frame.cs, flags, frame.rsp, frame.ss];
    let mut bytes = [0; 48];
    for (place, word) in bytes.chunks_exact_mut(8).zip(pushed) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    let image = match event.error {
        Some(_) => &bytes[..],
        None => &bytes[8..],
    };
    let rsp = top.wrapping_sub(image.len() as u64);
    if memory.write(rsp as usize, image) != image.len() {
        return Err(Failure::Stack);
    }

    let cleared = flag::TRAP | flag::NESTED | flag::RESUME | VIRTUAL;
    frame.rflags = match gate.kind() {
        GateKind::Interrupt => flags & !(cleared | flag::INTERRUPT),
        GateKind::Trap | GateKind::Absent => flags & !cleared,
    };
    if privilege != current {
        // In 64-bit mode a change of privilege leaves a null selector behind.
        frame.ss = privilege.into();
    }
    frame.rip = gate.offset();
    frame.cs = u64::from(gate.selector() & !3) | u64::from(privilege);
    frame.rsp = rsp;
    Ok(Delivery::Handler)
}

/// The gate, if `event` may go through it.
fn gate(
    memory: &mut impl Memory,
    system: &System,
    event: Event,
    current: u8,
) -> Result<Gate, Failure> {
    let error = u64::from(event.vector) << 3 | IN_IDT;
    let mut bytes = [0; 16];
    let address = system.idt.entry(event.vector.into(), bytes.len());
    let address = address.ok_or(Event::protection(error))?;
    if memory.read(address as usize, &mut bytes) != bytes.len() {
        return Err(Event::protection(error));
    }
    let bits = u128::from_le_bytes(bytes);
    let gate = Gate::from_bits(bits);
    let is_gate = matches!(bits >> 40 & 0x1f, 0xe | 0xf);
    let is_allowed = match event.origin {
        Origin::Fault | Origin::Interrupt => true,
        Origin::Software { .. } => current <= gate.privilege(),
    };
    match gate.kind() {
        _ if !is_gate || !is_allowed => Err(Event::protection(error)),
        GateKind::Absent => Err(Failure::Raises(Event::fault(SEGMENT_NOT_PRESENT, error))),
        GateKind::Interrupt | GateKind::Trap => Ok(gate),
    }
}

/// The privilege that the handler runs with.
fn handler_privilege(
    memory: &mut impl Memory,
    system: &System,
    gate: Gate,
    current: u8,
) -> Result<u8, Failure> {
    let error = u64::from(gate.selector() & !3);
    let segment = Descriptor::find(memory, system.gdt, gate.selector());
    let segment = segment.ok_or(Event::protection(error))?;
    if !segment.is_long_code() || segment.privilege() > current {
        Err(Event::protection(error))
    } else if !segment.is_present() {
        Err(Failure::Raises(Event::fault(SEGMENT_NOT_PRESENT, error)))
    } else if segment.is_conforming() {
        Ok(current)
    } else {
        Ok(segment.privilege())
    }
}

/// Where the handler's stack starts.
fn stack(
    frame: &Frame,
    memory: &mut impl Memory,
    system: &System,
    gate: Gate,
    privilege: u8,
) -> Result<u64, Failure> {
    /// Offset of RSP0 in the TSS; RSP1 and RSP2 follow.
    const STACK_POINTERS: usize = 4;
    let offset = match gate.stack() {
        0 if privilege == frame.cs as u8 & 3 => return Ok(frame.rsp),
        0 => STACK_POINTERS + 8 * usize::from(privilege),
        number => tables::interrupt_stack_offset(number),
    };
    let bad = || Failure::Raises(Event::fault(TASK, u64::from(system.task & !3)));
    task_word(memory, system, offset).ok_or_else(bad)
}

/// The word at `offset` in the current TSS.
fn task_word(memory: &mut impl Memory, system: &System, offset: usize) -> Option<u64> {
    let index = usize::from(system.task >> 3);
    let low = system.gdt.entry(index, 8)?;
    system.gdt.entry(index + 1, 8)?;
    let descriptor = read_words(memory, low)?;
    if index == 0 || offset as u64 + 7 > tables::descriptor_limit(descriptor) {
        return None;
    }
    let base = tables::descriptor_base(descriptor);
    let [word] = read_words(memory, base.wrapping_add(offset as u64))?;
    Some(word)
}

fn read_words<const COUNT: usize>(memory: &mut impl Memory, address: u64) -> Option<[u64; COUNT]> {
    let mut words = [0; COUNT];
    for (index, word) in words.iter_mut().enumerate() {
        let mut bytes = [0; 8];
        let at = (address as usize).wrapping_add(8 * index);
        if memory.read(at, &mut bytes) != bytes.len() {
            return None;
        }
        *word = u64::from_le_bytes(bytes);
    }
    Some(words)
}

#[cfg(test)]
mod tests;
