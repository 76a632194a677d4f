//! The smallest embedding: a static, one call, one claim for a guard.
//!
//! `turns=N` on the command line makes it end after N wake-ups.
#![no_std]
#![no_main]

use examples::{arguments::Arguments, interrupts};
use tetrarch::arbiter::{self, Condition, Region};
use tetrarch_x86::{Config, SerialInterrupt, Stub};

static STUB: Stub = Stub::new();

#[unsafe(no_mangle)]
fn image_main(arguments: Arguments) {
    let serial = SerialInterrupt {
        vector: interrupts::SERIAL_VECTOR,
        end_of_interrupt: interrupts::end_of_interrupt,
    };
    let config = Config { serial_interrupt: Some(serial), ..Config::DEFAULT };
    // SAFETY: ring 0, one CPU, an IDT that stays; nobody else uses COM1 or the debug registers.
    unsafe { STUB.install(config) }.expect("cannot install");
    let null = Region::new(0, 8).expect("a region");
    STUB.claim("null-guard", null, Condition::ReadWrite, arbiter::stop).expect("cannot guard");

    interrupts::enable();
    defmt::info!("minimal: running");
    for _ in 0..arguments.number("turns").unwrap_or(u64::MAX) {
        interrupts::wait();
    }
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo) -> ! {
    tetrarch_x86::panic(info)
}
