//! `monitor` commands: what a person types to see what gdb has no words for.
//!
//! The output is collected into pieces before it goes out, because each piece that reaches
//! gdbstub becomes a packet of its own, and each packet waits for its acknowledgement.

use core::convert::Infallible;
use core::fmt::{self, Write};

use gdbstub::target::ext::monitor_cmd::{ConsoleOutput, MonitorCmd};
use heapless::String;

use super::Debuggee;
use super::machine::{CpuState, Machine};
use crate::arbiter::CpuId;
use crate::packet::peek;

/// A command of the firmware's own.
#[derive(Clone, Copy)]
pub struct Command {
    /// The word after `monitor`. One of the stub's own names hides it.
    pub name: &'static str,
    /// What it does, in a line, for `monitor help`.
    pub help: &'static str,
    /// Whether it is for everybody who may look.
    pub effect: Effect,
    /// Runs it: the rest of the line, and where to write to. It runs in the exception, with the
    /// machine stopped, so it must take no lock that the firmware may hold.
    pub run: fn(&str, &mut dyn Write),
}

/// What a command does to the machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect {
    /// It shows something.
    Nothing,
    /// It changes something: not for a debugger that may [look only](crate::policy::Access::ReadOnly),
    /// and not to be carried out twice if it comes twice because an acknowledgement was lost.
    Changes,
}

const HELP: &str = "\
help   this text
dr     the debug registers: who holds which, what is reserved, what is free (dr N: of cpu N)
cpus   what each cpu is doing, and which do not respond
tasks  which CPU runs which task, and the tasks that have claims
why    why the last request was refused
stop   why the machine stopped
reset  reset the machine
";

/// Collects output, so that a packet carries more than a word.
struct Pieces<'a> {
    out: ConsoleOutput<'a>,
    piece: String<256>,
    /// How much may still be printed.
    room: usize,
}

/// What ends an output that is longer than there is room for.
const CUT: &str = "[cut]\n";

impl Pieces<'_> {
    fn flush(&mut self) {
        if !self.piece.is_empty() {
            self.out.write_raw(self.piece.as_bytes());
            self.piece.clear();
        }
    }
}

impl Write for Pieces<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            let Some(room) = self.room.checked_sub(character.len_utf8()) else {
                self.room = 0;
                return Err(fmt::Error);
            };
            self.room = room;
            if self.piece.push(character).is_err() {
                self.flush();
                self.piece.push(character).map_err(|_| fmt::Error)?;
            }
        }
        Ok(())
    }
}

/// The name of a command, and what follows it.
fn words(line: &[u8]) -> (&str, &str) {
    let line = core::str::from_utf8(line).unwrap_or_default().trim();
    line.split_once(' ').unwrap_or((line, ""))
}

/// Whether the command that a `qRcmd` brings changes the machine. One that is too long to be read
/// here may.
pub(crate) fn request_changes(payload: &[u8], commands: &[Command]) -> bool {
    peek::command(payload).is_none_or(|line| changes(words(&line).0, commands))
}

/// Whether the command of this name, of the stub's or of the firmware's, does.
fn changes(name: &str, commands: &[Command]) -> bool {
    match name {
        "reset" => true,
        "help" | "" | "dr" | "cpus" | "tasks" | "why" | "unlock" | "stop" => false,
        name => {
            let command = commands.iter().find(|command| command.name == name);
            command.is_some_and(|command| command.effect == Effect::Changes)
        }
    }
}

impl<M: Machine, const CLAIMS: usize, const CPUS: usize, const TASKS: usize> MonitorCmd
    for Debuggee<'_, M, CLAIMS, CPUS, TASKS>
{
    fn handle_monitor_cmd(
        &mut self,
        line: &[u8],
        out: ConsoleOutput<'_>,
    ) -> Result<(), Infallible> {
        let room = self.console.saturating_sub(CUT.len());
        let mut out = Pieces { out, piece: String::new(), room };
        let (name, arguments) = words(line);
        // The only way for it to fail is to print too much.
        let _ = self.run_command(name, arguments, &mut out);
        if out.room == 0 {
            out.room = CUT.len();
            let _ = out.write_str(CUT);
        }
        out.flush();
        Ok(())
    }
}

impl<M: Machine, const CLAIMS: usize, const CPUS: usize, const TASKS: usize>
    Debuggee<'_, M, CLAIMS, CPUS, TASKS>
{
    fn run_command(&mut self, name: &str, arguments: &str, out: &mut dyn Write) -> fmt::Result {
        match name {
            "help" | "" => self.help(out),
            "dr" => self.debug_registers(arguments.trim(), out),
            "cpus" => self.cpus(out),
            "tasks" => write!(out, "{}", self.arbiter.task_list()),
            "why" => writeln!(out, "{}", self.debugger.refusals),
            // Where there is a lock, the gate has kept the command for itself.
            "unlock" => writeln!(out, "nothing is locked"),
            "stop" => writeln!(out, "{}", self.stop_text),
            "reset" => {
                // Not a word: it would have to be acknowledged before the reply could go out.
                self.debugger.orders.reset = true;
                Ok(())
            }
            other => match self.firmware.commands.iter().find(|command| command.name == other) {
                Some(command) => {
                    (command.run)(arguments.trim(), out);
                    Ok(())
                }
                None => writeln!(out, "no such command: {other} (try: monitor help)"),
            },
        }
    }

    fn debug_registers(&self, number: &str, out: &mut dyn Write) -> fmt::Result {
        let cpu = match number {
            "" => self.selected,
            number => CpuId(number.parse().unwrap_or(u16::MAX)),
        };
        match self.machine.state(cpu) {
            CpuState::Absent => writeln!(out, "there is no such cpu (try: monitor cpus)"),
            CpuState::NotResponding => writeln!(
                out,
                "cpu {} does not respond: what its registers hold is not known",
                cpu.0
            ),
            CpuState::Stopped => {
                if CPUS > 1 {
                    writeln!(out, "cpu {}:", cpu.0)?;
                }
                write!(out, "{}", self.arbiter.table(cpu))
            }
        }
    }

    fn cpus(&self, out: &mut dyn Write) -> fmt::Result {
        writeln!(out, "next instruction    cpu")?;
        for cpu in (0..=u16::MAX).take(CPUS).map(CpuId) {
            match (self.machine.state(cpu), self.machine.program_counter(cpu)) {
                (CpuState::Absent, _) => continue,
                (CpuState::Stopped, Ok(next)) => write!(out, "{next:#018x}  ")?,
                (CpuState::Stopped | CpuState::NotResponding, _) => write!(out, "{:18}  ", "-")?,
            }
            self.describe(cpu, out)?;
            writeln!(out)?;
        }
        Ok(())
    }

    fn help(&self, out: &mut dyn Write) -> fmt::Result {
        out.write_str(HELP)?;
        for command in self.firmware.commands {
            writeln!(out, "{:<6} {}", command.name, command.help)?;
        }
        Ok(())
    }
}
