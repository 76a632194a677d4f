//! The demo, stopped, and a client that says whatever a test wants it to say.

use anyhow::{Context, Result, ensure};
use tetrarch_tests::rsp::Said;
use tetrarch_tests::{Boot, Qemu, Rsp, poll};

use crate::symbols::address;
use crate::text::{bytes, expanded};

/// The longest packet that the stub takes, and the longest reply that it gives, in bytes.
pub const PACKET_SIZE: usize = 0x200;

/// What a client is told that asks why a machine stopped for it.
pub const ATTACHED: &str = "T02thread:p01.01;";

/// Answers that gdb knows as errors, by their meaning.
pub mod errno {
    /// Not permitted: a range in which a breakpoint would recurse.
    pub const PROTECTED: &str = "E01";
    /// There is no such thread or process.
    pub const NO_THREAD: &str = "E03";
    /// The processor does not take the value.
    pub const REGISTER: &str = "E05";
    /// The packet is longer than PacketSize.
    pub const TOO_LONG: &str = "E07";
    /// The stub cannot remember another request.
    pub const NO_MEMORY: &str = "E0c";
    /// The stub itself runs on what is there.
    pub const ACCESS: &str = "E0d";
    /// The address is not there, is too wide, or the region wraps around.
    pub const ADDRESS: &str = "E0e";
    /// The packet is malformed, or means what no target can do.
    pub const INVALID: &str = "E16";
    /// There are not enough debug registers.
    pub const FULL: &str = "E1c";
}

/// Both sides.
pub struct Bench {
    pub qemu: Qemu,
    pub client: Rsp,
}

/// Everything about the target that a packet without effect must leave as it was.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct State {
    registers: String,
    variables: [u64; 4],
    debug_registers: String,
}

/// Runs a test with the demo stopped by a client that has just come.
pub fn stopped(test: impl FnOnce(&mut Bench) -> Result<()>) -> Result<()> {
    stopped_in(Boot::new("demo")?, test)
}

/// Likewise, with the demo started in another way.
pub fn stopped_in(boot: Boot, test: impl FnOnce(&mut Bench) -> Result<()>) -> Result<()> {
    running(
        boot,
        |qemu| {
            let client = Rsp::attach(&qemu)?;
            Ok(Bench { qemu, client })
        },
        test,
    )
}

/// Runs a test with a client that has connected and said nothing.
pub fn silent_in(boot: Boot, test: impl FnOnce(&mut Bench) -> Result<()>) -> Result<()> {
    running(
        boot,
        |qemu| {
            let client = Rsp::connect(&qemu)?;
            Ok(Bench { qemu, client })
        },
        test,
    )
}

/// If the test fails, the error has both sides' log.
fn running(
    boot: Boot,
    meet: impl FnOnce(Qemu) -> Result<Bench>,
    test: impl FnOnce(&mut Bench) -> Result<()>,
) -> Result<()> {
    let mut bench = meet(boot.start()?)?;
    test(&mut bench).map_err(|error| {
        let packets = bench.client.transcript();
        let log = bench.qemu.log().lines().join("\n");
        error.context(format!("---- packets:\n{packets}---- the image's log:\n{log}\n----"))
    })
}

/// The demo without guards and reservations: four registers for the debugger.
pub fn unguarded() -> Result<Boot> {
    Ok(Boot::new("demo")?
        .argument("reserve=0,0")
        .argument("no-null-guard")
        .argument("no-config-guard"))
}

impl Bench {
    /// What [`Rsp::attach`] does, on a connection that is there.
    pub fn introduce(&mut self) -> Result<()> {
        let answer = self.ask("qSupported:multiprocess+;swbreak+;hwbreak+")?;
        ensure!(answer.starts_with("PacketSize=0200;"), "qSupported was answered {answer}");
        Ok(())
    }

    /// Sends a packet and gives its reply, with runs written out.
    pub fn ask(&mut self, payload: &str) -> Result<String> {
        let said = self.client.request(payload)?;
        expanded(&said)
    }

    /// Sends a packet, whose reply must be this.
    pub fn expect(&mut self, payload: &str, reply: &str) -> Result<()> {
        let said = self.ask(payload)?;
        ensure!(said == reply, "{payload} was answered {said:?}, not {reply:?}");
        Ok(())
    }

    /// What the stub says next must be this.
    pub fn hear(&mut self, expected: &Said) -> Result<()> {
        let said = self.client.next(poll::LIMIT)?;
        ensure!(said == *expected, "said {said:?}, not {expected:?}");
        Ok(())
    }

    /// What the stub says next must be this packet, which is acknowledged.
    pub fn hear_packet(&mut self, expected: &str) -> Result<()> {
        let said = expanded(&self.client.reply()?)?;
        ensure!(said == expected, "said {said:?}, not {expected:?}");
        Ok(())
    }

