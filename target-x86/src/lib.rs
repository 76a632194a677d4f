//! tetrarch on the hardware: an x86-64 image with a GDB stub in it.
//!
//! Crate [`tetrarch`] decides who gets a debug register and talks to gdb, and never executes
//! an x86 instruction of its own. This crate does: all the `unsafe` of the library is here.
//!
//! ```no_run
//! use tetrarch::arbiter::{Condition, Hit, Region, Verdict};
//! use tetrarch_x86::{Config, Stub};
//!
//! static STUB: Stub = Stub::new();
//!
//! fn null_pointer_used(_: &Hit) -> Verdict {
//!     Verdict::Stop
//! }
//!
//! fn main() -> Result<(), Box<dyn core::error::Error>> {
//!     // SAFETY: ring 0, one CPU, an IDT that stays; nobody else uses COM1.
//!     unsafe { STUB.install(Config::default()) }?;
//!     STUB.claim("null-guard", Region::new(0, 8)?, Condition::ReadWrite, null_pointer_used)?;
//!     loop {
//!         STUB.poll();
//!     }
//! }
//! ```
//!
//! # Along the path of a hit
//!
//! | step | module | what it does |
//! | --- | --- | --- |
//! | 10 | `debug_regs` | MOV to and from DRn |
//! | 11 | [`entry`](vector_entry) | exception entry and exit, with breakpoints armed |
//! | | `dispatch` | whom an exception is for, and whose code it interrupted |
//! | 12 | `exception`, `interrupts` | what has come, and what it finds |
//! | | `hits` | the firmware's owners are told, by the CPU itself |
//! | | `course` | whether this CPU leads, waits or goes on |
//! | | `leading` | what the leader does: the session decides, and all CPUs follow |
//! | | `state`, `stopped` | what the session works on: claims, port, [frames](Frame) and memory |
//! | | `mailbox` | how the leader gets at the registers of a CPU that waits |
//! | | `departure` | the way out, as it was ordered |
//! | | `step` | single step: TF, RF, IF, and the instructions that can tell |
//! | | `memory`, `registers` | what the debugger reads and writes |
//!
//! Around it: [`stub`](Stub), `claims` and `tasks` (what the firmware calls), `access` (how these
//! calls get at what they work on: `local`, what a CPU has for itself, or `lead`, what all share),
//! `start` (further CPUs), `apic` (NMIs), `bring_up`, `install`, `tables`, `area`, `gates` and
//! `directory` (IDT, GDT, TSS, stacks, and whose they are), `pending` and `notes` (what came at the
//! wrong moment), `uart`, `console`, `panic`, and `recovery` (what fails is given up, and the stub
//! goes on).
//!
//! # What the code relies on
//!
//! 1. No Rust code of the library runs with breakpoints armed in an exception: the assembly in
//!    `entry` turns DR7 off first and on last. Where the firmware's own handler calls
//!    [`Stub::exception`], a few instructions around the call do that, in Rust.
//! 2. Nothing in an exception waits for what it interrupted: it leaves a note.
//! 3. Whatever an exception needs before DR7 is off is protected in the arbiter.
//! 4. What a CPU has for itself is used by that CPU alone, without a lock, or while it waits by the
//!    one leader; what all share, by the leader alone. See [`tetrarch::rendezvous`].
//!
//! 32-bit images, GS swapped by user mode, numbers of local APICs above 255, and this library
//! compiled with SSE in a kernel that switches the FPU lazily are not supported yet.
#![no_std]

mod access;
mod apic;
mod area;
mod bring_up;
mod claims;
mod config;
mod console;
mod course;
mod cpus;
mod debug_regs;
mod departure;
mod directory;
mod dispatch;
mod entry;
mod error;
mod exception;
mod fault;
mod frame;
mod gates;
mod hits;
mod install;
mod interrupts;
mod lead;
mod leading;
mod local;
mod mailbox;
mod memory;
mod notes;
mod own_code;
mod panic;
mod pending;
mod recovery;
mod registers;
mod start;
mod state;
mod step;
mod stopped;
mod stub;
mod tables;
mod tasks;
mod uart;

pub use area::CpuMemory;
pub use config::{Config, SerialInterrupt};
pub use console::Console;
pub use dispatch::Handling;
pub use entry::{serial_entry, vector_entry};
pub use error::{ClaimError, InstallError, StartCpuError};
pub use exception::breakpoint;
pub use frame::{FpuImage, Frame, flag, vector};
pub use panic::panic;
pub use stub::Stub;
pub use tasks::OnCpu;
pub use uart::{HangUp, Port, PortError};

/// A [`breakpoint()`](fn@breakpoint) in the way of a macro: stops in the debugger here.
#[macro_export]
macro_rules! breakpoint {
    () => {
        $crate::breakpoint()
    };
}
