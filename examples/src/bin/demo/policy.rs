//! What the demo lets a debugger do, as its command line says.

use examples::arguments::Arguments;
use subtle::ConstantTimeEq;
use tetrarch::arbiter::Region;
use tetrarch::policy::{Access, Grant, Lock, Policy, Range, Rights};

/// Reading a register of an interrupt controller can have effects, so nobody does.
const INTERRUPT_CONTROLLERS: usize = 0xFEC0_0000;
const RANGES: [Range; 1] = [Range {
    region: match Region::new(INTERRUPT_CONTROLLERS, 0x30_0000) {
        Ok(region) => region,
        Err(_) => panic!("it does not wrap"),
    },
    name: "the interrupt controllers",
    rights: Rights::None,
}];

/// A word that everybody can read here is none. Firmware has a hash of it, or a key.
const WORD: &[u8] = b"sesame";

/// `read-only`, `locked=PATIENCE` in millions of ticks, or everything.
pub fn policy(arguments: &Arguments) -> Policy {
    let access = match arguments.number("locked") {
        Some(millions) => Access::Locked(Lock {
            check: |word| bool::from(word.ct_eq(WORD)).then_some(Grant::Open),
            delay: 1_000_000,
            patience: millions.saturating_mul(1_000_000),
        }),
        None if arguments.has("read-only") => Access::ReadOnly,
        None => Access::Open,
    };
    Policy { access, ranges: &RANGES }
}
