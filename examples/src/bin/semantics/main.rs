//! What the processor's debug hardware does, rule by rule, seen from inside.
//!
//! There is no stub in this image and nobody debugs it: each check arms the registers itself,
//! runs a few instructions and compares all debug exceptions that came with what the manual
//! promises. On the first serial port it prints a line for each,
//!
//! ```text
//! pass write-hits-within-1-byte
//! fail low-bits-masked-2-bytes: exceptions (0): expected ..., came ...
//! done: 1 passed, 1 failed
//! ```
//!
//! and ends. The names are what `tests/tests/semantics` knows the differences of QEMU and Bochs
//! by. The recorder is in `recorder.rs`, the checks are in `checks/`.
#![no_std]
#![no_main]
#![allow(
    clippy::result_large_err,
    clippy::large_enum_variant,
    reason = "there is no allocator to put it into, and one is made for a check that fails"
)]

mod arm;
mod checks;
mod event;
mod instructions;
mod page;
mod recorder;
mod registers;
mod stepped;
mod verdict;

use core::fmt::Write;
use core::panic::PanicInfo;

use examples::arguments::Arguments;
use examples::exit;
use examples::serial::{COM1, Serial};
use verdict::Verdict;

/// A rule, by name.
type Check = (&'static str, fn() -> Verdict);

#[unsafe(no_mangle)]
fn image_main(_: Arguments) {
    // Before anything else touches them.
    let reset = checks::control::ResetValues::read();
    let mut serial = serial();
    recorder::install();
    defmt::info!("semantics: running");

    let (mut passed, mut failed) = (0, 0);
    let mut report = |name: &str, verdict: Verdict| {
        let written = match &verdict {
            Ok(()) => writeln!(serial, "pass {name}"),
            Err(difference) => writeln!(serial, "fail {name}: {difference}"),
        };
        written.expect("a serial port takes everything");
        match verdict {
            Ok(()) => passed += 1,
            Err(_) => failed += 1,
        }
    };
    for (name, verdict) in reset.verdicts() {
        report(name, verdict);
    }
    for (name, check) in checks::ALL.iter().copied().flatten() {
        report(name, check());
    }
    writeln!(serial, "done: {passed} passed, {failed} failed")
        .expect("a serial port takes everything");
}

/// Where the report goes.
fn serial() -> Serial {
    // SAFETY: there is no stub here that it would belong to.
    unsafe { Serial::open(COM1) }
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    // Whatever was going on, the report ends here.
    let _ = writeln!(serial(), "panicked: {info}");
    exit::failure()
}
