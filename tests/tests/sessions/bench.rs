//! One instruction of the image `steps`, run from chosen flags, stepped and unstepped.

use anyhow::Result;
use tetrarch_tests::Gdb;

use crate::asking::{go_to, store, words};
use crate::support::{address, same};

/// With and without IF, the arithmetic flags all clear and all set.
pub const FLAGS: [u64; 4] = [0x002, 0x202, 0x8D7, 0xAD7];
/// What the image runs with.
pub const ORDINARY: u64 = 0x202;

/// How an instruction is run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum How {
    /// By `stepi`.
    Stepped,
    /// By `continue`, up to a breakpoint where it leads.
    Unstepped,
}

/// One after the other.
pub const BOTH: [How; 2] = [How::Stepped, How::Unstepped];

/// One instruction of the image, to be run as often as one likes.
pub struct Bench<'a> {
    pub gdb: &'a mut Gdb,
    label: &'static str,
    /// Where the instruction is.
    pub start: u64,
    /// The stack pointer that it runs with.
    pub stack: u64,
}

impl<'a> Bench<'a> {
    /// Goes to the instruction.
    pub fn at(gdb: &'a mut Gdb, label: &'static str) -> Result<Self> {
        go_to(gdb, label)?;
        let (start, stack) = (gdb.number("$pc")?, gdb.number("$rsp")?);
        Ok(Self { gdb, label, start, stack })
    }

    /// Sets a register, and sees that it holds that.
    pub fn set(&mut self, register: &str, value: u64) -> Result<()> {
        self.gdb.command(&format!("set var ${register} = {value:#x}"))?;
        same("a register that was set", self.number(&format!("${register}"))?, value)
    }

    /// Puts the image before the instruction, with these flags.
    pub fn prepare(&mut self, flags: u64) -> Result<()> {
        let (start, stack) = (self.start, self.stack);
        self.set("pc", start)?;
        self.set("rsp", stack)?;
        self.set("eflags", flags)
    }

    /// Runs the instruction, which must lead to the symbol `arrival`; gives the flags there.
    pub fn run(&mut self, how: How, flags: u64, arrival: &str) -> Result<u64> {
        self.prepare(flags)?;
        match how {
            How::Stepped => self.gdb.command("stepi")?,
            How::Unstepped => {
                self.gdb.command(&format!("thbreak *{arrival}"))?;
                self.gdb.command("continue")?
            }
        };
        let expected = address(self.gdb, arrival)?;
        same(&format!("where {} leads, {how:?}", self.label), self.gdb.number("$pc")?, expected)?;
        self.gdb.number("$eflags")
    }

    /// What has been pushed on the stack, from its top.
    pub fn pushed(&mut self, count: usize) -> Result<Vec<u64>> {
        let stack = self.gdb.number("$rsp")?;
        words(self.gdb, stack, count)
    }

    /// The value of an expression.
    pub fn number(&mut self, expression: &str) -> Result<u64> {
        self.gdb.number(expression)
    }

    /// Puts `value` where the stack pointer was, `index` words up.
    pub fn poke(&mut self, index: u64, value: u64) -> Result<()> {
        let place = self.stack + 8 * index;
        store(self.gdb, "long", place, value)?;
        Ok(())
    }

    /// Lets the image go on as if nothing had been, for one round.
    pub fn leave(mut self) -> Result<()> {
        self.prepare(ORDINARY)?;
        go_to(self.gdb, self.label)
    }
}
