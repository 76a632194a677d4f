//! Acknowledgements that do not arrive: gdb throws the reply away, waits for two seconds and asks
//! again, and what it asked for must have happened once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::{Context, Result, ensure};
use tetrarch_tests::conversation::Echo;
use tetrarch_tests::proxy::{Direction, Noise, Proxy};
use tetrarch_tests::{Boot, Gdb};

use crate::support::{same, to_next_turn};

/// What the line does, and did.
#[derive(Default)]
struct Loss {
    /// The next acknowledgement of the packet is to be lost.
    is_due: AtomicBool,
    /// How often the packet has been sent since.
    sent: AtomicUsize,
    /// How many of its acknowledgements were lost.
    lost: AtomicUsize,
}

impl Loss {
    /// The line, which loses the acknowledgement of a packet that begins like this.
    fn noise(self: Arc<Self>, packet: &'static str) -> Noise {
        let mut heard = Vec::new();
        Box::new(move |direction, byte, arrives| {
            match direction {
                Direction::ToStub => {
                    heard.push(byte);
                    if heard.ends_with(packet.as_bytes()) && self.is_due.load(Ordering::Relaxed) {
                        self.sent.fetch_add(1, Ordering::Relaxed);
                    }
                }
                // gdb waits for each before it sends anything else.
                Direction::ToClient => {
                    let is_its = self.sent.load(Ordering::Relaxed) == 1;
                    if byte == b'+' && is_its && self.lost.load(Ordering::Relaxed) == 0 {
                        self.lost.fetch_add(1, Ordering::Relaxed);
                        return;
                    }
                }
            }
            arrives.push(byte);
        })
    }
}

/// Runs a test with gdb stopped at the beginning of a turn, and has the line lose the next
/// acknowledgement of the packet. It must have been lost, and the packet have come again.
fn with_loss(packet: &'static str, test: impl FnOnce(&mut Gdb, &Loss) -> Result<()>) -> Result<()> {
    let qemu = Boot::new("demo")?.start()?;
    let loss = Arc::new(Loss::default());
    let proxy = Proxy::start(qemu.address(), loss.clone().noise(packet))?;
    let mut gdb = Gdb::start(qemu.image(), Echo::Silent)?;
    gdb.attach_to(proxy.address())?;
    to_next_turn(&mut gdb)?;
    // As people have it; the other tests wait longer, so that a busy host does not disturb them.
    gdb.command("set remotetimeout 2")?;
    test(&mut gdb, &loss).with_context(|| gdb.evidence())?;
    let [sent, lost] = [&loss.sent, &loss.lost].map(|count| count.load(Ordering::Relaxed));
    ensure!(lost == 1 && sent > 1, "{packet}: sent {sent} times, {lost} acknowledgements lost");
    Ok(())
}

#[test]
fn a_step_is_carried_out_once() -> Result<()> {
    with_loss("$vCont;s", |gdb, loss| {
        // Into a function: what comes next is next in memory, too.
        gdb.command("stepi")?;
        let start = gdb.number("$rip")?;
        let listing = gdb.command("x/2i $rip")?;
        let addresses: Vec<u64> = listing.lines().filter_map(address).collect();
        same("the first instruction", addresses.first(), Some(&start))?;
        loss.is_due.store(true, Ordering::Relaxed);
        gdb.command("stepi")?;
        same("after a step", Some(&gdb.number("$rip")?), addresses.get(1))
    })
}

/// The address that a line of a listing begins with.
fn address(line: &str) -> Option<u64> {
    let digits = line.trim_start_matches(['=', '>', ' ']).strip_prefix("0x")?;
    let end = digits.find(|character: char| !character.is_ascii_hexdigit())?;
    u64::from_str_radix(&digits[..end], 16).ok()
}

#[test]
fn a_continue_is_carried_out_once() -> Result<()> {
    with_loss("$vCont;c", |gdb, loss| {
        gdb.expect("watch ticks", "Hardware watchpoint")?;
        let start = gdb.number("ticks")?;
        loss.is_due.store(true, Ordering::Relaxed);
        let output = gdb.expect("continue", &format!("Old value = {start}"))?;
        ensure!(output.contains(&format!("New value = {}", start + 1)), "{output}");
        same("ticks", gdb.number("ticks")?, start + 1)?;
        // The next one is another.
        gdb.expect("continue", &format!("New value = {}", start + 2))?;
        Ok(())
    })
}

#[test]
fn a_write_is_done_and_answered_once() -> Result<()> {
    with_loss("$X", |gdb, loss| {
        // gdb tries once whether it may write so at all.
        gdb.command("set variable setpoint = 1")?;
        loss.is_due.store(true, Ordering::Relaxed);
        gdb.command("set variable setpoint = 2")?;
        same("setpoint", gdb.number("setpoint")?, 2)?;
        gdb.command("set variable setpoint = 3")?;
        same("setpoint", gdb.number("setpoint")?, 3)
    })
}

#[test]
fn a_command_is_carried_out_once() -> Result<()> {
    with_loss("$qRcmd,", |gdb, loss| {
        same("the first", gdb.command("monitor count")?, "number 1\n".to_owned())?;
        // Another request: the next one cannot be a repeat of the first.
        gdb.expect("monitor dr", "null-guard")?;
        loss.is_due.store(true, Ordering::Relaxed);
        let again = "tetrarch: not carried out again: it came again after a time-out, with nothing in \
                     between\nnumber 2\n";
        same("the second", gdb.command("monitor count")?, again.to_owned())?;
        gdb.expect("monitor dr", "null-guard")?;
        same("the third", gdb.command("monitor count")?, "number 3\n".to_owned())
    })
}

#[test]
fn a_watchpoint_is_set_once() -> Result<()> {
    with_loss("$Z2", |gdb, loss| {
        gdb.expect("watch ticks", "Hardware watchpoint")?;
        loss.is_due.store(true, Ordering::Relaxed);
        gdb.expect("continue", "Hardware watchpoint")?;
        let table = gdb.command("monitor dr")?;
        let owned = table.lines().filter(|line| line.ends_with("debugger")).count();
        same("watchpoints", owned, 1)?;
        gdb.command("delete")?;
        to_next_turn(gdb)?;
        ensure!(!gdb.command("monitor dr")?.lines().any(|line| line.ends_with("debugger")));
        Ok(())
    })
}
