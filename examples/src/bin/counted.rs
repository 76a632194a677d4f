//! Every instruction counts: what a debugger has the image do, once, twice or not at all, can be
//! seen afterwards.
//!
//! The image runs round and round through [`LENGTH`] instructions that each add one to `executed`.
//! A step is one more then, a `continue` with a watchpoint on `executed` too; what is written to
//! `scratch` stays there. That makes it the image for a bad line.
#![no_std]
#![no_main]
#![allow(non_upper_case_globals, reason = "gdb users type these names")]

use core::arch::global_asm;
use core::panic::PanicInfo;

use examples::arguments::Arguments;
use examples::interrupts;
use tetrarch::arbiter::{self, Condition, Region};
use tetrarch_x86::{Config, SerialInterrupt, Stub};

static STUB: Stub = Stub::new();

/// How often an instruction of the round was executed.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".page.executed")]
static mut executed: u64 = 0;

/// To be written from gdb.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".page.scratch")]
static mut scratch: [u64; 64] = [0; 64];

/// How many instructions count until the one that leads back.
const LENGTH: usize = 20_000;

unsafe extern "C" {
    /// Counts for ever.
    fn round() -> !;
}

global_asm!(
    r#"
    .global round
    .type round, @function
    round:
    .rept {length}
        inc qword ptr [rip + {executed}]
    .endr
        jmp round
    .size round, . - round
    "#,
    length = const LENGTH,
    executed = sym executed,
);

#[unsafe(no_mangle)]
fn image_main(_: Arguments) {
    let serial = SerialInterrupt {
        vector: interrupts::SERIAL_VECTOR,
        end_of_interrupt: interrupts::end_of_interrupt,
    };
    let config = Config { serial_interrupt: Some(serial), ..Config::DEFAULT };
    // SAFETY: ring 0, one CPU, an IDT that stays; nobody else uses COM1 or the debug registers.
    unsafe { STUB.install(config) }.expect("cannot install");
    let null = Region::new(0, 8).expect("a region");
    STUB.claim("null-guard", null, Condition::ReadWrite, arbiter::stop).expect("cannot guard");
    fill_scratch();
    interrupts::enable();
    defmt::info!("counted: running");
    // SAFETY: it touches `executed` alone, which nobody else does but a debugger.
    unsafe { round() }
}

/// With numbers that differ.
fn fill_scratch() {
    let words = (&raw mut scratch).cast::<u64>();
    for index in 0..64 {
        // SAFETY: inside the array, which nothing else touches yet.
        unsafe { words.wrapping_add(index).write_volatile((index as u64 + 1) << 32 | 0xABCD) };
    }
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    tetrarch_x86::panic(info)
}
