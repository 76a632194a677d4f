//! What a byte or a stop means for whoever runs the machine.

use super::Go;

/// What the caller does next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Next {
    /// Stay stopped: send what [`Session::next_byte`](super::Session::next_byte) gives, and hand over what arrives.
    Stay,
    /// Send what is left, arm the registers ([`Arbiter::resume`](crate::arbiter::Arbiter::resume)), and let the target run: the
    /// CPU that runs the stub as is said here, each other one as [`Session::order`](super::Session::order) says.
    Run(Go),
    /// Send what is left, and reset the machine.
    Reset,
}

/// What a byte that arrived while the target was running means for the target.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Overheard {
    /// Nothing yet.
    Nothing,
    /// Stop it: [`Cause::Interrupt`](crate::stop::Cause::Interrupt).
    Interrupt,
    /// Stop it, a client wants to talk: [`Cause::Packet`](crate::stop::Cause::Packet).
    Packet,
    /// Whoever was there is gone: [`Cause::HangUp`](crate::stop::Cause::HangUp).
    HangUp,
}

/// What the client has said to a stopped target.
#[must_use = "the client waits for an answer"]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Heard {
    /// Ctrl-C.
    Interrupt,
    /// A packet.
    Packet,
    /// A packet that there was no room for.
    Oversized,
}
