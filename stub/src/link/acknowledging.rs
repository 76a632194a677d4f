//! Whether packets are acknowledged: always on a line that may lose them, and as long as the client
//! wants it on another.
//!
//! On a transport that loses nothing (`Transport::Reliable`: an emulator's socket, a network), a
//! client may ask for no acknowledgements (`QStartNoAckMode`). The last one is that of our consent;
//! from there on a frame is forgotten when its last byte has left, and nothing is answered by `+` or
//! `-`. A `+` is then the first word of the next client, which begins with acknowledgements again.

use super::sender::Afterwards;

/// What the line does to bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Transport {
    /// It loses, invents and damages them, as a UART does: every packet is acknowledged.
    Lossy,
    /// It does not: a client may do without acknowledgements.
    Reliable,
}

/// Whether packets are acknowledged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Acknowledging {
    Always,
    /// Until the next frame of ours has been.
    OnceMore,
    Never,
}

impl Acknowledging {
    /// The client has asked for the end, and the frame that was queued last agrees.
    pub(super) fn end(&mut self) {
        *self = Self::OnceMore;
    }

    /// Whether the client's frames are answered by `+` or `-`.
    pub(super) fn answers(self) -> bool {
        match self {
            Self::Always | Self::OnceMore => true,
            Self::Never => false,
        }
    }

    /// What happens to a frame of ours when its last byte has left.
    pub(super) fn afterwards(self) -> Afterwards {
        match self {
            Self::Always | Self::OnceMore => Afterwards::Wait,
            Self::Never => Afterwards::Drop,
        }
    }

    /// The client has acknowledged the frame that waited for it.
    pub(super) fn acknowledged(&mut self) {
        match self {
            Self::OnceMore => *self = Self::Never,
            Self::Always | Self::Never => {}
        }
    }

    /// A packet of the client's has come. One that it sends after our consent it sends without
    /// waiting for an acknowledgement of ours, also if it has not acknowledged that.
    pub(super) fn spoken_to(&mut self) {
        self.acknowledged();
    }

    /// A `+` or `-` that answers nothing. Without acknowledgements a `+` is a new client's.
    pub(super) fn greeted(&mut self, byte: u8) {
        match self {
            Self::Never if byte == b'+' => *self = Self::Always,
            Self::Always | Self::OnceMore | Self::Never => {}
        }
    }
}
