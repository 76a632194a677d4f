//! Packets that resume: nothing may slip through here that resumes unasked.
//!
//! In a `vCont`, the leftmost action that matches a thread is what the thread does; an
//! action without a thread, or with `-1`, matches all. gdbstub takes an action that comes
//! later for the same thread instead of the earlier, and ends the session at a step that
//! matches all. So:
//!
//! * what follows an action that matches all is cut off;
//! * two actions for one thread are an error: no client sends them;
//! * a step that matches all is turned into one of thread 1 where that is the only one, and
//!   is an error otherwise: the machine does not step all CPUs at once.

use core::num::NonZeroUsize;

use super::field::{HEX_DIGITS, after, number, shown, split};
use super::thread::{Process, Thread, ThreadId};
use super::{Errno, Limits, Name, Packet, Text, rewritten};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Motion {
    Continue,
    Step,
}

/// One action of a `vCont`.
struct Action<'a> {
    /// `c`, `C05`, `s`, `S05` or `r1000,1010`.
    verb: &'a [u8],
    motion: Motion,
    thread: Thread,
}

impl<'a> Action<'a> {
    fn parse(text: &'a [u8], limits: &Limits) -> Result<Self, Errno> {
        let mut parts = text.splitn(2, |byte| *byte == b':');
        let verb = parts.next().unwrap_or_default();
        let motion = match verb {
            b"c" => Motion::Continue,
            b"s" => Motion::Step,
            [b'C', signal @ ..] => {
                self::signal(signal)?;
                Motion::Continue
            }
            [b'S', signal @ ..] => {
                self::signal(signal)?;
                Motion::Step
            }
            [b'r', range @ ..] => {
                let (start, end) = split(range, b',')?;
                number(start, limits.highest_address)?;
                number(end, limits.highest_address)?;
                Motion::Step
            }
            // `t` would stop a thread, in a mode that is not offered.
            _ => return Err(Errno::Invalid),
        };
        let thread = match parts.next() {
            None => Thread::All,
            Some(id) => {
                let id = ThreadId::parse(id, limits)?;
                match id.process {
                    Process::Ours | Process::All => id.thread,
                    Process::Any => return Err(Errno::Invalid),
                }
            }
        };
        Ok(Self { verb, motion, thread })
    }
}

fn signal(text: &[u8]) -> Result<(), Errno> {
    number(text, u8::MAX.into()).map(|_| ()).map_err(|_| Errno::Invalid)
}

/// `vCont;action[:thread]...`
pub(super) fn actions<'a>(
    arguments: &[u8],
    payload: &'a [u8],
    limits: &Limits,
) -> Result<Packet<'a>, Errno> {
    let list = after(arguments, b';')?;
    let actions = || list.split(|byte| *byte == b';').map(|text| Action::parse(text, limits));

    let mut end = payload.len() - arguments.len();
    let named_nobody = end;
    // Where the last action ends that some thread is left for.
    let mut kept = end;
    let mut default: Option<Action<'_>> = None;
    for (index, text) in list.split(|byte| *byte == b';').enumerate() {
        let action = Action::parse(text, limits)?;
        end += b";".len() + text.len();
        match (&default, action.thread) {
            (Some(_), _) => {}
            (None, Thread::One(_)) => {
                let again = |earlier: Result<Action<'_>, Errno>| {
                    earlier.is_ok_and(|earlier| earlier.thread == action.thread)
                };
                if actions().take(index).any(again) {
                    return Err(Errno::Invalid);
                }
                kept = end;
            }
            (None, Thread::Any | Thread::All) => {
                if action.motion == Motion::Continue {
                    kept = end;
                }
                default = Some(action);
            }
        }
    }

    match default {
        Some(Action { verb, motion: Motion::Step, .. }) => {
            if limits.threads != NonZeroUsize::MIN {
                return Err(Errno::Invalid);
            }
            if kept == named_nobody {
                return step(Name::VCont, verb, NonZeroUsize::MIN, limits);
            }
        }
        Some(Action { motion: Motion::Continue, .. }) | None => {}
    }
    let text = Text::AsSent(payload.get(..kept).unwrap_or(payload));
    Ok(Packet { name: Name::VCont, text })
}

/// `c`, `C signal`, `s`, `S signal`.
///
/// All of them can be given an address to resume at, which gdbstub would ignore. gdb sends
/// none of these packets, since `vCont` was offered.
pub(super) fn plain<'a>(name: Name, payload: &[u8], limits: &Limits) -> Result<Packet<'a>, Errno> {
    let action = Action::parse(payload, limits)?;
    if action.verb != payload {
        return Err(Errno::Invalid);
    }
    match action.motion {
        Motion::Continue => rewritten(name, &[b"vCont;", action.verb], limits),
        Motion::Step => step(name, action.verb, limits.stepping.min(limits.threads), limits),
    }
}

/// One thread steps, the others go on.
fn step<'a>(
    name: Name,
    verb: &[u8],
    thread: NonZeroUsize,
    limits: &Limits,
) -> Result<Packet<'a>, Errno> {
    let mut digits = [0; HEX_DIGITS];
    rewritten(name, &[b"vCont;", verb, b":", shown(thread, &mut digits), b";c"], limits)
}
