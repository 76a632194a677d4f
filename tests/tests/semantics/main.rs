//! The debug hardware itself, and gdb where it is emulated as the manual has it.
//!
//! The image `semantics` checks its processor rule by rule. QEMU, on which all other tests
//! run, breaks some of the rules; here is which, so that a new version that breaks others is
//! noticed. Bochs keeps nearly all of them: what the stub does there, it does on hardware.

mod cpus;
mod rules;
mod session;
#[path = "../smp/support.rs"]
#[allow(dead_code, reason = "shared with the tests of several CPUs, which use more of it")]
mod smp;
#[path = "../sessions/support.rs"]
#[allow(dead_code, reason = "shared with the sessions, which use more of it")]
mod support;
