//! Instructions that a step carries out by itself, because running them under TF would lose
//! control or show the stub: see the [parent](super).
//!
//! Each returns `None`, and has changed nothing, where the processor might refuse the
//! instruction: then it runs for real, and the fault is the processor's own.

use tetrarch::machine::Memory;

use super::Begun;
use super::deliver::{Delivery, Event, Origin, deliver};
use super::operand::{Operand, Place, general};
use super::segment::{Descriptor, is_stack};
use super::system::{System, is_canonical};
use crate::frame::{Frame, flag};
use crate::tables::DescriptorTable;

/// An instruction about to be carried out.
pub struct Emulation<'a, M> {
    /// The context, still at the instruction.
    pub frame: &'a mut Frame,
    /// Its memory.
    pub memory: &'a mut M,
    /// Its CPU.
    pub system: &'a System,
    /// Address of the instruction after it.
    pub next: u64,
    /// CPL.
    pub privilege: u8,
}

impl<M: Memory> Emulation<'_, M> {
    /// HLT and MWAIT, as if the interrupt had already come and been handled.
    pub fn sleep(&mut self) -> Option<Begun> {
        (self.privilege == 0).then(|| self.advance(Begun::Completed))
    }

    /// STI, where it sets IF itself. The processor holds interrupts back for one more
    /// instruction, and QEMU's TCG the trap of the step as well: it would come one late.
    pub fn set_interrupt_flag(&mut self) -> Option<Begun> {
        may_change_interrupt_flag(self.frame.rflags, self.privilege).then(|| {
            self.frame.set(flag::INTERRUPT);
            self.advance(Begun::Completed)
        })
    }

    /// SYSCALL (Intel SDM vol. 2B): RCX and R11 take the return address and the flags, and
    /// everything else comes out of model-specific registers. It does not look at the
    /// segments that it loads, but the IRET out of the stub does.
    pub fn system_call(&mut self) -> Option<Begun> {
        let target = self.system.syscall?;
        let code = (target.star >> 32) as u16 & !3;
        let stack = code.wrapping_add(8);
        let segment = Descriptor::find(self.memory, self.system.gdt, code)?;
        let usable = segment.is_long_code()
            && segment.is_present()
            && segment.privilege() == 0
            && is_stack(self.memory, self.system.gdt, stack, 0);
        if !usable {
            return None;
        }
        let flags = self.frame.rflags & !flag::RESUME;
        self.frame.rcx = self.next;
        self.frame.r11 = flags;
        self.frame.rflags = flags & !target.mask | flag::FIXED;
        self.frame.rip = target.entry;
        self.frame.cs = code.into();
        self.frame.ss = stack.into();
        Some(Begun::Completed)
    }

    /// INT n and INT3.
    pub fn interrupt(&mut self, number: u8) -> Begun {
        let origin = Origin::Software { next: self.next };
        let event = Event { vector: number, error: None, origin };
        match deliver(self.frame, self.memory, self.system, event) {
            Delivery::Handler => Begun::Completed,
            Delivery::Own(event) => Begun::Exception(event),
            Delivery::Impossible(event) => Begun::Impossible(event),
        }
    }

    /// LIDT, from a limit and a base in memory.
    pub fn load_idt(&mut self, place: Place) -> Option<Begun> {
        let mut bytes = [0; 10];
        self.load(place, &mut bytes)?;
        let (limit, base) = bytes.split_first_chunk()?;
        let base = u64::from_le_bytes(*base.first_chunk()?);
        let table = DescriptorTable { base, limit: u16::from_le_bytes(*limit) };
        let accepted = self.privilege == 0 && is_canonical(base, self.system.address_bits);
        accepted.then(|| self.advance(Begun::LoadedIdt(table)))
    }

    /// SIDT, of the table that the firmware has loaded.
    pub fn store_idt(&mut self, place: Place) -> Option<Begun> {
        if self.privilege != 0 {
            return None;
        }
        let mut bytes = [0; 10];
        let (limit, base) = bytes.split_first_chunk_mut()?;
        *limit = self.system.idt.limit.to_le_bytes();
        *base.first_chunk_mut()? = self.system.idt.base.to_le_bytes();
        let written = self.memory.write(self.address(place), &bytes);
        (written == bytes.len()).then(|| self.advance(Begun::Completed))
    }

    /// MOV to SS: the IRET out of the stub loads it.
    pub fn load_stack_segment(&mut self, operand: Operand) -> Option<Begun> {
        let selector = match operand {
            Operand::Register(number) => general(self.frame, number) as u16,
            Operand::Memory(place) => {
                let mut bytes = [0; 2];
                self.load(place, &mut bytes)?;
                u16::from_le_bytes(bytes)
            }
        };
        if !is_stack(self.memory, self.system.gdt, selector, self.privilege) {
            return None;
        }
        self.frame.ss = selector.into();
        Some(self.advance(Begun::Completed))
    }

    /// Ends the instruction. The processor clears RF after each one, or the next instruction
    /// would get past its breakpoint.
    fn advance(&mut self, begun: Begun) -> Begun {
        self.frame.rip = self.next;
        self.frame.clear(flag::RESUME);
        begun
    }

    fn address(&self, place: Place) -> usize {
        place.address(self.frame, self.next, self.system) as usize
    }

    /// Reads an operand, or nothing.
    fn load(&mut self, place: Place, into: &mut [u8]) -> Option<()> {
        let address = self.address(place);
        (self.memory.read(address, into) == into.len()).then_some(())
    }
}

#[cfg(test)]
mod tests;

/// Whether STI, CLI and POPF reach IF: CPL ≤ IOPL.
pub fn may_change_interrupt_flag(rflags: u64, privilege: u8) -> bool {
    u64::from(privilege) <= rflags >> 12 & 3
}
