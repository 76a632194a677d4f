//! The CPU that executes the call: its number, its interrupts, its clock, its reset.

use x86::bits64::rflags::{self, RFlags};
use x86::cpuid::native_cpuid::cpuid_count;
use x86::{io, irq};

use crate::tables::{self, DescriptorTable};

/// The number of this CPU's local APIC, as it was at reset: eight bits.
pub(crate) fn apic_id() -> u32 {
    cpuid_count(1, 0).ebx >> 24
}

/// Executes `section` with maskable interrupts off, and leaves IF as it was.
pub(crate) fn without_interrupts<R>(section: impl FnOnce() -> R) -> R {
    let before = rflags::read();
    // SAFETY: interrupts are held off for the short time of the section; CLI outside ring 0
    // is #GP, and the installer guarantees ring 0.
    unsafe { irq::disable() };
    let result = section();
    if before.contains(RFlags::FLAGS_IF) {
        // SAFETY: they were on when this function was called, so its caller expects them.
        unsafe { irq::enable() };
    }
    result
}

/// Whether this is QEMU without hardware virtualisation, by the hypervisor's CPUID leaf.
pub(crate) fn is_emulated_by_tcg() -> bool {
    const SIGNATURE: [u32; 3] = [0x5447_4354, 0x4354_4743, 0x4743_5447];
    let answer = cpuid_count(0x4000_0000, 0);
    [answer.ebx, answer.ecx, answer.edx] == SIGNATURE
}

/// The time-stamp counter of this CPU.
pub(crate) fn time_stamp() -> u64 {
    // SAFETY: reading has no effect. With CR4.TSD it is #GP outside ring 0, and the installer
    // guarantees ring 0.
    unsafe { x86::time::rdtsc() }
}

/// Resets the machine: through the chipset's reset control register, through the keyboard
/// controller, and at last by an exception that cannot be delivered.
pub(crate) fn reset() -> ! {
    const RESET_CONTROL: u16 = 0xCF9;
    const FULL_RESET: [u8; 2] = [0x02, 0x06];
    const KEYBOARD_COMMAND: u16 = 0x64;
    const PULSE_RESET: u8 = 0xFE;
    for (port, value) in [
        (RESET_CONTROL, FULL_RESET[0]),
        (RESET_CONTROL, FULL_RESET[1]),
        (KEYBOARD_COMMAND, PULSE_RESET),
    ] {
        // SAFETY: resetting is what is wanted; a machine without the port ignores it.
        unsafe { io::outb(port, value) };
    }
    let nothing = DescriptorTable { base: 0, limit: 0 };
    // SAFETY: no exception can be delivered from here on, which resets the CPU; nothing runs
    // after it.
    unsafe { tables::load_idt(nothing) };
    loop {
        crate::breakpoint();
    }
}
