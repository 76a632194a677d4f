//! Replies that do not arrive. gdb asks again for most of them; a stop it waits for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::{Context, Result};
use tetrarch_tests::conversation::Echo;
use tetrarch_tests::proxy::{Direction, Noise, Proxy};
use tetrarch_tests::{Boot, Gdb};

use crate::support::{same, to_next_turn};

/// A line that loses one whole stop reply, when it is told to.
fn lose_a_stop_reply(is_due: Arc<AtomicBool>, lost: Arc<AtomicUsize>) -> Noise {
    let mut frame = Vec::new();
    Box::new(move |direction, byte, arrives| {
        if direction == Direction::ToStub || (frame.is_empty() && byte != b'$') {
            arrives.push(byte);
            return;
        }
        frame.push(byte);
        if !frame.iter().rev().skip(2).take(1).eq([&b'#']) {
            return;
        }
        if frame.starts_with(b"$T") && is_due.swap(false, Ordering::Relaxed) {
            lost.fetch_add(1, Ordering::Relaxed);
        } else {
            arrives.append(&mut frame);
        }
        frame.clear();
    })
}

#[test]
fn a_stop_reply_that_is_lost_is_sent_again() -> Result<()> {
    let qemu = Boot::new("demo")?.start()?;
    let (is_due, lost) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let proxy = Proxy::start(qemu.address(), lose_a_stop_reply(is_due.clone(), lost.clone()))?;
    let mut gdb = Gdb::start(qemu.image(), Echo::Silent)?;
    gdb.attach_to(proxy.address())?;
    to_next_turn(&mut gdb)?;
    let mut session = || -> Result<()> {
        gdb.expect("watch ticks", "Hardware watchpoint")?;
        let start = gdb.number("ticks")?;
        is_due.store(true, Ordering::Relaxed);
        gdb.expect("continue", &format!("New value = {}", start + 1))?;
        gdb.expect("continue", &format!("New value = {}", start + 2))?;
        Ok(())
    };
    let done = session();
    done.with_context(|| gdb.evidence())?;
    same("stop replies lost", lost.load(Ordering::Relaxed), 1)
}
