//! The way in: what the policy makes of a packet, before anybody else looks at it.

use core::fmt::Write;

use heapless::String;

use super::repeats::NOTICE;
use super::{Next, Session};
use crate::arbiter::Arbiter;
use crate::packet::{self, Checked, Errno, Limits, Name, Reply};
use crate::policy::{Denied, Grant, Patience, Ruling, Unlocked};
use crate::register_file::{self, RegisterFile};
use crate::target::refusal::Refusal;
use crate::target::{Machine, Refusals, monitor};

/// How many bytes one of the lines below has at the most.
const LINE: usize = 100;

const LOCKED: &str = "the debugger is locked: monitor unlock WORD\n";
const WRONG: &str = "still locked: that is not the word\n";
const TOO_SOON: &str = "still locked: too soon after a wrong word, this one was not looked at\n";
// gdb has read all registers, and keeps what it has.
const OPEN: &str = "unlocked; to see the registers: maintenance flush register-cache\n";
const OPEN_TO_LOOK: &str =
    "unlocked, to look; for the registers: maintenance flush register-cache\n";

impl<const PACKET: usize, const QUEUE: usize, const CPUS: usize> Session<PACKET, QUEUE, CPUS> {
    /// Lets the packet that the link holds pass, and says how many bytes it may read; or answers it.
    pub(super) fn let_in<M: Machine, const CLAIMS: usize, const TASKS: usize>(
        &mut self,
        arbiter: &mut Arbiter<CLAIMS, CPUS, TASKS>,
        machine: &mut M,
        limits: &Limits,
    ) -> Result<usize, Next> {
        let now = machine.now();
        let Self { gate, link, firmware, .. } = self;
        let payload = link.packet();
        let name = Name::of(payload);
        if name == Some(Name::Supported) {
            gate.relock();
        }
        gate.meet(now);
        if gate.patience(now) == Patience::Exhausted {
            return Err(self.dismiss(arbiter, machine));
        }
        let is_malformed =
            || packet::check(payload, limits) == Checked::Answer(Reply::Error(Errno::Invalid));
        match gate.rule(payload, || monitor::request_changes(payload, firmware.commands)) {
            Ruling::Pass { readable } => return Ok(readable),
            // It is answered as such by the fence, and has no effect.
            _ if is_malformed() => return Ok(usize::MAX),
            Ruling::Zeros(register) => self.answer_digits::<M>(b'0', register),
            Ruling::Unlock(word) => {
                let unlocked = gate.unlock(&word, now);
                self.answer_word(unlocked);
            }
            Ruling::Explain => self.print_and_be_done(LOCKED),
            Ruling::Dismiss => return Err(self.dismiss(arbiter, machine)),
            Ruling::Deny(denied) => self.deny(name, denied),
        }
        Err(Next::Stay)
    }

    fn deny(&mut self, name: Option<Name>, denied: Denied) {
        let refusal = Refusal::Policy(denied);
        let mut reply = String::<3>::new();
        // Two digits are enough for every errno.
        let _ = write!(reply, "E{:02x}", refusal.errno());
        self.link.send(reply.as_bytes());
        match name {
            Some(Name::ReadMemory) => self.debugger.refusals.note_read(refusal),
            _ => self.debugger.refusals.note(refusal),
        }
    }

    /// Answers with a register of which all digits are this one, or with those of the block: `0`, or
    /// `x` for those that cannot be had.
    pub(super) fn answer_digits<M: Machine>(&mut self, digit: u8, register: Option<usize>) {
        type Registers<M> = <<M as Machine>::Arch as gdbstub::arch::Arch>::Registers;
        let sizes = match register {
            None => Some(register_file::block::<Registers<M>>()),
            Some(number) => Registers::<M>::SIZES.get(number).map(core::slice::from_ref),
        };
        let count = sizes.map(|sizes| sizes.iter().map(|size| 2 * usize::from(*size)).sum());
        match count.and_then(|count| repeated(digit, count, &mut self.scratch)) {
            Some(payload) => self.link.send(payload),
            None => self.link.send(Reply::Error(Errno::Invalid).payload().as_ref()),
        }
    }

    fn answer_word(&mut self, unlocked: Unlocked) {
        if matches!(unlocked, Unlocked::Granted(_)) {
            // What was refused until now was refused because of the lock.
            self.debugger.refusals = Refusals::new();
        }
        self.print_and_be_done(match unlocked {
            Unlocked::Granted(Grant::Open) => OPEN,
            Unlocked::Granted(Grant::ReadOnly) => OPEN_TO_LOOK,
            Unlocked::Wrong => WRONG,
            Unlocked::TooSoon => TOO_SOON,
        });
    }

    /// Answers a `monitor` command.
    fn print_and_be_done(&mut self, line: &str) {
        self.print::<{ 1 + 2 * LINE }>(&[line]);
        self.link.send(Reply::Ok.payload().as_ref());
    }

    /// Prints on the client's console; see [`on_console`].
    pub(super) fn print<const DIGITS: usize>(&mut self, pieces: &[&str]) {
        self.link.send(on_console::<DIGITS>(pieces).as_bytes());
    }

    /// The client goes, or is sent away. The target runs on, unless it had stopped by itself and
    /// the client could not have had it go on.
    pub(super) fn dismiss<M: Machine, const CLAIMS: usize, const TASKS: usize>(
        &mut self,
        arbiter: &mut Arbiter<CLAIMS, CPUS, TASKS>,
        machine: &mut M,
    ) -> Next {
        let stays = self.gate.is_locked() && !self.stop.is_for_client;
        self.close(arbiter, machine);
        if stays { Next::Stay } else { self.go_on(arbiter, machine) }
    }
}

/// How many bytes a command may print so that its output, two digits each in packets of 256,
/// the reply after it, and a line in front of it find room in a queue of this length.
pub(super) const fn console<const QUEUE: usize>() -> usize {
    QUEUE.saturating_sub(64 + 2 * NOTICE.len()) / 9 * 4
}

/// The packet that prints this on the client's console. `DIGITS` is one for the `O` and two for each byte.
pub(super) fn on_console<const DIGITS: usize>(pieces: &[&str]) -> String<DIGITS> {
    let mut packet = String::new();
    let _ = packet.push('O');
    for byte in pieces.iter().flat_map(|piece| piece.bytes()) {
        let _ = write!(packet, "{byte:02x}");
    }
    packet
}

/// One digit so many times, run-length encoded.
fn repeated(digit: u8, count: usize, into: &mut [u8]) -> Option<&[u8]> {
    // The longest run there is: one digit, and `~` - 29 more.
    const RUN: usize = 1 + (b'~' - 29) as usize;
    let run = [digit, b'*', b'~'];
    let runs = core::iter::repeat_n(run.as_slice(), count / RUN);
    let rest = core::iter::repeat_n(core::slice::from_ref(&digit), count % RUN);
    let mut end = 0;
    for piece in runs.chain(rest) {
        into.get_mut(end..end + piece.len())?.copy_from_slice(piece);
        end += piece.len();
    }
    into.get(..end)
}
