//! Which instruction is about to run, as far as a single step has to care.
//!
//! Not a disassembler: only instructions that read or write IF or TF, that would not come
//! back to the stub, or that would show it to the firmware are told apart; everything else
//! is [`Kind::Plain`]. That includes whatever is cut off, longer than 15 bytes or carries a
//! LOCK prefix: the processor refuses those by itself. Source: Intel SDM vol. 2, chapter 2
//! and appendix A.
//!
//! ```text
//!   66 67 2E 36 3E 26 64 65 F0 F2 F3   40–4F   0F?  opcode   ModRM  SIB  displacement
//!   legacy prefixes, any number        REX, counts only directly before the opcode
//! ```
//!
//! Pure: bytes in, meaning out. What is done about it is the [parent](super)'s part.

use super::operand::{AddressSize, Base, Index, Operand, Place, Segment};

/// The longest instruction that a processor accepts.
pub const LONGEST: usize = 15;

/// How the code segment says that its bytes are to be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// 64-bit code.
    Long,
    /// 16- or 32-bit code under a 64-bit kernel: 40–4F are instructions, and operands are
    /// not decoded.
    Compatibility,
}

/// What a step has to know about an instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Neither reads nor writes IF or TF, and goes on to a next instruction by itself.
    Plain,
    /// HLT, MWAIT, MWAITX: sleep until an interrupt comes.
    Sleep,
    /// STI, after which an emulator delays the trap by an instruction.
    SetInterruptFlag,
    /// CLI.
    ChangeInterruptFlag,
    /// SYSENTER, which clears IF whatever the privilege is.
    ClearInterruptFlag,
    /// PUSHF.
    PushFlags,
    /// POPF and IRET.
    LoadFlags,
    /// SYSCALL.
    SystemCall,
    /// SYSRET.
    SystemReturn,
    /// INT n, and INT3 as 3.
    Interrupt(u8),
    /// LIDT.
    LoadIdt(Place),
    /// SIDT.
    StoreIdt(Place),
    /// MOV to SS, which delays the trap by an instruction.
    LoadStackSegment(Operand),
}

/// An instruction and where the next one begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Instruction {
    /// What it does.
    pub kind: Kind,
    /// Its length in bytes; meaningless for [`Kind::Plain`].
    pub length: u8,
}

impl Instruction {
    /// Decodes the instruction that `bytes` begin with.
    pub fn decode(bytes: &[u8], mode: Mode) -> Instruction {
        let bytes = bytes.get(..LONGEST).unwrap_or(bytes);
        let mut reader = Reader { bytes, at: 0 };
        let kind = instruction(&mut reader, mode).unwrap_or(Kind::Plain);
        Instruction { kind, length: reader.at as u8 }
    }
}

/// The prefixes that change something here.
struct Prefixes {
    segment: Segment,
    address_size: AddressSize,
    /// The REX byte, or 0.
    rex: u8,
}

impl Prefixes {
    /// A register number: three bits of the instruction and the REX bit above them.
    fn register(&self, low: u8, rex_bit: u8) -> u8 {
        low & 7 | (self.rex >> rex_bit & 1) << 3
    }
}

/// Bit numbers in REX.
const REX_B: u8 = 0;
const REX_X: u8 = 1;

