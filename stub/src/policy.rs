//! Who may debug, and what they may touch: the firmware decides, and one place enforces it.
//!
//! That place is in front of gdbstub: every packet passes the gate by its name before it is looked
//! at any further, and a name that is not let through is not carried out, whatever else it says.
//! What each name needs is one exhaustive table (`names`), so a packet that is added to the fence
//! does not compile before it was thought about; what is not in the fence is not supported by
//! anybody. A test goes through the names in gdbstub's own sources.
//!
//! | | [`Open`](Access::Open) | [`ReadOnly`](Access::ReadOnly) | [`Locked`](Access::Locked) |
//! | --- | --- | --- | --- |
//! | what starts, steers and ends the conversation, threads, target description | yes | yes | yes |
//! | reading registers | yes | yes | zeros |
//! | reading memory | as [`Range`]s say | as ranges say | no |
//! | hardware breakpoints and watchpoints | as ranges say | as ranges say | no |
//! | going on, steps | yes | yes | no |
//! | writing memory or registers, software breakpoints | as ranges say | no | no |
//! | reset | yes | no | no |
//! | `monitor` | yes | what changes nothing | `monitor unlock WORD` |
//!
//! `k`, which has no reply, is taken for a detach where it is not allowed.
//!
//! **Locked.** The client gets as far as a prompt, sees a machine whose registers are all zero,
//! and can type `monitor unlock WORD`. The firmware judges the word ([`Lock::check`]) and says what
//! it opens. After a wrong word none is looked at for [`Lock::delay`], after the next for twice as
//! long, and so on, whoever asks; a right one ends that. Who is still locked after
//! [`Lock::patience`] is sent away, and the target, if it was stopped for that client, runs on. What
//! was unlocked is locked again at the detach, at `kill`, when a client says `qSupported`, with
//! which each one starts, or says anything while the target runs, when the line is hung up, where the cable
//! tells, and when what was sent has not been acknowledged however often. It is not locked by a client that
//! has just vanished from a stopped target: where the next one can be somebody else, detach.
//!
//! All three bounds need a clock ([`Machine::now`](crate::target::Machine::now)). Without one, a
//! lock that was tried in vain for [`TRIES`] times stays locked until the machine is reset, and a
//! client is sent away after [`PACKETS`] packets.

mod gate;
mod names;
#[cfg(test)]
mod tests;

pub(crate) use gate::{Denied, Gate, Patience, Ruling, Unlocked};

use crate::arbiter::Region;

/// Without a clock: how many wrong words there may be until the machine is reset.
pub const TRIES: u32 = 5;

/// Without a clock: how many packets a locked client may send.
pub const PACKETS: u32 = 256;

/// What the firmware lets a debugger do.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// Who comes in.
    pub access: Access,
    /// Where less is allowed than elsewhere, and why there: the first range that an address is in
    /// counts. All other memory can be read and written, as far as there is any.
    pub ranges: &'static [Range],
}

impl Policy {
    /// Everybody may do everything.
    pub const OPEN: Self = Self { access: Access::Open, ranges: &[] };
}

/// What a client may do when it comes.
#[derive(Clone, Copy, Debug)]
pub enum Access {
    /// Everything.
    Open,
    /// Look, stop and go on: no writes to memory or registers, no reset. A software breakpoint is a
    /// write; a hardware breakpoint is none.
    ReadOnly,
    /// Nothing, until it has said the word.
    Locked(Lock),
}

/// What a right word opens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Grant {
    /// As [`Access::Open`].
    Open,
    /// As [`Access::ReadOnly`].
    ReadOnly,
}

/// How a client is let in that has to say a word first.
#[derive(Clone, Copy, Debug)]
pub struct Lock {
    /// Judges the bytes that follow `monitor unlock `, 73 at the most: a longer line is not looked at. It runs in the exception,
    /// with the machine stopped: it must not wait, take a lock, fault, or call the stub. How long
    /// it takes must not depend on how much of the word is right (see the crate `subtle`).
    pub check: fn(&[u8]) -> Option<Grant>,
    /// After the first wrong word none is looked at for so many ticks of the machine's clock.
    pub delay: u64,
    /// So long a client may stay locked, in the same ticks.
    pub patience: u64,
}

/// What is allowed in a piece of memory.
#[derive(Clone, Copy, Debug)]
pub struct Range {
    /// Where.
    pub region: Region,
    /// What people call it, for `monitor why`.
    pub name: &'static str,
    /// What is allowed there.
    pub rights: Rights,
}

/// What may be done to memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rights {
    /// It is read and written.
    All,
    /// It is read. No software breakpoints.
    Read,
    /// It is not even looked at: a device, where reading has effects. No watchpoints either,
    /// because what they watch is read when they hit.
    None,
}
