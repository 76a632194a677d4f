//! One packet of the client, from the fence to its effect.

use core::fmt::Write;
use core::num::NonZeroUsize;

use gdbstub::arch::Arch;
use heapless::String;
use num_traits::{Bounded, NumCast};

use super::client::Phase;
use super::dialogue::{self, Outcome};
use super::entrance::console;
use super::untold::Untold;
use super::{Next, Overheard, Session};
use crate::arbiter::Arbiter;
use crate::link::{Overflow, Transport};
use crate::packet::{self, Checked, Errno, Farewell, Limits, Reply, ThreadIds};
use crate::register_file::{self, RegisterFile};
use crate::stop::Mishap;
use crate::target::refusal::Refusal;
use crate::target::{CpuState, Debuggee, Machine, cpu_of, thread_of};

impl<const PACKET: usize, const QUEUE: usize, const CPUS: usize> Session<PACKET, QUEUE, CPUS> {
    /// Answers the packet that the link holds.
    pub(super) fn answer<M: Machine, const CLAIMS: usize, const TASKS: usize>(
        &mut self,
        arbiter: &mut Arbiter<CLAIMS, CPUS, TASKS>,
        machine: &mut M,
    ) -> Next {
        if self.client.phase == Phase::Absent {
            self.client.phase = Phase::Commanding;
        }
        self.client.is_deaf = false;
        if let Some(next) = self.answer_again(arbiter, machine) {
            return next;
        }
        self.is_answering = true;
        let next = self.carry_out(arbiter, machine);
        self.is_answering = false;
        self.client.is_answered(machine.now());
        next
    }

    /// Carries out what the packet that the link holds asks for.
    fn carry_out<M: Machine, const CLAIMS: usize, const TASKS: usize>(
        &mut self,
        arbiter: &mut Arbiter<CLAIMS, CPUS, TASKS>,
        machine: &mut M,
    ) -> Next {
        let transport = self.firmware.transport;
        let mut limits = limits::<M::Arch, PACKET, CPUS>(self.client.stepping, transport);
        match self.let_in(arbiter, machine, &limits) {
            Ok(readable) => limits.readable = readable,
            Err(next) => return next,
        }
        self.note_request();
        // An error would have gdb end `info threads` and the like in the middle of the list.
        let cpu = cpu_of(self.client.access);
        let is_silent = machine.state(cpu) == CpuState::NotResponding;
        if is_silent && self.link.packet() == b"g" {
            self.answer_digits::<M>(b'x', None);
            return Next::Stay;
        }
        let Self { link, scratch, client, debugger, firmware, stop, untold, overheard, .. } = self;
        let (payload, mut sink) = link.parts();
        let forwarded = match packet::check(payload, &limits) {
            Checked::Forward(packet) => packet,
            Checked::NewClient(packet, thread_ids) => {
                // The breakpoints of a client that vanished are not this one's.
                debugger.clear(arbiter, machine);
                untold.iter_mut().for_each(Untold::clear);
                *overheard = Overheard::Nothing;
                client.arrive(packet.payload(), thread_ids, thread_of(stop.cpu));
                packet
            }
            Checked::SelectThread(packet, selection) => {
                client.select(selection);
                packet
            }
            Checked::StopReason => {
                self.report_stop(arbiter, machine);
                return Next::Stay;
            }
            Checked::CurrentThread => {
                sink.send(current_thread(client.thread_ids, client.access).as_bytes());
                return Next::Stay;
            }
            Checked::StopAcknowledging => {
                sink.send(b"OK");
                link.stop_acknowledging();
                return Next::Stay;
            }
            Checked::Kill(farewell) => {
                match farewell {
                    Farewell::Ok => sink.send(b"OK"),
                    Farewell::Silent => {}
                }
                return Next::Reset;
            }
            Checked::Reset => return Next::Reset,
            Checked::Answer(reply) => {
                if let Reply::Error(errno) = reply {
                    debugger.refusals.note(Refusal::Packet(errno));
                }
                sink.send(reply.payload().as_ref());
                return Next::Stay;
            }
        };
        let mut target = Debuggee {
            arbiter: &mut *arbiter,
            machine: &mut *machine,
            debugger,
            firmware: *firmware,
            console: console::<QUEUE>(),
            stopped: stop.cpu,
            stop_text: &stop.text,
            selected: cpu_of(client.access),
        };
        match dialogue::answer(&mut target, scratch, client, forwarded.payload(), sink) {
            Outcome::Answered if self.debugger.orders.reset => Next::Reset,
            Outcome::Answered => {
                self.make_up_for_lost_reply();
                Next::Stay
            }
            Outcome::Resume => {
                self.client.resume(self.link.packet());
                self.resume(arbiter, machine)
            }
            Outcome::Detached => self.dismiss(arbiter, machine),
            Outcome::Died => {
                let refusal = Refusal::Packet(Errno::Failed);
                self.link.send(Reply::Error(Errno::Failed).payload().as_ref());
                self.debugger.refusals.note(refusal);
                Next::Stay
            }
        }
    }

