//! How a stub is set up.

use tetrarch::arbiter;
use tetrarch::target::monitor::Command;

use crate::cpus;
use crate::uart::Port;

/// How the serial port interrupts. Without it a Ctrl-C is found by [`Stub::poll`] only.
///
/// [`Stub::poll`]: crate::Stub::poll
#[derive(Clone, Copy)]
pub struct SerialInterrupt {
    /// The vector that it arrives on, 32 or more.
    pub vector: u8,
    /// Tells the interrupt controller that it has been handled.
    pub end_of_interrupt: fn(),
}

/// How the stub is set up.
#[derive(Clone, Copy)]
pub struct Config {
    /// Reservations, and what the CPU can do.
    pub arbiter: arbiter::Config,
    /// Where the debugger is.
    pub port: Port,
    /// How the port interrupts while the target runs.
    pub serial_interrupt: Option<SerialInterrupt>,
    /// The firmware's own `monitor` commands.
    pub commands: &'static [Command],
    /// gdb's memory map, as XML; `None` for "all of it is RAM".
    pub memory_map: Option<&'static str>,
    /// What time it is, for claims that take turns: in any unit, and never running backwards.
    /// It is called with interrupts off, and in the debug exception: it must not wait, take a
    /// lock, fault, or call the stub.
    pub clock: fn() -> u64,
    /// Resets the machine, for `monitor reset` and gdb's `kill`.
    pub reset: fn() -> !,
}

impl Config {
    /// COM1 at 115,200 bits per second without an interrupt, no reservations, time in
    /// the processor's cycles (TSC), and a reset through the chipset.
    pub const DEFAULT: Self = Self {
        arbiter: arbiter::Config::DEFAULT,
        port: Port::COM1,
        serial_interrupt: None,
        commands: &[],
        memory_map: None,
        clock: cpus::time_stamp,
        reset: cpus::reset,
    };
}

impl Default for Config {
    fn default() -> Self {
        Self::DEFAULT
    }
}
