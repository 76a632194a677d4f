//! What happens on the line and in the machine, in no sensible order.

use arbitrary::Arbitrary;

use crate::bench::{WRITABLE, hex};
use crate::machine::BASE;

/// One thing after the other.
#[derive(Arbitrary, Debug)]
pub enum Event {
    Packet(Packet),
    Byte(u8),
    Acknowledge,
    /// So long that the session takes what it waits for to be lost.
    Wait,
    /// The firmware says something while it runs.
    Say(Vec<u8>),
    Happens {
        cpu: u8,
        what: Happening,
    },
    /// Whoever is there goes.
    HangUp,
}

/// What can stop a running machine.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Happening {
    /// Bits of DR6.
    Hit(u8),
    Breakpoint,
    Nmi,
    Panic,
}

/// A packet that the session knows, with arguments that may be right.
#[derive(Arbitrary, Debug)]
pub enum Packet {
    Hello,
    Resume(Vec<(Action, Option<Thread>)>),
    Plain(Action),
    Breakpoint { inserts: bool, kind: u8, place: Place, length: u8 },
    Read(Place, u16),
    Write(Place, Vec<u8>),
    WriteBinary(Place, Vec<u8>),
    ReadRegister(u8),
    WriteRegister(u8, u64),
    WriteRegisters(Vec<u8>),
    Select { resumes: bool, thread: Thread },
    IsAlive(Thread),
    Monitor(Words),
    Fixed(Fixed),
    Anything(Vec<u8>),
}

/// What to do with a thread.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Action {
    Continue,
    Step,
    Range(u8),
    Signal(u8),
}

/// A thread, perhaps one that there is.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Thread {
    All,
    Any,
    One(u8),
    Far(u64),
}

/// An address, perhaps one where there is something.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Place {
    Code(u8),
    Data(u16),
    Far(u64),
}

/// Commands of `monitor`, and what follows them.
#[derive(Arbitrary, Debug)]
pub struct Words(u8, Vec<u8>);

/// Packets without arguments, but for a few.
#[derive(Arbitrary, Debug)]
pub enum Fixed {
    Stop,
    Registers,
    Threads,
    Description(u16, u16),
    MemoryMap,
    Attached,
    Current,
    Detach,
    Kill,
    Reset,
    NoAcknowledgements,
}

impl Packet {
    /// The bytes between `$` and `#`.
    pub fn payload(&self) -> Vec<u8> {
        let text = match self {
            Self::Hello => "qSupported:multiprocess+;swbreak+;hwbreak+".into(),
            Self::Resume(actions) => {
                let action = |(action, thread): &(Action, Option<Thread>)| {
                    let thread = thread.map(|thread| format!(":{}", thread.text()));
                    format!(";{}{}", action.text(), thread.unwrap_or_default())
                };
                format!("vCont{}", actions.iter().map(action).collect::<String>())
            }
            Self::Plain(action) => action.text(),
            Self::Breakpoint { inserts, kind, place, length } => {
                let letter = if *inserts { 'Z' } else { 'z' };
                format!("{letter}{},{:x},{length:x}", kind % 6, place.address())
            }
            Self::Read(place, length) => format!("m{:x},{length:x}", place.address()),
            Self::Write(place, bytes) => {
                format!("M{:x},{:x}:{}", place.address(), bytes.len(), hex(bytes))
            }
            Self::WriteBinary(place, bytes) => {
                let head = format!("X{:x},{:x}:", place.address(), bytes.len());
                return [head.as_bytes(), &escaped(bytes)].concat();
            }
            Self::ReadRegister(number) => format!("p{number:x}"),
            Self::WriteRegister(number, value) => {
                format!("P{number:x}={}", hex(&value.to_le_bytes()))
            }
            Self::WriteRegisters(bytes) => format!("G{}", hex(bytes)),
            Self::Select { resumes, thread } => {
                format!("H{}{}", if *resumes { 'c' } else { 'g' }, thread.text())
            }
            Self::IsAlive(thread) => format!("T{}", thread.text()),
            Self::Monitor(words) => format!("qRcmd,{}", hex(&words.line())),
            Self::Fixed(fixed) => fixed.text(),
            Self::Anything(payload) => return payload.clone(),
        };
        text.into_bytes()
    }
}

impl Action {
    fn text(self) -> String {
        match self {
            Self::Continue => "c".into(),
            Self::Step => "s".into(),
            Self::Range(length) => format!("r{:x},{:x}", BASE, BASE + usize::from(length)),
            Self::Signal(signal) => format!("C{signal:02x}"),
        }
    }
}

impl Thread {
    fn text(self) -> String {
        match self {
            Self::All => "p1.-1".into(),
            Self::Any => "0".into(),
            Self::One(number) => format!("p1.{:x}", number % 4),
            Self::Far(number) => format!("{number:x}"),
        }
    }
}

impl Place {
    fn address(self) -> u64 {
        match self {
            Self::Code(offset) => BASE as u64 + u64::from(offset),
            Self::Data(offset) => WRITABLE as u64 + u64::from(offset % 0x1100),
            Self::Far(address) => address,
        }
    }
}

impl Words {
    fn line(&self) -> Vec<u8> {
        const COMMANDS: [&str; 10] = [
            "help",
            "dr",
            "tasks",
            "why",
            "stop",
            "reset",
            "cpus",
            "dr 1",
            "unlock ",
            "unlock sesame",
        ];
        let command = COMMANDS.get(usize::from(self.0)).copied().unwrap_or_default();
        [command.as_bytes(), &self.1].concat()
    }
}

impl Fixed {
    fn text(&self) -> String {
        match self {
            Self::Stop => "?".into(),
            Self::Registers => "g".into(),
            Self::Threads => "qfThreadInfo".into(),
            Self::Description(offset, length) => {
                format!("qXfer:features:read:target.xml:{offset:x},{length:x}")
            }
            Self::MemoryMap => "qXfer:memory-map:read::0,ffb".into(),
            Self::Attached => "qAttached".into(),
            Self::Current => "qC".into(),
            Self::Detach => "D;1".into(),
            Self::Kill => "k".into(),
            Self::Reset => "R00".into(),
            Self::NoAcknowledgements => "QStartNoAckMode".into(),
        }
    }
}

fn escaped(bytes: &[u8]) -> Vec<u8> {
    let escape = |byte: &u8| match byte {
        b'#' | b'$' | b'*' | b'}' => vec![b'}', byte ^ 0x20],
        byte => vec![*byte],
    };
    bytes.iter().flat_map(escape).collect()
}
