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
    /// `QStartNoAckMode`
    StartNoAckMode,
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
    (b"QStartNoAckMode", Name::StartNoAckMode),
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
    /// Whether a client may begin with it on a running target. What would have a stopped one run, or
    /// ends what the machine does, is noise there.
    pub const fn begins(self) -> bool {
        match self {
            Self::Continue
            | Self::ContinueWithSignal
            | Self::Step
            | Self::StepWithSignal
            | Self::VCont
            | Self::Kill
            | Self::KillProcess
            | Self::Reset => false,
            Self::ExtendedMode
            | Self::StopReason
            | Self::Detach
            | Self::ReadRegisters
            | Self::WriteRegisters
            | Self::SelectThread
            | Self::ReadMemory
            | Self::WriteMemory
            | Self::ReadRegister
            | Self::WriteRegister
            | Self::ThreadAlive
            | Self::WriteBinary
            | Self::Insert
            | Self::Remove
            | Self::StartNoAckMode
            | Self::Attached
            | Self::CurrentThread
            | Self::FirstThreads
            | Self::Monitor
            | Self::MoreThreads
            | Self::Supported
            | Self::ThreadExtraInfo
            | Self::TargetDescription
            | Self::MemoryMap
            | Self::VContActions => true,
        }
    }

    /// The name of a packet that is known, well formed or not.
    pub fn of(payload: &[u8]) -> Option<Name> {
        Self::find(payload).map(|(name, _)| name)
    }

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
}
