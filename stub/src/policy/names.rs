//! What each packet needs, by its name: the two tables of the policy. They have no default, so that
//! no name gets through which nobody has thought of.

use heapless::Vec;

use super::gate::{Denied, Ruling};
use crate::arbiter::Region;
use crate::packet::{Name, peek};

/// What a packet needs to be allowed, where nothing is locked.
pub(super) enum Need {
    Nothing,
    /// To read memory, or as much of it as can be.
    Read(Option<Region>),
    /// To read all of this memory, at any time.
    Look(Option<Region>),
    /// To write memory, or something else that the machine goes on with.
    Write(Option<Region>, &'static str),
    /// To end what the machine does.
    Reset,
    /// What the command of the firmware's, or of the stub's, needs.
    Command,
}

/// What a packet of this name needs.
pub(super) fn needs(name: Name, payload: &[u8]) -> Need {
    match name {
        Name::ExtendedMode
        | Name::StartNoAckMode
        | Name::StopReason
        | Name::Detach
        | Name::SelectThread
        | Name::Supported
        | Name::ThreadAlive
        | Name::Attached
        | Name::CurrentThread
        | Name::FirstThreads
        | Name::MoreThreads
        | Name::ThreadExtraInfo
        | Name::TargetDescription
        | Name::MemoryMap
        | Name::VContActions
        | Name::ReadRegisters
        | Name::ReadRegister
        // What was allowed to be set may be taken away.
        | Name::Remove
        // From where the target is: no packet that is well formed gives another place.
        | Name::Continue
        | Name::ContinueWithSignal
        | Name::Step
        | Name::StepWithSignal
        | Name::VCont => Need::Nothing,
        Name::ReadMemory => Need::Read(peek::memory(payload)),
        Name::WriteRegisters | Name::WriteRegister => Need::Write(None, "a write to registers"),
        Name::WriteMemory | Name::WriteBinary => Need::Write(peek::memory(payload), "a write to memory"),
        Name::Insert if peek::is_software_breakpoint(payload) => Need::Write(
            peek::memory(payload),
            "a software breakpoint, which is written to memory (try: hbreak)",
        ),
        Name::Insert => Need::Look(peek::memory(payload)),
        Name::Kill | Name::KillProcess | Name::Reset => Need::Reset,
        Name::Monitor => Need::Command,
    }
}

/// What becomes of a packet while nothing is allowed.
pub(super) fn locked(name: Name, payload: &[u8]) -> Ruling {
    match name {
        Name::Supported
        | Name::StartNoAckMode
        | Name::StopReason
        | Name::SelectThread
        | Name::CurrentThread
        | Name::FirstThreads
        | Name::MoreThreads
        | Name::Attached
        | Name::VContActions
        | Name::TargetDescription
        | Name::Detach => Ruling::Pass { readable: 0 },
        Name::ReadRegisters => Ruling::Zeros(None),
        Name::ReadRegister => match peek::register(payload) {
            Some(number) => Ruling::Zeros(Some(number)),
            None => Ruling::Deny(Denied::Locked),
        },
        Name::Monitor => {
            let line = peek::command(payload).unwrap_or_default();
            match line.strip_prefix(b"unlock ") {
                Some(word) => Ruling::Unlock(Vec::from_slice(word).unwrap_or_default()),
                None => Ruling::Explain,
            }
        }
        Name::Kill => Ruling::Dismiss,
        Name::ExtendedMode
        | Name::Continue
        | Name::ContinueWithSignal
        | Name::WriteRegisters
        | Name::ReadMemory
        | Name::WriteMemory
        | Name::WriteRegister
        | Name::Reset
        | Name::Step
        | Name::StepWithSignal
        | Name::ThreadAlive
        | Name::WriteBinary
        | Name::Insert
        | Name::Remove
        | Name::ThreadExtraInfo
        | Name::MemoryMap
        | Name::VCont
        | Name::KillProcess => Ruling::Deny(Denied::Locked),
    }
}
