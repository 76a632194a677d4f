//! The fence: every packet is checked before gdbstub sees it.
//!
//! gdbstub ends a session over most packets that it does not like, and takes some for what
//! they are not: it knows packets by their first letters, so `cafe` resumes the target,
//! `Dxyz` detaches and `vCont` without an action resumes as well; it reads an `x` among the
//! digits of an address as a zero. A line that damages one byte in a thousand makes such
//! packets. So a packet goes on only if it is well-formed to the last byte, every number
//! in it fits, and gdbstub does with it what the protocol says. Everything else is
//! answered here, in the same session:
//!
//! * an unknown packet by an empty reply, which means *not supported*;
//! * a known packet that is malformed or asks for the impossible by an error. Never by an
//!   empty reply: gdb would remember a `p` or a `Z2` as unsupported for the whole
//!   connection.
//!
//! ```text
//!   link ──payload──▶ check ──▶ Forward, NewClient, SelectThread ──▶ gdbstub
//!                          └──▶ Answer, StopReason, CurrentThread, Kill, Reset ──▶ session
//! ```
//!
//! The fence keeps no state. What it must know of the target is in [`Limits`]. Two kinds of
//! packets are rewritten into others of the same meaning that gdbstub survives: a step that
//! names no thread, and the old resume packets `c`, `C`, `s`, `S`.
//!
//! Who may use which packet has been decided before ([`policy`](crate::policy)), by its [`Name`].

mod data;
mod field;
mod name;
pub(crate) mod peek;
mod query;
mod reply;
mod resume;
mod thread;

#[cfg(test)]
mod tests;

pub use name::Name;
pub use reply::{Errno, Reply};
pub use thread::{Purpose, Selection, Thread, ThreadIds};

use core::num::NonZeroUsize;

use crate::link::{ENVELOPE, Transport};
use field::{nothing_more, number};

/// What the fence must know about the target.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Length of the longest frame either side can take, envelope included: `PACKET` of the
    /// link, and the length of gdbstub's packet buffer.
    pub packet: usize,
    /// The last address of the target: all ones, in the width of its word.
    pub highest_address: usize,
    /// How many threads there are. They are numbered from 1.
    pub threads: NonZeroUsize,
    /// The thread that a plain `s` steps: the one chosen by `Hc`, or else the one that
    /// stopped.
    pub stepping: NonZeroUsize,
    /// How many bytes of memory may be read at a time.
    pub readable: usize,
    /// The size of each register in bytes, in the order of the target description.
    pub register_sizes: &'static [u8],
    /// How many bytes `G` carries.
    pub block: usize,
    /// What the line does to bytes.
    pub transport: Transport,
}

/// What is to be done with a packet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Checked<'a> {
    /// Give it to gdbstub.
    Forward(Packet<'a>),
    /// Give it to gdbstub: it is `qSupported`, with which a client starts. The client will
    /// write its thread ids in this way.
    NewClient(Packet<'a>, ThreadIds),
    /// Give it to gdbstub, and remember it: later packets depend on it.
    SelectThread(Packet<'a>, Selection),
    /// `?`: answer with the stop reply of the last stop. gdbstub does not know it.
    StopReason,
    /// `qC`: answer with the thread that stopped. gdbstub knows `qC` in extended mode only.
    CurrentThread,
    /// End the target.
    Kill(Farewell),
    /// `QStartNoAckMode`: agree, and acknowledge nothing from then on.
    StopAcknowledging,
    /// `R`: start the target from the beginning. There is no reply.
    Reset,
    /// Answer it and be done.
    Answer(Reply),
}

/// Whether a client that kills the target waits for an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Farewell {
    /// `k` has no reply.
    Silent,
    /// `vKill` is answered by `OK`.
    Ok,
}

/// A packet that gdbstub can be given.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Packet<'a> {
    name: Name,
    text: Text<'a>,
}

impl<'a> Packet<'a> {
    /// The bytes between `$` and `#`.
    pub fn payload(&self) -> &[u8] {
        match &self.text {
            Text::AsSent(payload) => payload,
            Text::Rewritten(payload) => payload,
        }
    }

    /// Which packet the client sent. (A `c` that was rewritten is still called `Continue`.)
    pub fn name(&self) -> Name {
        self.name
    }
}

/// Room for a rewritten packet: `vCont;r<start>,<end>:<thread>;c` with full-width numbers.
const REWRITTEN: usize = 64;

#[derive(Clone, PartialEq, Eq, Debug)]
enum Text<'a> {
    AsSent(&'a [u8]),
    Rewritten(heapless::Vec<u8, REWRITTEN>),
}

