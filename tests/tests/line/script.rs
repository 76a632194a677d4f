//! Five hundred commands, what each has the image do, and whether it has done it.

use anyhow::{Context, Result, ensure};
use tetrarch_tests::{Gdb, Qemu};

use crate::support::same;

/// How many commands a session has.
pub const COMMANDS: u64 = 500;

/// Words in the image's `scratch`.
const WORDS: usize = 64;

/// The length of an instruction that counts.
const INSTRUCTION: u64 = 7;

/// One command.
pub struct Command {
    pub line: String,
    does: Does,
}

/// What it has the image do, or say.
enum Does {
    /// Execute an instruction that counts.
    Run,
    /// Say how many there were.
    Count,
    /// Write a word of `scratch`.
    Write { index: usize, value: u64 },
    /// Read some.
    Read { index: usize, count: usize },
    /// Say where it is.
    Place,
    /// Change a register.
    Set { value: u64 },
    /// Say what is in it.
    Get,
}

/// The command with this number.
pub fn command(number: u64) -> Command {
    let index = (number / 10) as usize % WORDS;
    let first = index.min(WORDS - 16);
    let (line, does) = match number % 10 {
        0 | 6 => ("stepi".to_owned(), Does::Run),
        1 => ("print *$executed".to_owned(), Does::Count),
        2 => (format!("x/16xg $scratch + {first}"), Does::Read { index: first, count: 16 }),
        3 => ("continue".to_owned(), Does::Run),
        4 => {
            let does = Does::Write { index, value: number };
            (format!("set variable $scratch[{index}] = {number}"), does)
        }
        5 => (format!("print/x $scratch[{index}]"), Does::Read { index, count: 1 }),
        7 => ("info registers rax rip rsp eflags".to_owned(), Does::Place),
        8 => (format!("set variable $r15 = {number}"), Does::Set { value: number }),
        _ => ("print $r15".to_owned(), Does::Get),
    };
    Command { line, does }
}

/// What the image's memory holds, whatever gdb thinks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seen {
    executed: u64,
    scratch: Vec<u64>,
}

/// Where things are in the image, and what cannot be seen from outside.
pub struct Image {
    executed: u64,
    scratch: u64,
    round: u64,
    /// What R15 holds, or may hold since a command was given up.
    r15: Vec<u64>,
}

impl Image {
    /// Stops at the first instruction that counts, with a watchpoint on what it counts.
    pub fn prepare(gdb: &mut Gdb) -> Result<Self> {
        gdb.expect("tbreak *round", "Temporary breakpoint")?;
        gdb.expect("continue", "Temporary breakpoint")?;
        // Of assembly, nothing has a type.
        gdb.command("set language c")?;
        for name in ["executed", "scratch"] {
            gdb.command(&format!("set ${name} = (unsigned long *) &{name}"))?;
        }
        gdb.command("set variable *$executed = 0")?;
        gdb.command("set variable $r15 = 1")?;
        let [executed, scratch] = [gdb.number("$executed")?, gdb.number("$scratch")?];
        let round = gdb.number("$rip")?;
        let watch = format!("watch *(unsigned long *) {executed:#x}");
        gdb.expect(&watch, "Hardware watchpoint")?;
        Ok(Self { executed, scratch, round, r15: vec![1] })
    }

    /// Has QEMU look at it.
    pub fn look(&self, qemu: &mut Qemu) -> Result<Seen> {
        let mut words = |address: u64, count: usize| -> Result<Vec<u64>> {
            let bytes = qemu.monitor().memory(address, 8 * count)?;
            let words = bytes.chunks_exact(8).map(|word| word.try_into().map(u64::from_le_bytes));
            Ok(words.collect::<Result<_, _>>()?)
        };
        let executed = *words(self.executed, 1)?.first().context("a word")?;
        Ok(Seen { executed, scratch: words(self.scratch, WORDS)? })
    }

    /// Where the image is in the round.
    fn place(&self, seen: &Seen) -> u64 {
        self.round + INSTRUCTION * seen.executed
    }

    /// gdb has not complained: all of it has happened, once, and what it says is right.
    pub fn has_done(
        &mut self,
        command: &Command,
        before: &Seen,
        after: &Seen,
        output: &str,
    ) -> Result<()> {
        let mut expected = before.clone();
        let says = |text: &str| -> Result<()> {
            ensure!(output.contains(text), "not {text:?} but {output:?}");
            Ok(())
        };
        match command.does {
            Does::Run => {
                expected.executed += 1;
                // What gdb cannot read when it shows a stop, it leaves out without a word.
                let place = format!("{:#018x} in round ()", self.place(&expected));
                let value = format!("\nNew value = {}\n", expected.executed);
                for (what, text) in [(" in round ()", place), ("New value", value)] {
                    if output.contains(what) {
                        says(&text)?;
                    }
                }
            }
            Does::Count => says(&format!(" = {}\n", before.executed))?,
            Does::Write { index, value } => expected.scratch[index] = value,
            Does::Read { index, count } => {
                same("words", numbers(output), before.scratch[index..index + count].to_vec())?;
            }
            Does::Place => says(&format!(" {:#x} ", self.place(before)))?,
            Does::Set { value } => self.r15 = vec![value],
            Does::Get => {
                let held = output.trim().rsplit(' ').next().context("a number")?.parse()?;
                ensure!(self.r15.contains(&held), "{output:?}, not one of {:?}", self.r15);
                self.r15 = vec![held];
            }
        }
        same("memory", after, &expected)
    }

    /// What the command sets a register to may be in it now.
    pub fn may_have_set(&mut self, command: &Command) {
        if let Does::Set { value } = command.does {
            self.r15.push(value);
        }
    }

    /// gdb has given the command up: it has happened, or not, but not twice, and nothing else has.
    pub fn may_have_done(&mut self, command: &Command, before: &Seen, after: &Seen) -> Result<()> {
        let mut expected = before.clone();
        match command.does {
            Does::Run => expected.executed += 1,
            Does::Write { index, value } => expected.scratch[index] = value,
            Does::Set { .. } => self.may_have_set(command),
            Does::Count | Does::Read { .. } | Does::Place | Does::Get => {}
        }
        if after != before {
            same(&format!("memory after {}", command.line), after, &expected)?;
        }
        Ok(())
    }
}

/// The numbers that `x/xg` and `print/x` show.
fn numbers(output: &str) -> Vec<u64> {
    let values = output.lines().filter_map(|line| line.split_once([':', '=']));
    let words = values.flat_map(|(_, values)| values.split_whitespace());
    let digits = words.filter_map(|word| word.strip_prefix("0x"));
    digits.filter_map(|digits| u64::from_str_radix(digits, 16).ok()).collect()
}
