//! Stopping and going on: what the client is told, what the target is told.

use super::client::Phase;
use super::entrance::console;
use super::places::Place;
use super::{Cause, Next, Overheard, Session, Stop, dialogue};
use crate::arbiter::{Arbiter, CpuId};
use crate::stop::{self, Reason, StopText};
use crate::target::{Action, Debuggee, Debugger, Machine, thread_of};
use crate::watch::Report;

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
    /// Stay in the stub, until the next order.
    Wait,
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

impl<const PACKET: usize, const QUEUE: usize, const CPUS: usize> Session<PACKET, QUEUE, CPUS> {
    /// Stops, and says so on the client's console too, because gdb has no word for the reason.
    pub(super) fn announce<M: Machine, const CLAIMS: usize, const TASKS: usize>(
        &mut self,
        arbiter: &mut Arbiter<CLAIMS, CPUS, TASKS>,
        machine: &mut M,
        reason: Reason,
        text: StopText,
    ) -> Next {
        if self.client.phase == Phase::Waiting {
            const SPEAKER: &str = "tetrarch: ";
            const LONGEST: usize = SPEAKER.len() + stop::LINE + 1;
            self.print::<{ 1 + 2 * LONGEST }>(&[SPEAKER, &text, "\n"]);
        }
        self.enter(arbiter, machine, reason, text)
    }

    /// Stops: the reply goes to the client if it waits for one.
    pub(super) fn enter<M: Machine, const CLAIMS: usize, const TASKS: usize>(
        &mut self,
        arbiter: &mut Arbiter<CLAIMS, CPUS, TASKS>,
        machine: &mut M,
        reason: Reason,
        text: StopText,
    ) -> Next {
        self.stop(arbiter, machine, Stop { cpu: machine.cpu(), reason, text, is_for_client: false })
    }

    /// Stops, on this CPU or for another that had stopped before.
    fn stop<M: Machine, const CLAIMS: usize, const TASKS: usize>(
        &mut self,
        arbiter: &mut Arbiter<CLAIMS, CPUS, TASKS>,
        machine: &mut M,
        stop: Stop,
    ) -> Next {
        let Stop { cpu, reason, .. } = stop;
        self.client.access = thread_of(cpu);
        self.client.stepping = thread_of(cpu);
        self.stop = stop;
        (0..=u16::MAX).take(CPUS).for_each(|other| self.arrived(machine, CpuId(other)));
        match self.overheard {
            // Whoever sends packets does not wait for a stop reply, and would take it for the
            // answer.
            Overheard::Packet => {
                self.overheard = Overheard::Nothing;
                if self.client.phase == Phase::Waiting {
                    // One that waits for a stop says nothing else: this is another.
                    self.gate.relock();
                }
                self.client.phase = Phase::Commanding;
                return self.answer(arbiter, machine);
            }
            Overheard::Interrupt if reason == Reason::Interrupted => {
                self.overheard = Overheard::Nothing;
            }
            // It is told at the next resume.
            Overheard::Interrupt => {}
            // There is no client.
            Overheard::Nothing | Overheard::HangUp => {}
        }
        if self.client.phase == Phase::Waiting {
            self.report_stop(arbiter, machine);
            self.client.phase = Phase::Commanding;
        }
        Next::Stay
    }

    /// Sends the stop reply for the stop that we are in.
    pub(super) fn report_stop<M: Machine, const CLAIMS: usize, const TASKS: usize>(
        &mut self,
        arbiter: &mut Arbiter<CLAIMS, CPUS, TASKS>,
        machine: &mut M,
    ) {
        self.client.is_told_of_stop(machine.now());
        let Stop { cpu, reason, .. } = self.stop;
        let reply = reason.reply(thread_of(cpu), self.client.vocabulary);
        let mut target = Debuggee {
            arbiter,
            machine,
            debugger: &mut self.debugger,
            firmware: self.firmware,
            console: console::<QUEUE>(),
            stopped: cpu,
            stop_text: &self.stop.text,
            selected: cpu,
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
    pub(super) fn visit<M: Machine, const CLAIMS: usize, const TASKS: usize>(
        &mut self,
        arbiter: &mut Arbiter<CLAIMS, CPUS, TASKS>,
        machine: &mut M,
    ) -> Next {
        let reason = Reason::Interrupted;
        let text = stop::by(reason, &Cause::Packet);
        self.stop(arbiter, machine, Stop { cpu: machine.cpu(), reason, text, is_for_client: true })
    }

    /// The client wants the target to run.
    pub(super) fn resume<M: Machine, const CLAIMS: usize, const TASKS: usize>(
        &mut self,
        arbiter: &mut Arbiter<CLAIMS, CPUS, TASKS>,
        machine: &mut M,
    ) -> Next {
        if self.overheard == Overheard::Interrupt {
            let reason = Reason::Interrupted;
            return self.enter(arbiter, machine, reason, stop::by(reason, &Cause::Interrupt));
        }
        let actions = self.debugger.orders.actions;
        if let Some((cpu, report)) = self.next_untold(arbiter, machine) {
            let reason = Reason::Watch(report);
            let text = stop::by_trap(reason);
            return self.stop(arbiter, machine, Stop { cpu, reason, text, is_for_client: false });
        }
        match actions.of(self.stop.cpu) {
            // What the client took out and did not put back is not wanted any more.
            Action::Continue => arbiter.end_deferrals(),
            // Nor does the stopped context go on if it waits while another steps.
            Action::Step | Action::StepRange { .. } | Action::Wait => {}
        }
        arbiter.refresh_snapshots(machine);
        self.running = actions;
        Next::Run(self.order(arbiter, machine, machine.cpu()))
    }

    /// A hit that waits to be told, of a CPU that is to go on from where it came.
    fn next_untold<M: Machine, const CLAIMS: usize, const TASKS: usize>(
        &mut self,
        arbiter: &Arbiter<CLAIMS, CPUS, TASKS>,
        machine: &M,
    ) -> Option<(CpuId, Report)> {
        let Self { debugger: Debugger { orders, watches, .. }, untold, .. } = self;
        let mut waiting = (0..=u16::MAX).map(CpuId).zip(untold);
        waiting.find_map(|(cpu, untold)| {
            // One that is to stay where it is waits for another.
            let goes_on = orders.actions.of(cpu) != Action::Wait;
            let place = machine.program_counter(cpu).ok().filter(|_| goes_on)?;
            Some((cpu, untold.next(place, arbiter, watches)?))
        })
    }

    /// What a stopped CPU is to do when the target goes on. When it does, [`departed`] is due.
    ///
    /// [`departed`]: Self::departed
    pub fn order<M: Machine, const CLAIMS: usize, const TASKS: usize>(
        &self,
        arbiter: &Arbiter<CLAIMS, CPUS, TASKS>,
        machine: &M,
        cpu: CpuId,
    ) -> Go {
        let next = machine.program_counter(cpu).unwrap_or_default();
        let Place { program_counter, reported } = self.place(cpu);
        let resume_flag = match reported {
            Some(reported) if reported == next && arbiter.breaks_at(cpu, next) => ResumeFlag::Set,
            Some(_) | None if program_counter.is_some_and(|before| before != next) => {
                ResumeFlag::Clear
            }
            Some(_) | None => ResumeFlag::Keep,
        };
        let motion = match self.running.of(cpu) {
            Action::Continue => Motion::Continue,
            Action::Step | Action::StepRange { .. } => Motion::Step,
            Action::Wait => Motion::Wait,
        };
        Go { motion, resume_flag }
    }
}
