//! The line as the firmware's console: what it says, and what is typed.
//!
//! The line is the client's while one is there. What the firmware says reaches it as `O` packets
//! while the target runs, which gdb prints; what comes between packets is noise. Without a client
//! the line is a terminal's: text goes out as it is, and what is typed goes to the firmware's
//! reader, byte by byte. A `$` begins a packet all the same; if a line ends before that does, it was
//! none, and the reader gets it after all.

use core::fmt::Write;

use heapless::String;

use super::client::Phase;
use super::{Overheard, Session};
use crate::link::Received;

/// The longest piece of text that can be said at a time, in bytes.
pub const PIECE: usize = 64;

/// What became of a piece of text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Said {
    /// It will be sent.
    Queued,
    /// Not yet: the piece before has not been acknowledged. To be tried again.
    Busy,
    /// There is no client: send it as it is, when [`Session::next_byte`] has nothing more.
    Raw,
    /// There is a client, but it does not listen.
    Unheard,
}

impl<const PACKET: usize, const QUEUE: usize, const CPUS: usize> Session<PACKET, QUEUE, CPUS> {
    /// Says [`PIECE`] bytes of the firmware's or less, while the target runs.
    pub fn say(&mut self, text: &[u8]) -> Said {
        match self.client.phase {
            Phase::Absent => Said::Raw,
            Phase::Commanding => Said::Unheard,
            Phase::Waiting if self.client.is_deaf => Said::Unheard,
            Phase::Waiting if !self.link.is_drained() => Said::Busy,
            Phase::Waiting => {
                let mut packet = String::<{ 1 + 2 * PIECE }>::new();
                let _ = packet.push('O');
                for byte in text.iter().take(PIECE) {
                    // There is room for each.
                    let _ = write!(packet, "{byte:02x}");
                }
                self.link.send(packet.as_bytes());
                Said::Queued
            }
        }
    }

    /// Time has passed while the target runs, and something that was said may have been lost. As
    /// [`pass_time`](Self::pass_time); a client that does not hear is not spoken to any more, until
    /// it is heard of.
    pub fn pass_time_running(&mut self, now: u64, patience: u64) {
        if self.link.pass_time(now, patience) == Received::GaveUp {
            self.lose_client();
        }
    }

    /// It has not acknowledged what was said, however often. It may come back; if it had to unlock the
    /// machine it has to do so again, because the next to come can be somebody else.
    pub(super) fn lose_client(&mut self) {
        self.client.is_deaf = true;
        if self.gate.relock() {
            // Nor does the machine go on because nobody unlocks it: it was stopped for one who had.
            self.stop.is_for_client = false;
        }
    }

    /// A byte that is none of the protocol's. A `+` is a client's first word if a packet follows, so it
    /// waits for the next byte.
    pub(super) fn read_from_console(&mut self, byte: u8) -> Overheard {
        match (self.client.phase, self.firmware.reader) {
            (Phase::Absent, Some(_)) if byte == b'+' => self.client.may_have_come = true,
            (Phase::Absent, Some(reader)) => reader(byte),
            (Phase::Absent | Phase::Commanding | Phase::Waiting, _) => {}
        }
        Overheard::Nothing
    }

    /// What ends a packet that was none: the end of a line is in no packet that a client begins with, and
    /// neither is a Ctrl-C, or another `$`.
    pub(super) fn hear_line_end(&mut self, byte: u8) {
        let is_typed = core::mem::take(&mut self.client.may_have_come) && byte != b'$';
        if let (true, Some(reader)) = (is_typed, self.firmware.reader) {
            reader(b'+');
        }
        let is_end = matches!(byte, b'\r' | b'\n' | b'$' | 0x03);
        if let (true, Phase::Absent, Some(reader)) =
            (is_end, self.client.phase, self.firmware.reader)
            && let Some(begun) = self.link.abandon()
        {
            reader(b'$');
            begun.iter().copied().for_each(reader);
        }
    }
}
