//! `cargo xtask demo`: the guided session. A stock gdb, an image that guards itself, and who
//! gets which debug register.
//!
//! Each step gives gdb its commands, shows what it says as it says it, and checks it; the
//! first thing that is not as it should be ends the demo with an error.

use anyhow::{Result, ensure};
use tetrarch_tests::conversation::Echo;
use tetrarch_tests::{Boot, Gdb, Image, Qemu, poll};

use crate::tools;

/// The demo's two sides, and how far it got.
struct Guide {
    qemu: Qemu,
    gdb: Gdb,
    step: usize,
}

pub fn demo() -> Result<()> {
    tools::for_debugging()?;
    let image = tools::with_progress("building the image", || Image::build("demo"))?;
    let qemu = tools::with_progress("booting it in QEMU", || Boot::image(image.clone()).start())?;
    let gdb = Gdb::start(&image, Echo::Terminal)?;
    let mut guide = Guide { qemu, gdb, step: 0 };
    guide.attach()?;
    guide.watch()?;
    guide.null_guard()?;
    guide.config_guard()?;
    guide.fill()?;
    guide.steal()?;
    guide.leave()?;
    guide.come_back()?;
    println!("\nAll {} steps saw what they should.", guide.step);
    println!("Do it yourself: cargo xtask run demo");
    Ok(())
}

impl Guide {
    fn attach(&mut self) -> Result<()> {
        self.title("The image runs a control loop, and nobody stopped it. gdb attaches over its serial port.");
        let output = self.gdb.attach(&self.qemu)?;
        self.gdb.check("target remote", &output, "Remote debugging using")?;
        self.next_turn()?;
        self.gdb.expect("backtrace", "control_loop")?;
        Ok(())
    }

    fn watch(&mut self) -> Result<()> {
        self.title("Watchpoints of all three kinds, in hardware: written, read, either.");
        for (command, hit, value) in [
            ("watch ticks", "Hardware watchpoint 2: ticks", "New value ="),
            ("rwatch setpoint", "Hardware read watchpoint 3: setpoint", "Value = 40"),
            ("awatch status", "Hardware access (read/write) watchpoint 4: status", "Value ="),
        ] {
            self.gdb.expect(command, hit)?;
            let output = self.gdb.expect("continue", hit)?;
            self.gdb.check("continue", &output, value)?;
            self.gdb.command("delete")?;
        }
        Ok(())
    }

    fn null_guard(&mut self) -> Result<()> {
        self.title("The firmware has a guard of its own: a write through a null pointer stops, and says who noticed.");
        self.gdb.command("set variable provoke = 1")?;
        self.gdb.expect("continue", "stopped by null-guard")?;
        self.gdb.expect("backtrace 1", "write_through_null")?;
        Ok(())
    }

    fn config_guard(&mut self) -> Result<()> {
        self.title("Its other guard counts writes to a table and carries on; gdb does not notice.");
        self.next_turn()?;
        let before = self.gdb.number("config_writes")?;
        self.gdb.command("set variable provoke = 2")?;
        self.next_turn()?;
        let after = self.gdb.number("config_writes")?;
        ensure!(after == before + 1, "config-guard counted {before}, then {after}");
        Ok(())
    }

    fn fill(&mut self) -> Result<()> {
        self.title("gdb takes the registers that are left, and one too many: refused, with a reason, and nothing else changes.");
        self.gdb.command("set breakpoint always-inserted on")?;
        self.gdb.expect("watch ticks", "Hardware watchpoint")?;
        self.gdb.expect("rwatch setpoint", "Hardware read watchpoint")?;
        let before = self.gdb.expect("monitor dr", "available: debugger 0")?;
        self.gdb.expect("awatch status", "Could not insert hardware watchpoint")?;
        let why = self.gdb.expect("monitor why", "refused: needs 1 debug register")?;
        for holder in ["null-guard", "config-guard", "debugger"] {
            self.gdb.check("monitor why", &why, holder)?;
        }
        self.unchanged_since(&before)?;
        self.gdb.command("delete")?;
        self.gdb.command("set breakpoint always-inserted off")?;
        Ok(())
    }

    fn steal(&mut self) -> Result<()> {
        self.title(
            "gdb cannot take away what the firmware owns, not even with a packet written by hand.",
        );
        let before = self.gdb.expect("monitor dr", "null-guard")?;
        self.gdb.expect("maintenance packet z4,0,8", "received:")?;
        self.unchanged_since(&before)
    }

    fn leave(&mut self) -> Result<()> {
        self.title("gdb detaches. The firmware runs on, its guards in place; QEMU's monitor is the witness.");
        let ticks = self.gdb.number("&demo::ticks")?;
        let config = self.gdb.number("&demo::config")?;
        self.gdb.expect("detach", "detached")?;
        let then = self.read(ticks)?;
        poll::until("the loop to turn", || Ok((self.read(ticks)? != then).then_some(())))?;
        println!("ticks was {then}, and is {}", self.read(ticks)?);
        let armed = self.qemu.monitor().registers()?.armed();
        let mut addresses: Vec<_> = armed.into_iter().flatten().collect();
        let shown: Vec<_> = addresses.iter().map(|address| format!("{address:#x}")).collect();
        println!("armed, says QEMU: {}", shown.join(", "));
        addresses.sort_unstable();
        ensure!(addresses == [0, config], "the firmware's guards are not what is armed");
        Ok(())
    }

    fn come_back(&mut self) -> Result<()> {
        self.title("Attached once more, the null guard still does its work.");
        self.gdb.attach(&self.qemu)?;
        self.gdb.command("set variable demo::provoke = 1")?;
        self.gdb.expect("continue", "stopped by null-guard")?;
        self.gdb.expect("detach", "detached")?;
        Ok(())
    }

    fn next_turn(&mut self) -> Result<()> {
        self.gdb.expect("tbreak step_once", "Temporary breakpoint")?;
        self.gdb.expect("continue", "step_once")?;
        Ok(())
    }

    fn title(&mut self, text: &str) {
        self.step += 1;
        println!("\n== {}. {text}\n", self.step);
    }

    fn unchanged_since(&mut self, before: &str) -> Result<()> {
        let after = self.gdb.command("monitor dr")?;
        ensure!(after == before, "the table has changed; before:\n{before}\nafter:\n{after}");
        Ok(())
    }

    /// Reads 8 bytes of the image's memory through QEMU, while the image runs.
    fn read(&mut self, address: u64) -> Result<u64> {
        self.qemu.monitor().number(address)
    }
}