/// Everything up to the end of the instruction, or `None` if the bytes end before it does.
fn instruction(reader: &mut Reader, mode: Mode) -> Option<Kind> {
    let mut prefixes =
        Prefixes { segment: Segment::Flat, address_size: AddressSize::Eight, rex: 0 };
    let opcode = loop {
        match reader.byte()? {
            rex @ 0x40..=0x4f if mode == Mode::Long => {
                prefixes.rex = rex;
                continue;
            }
            0x64 => prefixes.segment = Segment::Fs,
            0x65 => prefixes.segment = Segment::Gs,
            0x67 => prefixes.address_size = AddressSize::Four,
            0x26 | 0x2e | 0x36 | 0x3e | 0x66 | 0xf2 | 0xf3 => {}
            0xf0 => return Some(Kind::Plain),
            opcode => break opcode,
        }
        // A legacy prefix after a REX makes it void.
        prefixes.rex = 0;
    };
    Some(match opcode {
        0x8e if mode == Mode::Long => move_to_segment(reader, &prefixes)?,
        0x9c => Kind::PushFlags,
        0x9d | 0xcf => Kind::LoadFlags,
        0xcc => Kind::Interrupt(3),
        0xcd => Kind::Interrupt(reader.byte()?),
        0xf4 => Kind::Sleep,
        0xfa => Kind::ChangeInterruptFlag,
        0xfb => Kind::SetInterruptFlag,
        0x0f => match reader.byte()? {
            0x01 => system_group(reader, &prefixes, mode)?,
            0x05 if mode == Mode::Long => Kind::SystemCall,
            0x07 if mode == Mode::Long => Kind::SystemReturn,
            0x34 => Kind::ClearInterruptFlag,
            _ => Kind::Plain,
        },
        _ => Kind::Plain,
    })
}

/// `8E /r`: MOV to a segment register; only SS (`/2`) matters.
fn move_to_segment(reader: &mut Reader, prefixes: &Prefixes) -> Option<Kind> {
    let modrm = reader.byte()?;
    if modrm >> 3 & 7 != 2 {
        return Some(Kind::Plain);
    }
    Some(Kind::LoadStackSegment(operand(reader, prefixes, modrm)?))
}

/// `0F 01`: a few whole instructions among the register forms, and the descriptor table
/// instructions among the memory forms.
fn system_group(reader: &mut Reader, prefixes: &Prefixes, mode: Mode) -> Option<Kind> {
    let modrm = reader.byte()?;
    if matches!(modrm, 0xc9 | 0xfb) {
        return Some(Kind::Sleep);
    }
    let number = modrm >> 3 & 7;
    if mode == Mode::Compatibility || !matches!(number, 1 | 3) {
        return Some(Kind::Plain);
    }
    Some(match operand(reader, prefixes, modrm)? {
        Operand::Memory(place) if number == 1 => Kind::StoreIdt(place),
        Operand::Memory(place) => Kind::LoadIdt(place),
        Operand::Register(_) => Kind::Plain,
    })
}

/// The operand that `modrm` names, with the SIB byte and displacement that follow it (Intel
/// SDM vol. 2, tables 2-2 and 2-3).
fn operand(reader: &mut Reader, prefixes: &Prefixes, modrm: u8) -> Option<Operand> {
    let form = modrm >> 6;
    let register = modrm & 7;
    if form == 3 {
        return Some(Operand::Register(prefixes.register(register, REX_B)));
    }
    let mut index = None;
    let base = match register {
        4 => {
            let sib = reader.byte()?;
            let number = prefixes.register(sib >> 3, REX_X);
            // RSP cannot be an index; R12 can.
            index = (number != 4).then_some(Index { register: number, shift: sib >> 6 });
            match sib & 7 {
                5 if form == 0 => Base::None,
                low => Base::Register(prefixes.register(low, REX_B)),
            }
        }
        5 if form == 0 => Base::Rip,
        low => Base::Register(prefixes.register(low, REX_B)),
    };
    let displacement = match (form, base) {
        (1, _) => i32::from(reader.byte()? as i8),
        (0, Base::Register(_)) => 0,
        _ => reader.long()?,
    };
    let Prefixes { segment, address_size, rex: _ } = *prefixes;
    Some(Operand::Memory(Place { base, index, displacement, segment, address_size }))
}

/// The bytes and how many of them are used up.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn long(&mut self) -> Option<i32> {
        let rest = self.bytes.get(self.at..)?;
        let value = i32::from_le_bytes(*rest.first_chunk()?);
        self.at += 4;
        Some(value)
    }
}

#[cfg(test)]
mod tests;
