//! Stopping and going on: what the client is told, what the target is told.

use core::fmt::Write;

use heapless::String;

use super::client::Phase;
use super::{Cause, Next, Overheard, Session, Stop, console, dialogue};
use crate::arbiter::Arbiter;
use crate::stop::{self, Reason, StopText};
use crate::target::{Action, Debuggee, Machine, thread_of};

/// What one CPU does when it leaves the stub.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Go {
    /// One instruction, or as many as there are.
    pub motion: Motion,
    /// What becomes of RFLAGS.RF.
    pub resume_flag: ResumeFlag,
}

/// How far one CPU goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Motion {
    /// Run until something stops it.
    Continue,
    /// Execute the next instruction and come back with DR6.BS set.
    Step,
}

/// What becomes of RFLAGS.RF, which holds back execute breakpoints for one instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ResumeFlag {
    /// As it was saved.
    Keep,
    /// Set: the breakpoint on the next instruction has been reported.
    Set,
    /// Cleared: the debugger has moved the program counter elsewhere.
    Clear,
}

impl<const PACKET: usize, const QUEUE: usize> Session<PACKET, QUEUE> {
    /// Stops, and says so on the client's console too, because gdb has no word for the reason.
    pub(super) fn announce<
        M: Machine,
        const CLAIMS: usize,
        const CPUS: usize,
        const TASKS: usize,
    >(
        &mut self,
        arbiter: &mut Arbiter<CLAIMS, CPUS, TASKS>,
        machine: &mut M,
        reason: Reason,
        text: StopText,
    ) -> Next {
        if self.client.phase == Phase::Waiting {
            const SPEAKER: &[u8] = b"tetrarch: ";
            let mut packet = String::<{ 1 + 2 * (SPEAKER.len() + stop::LINE + 1) }>::new();
            let _ = packet.push('O');
            for byte in SPEAKER.iter().chain(text.as_bytes()).chain(b"\n") {
                let _ = write!(packet, "{byte:02x}");
            }
            self.link.send(packet.as_bytes());
        }
        self.enter(arbiter, machine, reason, text)
    }

    /// Stops: the reply goes to the client if it waits for one.
    pub(super) fn enter<M: Machine, const CLAIMS: usize, const CPUS: usize, const TASKS: usize>(
        &mut self,
        arbiter: &mut Arbiter<CLAIMS, CPUS, TASKS>,
        machine: &mut M,
        reason: Reason,
        text: StopText,
    ) -> Next {
        let cpu = machine.cpu();
        self.client.access = thread_of(cpu);
        self.client.stepping = thread_of(cpu);
        self.stop = Stop {
            reason,
            text,
            program_counter: machine.program_counter(cpu).unwrap_or_default(),
            reported: self.stop.reported,
        };
        match self.overheard {
            // Whoever sends packets does not wait for a stop reply, and would take it for the
            // answer.
            Overheard::Packet => {
                self.overheard = Overheard::Nothing;
                self.client.phase = Phase::Commanding;
                return self.answer(arbiter, machine);
            }
            Overheard::Interrupt if reason == Reason::Interrupted => {
                self.overheard = Overheard::Nothing;
            }
            // It is told at the next resume.
            Overheard::Interrupt | Overheard::Nothing => {}
        }
        if self.client.phase == Phase::Waiting {
            self.client.phase = Phase::Commanding;
            self.report_stop(arbiter, machine);
        }
        Next::Stay
    }

    /// Sends the stop reply for the stop that we are in.
    pub(super) fn report_stop<
        M: Machine,
        const CLAIMS: usize,
        const CPUS: usize,
        const TASKS: usize,
    >(
        &mut self,
        arbiter: &mut Arbiter<CLAIMS, CPUS, TASKS>,
        machine: &mut M,
    ) {
        let reply = self.stop.reason.reply(thread_of(machine.cpu()), self.client.vocabulary);
        let mut target = Debuggee {
            arbiter,
            machine,
            debugger: &mut self.debugger,
            firmware: self.firmware,
            console: console::<QUEUE>(),
            stop_text: &self.stop.text,
        };
        let sink = self.link.sink();
        match dialogue::report_stop(&mut target, &mut self.scratch, &self.client, reply, sink) {
            dialogue::Outcome::Answered => {}
            // gdbstub would not say it; the client must not wait for ever.
            dialogue::Outcome::Died | dialogue::Outcome::Resume | dialogue::Outcome::Detached => {
                self.link.send(b"S05");
            }
        }
    }

    /// A packet came while the target was running: stop, which answers it.
    pub(super) fn visit<M: Machine, const CLAIMS: usize, const CPUS: usize, const TASKS: usize>(
        &mut self,
        arbiter: &mut Arbiter<CLAIMS, CPUS, TASKS>,
        machine: &mut M,
    ) -> Next {
        let reason = Reason::Interrupted;
        self.enter(arbiter, machine, reason, stop::by(reason, &Cause::Packet))
    }

    /// The client wants the target to run.
    pub(super) fn resume<M: Machine, const CLAIMS: usize, const CPUS: usize, const TASKS: usize>(
        &mut self,
        arbiter: &mut Arbiter<CLAIMS, CPUS, TASKS>,
        machine: &mut M,
    ) -> Next {
        if self.overheard == Overheard::Interrupt {
            let reason = Reason::Interrupted;
            return self.enter(arbiter, machine, reason, stop::by(reason, &Cause::Interrupt));
        }
        let place = machine.program_counter(machine.cpu()).ok();
        let watches = &self.debugger.watches;
        if let Some(report) = place.and_then(|place| self.untold.next(place, arbiter, watches)) {
            let reason = Reason::Watch(report);
            return self.enter(arbiter, machine, reason, stop::by_trap(reason));
        }
        let action = self.debugger.orders.action;
        match action {
            // What the client took out and did not put back is not wanted any more.
            Action::Continue => arbiter.end_deferrals(),
            Action::Step | Action::StepRange { .. } => {}
        }
        arbiter.refresh_snapshots(machine);
        self.running = action;
        self.go(arbiter, machine)
    }

    /// Lets the target do what it was last told to do.
    pub(super) fn go<M: Machine, const CLAIMS: usize, const CPUS: usize, const TASKS: usize>(
        &mut self,
        arbiter: &Arbiter<CLAIMS, CPUS, TASKS>,
        machine: &M,
    ) -> Next {
        let cpu = machine.cpu();
        let next = machine.program_counter(cpu).unwrap_or_default();
        let resume_flag = match self.stop.reported.take() {
            Some(reported) if reported == next && arbiter.breaks_at(cpu, next) => ResumeFlag::Set,
            Some(_) | None if self.stop.program_counter != next => ResumeFlag::Clear,
            Some(_) | None => ResumeFlag::Keep,
        };
        let motion = match self.running {
            Action::Continue => Motion::Continue,
            Action::Step | Action::StepRange { .. } => Motion::Step,
        };
        Next::Run(Go { motion, resume_flag })
    }
}
