//! QEMU's own monitor: the independent witness of what the debug registers hold.
//!
//! QEMU's gdb port does not show debug registers; `info registers` on its monitor does,
//! also while the image runs. The monitor is spoken to in QMP, one JSON object a line.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::poll;

/// A connection to the monitor.
#[derive(Debug)]
pub struct Monitor {
    stream: BufReader<UnixStream>,
}

/// Registers of one CPU, as QEMU sees them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Registers {
    /// DR0 to DR3.
    pub addresses: [u64; 4],
    /// DR6.
    pub status: u64,
    /// DR7.
    pub control: u64,
    /// RIP.
    pub rip: u64,
    /// RFLAGS.
    pub flags: u64,
}

impl Monitor {
    /// Takes a fresh connection through QMP's greeting.
    pub fn greet(stream: UnixStream) -> Result<Self> {
        stream.set_read_timeout(Some(poll::LIMIT))?;
        let mut monitor = Self { stream: BufReader::new(stream) };
        monitor.receive()?;
        monitor.execute("qmp_capabilities", &json!({}))?;
        Ok(monitor)
    }

    /// Executes a QMP command and gives its return value.
    pub fn execute(&mut self, command: &str, arguments: &Value) -> Result<Value> {
        let request = json!({ "execute": command, "arguments": arguments });
        writeln!(self.stream.get_mut(), "{request}")?;
        loop {
            let mut answer = self.receive()?;
            if let Some(value) = answer.get_mut("return") {
                return Ok(value.take());
            }
            if let Some(error) = answer.get("error") {
                bail!("QEMU refuses {command}: {error}");
            }
            // Anything else is an event that nobody asked for.
        }
    }

    /// Executes a command of the monitor for people.
    pub fn human(&mut self, command: &str) -> Result<String> {
        let value = self.execute("human-monitor-command", &json!({ "command-line": command }))?;
        Ok(value.as_str().unwrap_or_default().to_owned())
    }

    /// The registers of the first CPU.
    pub fn registers(&mut self) -> Result<Registers> {
        Registers::parse(&self.human("info registers")?)
    }

    /// The registers of every CPU.
    pub fn all_registers(&mut self) -> Result<Vec<Registers>> {
        let text = self.human("info registers -a")?;
        text.split("CPU#").skip(1).map(Registers::parse).collect()
    }

    /// Reads the image's memory, also while it runs.
    pub fn memory(&mut self, address: u64, length: usize) -> Result<Vec<u8>> {
        let file = tempfile::NamedTempFile::new()?;
        let arguments = json!({ "val": address, "size": length, "filename": file.path() });
        self.execute("pmemsave", &arguments)?;
        Ok(fs::read(file.path())?)
    }

    /// Reads a 64-bit number in the image's memory, also while it runs.
    pub fn number(&mut self, address: u64) -> Result<u64> {
        let bytes = self.memory(address, size_of::<u64>())?;
        Ok(u64::from_le_bytes(bytes.as_slice().try_into()?))
    }

    fn receive(&mut self) -> Result<Value> {
        let mut line = String::new();
        if self.stream.read_line(&mut line).context("QEMU's monitor does not answer")? == 0 {
            bail!("QEMU has closed its monitor");
        }
        Ok(serde_json::from_str(&line)?)
    }
}

impl Registers {
    fn parse(text: &str) -> Result<Self> {
        let value = |name: &str| -> Result<u64> {
            let start = text.find(name).with_context(|| format!("no {name} in:\n{text}"))?;
            let digits = &text[start + name.len()..];
            let end = digits.find(|character: char| !character.is_ascii_hexdigit());
            Ok(u64::from_str_radix(&digits[..end.unwrap_or(digits.len())], 16)?)
        };
        Ok(Self {
            addresses: [value("DR0=")?, value("DR1=")?, value("DR2=")?, value("DR3=")?],
            status: value("DR6=")?,
            control: value("DR7=")?,
            // RIP and RFL, but EIP and EFL before the image has reached 64-bit mode.
            rip: value("IP=")?,
            flags: value("FL=")?,
        })
    }

    /// The addresses of the slots that DR7 arms, and `None` for the others.
    pub fn armed(&self) -> [Option<u64>; 4] {
        std::array::from_fn(|slot| {
            let enabled = self.control >> (2 * slot) & 0b11 != 0;
            enabled.then_some(self.addresses[slot])
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_are_found_in_what_qemu_prints() {
        let text = "CPU#0\nRIP=0000000000100132 RFL=00000202 [-------]\n\
            DR0=0000000000001000 DR1=0000000000000000 DR2=0000000000000000 DR3=0000000000003000 \n\
            DR6=00000000ffff0ff0 DR7=00000000900d0682\n";
        let registers = Registers::parse(text).unwrap();
        assert_eq!(
            registers,
            Registers {
                addresses: [0x1000, 0, 0, 0x3000],
                status: 0xFFFF_0FF0,
                control: 0x900D_0682,
                rip: 0x10_0132,
                flags: 0x202,
            }
        );
        assert_eq!(registers.armed(), [Some(0x1000), None, None, Some(0x3000)]);
    }
}
