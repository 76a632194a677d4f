//! Bytes to checked packets, and packets to acknowledged bytes.
//!
//! A serial line loses, invents and damages bytes. The protocol's answer is small: each
//! packet travels in a frame `$payload#xx`, where `xx` is the sum of the payload's bytes,
//! and each side answers a frame with `+` (whole) or `-` (damaged, send it again). gdbstub
//! dies of a `-`, so all of this happens here, in front of it: what leaves the link towards
//! the session is a packet that arrived whole, and what the session sends is kept until
//! the client has it.
//!
//! # Receiving
//!
//! ```text
//!             ┌────────── any other byte: ignored
//!             ▼          + : our frame arrived    - : send our frame again
//!   ┌──▶ [ Between ] ──  0x03 : Interrupt
//!   │         │ $
//!   │         ▼   ┌───── $ : the frame starts anew
//!   │    [ Payload ] ◀───────────────────┐
//!   │         │ #   └── far too long ──▶ Between
//!   │         ▼                          │ $
//!   │    [ FirstDigit ] ─────────────────┤
//!   │         │ hex                      │
//!   │         ▼                          │
//!   │    [ SecondDigit ] ────────────────┘
//!   │         │
//!   └─────────┴── sum agrees: + and Packet (or Oversized)
//!                 it does not, or a digit is none: - (but a + is one, of the next client)
//! ```
//!
//! Escapes (`}`) stay in the payload; who reads the packet decodes them. A byte `0x03`
//! behind the `:` of an `X` packet is data; no other packet has one, so elsewhere it is a Ctrl-C after a
//! `$` that was noise. A frame longer than there is room for is swallowed up to its
//! end, acknowledged like any other and reported as [`Received::Oversized`], so that the
//! session can answer with an error: refusing it with `-` would only bring it again.
//!
//! # Sending
//!
//! ```text
//!               next_byte()                 its last byte was handed out
//!   [ Ready ] ───────────────▶ [ Sending ] ──────────────────────────▶ [ Waiting ]
//!       ▲                          │                                        │
//!       │                          │ a packet came in the meantime          │
//!       ├──────────────────────────┘ (frame done)                           │
//!       ├───────── + , or a new packet (frame done) ────────────────────────┤
//!       └───────── - , or too long without a word ──────────────────────────┘
//!                  (frame kept, at most RESENDS times, then GaveUp)
//! ```
//!
//! Stop and wait: the next frame of the queue goes out only after the `+` for the one
//! before, because a `-` does not say which frame it means. For the same reason `+` and
//! `-` count only while a frame is waiting for one.
//!
//! A whole packet from the client is worth a `+`: it would not ask for something new if it
//! still waited for an answer. So nothing more is sent of what is queued. A frame of
//! which some bytes have left is finished first, since half a frame would swallow the `+`
//! that follows it; gdb reads and forgets a frame that comes where it expects a `+`, and one that is
//! sent again although it had arrived, because its own `+` was lost.
//!
//! # Twice
//!
//! A frame from the client that stops in the middle is noticed at the next `$` only, and one that is
//! lost altogether is the client's to send again.
//!
//! A request that comes twice, because our `+` was lost, is reported twice: what becomes of it is for
//! the [session](crate::session) to say (`repeats`), and the last reply is kept for that, acknowledged
//! or not. One that comes twice because it was late is reported once (`copies`).
//!
//! Packets go on to the fence ([`packet`](crate::packet)).

mod acknowledging;
mod copies;
mod envelope;
mod frames;
mod receiver;
mod sender;
mod sink;
#[cfg(test)]
mod tests;

pub use acknowledging::Transport;
pub(crate) use envelope::digit;
pub use envelope::{ENVELOPE, frame};
pub use frames::Overflow;
pub use receiver::Received;
pub use sender::Replay;
pub use sink::FrameSink;

use acknowledging::Acknowledging;
use copies::Copies;
use receiver::{Found, Receiver};
use sender::Sender;

/// One end of a serial line that speaks the remote protocol.
///
/// `PACKET` is the longest frame that is accepted, envelope included, as gdb counts it in
/// `PacketSize`. `QUEUE` is the room for frames that were not acknowledged yet, in bytes;
/// it must hold the longest reply, and is worth being larger because monitor output comes
/// as many frames.
///
/// Nothing blocks: the driver feeds what it receives to [`receive`](Self::receive) and writes what
/// [`next_byte`](Self::next_byte) has.
#[derive(Debug)]
pub struct Link<const PACKET: usize, const QUEUE: usize> {
    receiver: Receiver<PACKET>,
    sender: Sender<QUEUE>,
    acknowledging: Acknowledging,
    copies: Copies,
    transport: Transport,
    was_heard: bool,
}

impl<const PACKET: usize, const QUEUE: usize> Link<PACKET, QUEUE> {
    /// A link on which nothing was said yet.
    pub const fn new() -> Self {
        const { assert!(PACKET > ENVELOPE, "no room for a payload") };
        const { assert!(QUEUE >= PACKET, "no room for the longest reply") };
        Self {
            receiver: Receiver::new(),
            sender: Sender::new(),
            acknowledging: Acknowledging::Always,
            copies: Copies::new(),
            transport: Transport::Lossy,
            was_heard: true,
        }
    }