    /// What the stub says next must be this text for the console.
    pub fn hear_console(&mut self, expected: &str) -> Result<()> {
        let digits: String = expected.bytes().map(|byte| format!("{byte:02x}")).collect();
        self.hear_packet(&format!("O{digits}"))
    }

    /// Sends each packet, which must be answered by its error and have no effect at all.
    pub fn expect_errors(&mut self, packets: &[(String, &str)]) -> Result<()> {
        let before = self.state()?;
        for (payload, reply) in packets {
            self.expect(payload, reply)?;
        }
        let after = self.state()?;
        ensure!(after == before, "the target changed:\n{before:#?}\n{after:#?}");
        self.expect("?", ATTACHED)?;
        self.runs_on()
    }

    /// The output of a monitor command.
    pub fn monitor(&mut self, line: &str) -> Result<String> {
        self.monitor_bytes(line.as_bytes())
    }

    /// The output of a monitor command that need not be text.
    pub fn monitor_bytes(&mut self, line: &[u8]) -> Result<String> {
        let digits: String = line.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut reply = self.ask(&format!("qRcmd,{digits}"))?;
        let mut output = Vec::new();
        while let Some(piece) = reply.strip_prefix('O').filter(|piece| *piece != "K") {
            output.extend(bytes(piece)?);
            reply = expanded(&self.client.reply()?)?;
        }
        ensure!(reply == "OK", "monitor {} was answered {reply}", line.escape_ascii());
        Ok(String::from_utf8(output)?)
    }

    /// Memory as the client sees it.
    pub fn memory(&mut self, address: u64, length: usize) -> Result<Vec<u8>> {
        bytes(&self.ask(&format!("m{address:x},{length:x}"))?)
    }

    /// One byte as it is in the machine's memory, whatever the stub says.
    pub fn real_byte(&mut self, address: u64) -> Result<u8> {
        self.qemu.monitor().memory(address, 1)?.first().copied().context("QEMU gave no byte")
    }

    /// Continues, and gives what the stub says about the next stop: text for the console, if
    /// there is any, and the stop reply.
    pub fn next_stop(&mut self) -> Result<(String, String)> {
        self.client.send("vCont;c")?;
        let mut console = Vec::new();
        loop {
            let said = expanded(&self.client.reply()?)?;
            match said.strip_prefix('O') {
                Some(piece) => console.extend(bytes(piece)?),
                None => return Ok((String::from_utf8(console)?, said)),
            }
        }
    }

    /// What QEMU sees armed while the target runs, in order of address.
    pub fn armed(&mut self) -> Result<Vec<u64>> {
        self.client.send("vCont;c")?;
        self.wait_for_turns()?;
        let registers = self.qemu.monitor().registers()?;
        self.client.send_bytes(b"\x03")?;
        self.hear_packet(ATTACHED)?;
        let mut addresses: Vec<_> = registers.armed().into_iter().flatten().collect();
        addresses.sort_unstable();
        Ok(addresses)
    }

    /// Writes the demo's `provoke`.
    pub fn provoke(&mut self, order: u8) -> Result<()> {
        let packet = format!("M{:x},4:{order:02x}000000", address("provoke")?);
        self.expect(&packet, "OK")
    }

    /// How often the control loop has turned.
    pub fn ticks(&mut self) -> Result<u64> {
        let ticks = address("ticks")?;
        self.qemu.monitor().number(ticks)
    }

    /// See [`State`].
    pub fn state(&mut self) -> Result<State> {
        let mut variables = [0; 4];
        for (value, name) in variables.iter_mut().zip(["ticks", "timer_ticks", "config", "scratch"])
        {
            *value = self.qemu.monitor().number(address(name)?)?;
        }
        Ok(State { registers: self.ask("g")?, variables, debug_registers: self.monitor("dr")? })
    }

    /// Waits until the control loop has turned again.
    pub fn wait_for_turns(&mut self) -> Result<()> {
        let before = self.ticks()?;
        poll::until("the control loop to turn", || Ok((self.ticks()? > before).then_some(())))
    }

    /// Continues, sees the control loop turn, and stops it again by Ctrl-C.
    pub fn runs_on(&mut self) -> Result<()> {
        self.client.send("vCont;c")?;
        self.wait_for_turns()?;
        self.client.send_bytes(b"\x03")?;
        self.hear_packet(ATTACHED)
    }

    /// The instruction pointer, by `p`.
    pub fn program_counter(&mut self) -> Result<u64> {
        const RIP: u32 = 16;
        let value = bytes(&self.ask(&format!("p{RIP:x}"))?)?;
        let value = value.try_into().ok().context("rip has eight bytes")?;
        Ok(u64::from_le_bytes(value))
    }
}

/// A table of packets with the error that answers each.
pub fn all(reply: &'static str, packets: &[&str]) -> Vec<(String, &'static str)> {
    packets.iter().map(|packet| ((*packet).to_owned(), reply)).collect()
}
