//! I/O breakpoints, which need CR4.DE.

use core::arch::asm;

use tetrarch::dr::{Condition, Length};

use crate::Check;
use crate::arm::{self, Told};
use crate::event::{Brief, Events, bit};
use crate::instructions::store;
use crate::registers::with_debugging_extensions;
use crate::verdict::{self, Verdict};

pub const CHECKS: &[Check] = &[
    ("io-breakpoint-hits-out", || with_de(Length::One, PORT, output, true)),
    ("io-breakpoint-hits-in", || with_de(Length::One, PORT, input, true)),
    ("io-breakpoint-misses-other-ports", other_ports),
    ("io-breakpoint-covers-2-ports", two_ports),
    ("io-breakpoint-misses-memory", memory),
    ("io-breakpoint-without-de-is-silent", without_de),
];

/// A page register of the DMA controller that belongs to no channel: it remembers a byte. So
/// do the two after it.
const PORT: u16 = 0x84;

fn told(length: Length) -> Told {
    (PORT.into(), length, Condition::Io)
}

fn output(port: u16) -> usize {
    let next;
    // SAFETY: the callers name registers that do nothing.
    unsafe {
        asm!("out dx, al", "2:", "lea {}, [rip + 2b]", out(reg) next, in("dx") port, in("al") 0_u8);
    }
    next
}

fn input(port: u16) -> usize {
    let next;
    // SAFETY: the callers name registers that do nothing.
    unsafe {
        asm!("in al, dx", "2:", "lea {}, [rip + 2b]", out(reg) next, in("dx") port, out("al") _);
    }
    next
}

fn with_de(length: Length, port: u16, access: fn(u16) -> usize, hits: bool) -> Verdict {
    let (events, next) = with_debugging_extensions(|| arm::with(&[told(length)], || access(port)));
    expect(&events, next, hits).map_err(|difference| difference.in_case(port.into()))
}

fn expect(events: &Events, next: usize, hits: bool) -> Verdict {
    let hit = [Brief::debug(bit::ZERO, next)];
    verdict::events(events, if hits { &hit } else { &[] })
}

fn other_ports() -> Verdict {
    [PORT - 1, PORT + 1].into_iter().try_for_each(|port| with_de(Length::One, port, input, false))
}

fn two_ports() -> Verdict {
    [(PORT - 1, false), (PORT, true), (PORT + 1, true), (PORT + 2, false)]
        .into_iter()
        .try_for_each(|(port, hits)| with_de(Length::Two, port, input, hits))
}

/// Memory at the address that is the port's number.
fn memory() -> Verdict {
    let (events, _) = with_debugging_extensions(|| {
        arm::with(&[told(Length::One)], || store(PORT.into(), Length::One))
    });
    verdict::events(&events, &[])
}

/// The manual leaves open what an I/O breakpoint does then. Bochs does nothing.
fn without_de() -> Verdict {
    let (events, _) = arm::with(&[told(Length::One)], || output(PORT));
    verdict::events(&events, &[])
}
