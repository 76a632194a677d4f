//! What comes over the line when nobody has been asked to speak: while the target runs, and a Ctrl-C
//! while it does not.

use super::client::Phase;
use super::{Next, Overheard, Session};
use crate::arbiter::Arbiter;
use crate::link::Received;
use crate::packet::{Errno, Name, Reply};
use crate::target::Machine;

impl<const PACKET: usize, const QUEUE: usize, const CPUS: usize> Session<PACKET, QUEUE, CPUS> {
    /// A byte has arrived while the target is running.
    ///
    /// A client that waits for a stop reply may send Ctrl-C and nothing else, so a packet is a
    /// new client, unless it is the old one's last packet again because it lost our
    /// acknowledgement. Without a client a Ctrl-C is noise, and so is a packet that no client
    /// starts with ([`Name::begins`]).
    pub fn overhear(&mut self, byte: u8) -> Overheard {
        self.hear_line_end(byte);
        let overheard = match self.link.receive(byte) {
            // An error reply now would be taken for the stop reply.
            Received::Nothing | Received::Oversized => Overheard::Nothing,
            Received::GaveUp => {
                self.lose_client();
                Overheard::Nothing
            }
            Received::Interrupt if self.client.phase == Phase::Waiting => Overheard::Interrupt,
            Received::Interrupt => self.read_from_console(byte),
            Received::Unframed(byte) => self.read_from_console(byte),
            Received::Packet if self.client.is_repeating(self.link.packet()) => Overheard::Nothing,
            Received::Packet => self.overhear_packet(),
        };
        if overheard != Overheard::Nothing {
            self.overheard = overheard;
        }
        overheard
    }

    /// The line was hung up while the target runs: whoever was there is gone.
    pub fn overhear_hang_up(&mut self) -> Overheard {
        self.link.hang_up();
        if self.client.phase != Phase::Absent || self.overheard != Overheard::Nothing {
            self.overheard = Overheard::HangUp;
        }
        self.overheard
    }

    /// Nobody is there any more, and the target runs on.
    pub(super) fn go_on<M: Machine, const CLAIMS: usize, const TASKS: usize>(
        &self,
        arbiter: &mut Arbiter<CLAIMS, CPUS, TASKS>,
        machine: &mut M,
    ) -> Next {
        arbiter.refresh_snapshots(machine);
        Next::Run(self.order(arbiter, machine, machine.cpu()))
    }

    /// The line was hung up while the target is stopped: whoever was there is gone, and what it has set
    /// goes with it. The target stays stopped, but not for one who was locked out and has left.
    pub fn hang_up<M: Machine, const CLAIMS: usize, const TASKS: usize>(
        &mut self,
        arbiter: &mut Arbiter<CLAIMS, CPUS, TASKS>,
        machine: &mut M,
    ) -> Next {
        self.link.hang_up();
        if self.client.phase == Phase::Absent {
            return Next::Stay;
        }
        if self.gate.is_locked() {
            return self.dismiss(arbiter, machine);
        }
        self.close(arbiter, machine);
        Next::Stay
    }

    /// What was overheard and has not been acted on.
    pub fn overheard(&self) -> Overheard {
        self.overheard
    }

    /// A packet that we do not know, or that nobody starts with, is not worth a stop. A client that has
    /// not started yet is told so; one that waits would take the answer for the stop reply.
    fn overhear_packet(&mut self) -> Overheard {
        match (Name::of(self.link.packet()), self.client.phase) {
            (Some(name), Phase::Absent) if !name.begins() => {
                self.link.send(Reply::Error(Errno::Invalid).payload().as_ref());
                Overheard::Nothing
            }
            (Some(_), _) => Overheard::Packet,
            (None, Phase::Absent) => {
                self.link.send(b"");
                Overheard::Nothing
            }
            (None, Phase::Commanding | Phase::Waiting) => Overheard::Nothing,
        }
    }

    /// A Ctrl-C that crossed our stop reply, or came while gdb was at work between two steps.
    /// The user wants the target to stop, and it did; but gdb may be about to resume it.
    pub(super) fn interrupt_while_stopped<M: Machine, const CLAIMS: usize, const TASKS: usize>(
        &mut self,
        arbiter: &mut Arbiter<CLAIMS, CPUS, TASKS>,
        machine: &mut M,
    ) -> Next {
        if self.client.phase == Phase::Commanding && self.client.is_deaf {
            // It waits for a stop that it was not told of, and that was given up.
            self.client.is_deaf = false;
            self.report_stop(arbiter, machine);
        } else if self.client.phase == Phase::Commanding {
            // Again: it may be waiting for a reply of which the acknowledgement was lost.
            if self.overheard == Overheard::Interrupt && self.link.repeat() == Received::GaveUp {
                self.report_stop(arbiter, machine);
            }
            self.overheard = Overheard::Interrupt;
        }
        Next::Stay
    }
}