/// Decides what is to be done with a packet, given the bytes between `$` and `#`.
pub fn check<'a>(payload: &'a [u8], limits: &Limits) -> Checked<'a> {
    if payload.iter().any(|byte| matches!(byte, b'#' | b'$')) {
        return Checked::Answer(Reply::Error(Errno::Invalid));
    }
    if payload.len().saturating_add(ENVELOPE) > limits.packet {
        return Checked::Answer(Reply::Error(Errno::TooLong));
    }
    let Some((name, arguments)) = Name::find(payload) else {
        return Checked::Answer(Reply::Empty);
    };
    decide(name, arguments, payload, limits)
        .unwrap_or_else(|errno| Checked::Answer(Reply::Error(errno)))
}

/// Decides about a packet whose name is known. `arguments` is the end of `payload`.
fn decide<'a>(
    name: Name,
    arguments: &'a [u8],
    payload: &'a [u8],
    limits: &Limits,
) -> Result<Checked<'a>, Errno> {
    match name {
        Name::StopReason => return nothing_more(arguments).map(|()| Checked::StopReason),
        Name::CurrentThread => return nothing_more(arguments).map(|()| Checked::CurrentThread),
        Name::ExtendedMode => {
            return nothing_more(arguments).map(|()| Checked::Answer(Reply::Ok));
        }
        Name::Kill => {
            return nothing_more(arguments).map(|()| Checked::Kill(Farewell::Silent));
        }
        Name::KillProcess => {
            return thread::process_after(arguments, b';').map(|()| Checked::Kill(Farewell::Ok));
        }
        Name::StartNoAckMode => {
            nothing_more(arguments)?;
            return Ok(match limits.transport {
                Transport::Lossy => Checked::Answer(Reply::Empty),
                Transport::Reliable => Checked::StopAcknowledging,
            });
        }
        // The number is said to be ignored; gdb sends 0.
        Name::Reset => return number(arguments, usize::MAX).map(|_| Checked::Reset),
        Name::Supported => return query::supported(arguments, payload),
        Name::SelectThread => {
            let selection = Selection::parse(arguments, limits)?;
            return Ok(Checked::SelectThread(as_sent(name, payload), selection));
        }
        Name::VCont => {
            return resume::actions(arguments, payload, limits).map(Checked::Forward);
        }
        Name::Continue | Name::ContinueWithSignal | Name::Step | Name::StepWithSignal => {
            return resume::plain(name, payload, limits).map(Checked::Forward);
        }
        Name::ReadMemory => {
            return data::read_memory(arguments, payload, limits).map(Checked::Forward);
        }
        Name::Insert | Name::Remove => {
            return data::breakpoint(name, arguments, payload, limits);
        }

        Name::ReadRegisters | Name::VContActions | Name::FirstThreads | Name::MoreThreads => {
            nothing_more(arguments)?
        }
        Name::WriteRegisters => data::registers(arguments, limits)?,
        Name::ReadRegister => data::register_number(arguments, limits).map(|_| ())?,
        Name::WriteRegister => data::register_value(arguments, limits)?,
        Name::WriteMemory => data::write_memory(arguments, limits)?,
        Name::WriteBinary => data::write_binary(arguments, limits)?,
        Name::Detach => thread::optional_process_after(arguments, b';')?,
        Name::Attached => thread::optional_process_after(arguments, b':')?,
        Name::ThreadAlive => thread::one(arguments, limits)?,
        Name::ThreadExtraInfo => thread::one_after_comma(arguments, limits)?,
        Name::Monitor => query::monitor(arguments)?,
        Name::TargetDescription => query::transfer(arguments, b"target.xml")?,
        Name::MemoryMap => query::transfer(arguments, b"")?,
    }
    Ok(Checked::Forward(as_sent(name, payload)))
}

fn as_sent(name: Name, payload: &[u8]) -> Packet<'_> {
    Packet { name, text: Text::AsSent(payload) }
}

/// The same request in other words, put together from `pieces`.
fn rewritten<'a>(name: Name, pieces: &[&[u8]], limits: &Limits) -> Result<Packet<'a>, Errno> {
    let mut text = heapless::Vec::<u8, REWRITTEN>::new();
    for piece in pieces {
        text.extend_from_slice(piece).map_err(|_| Errno::TooLong)?;
    }
    if text.len() + ENVELOPE > limits.packet {
        return Err(Errno::TooLong);
    }
    Ok(Packet { name, text: Text::Rewritten(text) })
}
