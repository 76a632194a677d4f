//! Frames in a stream of bytes: the receiving state machine drawn in [`link`](super).

use super::envelope::ENVELOPE;

/// A frame this many times longer than the longest that fits has lost its end: listen for
/// Ctrl-C again instead of waiting for it.
const FAR_TOO_LONG: usize = 8;

/// What became of a byte.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Received {
    /// Nothing the session need know about.
    Nothing,
    /// A whole packet: [`Link::packet`](super::Link::packet) has its payload.
    Packet,
    /// A whole packet that there was no room for. The client waits for an answer.
    Oversized,
    /// The client asks for the target to be stopped (Ctrl-C).
    Interrupt,
    /// A byte between frames that means nothing to the protocol, or not now.
    Unframed(u8),
    /// The client refused the same frame again and again, or said nothing. Everything that was
    /// queued is gone; the link waits for whatever packet comes next.
    GaveUp,
}

/// What the receiver made of a byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Found {
    Nothing,
    /// Any other byte between frames.
    Unframed,
    /// `+` between frames.
    Acknowledgement,
    /// `-` between frames.
    Refusal,
    /// `0x03` between frames.
    Interrupt,
    /// A `+` at the end of a frame that another one has cut off.
    Greeting,
    /// A frame whose checksum agrees.
    Packet,
    /// A frame whose checksum agrees, but whose payload is not kept.
    Oversized,
    /// A frame whose checksum does not agree.
    Damaged,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Between,
    Payload,
    FirstDigit,
    SecondDigit { high: u8 },
}

#[derive(Debug)]
pub(super) struct Receiver<const PACKET: usize> {
    state: State,
    /// The payload as far as it fits.
    payload: heapless::Vec<u8, PACKET>,
    /// The length of the payload as it was sent.
    length: usize,
    checksum: u8,
    /// The last byte of the payload.
    last: u8,
    /// The line has said that it damaged the frame.
    is_damaged: bool,
}

impl<const PACKET: usize> Receiver<PACKET> {
    const LONGEST_PAYLOAD: usize = PACKET.saturating_sub(ENVELOPE);

    pub(super) const fn new() -> Self {
        Self {
            state: State::Between,
            payload: heapless::Vec::new(),
            length: 0,
            checksum: 0,
            last: 0,
            is_damaged: false,
        }
    }

    pub(super) fn payload(&self) -> &[u8] {
        &self.payload
    }

    pub(super) fn receive(&mut self, byte: u8) -> Found {
        match (self.state, byte) {
            (State::Between, b'+') => Found::Acknowledgement,
            (State::Between, b'-') => Found::Refusal,
            (State::Between, 0x03) => Found::Interrupt,
            // Wherever a `$` stands, a frame starts: it is never part of a payload. What
            // was lost of the frame before it will be asked for again by its sender.
            (_, b'$') => {
                // Of a client that went within a packet; before its `$` the next one says `+`.
                let is_greeted = matches!(self.state, State::Payload) && self.last == b'+';
                self.start();
                if is_greeted { Found::Greeting } else { Found::Nothing }
            }
            (State::Between, _) => Found::Unframed,
            (State::Payload, b'#') => {
                self.state = State::FirstDigit;
                Found::Nothing
            }
            // Only binary data has such a byte; the `$` before it was noise, or this is.
            (State::Payload, 0x03) if !self.is_in_data() => self.end(Found::Interrupt),
            (State::FirstDigit | State::SecondDigit { .. }, 0x03) => self.end(Found::Interrupt),
            (State::Payload, _) => {
                self.keep(byte);
                Found::Nothing
            }
            // The client that began the frame is gone, and this is the next one's first word: a `-` would
            // make that say its first packet twice, and be a reply behind from then on. (If the digit
            // was damaged, the client asks again, though later.)
            (State::FirstDigit | State::SecondDigit { .. }, b'+') => {
                self.end(Found::Acknowledgement)
            }
            (State::FirstDigit, _) => match value(byte) {
                Some(high) => {
                    self.state = State::SecondDigit { high };
                    Found::Nothing
                }
                None => self.end(Found::Damaged),
            },
            (State::SecondDigit { high }, _) => match value(byte) {
                Some(low) if self.checksum != (high << 4 | low) => self.end(Found::Damaged),
                Some(_) if self.is_damaged => self.end(Found::Damaged),
                None => self.end(Found::Damaged),
                Some(_) if self.length > Self::LONGEST_PAYLOAD => self.end(Found::Oversized),
                Some(_) => self.end(Found::Packet),
            },
        }
    }

    /// Whether what comes next is the data of an `X`.
    fn is_in_data(&self) -> bool {
        self.payload.first() == Some(&b'X') && self.payload.contains(&b':')
    }

    fn start(&mut self) {
        self.payload.clear();
        self.length = 0;
        self.checksum = 0;
        self.last = 0;
        self.is_damaged = false;
        self.state = State::Payload;
    }

    /// Looks for another frame, and gives what there is of this one.
    pub(super) fn abandon(&mut self) -> Option<&[u8]> {
        match self.state {
            State::Payload => {
                self.state = State::Between;
                Some(&self.payload)
            }
            State::Between | State::FirstDigit | State::SecondDigit { .. } => None,
        }
    }

    /// The line has lost or damaged something: of the frame, if one is under way.
    pub(super) fn damage(&mut self) {
        self.is_damaged = true;
    }

    fn keep(&mut self, byte: u8) {
        self.checksum = self.checksum.wrapping_add(byte);
        self.length = self.length.saturating_add(1);
        self.last = byte;
        // Once the payload is known not to fit, only its length and checksum matter.
        let _ = self.payload.push(byte);
        if self.length >= PACKET.saturating_mul(FAR_TOO_LONG) {
            self.state = State::Between;
        }
    }

    fn end(&mut self, found: Found) -> Found {
        self.state = State::Between;
        found
    }
}

/// The value of a hexadecimal digit.
fn value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}
