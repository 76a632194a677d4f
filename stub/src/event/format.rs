//! How events, and what they are about, are logged.
//!
//! Short, because people read it. And defmt writes a `usize` in 32 bits, whatever the target, so a derived format would cut the
//! addresses of a 64-bit image in half.

use defmt::{Format, Formatter, write};

use super::Event;
use crate::arbiter::{Handle, Hit, Owner, Region, Request, Window};
use crate::bank::{Bank, DebugWrite};
use crate::dr::Slot;

impl Format for Region {
    fn format(&self, to: Formatter<'_>) {
        write!(to, "{=u64:#x}+{=u64}", self.address() as u64, self.length() as u64);
    }
}

impl Format for Window {
    fn format(&self, to: Formatter<'_>) {
        write!(to, "{} {}", self.region(), self.condition());
    }
}

impl Format for Bank {
    fn format(&self, to: Formatter<'_>) {
        let [first, second, third, fourth] = Slot::ALL.map(|slot| self.address(slot) as u64);
        let control = self.control();
        write!(
            to,
            "{=u64:#x} {=u64:#x} {=u64:#x} {=u64:#x} {}",
            first, second, third, fourth, control
        );
    }
}

impl Format for DebugWrite {
    fn format(&self, to: Formatter<'_>) {
        match self {
            DebugWrite::Address(slot, address) => {
                write!(to, "{} := {=u64:#x}", slot, *address as u64)
            }
            DebugWrite::Control(control) => write!(to, "{}", control),
        }
    }
}

impl Format for Hit<'_> {
    fn format(&self, to: Formatter<'_>) {
        let Hit { owner, region, condition, cpu, rip, hits, .. } = self;
        write!(
            to,
            "{=str}: {} of {} by {}, then at {=u64:#x}; hit {=u64}",
            owner, condition, region, cpu, *rip as u64, hits
        );
    }
}

impl Format for Owner {
    fn format(&self, to: Formatter<'_>) {
        match self {
            Owner::Debugger => write!(to, "debugger"),
            Owner::System(name) => write!(to, "{=str}", name),
        }
    }
}

impl Format for Handle {
    fn format(&self, to: Formatter<'_>) {
        write!(to, "#{=u16}.{=u32}", self.index, self.generation);
    }
}

impl Format for Request {
    fn format(&self, to: Formatter<'_>) {
        let Request { owner, region, condition, scope, tenure } = self;
        write!(to, "{}, {} {}, {}, {}", owner, region, condition, scope, tenure);
    }
}

impl Format for Event<'_> {
    fn format(&self, to: Formatter<'_>) {
        match self {
            Event::ClaimAccepted { handle, request } => {
                write!(to, "accepted {} {}", handle, request)
            }
            Event::ClaimRefused { request, rejection } => {
                write!(to, "refused {}: {}", request, rejection)
            }
            Event::ClaimHeld { handle, request } => write!(to, "held {} {}", handle, request),
            Event::ClaimReleased { handle, request } => {
                write!(to, "released {} {}", handle, request)
            }
            Event::Armed { cpu, slot, window } => {
                write!(to, "armed cpu {=u16} slot {=usize}: {}", cpu.0, slot.index(), window)
            }
            Event::Hit { handle, request, window, cpu, rip } => {
                write!(to, "hit {} {}: ", handle, request.owner);
                write!(to, "{} by cpu {=u16}, then at {=u64:#x}", window, cpu.0, *rip as u64);
            }
            Event::SessionOpened => write!(to, "session opened"),
            Event::SessionClosed => write!(to, "session closed"),
        }
    }
}
