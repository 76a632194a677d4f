//! What comes from outside: NMIs and the serial port.
//!
//! An NMI is a leader's call, or it is none of the stub's and goes to whom it would have reached
//! without the stub.

use tetrarch::session::Overheard;

use crate::course::{Course, News};
use crate::dispatch::{Caller, Installed};
use crate::exception::Visit;
use crate::frame::vector;
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
                let overheard = lead.state().overhear();
                self.end_interrupt();
                match overheard {
                    Overheard::Nothing => drop(lead.end()),
                    Overheard::Interrupt | Overheard::Packet => {
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
        let event = Event { vector: vector::NMI as u8, error: None, origin: Origin::Interrupt };
        let system = System { idt: image, ..mine.system() };
        match step::deliver(self.frame, &mut Linear, &system, event) {
            Delivery::Handler => true,
            Delivery::Own(_) | Delivery::Impossible(_) => false,
        }
    }
}
