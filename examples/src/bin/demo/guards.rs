//! The demo's own use of the debug registers: two system claims.
//!
//! The *null guard* watches the 8 bytes at address 0, where nothing belongs, and stops in
//! the debugger. The *config guard* watches a table that should not change, counts the
//! writes and carries on.

use core::sync::atomic::{AtomicU32, Ordering};

use crate::console;
use crate::faulty;
use crate::policy::policy;
use examples::arguments::Arguments;
use examples::{interrupts, paging};
use tetrarch::arbiter::{
    self, Against, Condition, Handle, Handler, Hit, Protected, Region, Request, Reservations,
    Verdict,
};
use tetrarch::link::Transport;
use tetrarch::target::monitor::{Command, Effect};
use tetrarch_x86::{Config, SerialInterrupt, Stub, vector};

pub static STUB: Stub = Stub::new();

/// A command that changes something, and is not carried out twice.
const COUNT: Command = Command {
    name: "count",
    help: "counts how often it is carried out",
    effect: Effect::Changes,
    run: |_, out| {
        static COUNTED: AtomicU32 = AtomicU32::new(0);
        let _ = writeln!(out, "number {}", 1 + COUNTED.fetch_add(1, Ordering::Relaxed));
    },
};

/// The claims that can be given back.
pub struct Guards {
    config: Option<Handle>,
}

/// Installs the stub and claims what the command line does not forbid.
pub fn start(arguments: &Arguments) -> Guards {
    let serial = SerialInterrupt {
        vector: interrupts::SERIAL_VECTOR,
        end_of_interrupt: interrupts::end_of_interrupt,
    };
    let config = Config {
        arbiter: arbiter::Config {
            reservations: reservations(arguments),
            ..arbiter::Config::DEFAULT
        },
        serial_interrupt: Some(serial),
        policy: policy(arguments),
        reader: Some(console::read),
        commands: &[faulty::FAIL, COUNT],
        clock: faulty::clock,
        transport: match arguments.has("reliable") {
            true => Transport::Reliable,
            false => Transport::Lossy,
        },
        ..Config::DEFAULT
    };
    if arguments.has("hook") {
        lead_exceptions_to_the_stub();
        // SAFETY: as below.
        unsafe { STUB.hook(config) }.expect("the stub finds the tables it needs");
    } else {
        // SAFETY: called once, before interrupts are on; the IDT, the GDT and COM1 are the
        // image's own and nobody changes them afterwards.
        unsafe { STUB.install(config) }.expect("the stub finds the tables it needs");
    }
    protect_stub();
    if !arguments.has("no-null-guard") {
        claim("null-guard", 0, Condition::ReadWrite, arbiter::stop);
    }
    let mut guards = Guards { config: None };
    if !arguments.has("no-config-guard") {
        guards.claim_config(count);
    }
    guards
}

/// What an image does that keeps its own IDT: gates for what the stub has to see.
fn lead_exceptions_to_the_stub() {
    for number in [vector::DEBUG, vector::NMI, vector::BREAKPOINT, vector::PROTECTION, vector::PAGE]
    {
        let entry = u8::try_from(number).ok().and_then(tetrarch_x86::vector_entry);
        interrupts::set_gate(number as u8, entry.expect("an exception has an entry"));
    }
    interrupts::set_gate(interrupts::SERIAL_VECTOR, tetrarch_x86::serial_entry());
}

/// Breakpoints in the stub's own code are refused; without this they would take themselves away
/// when the stub runs into them.
fn protect_stub() {
    let code = paging::stub_code();
    let region = Region::new(code.start, code.len()).expect("the stub has code");
    let range = Protected { region, name: "the stub's code", against: Against::Execute };
    STUB.protect(range).expect("there is room for another range");
}

impl Guards {
    /// 1 claims the config guard, 2 releases it, 3 hands the machine over as if to a next stage, 4 claims
    /// the guard with a handler that goes wrong; 5 to 7 are calls of the stub's that go wrong, because of
    /// what they call; after 8 the console's reader goes wrong, once; anything else is no order.
    pub fn obey(&mut self, order: u32) {
        match order {
            1 => self.claim_config(count),
            2 => self.release_config(),
            3 => hand_off(),
            4 => {
                self.release_config();
                self.claim_config(faulty::handler);
            }
            5 => self.modify_config(faulty::change_with_a_fault),
            6 => self.modify_config(faulty::change_with_a_panic),
            7 => faulty::tick_with_a_fault(),
            8 => faulty::arm_reader(),
            _ => {}
        }
    }

    fn modify_config(&mut self, change: fn(Request) -> Request) {
        let Some(handle) = self.config else { return };
        if let Err(error) = STUB.modify(handle, change) {
            defmt::warn!("config-guard: not changed: {}", defmt::Display2Format(&error));
        }
    }

    fn claim_config(&mut self, handler: Handler) {
        if self.config.is_none() {
            self.config =
                claim("config-guard", &raw const crate::config as usize, Condition::Write, handler);
        }
    }

    fn release_config(&mut self) {
        if let Some(handle) = self.config.take() {
            let released = STUB.release(handle).is_ok();
            defmt::info!("config-guard: released: {=bool}", released);
        }
    }
}

/// From here on there is no stub: what comes over its line must not interrupt any more.
fn hand_off() {
    interrupts::mask_serial();
    STUB.hand_off();
    defmt::info!("handed off");
}

/// Claims the 8 bytes at `address`; a refusal is logged, and the image goes on without.
fn claim(
    name: &'static str,
    address: usize,
    condition: Condition,
    handler: Handler,
) -> Option<Handle> {
    let region = Region::new(address, 8).expect("8 bytes at a table do not wrap");
    match STUB.claim(name, region, condition, handler) {
        Ok(handle) => {
            defmt::info!("{=str}: claimed", name);
            Some(handle)
        }
        Err(error) => {
            defmt::warn!("{=str}: refused: {}", name, defmt::Display2Format(&error));
            None
        }
    }
}

fn count(_: &Hit) -> Verdict {
    // SAFETY: handlers run one at a time, with interrupts off.
    unsafe { crate::config_writes += 1 };
    Verdict::Continue
}

/// `reserve=SYSTEM,DEBUGGER`, by default one register for the system and two for the debugger.
fn reservations(arguments: &Arguments) -> Reservations {
    let given = arguments.value("reserve").and_then(|value| value.split_once(','));
    let (system, debugger) = match given {
        Some((system, debugger)) => (system.parse().ok(), debugger.parse().ok()),
        None => (Some(1), Some(2)),
    };
    system
        .zip(debugger)
        .and_then(|(system, debugger)| Reservations::new(debugger, system, 0).ok())
        .expect("reserve=SYSTEM,DEBUGGER takes two numbers that add up to at most 4")
}
