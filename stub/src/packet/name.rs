//! The packets that are known, by name. What is not in the table is not supported.

/// A packet's name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Name {
    /// `!`
    ExtendedMode,
    /// `?`
    StopReason,
    /// `c`
    Continue,
    /// `C`
    ContinueWithSignal,
    /// `D`
    Detach,
    /// `g`
    ReadRegisters,
    /// `G`
    WriteRegisters,
    /// `H`
    SelectThread,
    /// `k`
    Kill,
    /// `m`
    ReadMemory,
    /// `M`
    WriteMemory,
    /// `p`
    ReadRegister,
    /// `P`
    WriteRegister,
    /// `R`
    Reset,
    /// `s`
    Step,
    /// `S`
    StepWithSignal,
    /// `T`
    ThreadAlive,
    /// `X`
    WriteBinary,
    /// `Z`
    Insert,
    /// `z`
    Remove,
    /// `qAttached`
    Attached,
    /// `qC`
    CurrentThread,
    /// `qfThreadInfo`
    FirstThreads,
    /// `qRcmd`
    Monitor,
    /// `qsThreadInfo`
    MoreThreads,
    /// `qSupported`
    Supported,
    /// `qThreadExtraInfo`
    ThreadExtraInfo,
    /// `qXfer:features:read`
    TargetDescription,
    /// `qXfer:memory-map:read`
    MemoryMap,
    /// `vCont`
    VCont,
    /// `vCont?`
    VContActions,
    /// `vKill`
    KillProcess,
}

/// What a packet can do to the target.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Class {
    /// Nothing: it starts, steers or ends the conversation.
    Session,
    /// Nothing: it asks about the stub, or about what there is.
    Query,
    /// Reads memory or registers.
    Read,
    /// Writes memory or registers.
    Write,
    /// Inserts or removes a breakpoint or watchpoint.
    Breakpoint,
    /// Lets the target go on, or ends it.
    Resume,
    /// Whatever the command says.
    Monitor,
}

/// A one-letter name is followed directly by its arguments; after a longer one there is an
/// end, or one of the separators.
const NAMES: &[(&[u8], Name)] = &[
    (b"!", Name::ExtendedMode),
    (b"?", Name::StopReason),
    (b"c", Name::Continue),
    (b"C", Name::ContinueWithSignal),
    (b"D", Name::Detach),
    (b"g", Name::ReadRegisters),
    (b"G", Name::WriteRegisters),
    (b"H", Name::SelectThread),
    (b"k", Name::Kill),
    (b"m", Name::ReadMemory),
    (b"M", Name::WriteMemory),
    (b"p", Name::ReadRegister),
    (b"P", Name::WriteRegister),
    (b"R", Name::Reset),
    (b"s", Name::Step),
    (b"S", Name::StepWithSignal),
    (b"T", Name::ThreadAlive),
    (b"X", Name::WriteBinary),
    (b"Z", Name::Insert),
    (b"z", Name::Remove),
    (b"qAttached", Name::Attached),
    (b"qC", Name::CurrentThread),
    (b"qfThreadInfo", Name::FirstThreads),
    (b"qRcmd", Name::Monitor),
    (b"qsThreadInfo", Name::MoreThreads),
    (b"qSupported", Name::Supported),
    (b"qThreadExtraInfo", Name::ThreadExtraInfo),
    (b"qXfer:features:read", Name::TargetDescription),
    (b"qXfer:memory-map:read", Name::MemoryMap),
    (b"vCont", Name::VCont),
    (b"vCont?", Name::VContActions),
    (b"vKill", Name::KillProcess),
];

impl Name {
    /// The packet's name, and what follows it.
    pub(super) fn find(payload: &[u8]) -> Option<(Name, &[u8])> {
        NAMES.iter().find_map(|(text, name)| {
            let arguments = payload.strip_prefix(*text)?;
            let ends = match arguments.first() {
                None | Some(b':' | b',' | b';') => true,
                Some(_) => text.len() == 1,
            };
            ends.then_some((*name, arguments))
        })
    }

    /// What the packet can do to the target.
    pub const fn class(self) -> Class {
        match self {
            Name::ExtendedMode
            | Name::StopReason
            | Name::Detach
            | Name::SelectThread
            | Name::Supported => Class::Session,
            Name::ThreadAlive
            | Name::Attached
            | Name::CurrentThread
            | Name::FirstThreads
            | Name::MoreThreads
            | Name::ThreadExtraInfo
            | Name::TargetDescription
            | Name::MemoryMap
            | Name::VContActions => Class::Query,
            Name::ReadRegisters | Name::ReadMemory | Name::ReadRegister => Class::Read,
            Name::WriteRegisters | Name::WriteMemory | Name::WriteRegister | Name::WriteBinary => {
                Class::Write
            }
            Name::Insert | Name::Remove => Class::Breakpoint,
            Name::Continue
            | Name::ContinueWithSignal
            | Name::Step
            | Name::StepWithSignal
            | Name::VCont
            | Name::Kill
            | Name::KillProcess
            | Name::Reset => Class::Resume,
            Name::Monitor => Class::Monitor,
        }
    }
}
