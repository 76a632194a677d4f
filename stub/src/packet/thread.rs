//! Thread and process ids: `1f`, `p1.1f`, `-1` (all) and `0` (any).
//!
//! There is one process, whose number is the one that gdbstub uses. gdbstub does not look
//! at it; here a wrong one is an error, because what it named is not there.

use core::num::NonZeroUsize;

use super::field::{after, number};
use super::{Errno, Limits};

/// gdbstub's name for the only process there is.
const PROCESS: usize = 1;

/// How a client writes thread ids.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ThreadIds {
    /// `1f`
    Plain,
    /// `p1.1f`: the client said `multiprocess+`.
    WithProcess,
}

impl ThreadIds {
    /// A `qSupported` that tells a fresh state machine what matters of the client's.
    pub const fn replay(self) -> &'static [u8] {
        match self {
            ThreadIds::Plain => b"qSupported:multiprocess-",
            ThreadIds::WithProcess => b"qSupported:multiprocess+",
        }
    }
}

/// A thread, or none in particular.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Thread {
    /// Whichever the stub likes.
    Any,
    /// All of them.
    All,
    /// This one; it exists.
    One(NonZeroUsize),
}

/// What an `H` packet selects a thread for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Purpose {
    /// `Hg`: registers and memory.
    Access,
    /// `Hc`: `c` and `s` without a thread of their own.
    Resume,
}

/// What an `H` packet says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Selection {
    /// What for.
    pub purpose: Purpose,
    /// Which thread.
    pub thread: Thread,
}

impl Selection {
    pub(super) fn parse(arguments: &[u8], limits: &Limits) -> Result<Self, Errno> {
        let (purpose, id) = match arguments {
            [b'g', id @ ..] => (Purpose::Access, id),
            [b'c', id @ ..] => (Purpose::Resume, id),
            _ => return Err(Errno::Invalid),
        };
        let thread = ThreadId::parse(id, limits)?.thread;
        match (purpose, thread) {
            // Registers of all threads at once: gdbstub would end the session.
            (Purpose::Access, Thread::All) => Err(Errno::Invalid),
            (Purpose::Access, Thread::Any | Thread::One(_)) | (Purpose::Resume, _) => {
                Ok(Self { purpose, thread })
            }
        }
    }
}

/// What stands before the dot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Process {
    /// Nothing, or our one.
    Ours,
    /// `p0`
    Any,
    /// `p-1`
    All,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct ThreadId {
    pub(super) process: Process,
    pub(super) thread: Thread,
}

impl ThreadId {
    pub(super) fn parse(text: &[u8], limits: &Limits) -> Result<Self, Errno> {
        let Some(text) = text.strip_prefix(b"p") else {
            return Ok(Self { process: Process::Ours, thread: thread(text, limits)? });
        };
        let mut parts = text.splitn(2, |byte| *byte == b'.');
        let process = match parts.next().unwrap_or_default() {
            b"0" => Process::Any,
            b"-1" => Process::All,
            id => our_process(id).map(|()| Process::Ours)?,
        };
        let thread = match parts.next() {
            Some(id) => thread(id, limits)?,
            None => Thread::All,
        };
        match (process, thread) {
            (Process::All, Thread::Any | Thread::One(_)) => Err(Errno::Invalid),
            (Process::All, Thread::All) | (Process::Any | Process::Ours, _) => {
                Ok(Self { process, thread })
            }
        }
    }
}

fn thread(text: &[u8], limits: &Limits) -> Result<Thread, Errno> {
    match text {
        b"0" => Ok(Thread::Any),
        b"-1" => Ok(Thread::All),
        _ => {
            // `00` is no thread to gdbstub, and ends the session.
            let id = NonZeroUsize::new(wide(text)?).ok_or(Errno::Invalid)?;
            if id > limits.threads { Err(Errno::NoThread) } else { Ok(Thread::One(id)) }
        }
    }
}

/// Checks that an id names one thread.
pub(super) fn one(text: &[u8], limits: &Limits) -> Result<(), Errno> {
    let id = ThreadId::parse(text, limits)?;
    match (id.process, id.thread) {
        (Process::Ours, Thread::One(_)) => Ok(()),
        (Process::Any | Process::All, _) | (Process::Ours, Thread::Any | Thread::All) => {
            Err(Errno::Invalid)
        }
    }
}

/// Checks that `,` and the id of one thread are all there is.
pub(super) fn one_after_comma(arguments: &[u8], limits: &Limits) -> Result<(), Errno> {
    one(after(arguments, b',')?, limits)
}

/// Checks that the separator and our process are all there is.
pub(super) fn process_after(arguments: &[u8], separator: u8) -> Result<(), Errno> {
    our_process(after(arguments, separator)?)
}

/// Checks that the separator and our process, or nothing, are all there is.
pub(super) fn optional_process_after(arguments: &[u8], separator: u8) -> Result<(), Errno> {
    if arguments.is_empty() { Ok(()) } else { process_after(arguments, separator) }
}

fn our_process(text: &[u8]) -> Result<(), Errno> {
    if wide(text)? == PROCESS { Ok(()) } else { Err(Errno::NoThread) }
}

/// A number that, if it is too wide, names no thread or process.
fn wide(text: &[u8]) -> Result<usize, Errno> {
    number(text, usize::MAX).map_err(|errno| match errno {
        Errno::Address => Errno::NoThread,
        other @ (Errno::NoAnnex
        | Errno::NoThread
        | Errno::Failed
        | Errno::TooLong
        | Errno::Invalid) => other,
    })
}
