//! gdbstub's output, cut into frames again.
//!
//! gdbstub writes bytes: `+` for each packet it was given, then `$payload#xx` for each
//! reply. The `+` is the link's business and is dropped. A frame is queued when it is
//! whole, so one that gdbstub abandons because of an error is never sent.

use core::convert::Infallible;

use gdbstub::conn::Connection;

use super::frames::Frames;

/// Where in a frame the writer is.
#[derive(Clone, Copy, Debug)]
enum State {
    Between,
    Payload,
    FirstDigit,
    SecondDigit,
}

#[derive(Debug)]
enum Destination<'a, const QUEUE: usize> {
    Queue(&'a mut Frames<QUEUE>),
    Nowhere,
}

/// Takes gdbstub's output and queues it frame by frame.
#[derive(Debug)]
pub struct FrameSink<'a, const QUEUE: usize> {
    destination: Destination<'a, QUEUE>,
    state: State,
}

impl<'a, const QUEUE: usize> FrameSink<'a, QUEUE> {
    pub(super) fn to(frames: &'a mut Frames<QUEUE>) -> Self {
        Self { destination: Destination::Queue(frames), state: State::Between }
    }

    /// A sink that throws everything away, for the replies that nobody asked for when a
    /// fresh state machine is told what its predecessor knew.
    pub const fn discard() -> Self {
        Self { destination: Destination::Nowhere, state: State::Between }
    }

    /// Queues one frame, as [`Link::send`](super::Link::send) does.
    pub fn send(&mut self, payload: &[u8]) {
        match &mut self.destination {
            Destination::Queue(frames) => frames.send(payload),
            Destination::Nowhere => {}
        }
    }

    fn write_byte(&mut self, byte: u8) {
        let frames = match &mut self.destination {
            Destination::Queue(frames) => frames,
            Destination::Nowhere => return,
        };
        self.state = match (self.state, byte) {
            (State::Between, b'$') => {
                frames.begin();
                State::Payload
            }
            (State::Between, _) => State::Between,
            (State::Payload, _) => {
                frames.push(byte);
                if byte == b'#' { State::FirstDigit } else { State::Payload }
            }
            (State::FirstDigit, _) => {
                frames.push(byte);
                State::SecondDigit
            }
            (State::SecondDigit, _) => {
                frames.push(byte);
                frames.commit();
                State::Between
            }
        };
    }
}

impl<const QUEUE: usize> Connection for FrameSink<'_, QUEUE> {
    type Error = Infallible;

    fn write(&mut self, byte: u8) -> Result<(), Infallible> {
        self.write_byte(byte);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}
