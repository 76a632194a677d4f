//! What the client asked last, in case that it asks again because our acknowledgement was lost.
//!
//! A client whose `+` was lost on the way acknowledges our reply, throws it away, and sends its
//! request again, two seconds after that (gdb). The protocol has no numbers, so the same
//! request can also be a new one. To carry out a resume twice would be a wrong result: a step too
//! many, a breakpoint passed. So would it be to write twice to a device, or to give the firmware the
//! same command twice. So a request that cannot be carried out twice without harm is taken for a
//! repeat if it is byte for byte the last packet that came, nothing else came in between, and either our
//! reply has not been acknowledged, or about the client's time-out has passed since then. (It may have sent
//! the repeat before our reply came, which says no more than that the target has run for about so long.) It is
//! answered again, by the stop or by the reply that the link has kept, and nothing else happens.
//!
//! | request | twice is | a repeat is answered by |
//! | --- | --- | --- |
//! | `vCont`, `c`, `C`, `s`, `S` | a step too many | the stop that we are in |
//! | `M`, `X` | twice, for a device | the reply that was kept |
//! | `qRcmd` of a command that changes something | twice | the reply that was kept, and a line that says so |
//! | everything else | once | what is so now |
//!
//! What remains: a client that resumes, or writes, in the same words after more than that time, or without
//! acknowledging the reply before, and has looked at nothing in between is answered by what it knows. gdb and lldb do not do that: both
//! read registers after each stop, and gdb after each write. They may not have to any more where stop
//! replies carry registers; whoever adds these has to look here, and to keep them few enough that a client
//! still asks. A person, however, may well say the same to the firmware twice. So a command is taken for a repeat
//! for so long only as one can come, [`LATEST`] times as long as the soonest, and what is printed says that it
//! was not carried out: with any other request in between, it is.
//!
//! Without a clock every such packet is a repeat, because to do nothing is the lesser evil: the
//! client is told that the target has stopped, where it is. On a transport that loses nothing none is.

use super::entrance::on_console;
use super::{Next, Session};
use crate::arbiter::Arbiter;
use crate::fingerprint::Fingerprint;
use crate::link::Replay;
use crate::packet::{Errno, Name, Reply};
use crate::target::refusal::Refusal;
use crate::target::{Machine, monitor};

/// How much later than the soonest a repeat comes at the latest: one patience has to do for clocks
/// that differ.
const LATEST: u64 = 8;

/// What a command that was taken for a repeat prints first.
pub(super) const NOTICE: &str =
    "tetrarch: not carried out again: it came again after a time-out, with nothing in between\n";

/// How a repeat is answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Answer {
    /// By the stop that we are in.
    Stop,
    /// By the reply that was kept.
    Reply,
    /// Likewise; but it may be a person who says the same twice.
    Command,
}

impl Answer {
    /// How a packet of this name is answered if it comes again and the target has not run; `None` if
    /// it is as well carried out again. `changes` says whether a command changes anything.
    fn to(name: Name, changes: impl FnOnce() -> bool) -> Option<Self> {
        match name {
            Name::WriteMemory | Name::WriteBinary => Some(Self::Reply),
            Name::Monitor if changes() => Some(Self::Command),
            // If they resume the target, they are noted then.
            Name::Continue
            | Name::ContinueWithSignal
            | Name::Step
            | Name::StepWithSignal
            | Name::VCont
            // Twice is once.
            | Name::WriteRegisters
            | Name::WriteRegister
            | Name::Insert
            | Name::Remove
            | Name::SelectThread
            | Name::Supported
            | Name::StartNoAckMode
            | Name::ExtendedMode
            // They show something.
            | Name::Monitor
            | Name::StopReason
            | Name::ThreadAlive
            | Name::Attached
            | Name::CurrentThread
            | Name::FirstThreads
            | Name::MoreThreads
            | Name::ThreadExtraInfo
            | Name::TargetDescription
            | Name::MemoryMap
            | Name::VContActions
            | Name::ReadRegisters
            | Name::ReadRegister
            | Name::ReadMemory
            // After them there is nothing to be repeated.
            | Name::Detach
            | Name::Kill
            | Name::KillProcess
            | Name::Reset => None,
        }
    }
}

/// A request that is not carried out twice.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    fingerprint: Fingerprint,
    answer: Answer,
    /// When it was answered, if it was and there is a clock.
    pub answered_at: Option<u64>,
    /// Whether it has come again before.
    has_come_again: bool,
}

impl Request {
    pub fn new(packet: &[u8], answer: Answer) -> Self {
        let fingerprint = Fingerprint::of(packet);
        Self { fingerprint, answer, answered_at: None, has_come_again: false }
    }

    pub fn is_answered_by_stop(&self) -> bool {
        self.answer == Answer::Stop
    }

    pub fn is(&self, packet: &[u8]) -> bool {
        self.fingerprint == Fingerprint::of(packet)
    }

    /// Whether the same packet, as the next one after it, is a repeat of it at this time.
    fn is_repeated_at(&self, now: Option<u64>, patience: u64) -> bool {
        let (Some(before), Some(now)) = (self.answered_at, now) else { return true };
        let passed = now.saturating_sub(before);
        let is_in_time = match self.answer {
            Answer::Stop | Answer::Reply => true,
            Answer::Command => passed < patience.saturating_mul(LATEST),
        };
        passed >= patience && is_in_time
    }
}

impl<const PACKET: usize, const QUEUE: usize, const CPUS: usize> Session<PACKET, QUEUE, CPUS> {
    /// Answers the packet that the link holds, if it is the last one again.
    pub(super) fn answer_again<M: Machine, const CLAIMS: usize, const TASKS: usize>(
        &mut self,
        arbiter: &mut Arbiter<CLAIMS, CPUS, TASKS>,
        machine: &mut M,
    ) -> Option<Next> {
        let (now, patience) = (machine.now(), machine.client_patience());
        let last = self.client.last.take().filter(|_| self.link.loses())?;
        let is_repeat = !self.link.was_heard() || last.is_repeated_at(now, patience);
        if !is_repeat || !last.is(self.link.packet()) {
            return None;
        }
        match last.answer {
            Answer::Stop => self.report_stop(arbiter, machine),
            Answer::Command if !last.has_come_again => {
                const LENGTH: usize = 1 + 2 * NOTICE.len();
                self.replay(Some(on_console::<LENGTH>(&[NOTICE]).as_bytes()));
            }
            Answer::Reply | Answer::Command => self.replay(None),
        }
        let answered_at = machine.now();
        self.client.last = Some(Request { answered_at, has_come_again: true, ..last });
        Some(Next::Stay)
    }

    /// Sends the last reply again, behind this frame.
    fn replay(&mut self, first: Option<&[u8]>) {
        match self.link.replay(first) {
            Replay::Queued => {}
            // It was superseded while it was sent.
            Replay::Lost => {
                self.link.send(Reply::Error(Errno::Failed).payload().as_ref());
                self.debugger.refusals.note(Refusal::CameAgain);
            }
        }
    }

    /// The packet that the link holds is carried out now.
    pub(super) fn note_request(&mut self) {
        let packet = self.link.packet();
        let changes = || monitor::request_changes(packet, self.firmware.commands);
        let answer = Name::of(packet).and_then(|name| Answer::to(name, changes));
        self.client.last = answer.map(|answer| Request::new(packet, answer));
    }
}