    /// Takes one byte from the line.
    ///
    /// `+` and `-` towards the client are the link's own business, in both directions.
    pub fn receive(&mut self, byte: u8) -> Received {
        match self.receiver.receive(byte) {
            Found::Nothing => Received::Nothing,
            Found::Unframed => Received::Unframed(byte),
            Found::Interrupt => Received::Interrupt,
            Found::Acknowledgement | Found::Refusal if !self.sender.is_waiting() => {
                self.acknowledging.greeted(byte);
                Received::Unframed(byte)
            }
            Found::Acknowledgement => {
                self.acknowledging.acknowledged();
                self.copies.acknowledged();
                self.sender.acknowledged();
                Received::Nothing
            }
            Found::Refusal => self.repeat(),
            Found::Damaged => {
                self.answer(b'-');
                Received::Nothing
            }
            Found::Packet
                if self.acknowledging.answers() && self.copies.is_late(self.receiver.payload()) =>
            {
                Received::Nothing
            }
            Found::Packet => {
                // Not the same question again, of a client that has not seen the consent.
                if self.receiver.payload() != b"QStartNoAckMode" {
                    self.acknowledging.spoken_to();
                }
                self.accept();
                Received::Packet
            }
            Found::Greeting => {
                self.acknowledging.greeted(b'+');
                Received::Nothing
            }
            Found::Oversized => {
                self.accept();
                Received::Oversized
            }
        }
    }

    /// Says what the line does to bytes. Without a call: it may lose and damage them.
    pub const fn set_transport(&mut self, transport: Transport) {
        self.transport = transport;
    }

    /// The time is `now`, for what arrives next; a client repeats a packet no sooner than `patience`
    /// after it. To be called before bytes are handed over.
    pub fn keep_time(&mut self, now: Option<u64>, patience: u64) {
        self.copies.keep_time(now, patience);
    }

    /// The last packet has been answered now, however long that took.
    pub fn answered(&mut self, now: Option<u64>) {
        self.copies.answered(now);
    }

    /// The line has lost or damaged something here: a break, an overrun, a wrong parity or stop bit.
    /// A frame that is under way will be refused, whatever its checksum says.
    pub fn damage(&mut self) {
        self.receiver.damage();
    }

    /// Whoever was at the other end is gone, and takes nothing any more.
    pub fn hang_up(&mut self) {
        self.receiver = Receiver::new();
        self.sender = Sender::new();
        self.acknowledging = Acknowledging::Always;
        self.copies.acknowledged();
    }

    /// What has begun is no frame. What there is of it, as far as it was kept, without its `$`.
    pub fn abandon(&mut self) -> Option<&[u8]> {
        self.receiver.abandon()
    }

    fn accept(&mut self) {
        self.was_heard = self.sender.frames.are_done();
        self.sender.supersede();
        self.answer(b'+');
    }

    fn answer(&mut self, answer: u8) {
        if self.acknowledging.answers() {
            self.sender.answer(answer);
        }
    }

    /// The client has asked for no more acknowledgements, and the frame that was queued last agrees.
    pub fn stop_acknowledging(&mut self) {
        self.acknowledging.end();
    }

    /// Whether the client had acknowledged all that it was told when the last packet came.
    pub fn was_heard(&self) -> bool {
        self.was_heard
    }

    /// Whether an acknowledgement can be lost, and a packet come twice.
    pub fn loses(&self) -> bool {
        self.acknowledging.answers() && self.transport == Transport::Lossy
    }

    /// The payload of the last packet, escapes and all.
    ///
    /// Valid after [`Received::Packet`] and until the next byte is received.
    pub fn packet(&self) -> &[u8] {
        self.receiver.payload()
    }

    /// The payload of the last packet, and where its answer goes.
    pub fn parts(&mut self) -> (&[u8], FrameSink<'_, QUEUE>) {
        (self.receiver.payload(), FrameSink::to(&mut self.sender.frames))
    }

    /// Where gdbstub's output goes.
    pub fn sink(&mut self) -> FrameSink<'_, QUEUE> {
        FrameSink::to(&mut self.sender.frames)
    }

    /// Queues one frame.
    ///
    /// The payload is sent as it is: `}` and `*` must have been escaped where they are
    /// data. (`#` and `$`, which would tear the frame apart, are escaped here.) A frame for
    /// which there is no room is dropped whole, see [`overflowed`](Self::overflowed).
    pub fn send(&mut self, payload: &[u8]) {
        self.sender.frames.send(payload);
    }

    /// The time is `now`, in ticks of any unit: sends the front frame once more if its
    /// acknowledgement has been missing for `patience` ticks, as for a `-`; on a reliable transport it
    /// is only late, and counted. To be called again and again; how long it is missing counts from the first call.
    pub fn pass_time(&mut self, now: u64, patience: u64) -> Received {
        self.sender.pass_time(now, patience, self.transport).into()
    }

    /// Sends the front frame once more if its acknowledgement is missing, as for a `-`.
    pub fn repeat(&mut self) -> Received {
        self.sender.refused().into()
    }

    /// Sends the last reply once more, if all of it is still there; behind a frame that carries `first`,
    /// if there is room for that. For a client that has acknowledged it and thrown it away, because it
    /// had not seen our `+`.
    pub fn replay(&mut self, first: Option<&[u8]>) -> Replay {
        self.sender.replay(first)
    }

    /// The byte to write to the line now, if there is any.
    pub fn next_byte(&mut self) -> Option<u8> {
        self.sender.next_byte(self.acknowledging.afterwards())
    }

    /// Whether a frame was dropped for want of room since this was last asked.
    pub fn overflowed(&mut self) -> Overflow {
        self.sender.frames.overflowed()
    }

    /// Whether the client has acknowledged all that was sent, and has been answered.
    pub fn is_drained(&self) -> bool {
        self.sender.is_drained()
    }
}

impl<const PACKET: usize, const QUEUE: usize> Default for Link<PACKET, QUEUE> {
    fn default() -> Self {
        Self::new()
    }
}