    /// What the session was called for could not be finished, because of this: what the client has set
    /// is taken out, since nobody knows how much of that is whole, and it gets an error for its
    /// packet. The target stays stopped.
    pub fn give_up<M: Machine, const CLAIMS: usize, const TASKS: usize>(
        &mut self,
        arbiter: &mut Arbiter<CLAIMS, CPUS, TASKS>,
        machine: &mut M,
        mishap: Mishap,
    ) -> Next {
        self.debugger.clear(arbiter, machine);
        self.untold.iter_mut().for_each(Untold::clear);
        self.overheard = Overheard::Nothing;
        self.debugger.refusals.note(Refusal::GivenUp(mishap));
        self.client.is_answered(machine.now());
        let was_answering = core::mem::take(&mut self.is_answering);
        match self.client.phase {
            Phase::Commanding if was_answering => {
                self.link.send(Reply::Error(Errno::Failed).payload().as_ref());
            }
            // It waits for nothing.
            Phase::Absent | Phase::Commanding => {}
            Phase::Waiting => {
                self.client.phase = Phase::Commanding;
                self.client.is_told_of_stop(machine.now());
                // By hand: to say it properly may be what has failed.
                self.link.send(b"S06");
            }
        }
        Next::Stay
    }

    /// A reply for which there was no room has been dropped: an error is short, and better than
    /// a client that waits.
    fn make_up_for_lost_reply(&mut self) {
        match self.link.overflowed() {
            Overflow::None => {}
            Overflow::FrameLost => {
                self.link.send(Reply::Error(Errno::TooLong).payload().as_ref());
                self.debugger.refusals.note(Refusal::Packet(Errno::TooLong));
            }
        }
    }

    /// Answers a packet that was too long to be kept.
    pub(super) fn answer_oversized(&mut self) -> Next {
        self.client.last = None;
        self.link.send(Reply::Error(Errno::TooLong).payload().as_ref());
        self.debugger.refusals.note(Refusal::Oversized);
        Next::Stay
    }
}

fn limits<A, const PACKET: usize, const CPUS: usize>(
    stepping: NonZeroUsize,
    transport: Transport,
) -> Limits
where
    A: Arch<Registers: RegisterFile>,
{
    Limits {
        packet: PACKET,
        highest_address: NumCast::from(A::Usize::max_value()).unwrap_or(usize::MAX),
        threads: NonZeroUsize::new(CPUS).unwrap_or(NonZeroUsize::MIN),
        stepping,
        readable: usize::MAX,
        register_sizes: A::Registers::SIZES,
        transport,
        block: register_file::length(register_file::block::<A::Registers>()),
    }
}

fn current_thread(ids: ThreadIds, thread: NonZeroUsize) -> String<24> {
    let mut reply = String::new();
    // Five letters and at most sixteen digits.
    let _ = match ids {
        ThreadIds::Plain => write!(reply, "QC{thread:x}"),
        ThreadIds::WithProcess => write!(reply, "QCp1.{thread:x}"),
    };
    reply
}
