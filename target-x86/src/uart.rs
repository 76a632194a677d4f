//! The 16550 as the link sees it: bytes in, bytes out, never waiting.
//!
//! While the target runs, the port interrupts for each byte that arrives (if it has an
//! interrupt at all). While it is stopped, the port is polled; interrupts are off then, and
//! whatever it requested meanwhile is answered by reading the bytes. The receive FIFO asks
//! for attention at the first byte: with a higher mark a lone Ctrl-C would wait for a
//! time-out of four characters.

use core::fmt;

use uart_16550::backend::PioBackend;
use uart_16550::spec::FIFO_SIZE;
use uart_16550::spec::registers::{FifoTriggerLevel, IER, LSR};
use uart_16550::{BaudRate, Config, InitError, Uart16550};

/// The serial port: its I/O ports and its speed. Eight data bits, no parity, one stop bit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Port {
    /// First of its eight I/O ports; 0x3F8 is what a PC calls COM1.
    pub base: u16,
    /// Bits per second, of 115,200 divided by a whole number.
    pub baud_rate: u32,
}

impl Port {
    /// COM1 at 115,200 bits per second.
    pub const COM1: Self = Self { base: 0x3F8, baud_rate: 115_200 };
}

/// Why the port cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum PortError {
    /// Nothing answers there.
    Missing,
    /// The rate is not 115,200 divided by a whole number.
    BaudRate,
    /// Its eight ports would reach beyond 0xFFFF.
    Address,
}

impl fmt::Display for PortError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "there is no 16550 at the given port",
            Self::BaudRate => "the 16550 cannot make that baud rate",
            Self::Address => "the port's registers would wrap",
        })
    }
}

/// A port that has been set up.
pub(crate) struct Uart(Uart16550<PioBackend>);

impl Uart {
    /// Sets the port up, without interrupts.
    ///
    /// # Safety
    ///
    /// The eight I/O ports from `port.base` on must be a 16550 or nothing at all, and nobody
    /// else may use them: two drivers would take each other's bytes.
    pub unsafe fn open(port: Port) -> Result<Self, PortError> {
        // SAFETY: the caller's promise.
        let mut uart = unsafe { Uart16550::new_port(port.base) }.map_err(|_| PortError::Address)?;
        let config = Config {
            baud_rate: BaudRate::from_integer(port.baud_rate),
            fifo_trigger_level: Some(FifoTriggerLevel::One),
            ..Config::DEFAULT
        };
        uart.init(config).map_err(|error| match error {
            InitError::InvalidBaudRate(_) => PortError::BaudRate,
            // The enum is open: whatever else may be added, there is no port.
            InitError::DeviceNotPresent | _ => PortError::Missing,
        })?;
        Ok(Self(uart))
    }

    /// Has the port interrupt when a byte arrives.
    pub fn interrupt_on_receive(&mut self) {
        self.0.enable_interrupts(IER::DATA_READY);
    }

    /// No more interrupts.
    pub fn stay_silent(&mut self) {
        self.0.disable_interrupts(IER::DATA_READY);
    }

    /// What has arrived next.
    pub fn receive(&mut self) -> Option<Arrival> {
        // Once: the errors are gone when they have been read. (The transmitter reads them too; what
        // it hides is left to the checksum.)
        let status = self.0.lsr();
        if !status.contains(LSR::DATA_READY) {
            return None;
        }
        let byte = self.0.try_receive_byte().ok()?;
        let is_wrong =
            status.intersects(LSR::PARITY_ERROR | LSR::FRAMING_ERROR | LSR::BREAK_INTERRUPT);
        Some(if is_wrong {
            Arrival::Damage
        } else if status.contains(LSR::OVERRUN_ERROR) {
            Arrival::AfterLoss(byte)
        } else {
            Arrival::Byte(byte)
        })
    }

    /// Fills the transmitter from `next` if it is empty. Returns whether all was sent that
    /// there is, or more is waiting.
    pub fn transmit(&mut self, next: &mut dyn FnMut() -> Option<u8>) -> Backlog {
        if self.0.ready_to_send().is_err() {
            return Backlog::Waiting;
        }
        let mut burst = [0; FIFO_SIZE];
        let room = if self.0.fifo_enabled() { FIFO_SIZE } else { 1 };
        let mut length = 0;
        while length < room {
            let Some(byte) = next() else { break };
            burst[length] = byte;
            length += 1;
        }
        self.0.send_bytes(&burst[..length]);
        if length < room { Backlog::Empty } else { Backlog::Waiting }
    }
}

/// What has come over the line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Arrival {
    Byte(u8),
    /// A byte, before which others were lost.
    AfterLoss(u8),
    /// A break, or a byte that is not what was sent.
    Damage,
}

/// Whether there may be more to send.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Backlog {
    /// Everything has been given to the port.
    Empty,
    /// The port has not taken everything yet.
    Waiting,
}
