//! Which rules hold in which emulator, by the names that the image `semantics` gives them.

use anyhow::{Result, ensure};
use tetrarch_tests::report::Report;

/// All rules, in the order in which they are checked.
const RULES: &[&str] = &[
    "dr6-after-reset",
    "dr7-after-reset",
    "dr0-takes-any-value",
    "dr6-reserved-bits-are-fixed",
    "dr7-reserved-bits-are-fixed",
    "dr7-bit-11-is-fixed-without-rtm",
    "dr6-upper-half-is-gp",
    "dr7-upper-half-is-gp",
    "dr4-and-dr5-are-aliases",
    "dr4-and-dr5-are-ud-with-de",
    "write-watch-covers-1-byte",
    "write-watch-covers-2-bytes",
    "write-watch-covers-4-bytes",
    "write-watch-covers-8-bytes",
    "read-write-watch-covers-1-byte",
    "read-write-watch-covers-2-bytes",
    "read-write-watch-covers-4-bytes",
    "read-write-watch-covers-8-bytes",
    "low-address-bits-are-masked-2-bytes",
    "low-address-bits-are-masked-4-bytes",
    "low-address-bits-are-masked-8-bytes",
    "any-overlap-hits",
    "access-across-pages-hits-in-the-second",
    "store-higher-up-in-the-page-misses",
    "load-just-above-misses",
    "write-watch-hits-each-store",
    "read-modify-write-hits-once",
    "read-modify-write-hits-a-read-write-watch-once",
    "failing-cmpxchg-hits-a-write-watch",
    "store-of-the-same-value-hits",
    "push-hits-a-write-watch",
    "load-misses-a-write-watch",
    "fetch-misses-a-read-write-watch",
    "clflush-hits-a-read-write-watch",
    "prefetch-misses-a-read-write-watch",
    "alias-of-the-memory-misses",
    "disabled-slot-is-silent",
    "local-and-global-enable-are-equal",
    "overlapping-windows-hit-together",
    "access-to-two-windows-hits-both",
    "step-and-hit-come-together",
    "hit-bits-are-recomputed",
    "bs-sticks-until-it-is-cleared",
    "execute-breakpoint-is-a-fault-and-rf-gets-past-it",
    "execute-breakpoint-without-rf-faults-again",
    "rf-is-for-one-instruction",
    "popf-does-not-load-rf",
    "execute-breakpoint-at-a-prefix-hits",
    "execute-breakpoint-behind-a-prefix-misses",
    "execute-breakpoint-then-step",
    "execute-breakpoint-and-data-hit-in-one-instruction",
    "execute-breakpoint-at-rep-hits-once",
    "step-traps-after-one-instruction",
    "steps-trap-after-each-instruction",
    "step-of-pushf-pushes-tf",
    "step-of-popf-that-clears-tf-traps",
    "step-of-sti-is-not-delayed",
    "step-of-int-pushes-tf-and-skips-the-handler",
    "int3-is-bp-behind-it",
    "icebp-is-db-without-hit-bits",
    "fault-pushes-rf",
    "fault-in-a-step-pushes-tf-and-is-no-step",
    "rep-movs-traps-for-each-iteration-that-writes",
    "rep-movs-traps-for-each-iteration-that-reads",
    "rep-stos-traps-for-each-iteration",
    "rep-trap-pushes-rf",
    "rep-trap-of-the-last-iteration-is-behind-it",
    "mov-ss-delays-its-own-hit",
    "mov-ss-does-not-delay-the-next-hit",
    "mov-ss-delays-a-step",
    "mov-ss-then-int-traps-in-the-handler",
    "io-breakpoint-hits-out",
    "io-breakpoint-hits-in",
    "io-breakpoint-misses-other-ports",
    "io-breakpoint-covers-2-ports",
    "io-breakpoint-misses-memory",
    "io-breakpoint-without-de-is-silent",
    "gd-faults-at-a-write-and-clears-itself",
    "gd-faults-at-a-read",
    "hlt-under-a-step-traps-at-once",
    "x2apic-is-there",
];

/// What QEMU 7.2 does otherwise.
const NOT_IN_QEMU: &[&str] = &[
    // Bit 12 sticks.
    "dr6-reserved-bits-are-fixed",
    // Bits 12, 14 and 15 stick.
    "dr7-reserved-bits-are-fixed",
    // It sticks.
    "dr7-bit-11-is-fixed-without-rtm",
    // A misaligned address covers the bytes from there on.
    "low-address-bits-are-masked-2-bytes",
    "low-address-bits-are-masked-4-bytes",
    "low-address-bits-are-masked-8-bytes",
    // Hits that are none, on the page of a watched word.
    "store-higher-up-in-the-page-misses",
    "load-just-above-misses",
    // It does nothing at all.
    "clflush-hits-a-read-write-watch",
    // One access sets one hit bit.
    "overlapping-windows-hit-together",
    "access-to-two-windows-hits-both",
    // The step comes as a second exception, at the entry of the first one's handler.
    "step-and-hit-come-together",
    // It hits at each iteration: RF is gone after the first one.
    "execute-breakpoint-at-rep-hits-once",
    // The trap comes an instruction later.
    "step-of-sti-is-not-delayed",
    // An invalid opcode.
    "icebp-is-db-without-hit-bits",
    // RF is clear in all frames.
    "fault-pushes-rf",
    "rep-trap-pushes-rf",
    // It is at the instruction, once more.
    "rep-trap-of-the-last-iteration-is-behind-it",
    // Hits are not held back.
    "mov-ss-delays-its-own-hit",
    "mov-ss-then-int-traps-in-the-handler",
    // It works without, which the manual leaves open.
    "io-breakpoint-without-de-is-silent",
    // There is no general detection.
    "gd-faults-at-a-write-and-clears-itself",
    "gd-faults-at-a-read",
    // It waits for an interrupt. Ours comes 54 ms later.
    "hlt-under-a-step-traps-at-once",
    // Not emulated.
    "x2apic-is-there",
];

/// What Bochs 2.7 does otherwise.
const NOT_IN_BOCHS: &[&str] = &[
    // It sticks in every model.
    "dr7-bit-11-is-fixed-without-rtm",
    // It remembers by itself that a string instruction goes on.
    "rep-trap-pushes-rf",
    // The hit is forgotten.
    "mov-ss-then-int-traps-in-the-handler",
    // It waits for an interrupt; the trap comes first then.
    "hlt-under-a-step-traps-at-once",
];

/// Fails unless all rules hold but these, and says what the image found.
fn holds_but(report: &Report, exceptions: &[&str]) -> Result<()> {
    let rules: Vec<_> = RULES.iter().copied().filter(|rule| !exceptions.contains(rule)).collect();
    let text = report.text();
    ensure!(report.failed() == exceptions, "not these fail: {exceptions:#?}, but:\n{text}");
    ensure!(report.passed() == rules, "not these pass: {rules:#?}, but:\n{text}");
    Ok(())
}

#[test]
fn qemu_differs_in_what_is_known() -> Result<()> {
    holds_but(&Report::from_qemu()?, NOT_IN_QEMU)
}

#[test]
fn bochs_differs_in_what_is_known() -> Result<()> {
    holds_but(&Report::from_bochs()?, NOT_IN_BOCHS)
}
