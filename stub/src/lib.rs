//! An arbiter for the x86 debug registers, and a GDB stub that shares them with the firmware.
//!
//! x86 has four debug registers. A firmware wants them for its guards, a debugger wants them
//! for its watchpoints, and nothing in the hardware says whose they are. This crate does. It
//! contains everything that can be said without an x86 instruction, so all of it runs on the
//! host too; crate `tetrarch-x86` puts it on the hardware.
//!
//! # Principles
//!
//! 1. Every use of a debug register is a *claim* with an owner. An accepted claim is armed until
//!    it is released; nothing evicts it.
//! 2. A request that does not fit is refused as a whole, at once, with the reason, and changes
//!    nothing.
//! 3. Every hit reaches exactly the owners of the register that hit.
//! 4. Nothing that arrives on the wire can panic, hang or resume the target unasked.
//! 5. Dependencies point one way: protocol, then arbiter, then codec. The [`arbiter`] is usable
//!    without any of the protocol.
//!
//! # Along the path of a packet
//!
//! ```text
//!            serial bytes                                     firmware code
//!                 │                                                │ claim / release
//!                 ▼                                                ▼
//!   ┌──── link ────────────┐  packets  ┌──── session ────┐   ┌────── arbiter ───────────────┐
//!   │ framing, ack, resend │ ────────▶ │ packet: a fence │   │ admission ▸ placement ▸ bank │
//!   └──────────▲───────────┘           │ target: gdbstub │   └──────▲───────────────┬───────┘
//!              │ replies               │ watch, patch    │ ─────────┘ claims        │ dr
//!              └────────────────────── └───────▲─────────┘                          ▼
//!                                              │ stop: whose hit        machine: MOV to DRn
//!                                              └──────────────────── exceptions (tetrarch-x86)
//! ```
//!
//! | step | module | what it decides |
//! | --- | --- | --- |
//! | 1 | [`link`] | what is a whole, undamaged packet; what is sent again |
//! | 2 | [`policy`] | who may do what |
//! | 2 | [`packet`] | which packets are well formed and may go on |
//! | 3 | [`session`] | what a packet or an exception means for the target |
//! | 4 | [`target`] | what gdbstub asks of a stopped machine |
//! | 5 | [`watch`], [`patch`] | `Z1`–`Z4` as claims, `Z0` as a patched byte |
//! | 6 | [`arbiter`] | who gets a slot |
//! | 7 | [`bank`] | in how few writes |
//! | 8 | [`dr`] | in which bits |
//! | 9 | [`machine`] | what hardware must implement |
//! | 13 | [`hit`] | whose hit it was |
//!
//! Steps 10 to 12 are hardware and live in `tetrarch-x86`. Beside the path are [`rendezvous`]
//! (how several CPUs meet: who leads, and whose state may be touched by whom), [`register_file`]
//! and [`x86_64`] (what registers there are and how gdb is told), [`stop`] (why the machine
//! stopped), [`text`] (what a panic said), and [`event`] (what is logged with the feature `defmt`).
//!
//! # The arbiter alone
//!
//! ```
//! use tetrarch::arbiter::{self, Arbiter, Class, Condition, Config, Owner, Region, Request};
//! use tetrarch::arbiter::Reservations;
//!
//! let reservations = Reservations::new(2, 1, 0)?; // debugger, system, flexible
//! let mut arbiter = Arbiter::<16, 1>::new(Config { reservations, ..Config::DEFAULT });
//!
//! let null = Region::new(0, 8)?;
//! let guard = Request::pinned(Owner::System("null-guard"), null, Condition::ReadWrite);
//! let handle = arbiter.claim(guard, arbiter::stop)?;
//! assert_eq!(arbiter.available(Class::Debugger), 3);
//! assert_eq!(arbiter.available(Class::System), 1);
//!
//! arbiter.release(handle)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![no_std]
#![forbid(unsafe_code)]

pub mod arbiter;
pub mod bank;
#[cfg(test)]
mod cases;
pub mod dr;
pub mod event;
mod fingerprint;
mod gather;
pub mod hit;
pub mod link;
pub mod machine;
pub mod packet;
pub mod patch;
pub mod policy;
pub mod register_file;
pub mod rendezvous;
pub mod session;
pub mod stop;
pub mod target;
pub mod text;
pub mod watch;
pub mod x86_64;
