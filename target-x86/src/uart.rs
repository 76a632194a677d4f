//! The 16550 as the link sees it: bytes in, bytes out, never waiting.
//!
//! While the target runs, the port interrupts for each byte that arrives (if it has an
//! interrupt at all). While it is stopped, the port is polled; interrupts are off then, and
//! whatever it requested meanwhile is answered by reading the bytes. The receive FIFO asks
//! for attention at the first byte: with a higher mark a lone Ctrl-C would wait for a
//! time-out of four characters.
//!
//! On a cable that has the line, the DTR of whoever is at the other end is our *data set ready*. It
//! falls when the terminal program, or gdb, closes its port ([`HangUp`]).

use core::fmt;

use uart_16550::backend::PioBackend;
use uart_16550::spec::FIFO_SIZE;
use uart_16550::spec::registers::{FifoTriggerLevel, IER, LSR, MSR};
use uart_16550::{BaudRate, Config, InitError, Uart16550};

/// The serial port: its I/O ports, its speed and its cable. Eight data bits, no parity, one stop bit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Port {
    /// First of its eight I/O ports; 0x3F8 is what a PC calls COM1.
    pub base: u16,
    /// Bits per second, of 115,200 divided by a whole number.
    pub baud_rate: u32,
    /// How it is known that whoever was at the other end has gone.
    pub hang_up: HangUp,
}

/// What tells that whoever was at the other end of the line has closed it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum HangUp {
    /// *Data set ready* falls. Where it is not connected it never changes, and nobody is taken to have
    /// gone.
    DataSetReady,
    /// Nothing: for a port on which that line floats or is something else.
    Unknown,
}

impl Port {
    /// COM1 at 115,200 bits per second.
    pub const COM1: Self = Self { base: 0x3F8, baud_rate: 115_200, hang_up: HangUp::DataSetReady };
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
pub(crate) struct Uart {
    device: Uart16550<PioBackend>,
    /// If it tells anything.
    data_set_ready: Option<DataSetReady>,
    overrun: Overrun,
}

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
        let is_there = uart.msr().contains(MSR::DSR);
        let data_set_ready = match port.hang_up {
            HangUp::DataSetReady => Some(DataSetReady(is_there)),
            HangUp::Unknown => None,
        };
        Ok(Self { device: uart, data_set_ready, overrun: Overrun::NONE })
    }

    /// Has the port interrupt when a byte arrives, or when somebody comes or goes.
    pub fn interrupt_on_receive(&mut self) {
        self.device.enable_interrupts(INTERRUPTS);
    }

    /// No more interrupts.
    pub fn stay_silent(&mut self) {
        self.device.disable_interrupts(INTERRUPTS);
    }

    /// What has arrived next.
    pub fn receive(&mut self) -> Option<Arrival> {
        // First: what has arrived by now may be of the next one.
        let modem_status = self.device.msr();
        let data_set_ready = self.data_set_ready.as_mut();
        if data_set_ready.is_some_and(|line| line.has_fallen(modem_status)) {
            return Some(Arrival::HangUp);
        }
        // Once: the errors are gone when they have been read.
        let status = self.device.lsr();
        self.overrun.note(status);
        if !status.contains(LSR::DATA_READY) {
            return None;
        }
        let byte = self.device.try_receive_byte().ok()?;
        let is_wrong =
            status.intersects(LSR::PARITY_ERROR | LSR::FRAMING_ERROR | LSR::BREAK_INTERRUPT);
        Some(if is_wrong {
            Arrival::Damage
        } else if self.overrun.is_near() {
            Arrival::NearLoss(byte)
        } else {
            Arrival::Byte(byte)
        })
    }

    /// Fills the transmitter from `next` if it is empty. Returns whether all was sent that
    /// there is, or more is waiting.
    pub fn transmit(&mut self, next: &mut dyn FnMut() -> Option<u8>) -> Backlog {
        if self.device.ready_to_send().is_err() {
            return Backlog::Waiting;
        }
        let mut burst = [0; FIFO_SIZE];
        let room = if self.device.fifo_enabled() { FIFO_SIZE } else { 1 };
        let mut length = 0;
        while length < room {
            let Some(byte) = next() else { break };
            burst[length] = byte;
            length += 1;
        }
        self.device.send_bytes(&burst[..length]);
        if length < room { Backlog::Empty } else { Backlog::Waiting }
    }
}

const INTERRUPTS: IER = IER::DATA_READY.union(IER::MODEM_STATUS);

/// Whether the other end was there when the modem status was last read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct DataSetReady(bool);

impl DataSetReady {
    /// Whether it has gone since, also if it has come back, or another has.
    fn has_fallen(&mut self, status: MSR) -> bool {
        let was_there = core::mem::replace(&mut self.0, status.contains(MSR::DSR));
        was_there && (!self.0 || status.contains(MSR::DELTA_DSR))
    }
}

/// Where bytes were lost. The port says so at once, and not with the byte that followed them: they
/// would have come behind the ones that the FIFO held, so one that follows is one more than that away.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Overrun {
    /// How many of the bytes that come next may be beside the gap.
    near: usize,
}

impl Overrun {
    const NONE: Self = Self { near: 0 };

    fn note(&mut self, status: LSR) {
        if status.contains(LSR::OVERRUN_ERROR) {
            self.near = FIFO_SIZE + 1;
        }
    }

    /// Whether the byte that is read now may be.
    fn is_near(&mut self) -> bool {
        let is_near = self.near > 0;
        self.near = self.near.saturating_sub(1);
        is_near
    }
}

/// What has come over the line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Arrival {
    Byte(u8),
    /// A byte, beside which others were lost.
    NearLoss(u8),
    /// A break, or a byte that is not what was sent.
    Damage,
    /// None: whoever was at the other end has gone.
    HangUp,
}

/// Whether there may be more to send.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Backlog {
    /// Everything has been given to the port.
    Empty,
    /// The port has not taken everything yet.
    Waiting,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_goes_is_missed_once_and_who_comes_is_not() {
        let up = MSR::DSR;
        let down = MSR::empty();
        let mut line = DataSetReady(true);
        let statuses = [
            up,
            down | MSR::DELTA_DSR,
            down,
            up | MSR::DELTA_DSR,
            up,
            // It was down in between.
            up | MSR::DELTA_DSR,
            up | MSR::DELTA_CTS,
            // Where nothing tells changes.
            down,
        ];
        let seen = statuses.map(|status| line.has_fallen(status));
        assert_eq!(seen, [false, true, false, false, false, true, false, true]);
    }

    #[test]
    fn an_overrun_casts_doubt_on_what_the_fifo_holds_and_the_byte_behind() {
        let mut overrun = Overrun::NONE;
        let mut near = 0;
        for number in 0..40 {
            overrun.note(if number == 3 { LSR::OVERRUN_ERROR } else { LSR::empty() });
            let is_near = overrun.is_near();
            assert_eq!(is_near, (3..3 + 17).contains(&number), "{number}");
            near += usize::from(is_near);
        }
        assert_eq!(near, 17);
    }

    #[test]
    fn nobody_goes_where_the_line_is_not_connected() {
        for level in [MSR::empty(), MSR::DSR] {
            let mut line = DataSetReady(level.contains(MSR::DSR));
            for other in [MSR::empty(), MSR::CTS | MSR::DELTA_CTS, MSR::CD | MSR::DELTA_CD] {
                assert!(!line.has_fallen(level | other));
            }
        }
    }
}
