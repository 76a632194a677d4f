//! The one installation, from the configuration to the first exception.
//!
//! What can refuse comes first: nothing is armed, and the image's IDT stays loaded, until
//! nothing can go wrong any more. Runs once, on the firmware's stack.

use core::mem::size_of_val;

use tetrarch::arbiter::{Against, Protected, Region};
use tetrarch::bank::Bank;

use crate::area::{self, Gates};
use crate::config::Config;
use crate::cpus::{self, HeldHere};
use crate::debug_regs;
use crate::dispatch;
use crate::error::InstallError;
use crate::frame::vector;
use crate::install::Image;
use crate::panic;
use crate::state::Tables;
use crate::stub::Stub;
use crate::tables;
use crate::uart::Uart;

/// Whether the image's IDT is replaced.
#[derive(Clone, Copy)]
pub(crate) enum Form {
    Install,
    Hook,
}

impl<const CLAIMS: usize, const TASKS: usize> Stub<CLAIMS, TASKS> {
    /// # Safety
    ///
    /// As for [`install`](Self::install).
    pub(crate) unsafe fn bring_up(
        &'static self,
        config: Config,
        form: Form,
    ) -> Result<(), InstallError> {
        cpus::without_interrupts(|| {
            let mut state =
                self.state.enter().map_err(|HeldHere| InstallError::AlreadyInstalled)?;
            if dispatch::is_installed() {
                return Err(InstallError::AlreadyInstalled);
            }
            let serial = config.serial_interrupt.map(|interrupt| interrupt.vector);
            if serial.is_some_and(|number| usize::from(number) < vector::COUNT) {
                return Err(InstallError::SerialVector);
            }
            let bank = Bank::new(debug_regs::addresses(), debug_regs::control());
            if bank.control().any_armed() {
                return Err(InstallError::RegistersInUse);
            }
            let image = Image::of_this_cpu()?;
            let own = Region::new((&raw const *self).addr(), size_of_val(self)).map(|region| {
                Protected { region, name: "tetrarch's state", against: Against::Everything }
            });
            state.arbiter.configure(config.arbiter).map_err(|_| InstallError::ClaimsLive)?;
            state.arbiter.assume_bank(cpus::current(), bank);
            for range in image.protected().chain(own) {
                state.arbiter.protect(range).map_err(InstallError::Protect)?;
            }
            // SAFETY: the caller promised that the ports are ours.
            let mut uart = unsafe { Uart::open(config.port) }.map_err(InstallError::Port)?;

            let stacks = match form {
                Form::Install => image.interrupt_stacks()?,
                Form::Hook => image.interrupt_stacks_if_any(),
            };
            let gates = Gates { selector: tables::store_code_segment(), stacks };
            let working = area::fill_working_idt(gates);
            let normal = match form {
                Form::Install => Some(image.normal_idt(gates, serial)),
                Form::Hook => None,
            };
            if serial.is_some() {
                uart.interrupt_on_receive();
            }
            panic::set_port(config.port.base);
            state.uart = Some(uart);
            state.tables = Some(Tables { gates, working, image: image.idt });
            state.end_of_interrupt =
                config.serial_interrupt.map(|interrupt| interrupt.end_of_interrupt);
            state.reset = config.reset;
            state.clock = config.clock;
            state.session.set_commands(config.commands);
            if let Some(map) = config.memory_map {
                state.session.set_memory_map(map);
            }
            dispatch::set_installed(self);
            if let Some(idt) = normal {
                // SAFETY: its gates lead to this crate's entry, or are the image's own; it is
                // static.
                unsafe { tables::load_idt(idt) };
            }
            Ok(())
        })
    }
}
