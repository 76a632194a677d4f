//! How a stub is set up.

use tetrarch::arbiter::{self, CpuId};
use tetrarch::link::Transport;
use tetrarch::policy::Policy;
use tetrarch::target::monitor::Command;

use crate::apic;
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
    /// What the line does to bytes: a client may do without acknowledgements if it is reliable, as an
    /// emulator's is. A UART is not.
    pub transport: Transport,
    /// How the port interrupts while the target runs.
    pub serial_interrupt: Option<SerialInterrupt>,
    /// The firmware's own `monitor` commands.
    pub commands: &'static [Command],
    /// Takes what is typed on the line while no client is there: the port is then the firmware's
    /// console, too (see [`Stub::console`](crate::Stub::console)). It is called for each byte, with
    /// interrupts off and on any CPU, and must only store it.
    pub reader: Option<fn(u8)>,
    /// What a debugger may do. Times are in ticks of the TSC.
    pub policy: Policy,
    /// gdb's memory map, as XML; `None` for "all of it is RAM".
    pub memory_map: Option<&'static str>,
    /// What time it is, for claims that take turns: in any unit, and never running backwards.
    /// It is called with interrupts off, and in the debug exception: it must not wait, take a
    /// lock, fault, or call the stub.
    pub clock: fn() -> u64,
    /// Resets the machine, for `monitor reset` and gdb's `kill`.
    pub reset: fn() -> !,
    /// How long is waited for a CPU that was told to stop, in ticks of the TSC. One that has not
    /// come by then is shown as not responding, and a claim that it should arm is refused.
    pub patience: u64,
    /// After how long something on the line is taken to be lost, in ticks of the TSC. A reply that
    /// is not acknowledged by then is sent again; and a packet that resumes the target, writes memory, or
    /// is a command that [changes](tetrarch::target::monitor::Effect::Changes) something, and comes again
    /// after that with no other in between, is answered and not carried out (a command not if it comes
    /// eight times as late). It must be less
    /// than a client's time-out: gdb repeats a request after 2 s (`set remotetimeout`).
    pub client_patience: u64,
    /// Sends an NMI to the CPU with this number of its local APIC.
    pub send_nmi: fn(u32),
    /// What a CPU is doing, in the firmware's words, for `info threads`: `halted in idle`, say.
    /// Called while the machine is stopped, on any CPU: it must not wait, take a lock, fault, or
    /// call the stub.
    pub activity: fn(CpuId) -> &'static str,
}

impl Config {
    /// COM1 at 115,200 bits per second without an interrupt, no reservations, everything allowed, time in
    /// the processor's cycles (TSC), a reset through the chipset, NMIs through the local APIC (see
    /// [`send_nmi`](Self::send_nmi): in xAPIC mode it has to be mapped at its physical address),
    /// 2^32 ticks of patience, a second or two, and 3 × 2^29 of the client's: less than 2 s if the
    /// TSC counts at 1 GHz, and enough for a client to say something else at 5.
    pub const DEFAULT: Self = Self {
        arbiter: arbiter::Config::DEFAULT,
        port: Port::COM1,
        transport: Transport::Lossy,
        serial_interrupt: None,
        commands: &[],
        reader: None,
        policy: Policy::OPEN,
        memory_map: None,
        clock: cpus::time_stamp,
        reset: cpus::reset,
        patience: 1 << 32,
        client_patience: 3 << 29,
        send_nmi: apic::send_nmi,
        activity: |_| "",
    };
}

impl Default for Config {
    fn default() -> Self {
        Self::DEFAULT
    }
}
