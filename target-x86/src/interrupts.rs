//! What comes from outside: NMIs and the serial port.
//!
//! An NMI is a leader's call, or it is none of the stub's and goes to whom it would have reached
//! without the stub.
//!
//! **With further NMIs kept off.** The processor lets none in from an NMI to the next IRETQ, which
//! is to be the image's handler's: a second one would overwrite the frame of the first on an
//! interrupt stack. So the way there is a far return. What stays open: an NMI that has come while
//! the stub was at work was left by an IRETQ at once, and waited; and where a fault or a step came
//! in between, the last IRETQ was that one's; and a handler behind a trap gate, with interrupts on, is
//! reached by one. One that finds the context at the handler's first instruction is taken for the same.

use tetrarch::bank::Bank;
use tetrarch::dr::Slot;
use tetrarch::machine::Memory;
use tetrarch::session::Overheard;

use crate::course::{Course, News};
use crate::dispatch::{Caller, Installed};
use crate::exception::Visit;
use crate::frame::{Frame, flag, vector};
use crate::local::{Mine, Tables};
use crate::memory::Linear;
use crate::step::{self, Delivery, Event, Origin, System};

impl<'v, const CLAIMS: usize, const TASKS: usize, const CPUS: usize>
    Visit<'v, CLAIMS, TASKS, CPUS>
{
    /// Whether the firmware's own handler called for an NMI that it alone knows what to do with.
    pub fn is_for_the_firmware(&self) -> bool {
        let is_called = self.stub.world.is_called(self.cpu);
        let is_for_it = self.caller == Caller::Firmware && !is_called && self.at_rest().is_some();
        if is_for_it {
            self.local.pending.take_nmi();
        }
        is_for_it
    }

    /// An NMI: a leader wants this CPU to wait, or it is none of the stub's.
    pub fn nmi(&mut self, mut mine: Mine<'v, CLAIMS, TASKS>) {
        if self.stub.world.take_call(self.cpu) {
            if self.stub.world.leader().is_some() || self.is_stale(&mine) {
                self.pause(&mut mine);
                self.run(Course::Park(mine));
            }
        } else if !self.goes_to_the_image(&mine) {
            self.pause(&mut mine);
            self.run(Course::Tell(mine, News::Nmi));
        }
    }

    /// The serial port has something, or had while another CPU led.
    pub fn listen(&mut self, mine: Mine<'v, CLAIMS, TASKS>) {
        match self.stub.lead(self.cpu, mine) {
            Ok(mut lead) => {
                let overheard = self.overhear(&mut lead);
                self.end_interrupt();
                match overheard {
                    Overheard::Nothing if lead.mine.hits.mishap.is_some() => {
                        self.pause(&mut lead.mine);
                        self.run(Course::Lead(lead, News::Debug));
                    }
                    Overheard::Nothing => drop(lead.end()),
                    Overheard::Interrupt | Overheard::Packet | Overheard::HangUp => {
                        self.pause(&mut lead.mine);
                        self.run(Course::Lead(lead, News::Overheard(overheard)));
                    }
                }
            }
            Err(mut mine) => {
                self.end_interrupt();
                self.local.pending.note_serial();
                self.pause(&mut mine);
                self.run(Course::Park(mine));
            }
        }
    }

    /// Once the bytes are taken, so that they do not ask for another interrupt; and before a stop.
    pub fn end_interrupt(&mut self) {
        if core::mem::take(&mut self.owes_end_of_interrupt) {
            self.stub.end_of_interrupt();
        }
    }

    /// An NMI that is none of the stub's: to the handler that the image had before the stub was
    /// installed, as if it had come there at once. False if it had none.
    pub fn goes_to_the_image(&mut self, mine: &Mine<'v, CLAIMS, TASKS>) -> bool {
        let Some(Tables { image: Some(image), .. }) = mine.tables else { return false };
        let system = System { idt: image, ..mine.system() };
        let event = Event { vector: vector::NMI as u8, error: None, origin: Origin::Interrupt };
        let is_there = step::handler(&mut Linear, &system, event) == Some(self.frame.rip);
        let arrives = is_there
            || match step::deliver(self.frame, &mut Linear, &system, event) {
                Delivery::Handler => true,
                Delivery::Own(_) | Delivery::Impossible(_) => false,
            };
        if arrives && self.caller == Caller::Gate {
            self.frame.vector = vector::IMAGE_NMI;
            self.frame.error = self.frame.rip;
        }
        arrives
    }
}

/// On the way out, with DR7 still off: whether by an IRETQ, as ever, or to the image's NMI handler
/// by a far return, for which the entry finds everything in place. `bank` is what will be armed then.
pub(crate) fn prepare_way_out(frame: &mut Frame, memory: &mut impl Memory, bank: &Bank) {
    /// A far return loads none of them, or is interrupted between two instructions of its own.
    const BY_IRETQ_ALONE: u64 = flag::TRAP | flag::INTERRUPT | flag::RESUME | flag::NESTED;
    let words = [frame.rflags, frame.rip, frame.cs];
    let mut bytes = [0; 24];
    for (place, word) in bytes.chunks_exact_mut(8).zip(words) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    let below = frame.rsp.wrapping_sub(bytes.len() as u64);
    let is_in_ring_0 = frame.cs & 3 == 0;
    // The debugger may have moved it.
    let is_there = frame.rip == frame.error;
    // The far return reads what it goes by with the registers armed.
    let is_watched = |slot: &Slot| {
        bank.armed(*slot).is_some_and(|window| {
            let (start, end) = (window.address() as u64, below.wrapping_add(24));
            start < end && below < start.saturating_add(window.length().bytes() as u64)
        })
    };
    if is_in_ring_0
        && is_there
        && !Slot::ALL.iter().any(is_watched)
        && frame.rflags & BY_IRETQ_ALONE == 0
        && memory.write(below as usize, &bytes) == bytes.len()
    {
        frame.error = below;
    } else {
        frame.vector = vector::NMI;
    }
}
