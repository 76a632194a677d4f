//! The one installation, from the configuration to the first exception.
//!
//! What can refuse comes first: nothing is armed, and the image's IDT stays loaded, until
//! nothing can go wrong any more. Runs once, on the firmware's stack; what it has settled goes for
//! all CPUs ([`start`](crate::start)).

use core::mem::size_of_val;
use core::sync::atomic::Ordering;

use tetrarch::arbiter::{Against, CpuId, Protected, Region};
use tetrarch::bank::Bank;

use crate::area::{BOOT_MEMORY, CpuMemory};
use crate::config::Config;
use crate::cpus;
use crate::debug_regs;
use crate::directory;
use crate::dispatch;
use crate::error::InstallError;
use crate::frame::vector;
use crate::gates::{self, Gates};
use crate::install::Image;
use crate::local::{HeldHere, Tables};
use crate::panic;
use crate::state::State;
use crate::stub::{Setup, Stub};
use crate::tables;
use crate::uart::Uart;

/// Whether the image's IDT is replaced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Form {
    Install,
    Hook,
}

impl<const CLAIMS: usize, const TASKS: usize, const CPUS: usize> Stub<CLAIMS, TASKS, CPUS> {
    /// # Safety
    ///
    /// As for [`install`](Self::install).
    pub(crate) unsafe fn bring_up(
        &'static self,
        config: Config,
        form: Form,
    ) -> Result<(), InstallError> {
        cpus::without_interrupts(|| {
            let (cpu, memory) = (CpuId(0), &BOOT_MEMORY);
            let local = self.local(cpu).ok_or(InstallError::NoRoom)?;
            let mine = local.enter().map_err(|HeldHere| InstallError::AlreadyInstalled)?;
            if dispatch::is_installed() {
                return Err(InstallError::AlreadyInstalled);
            }
            let mut lead = self.lead(cpu, mine).map_err(|_| InstallError::AlreadyInstalled)?;
            lead.take_in();
            let own = Region::new((&raw const *self).addr(), size_of_val(self)).ok();
            // SAFETY: passed on to the caller.
            let settled = unsafe { settle(lead.state(), config, form, memory, own) };
            if settled.is_ok() {
                self.world.start(cpu);
            }
            let mut mine = lead.end();
            let (tables, setup) = settled?;
            local.set_memory(memory);
            local.apic.store(cpus::apic_id(), Ordering::Relaxed);
            directory::take_over(memory, cpu, Self::others());
            mine.tables = Some(tables);
            self.set_up(setup);
            dispatch::set_installed(self);
            if form == Form::Install {
                // SAFETY: its gates lead to this crate's entry, or are the image's own; it is
                // static.
                unsafe { tables::load_idt(gates::normal_idt()) };
            }
            Ok(())
        })
    }
}

/// Looks at the image, sets the port up, and fills the tables; loads none of them but the GDT.
///
/// # Safety
///
/// As for [`Stub::install`].
unsafe fn settle<const CLAIMS: usize, const TASKS: usize, const CPUS: usize>(
    state: &mut State<CLAIMS, TASKS, CPUS>,
    config: Config,
    form: Form,
    memory: &'static CpuMemory,
    own: Option<Region>,
) -> Result<(Tables, Setup), InstallError> {
    let serial = config.serial_interrupt.map(|interrupt| interrupt.vector);
    if serial.is_some_and(|number| usize::from(number) < vector::COUNT) {
        return Err(InstallError::SerialVector);
    }
    let bank = Bank::new(debug_regs::addresses(), debug_regs::control());
    if bank.control().any_armed() {
        return Err(InstallError::RegistersInUse);
    }
    let image = Image::of_this_cpu()?;
    let own = own.map(|region| Protected {
        region,
        name: "tetrarch's state",
        against: Against::Everything,
    });
    state.arbiter.configure(config.arbiter).map_err(|_| InstallError::ClaimsLive)?;
    state.arbiter.assume_bank(CpuId(0), bank);
    for range in image.protected().chain(image.shared()).chain(own) {
        state.arbiter.protect(range).map_err(InstallError::Protect)?;
    }
    // SAFETY: the caller promised that the ports are ours.
    let mut uart = unsafe { Uart::open(config.port) }.map_err(InstallError::Port)?;

    let stacks = match form {
        Form::Install => image.interrupt_stacks(memory, None)?,
        Form::Hook => image.interrupt_stacks_if_any(memory),
    };
    let gates = Gates { selector: tables::store_code_segment(), stacks };
    let working = memory.fill_working_idt(gates);
    match form {
        Form::Install => image.fill_normal_idt(gates, serial),
        Form::Hook => {}
    }
    if serial.is_some() {
        uart.interrupt_on_receive();
    }
    panic::set_port(config.port.base);
    state.uart = Some(uart);
    state.interrupts = serial.is_some();
    state.client_patience = config.client_patience;
    state.session.set_commands(config.commands);
    state.session.set_policy(config.policy);
    state.session.set_transport(config.transport);
    if let Some(reader) = config.reader {
        state.session.set_reader(reader);
    }
    if let Some(map) = config.memory_map {
        state.session.set_memory_map(map);
    }
    let setup = Setup {
        form,
        gates,
        image_idt: image.idt,
        end_of_interrupt: config.serial_interrupt.map(|interrupt| interrupt.end_of_interrupt),
        reset: config.reset,
        clock: config.clock,
        patience: config.patience,
        client_patience: config.client_patience,
        send_nmi: config.send_nmi,
        activity: config.activity,
        switching: config.arbiter.switching,
    };
    Ok((Tables { gates, working, image: image.idt }, setup))
}
