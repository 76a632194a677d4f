//! HLT under a step, and which interrupt controller there is.
//!
//! With TF set and IF clear, HLT ends at once with the step's trap. Where it does not, nothing
//! would ever end it: so the timer is led to the NMI for the time of this check, by way of the
//! local APIC's pin LINT0. Where HLT ends as it should, no NMI is needed, and none is waited
//! for: Bochs's local APIC has no such pin.

use core::arch::asm;
use core::arch::x86_64::__cpuid;

use examples::paging;

use crate::event::Brief;
use crate::verdict::{self, Verdict, same};
use crate::{Check, arm};

pub const CHECKS: &[Check] =
    &[("hlt-under-a-step-traps-at-once", halt), ("x2apic-is-there", x2apic)];

/// Where the local APIC's registers are.
const LOCAL_APIC: u64 = 0xFEE0_0000;
const SPURIOUS_VECTOR: usize = 0xF0;
const SOFTWARE_ENABLE: u32 = 1 << 8;
const LINT0: usize = 0x350;
/// Delivery mode 100.
const AS_NMI: u32 = 0b100 << 8;

/// Row "TF = 1, IF = 0, HLT".
fn halt() -> Verdict {
    let watchdog = Watchdog::start();
    let (events, next) = arm::with(&[], || {
        let next;
        // SAFETY: what is pushed is popped; TF is cleared by the recorder. If the step does
        // not end it, the watchdog does.
        unsafe {
            asm!(
                "lea r11, [rip + 2f]", // an NMI in front of this is none of ours
                "pushfq",
                "or qword ptr [rsp], 0x100",
                "popfq",
                "hlt",
                "2: nop",
                "mov {}, r11",
                out(reg) next,
                out("r11") _,
            );
        }
        next
    });
    watchdog.stop();
    verdict::events(&events, &[Brief::step(0, next)])
}

/// The timer's interrupt as an NMI, every millisecond.
struct Watchdog {
    registers: usize,
    pin: u32,
}

impl Watchdog {
    fn start() -> Self {
        // SAFETY: there is no memory but the local APIC's registers, which nobody else uses.
        let registers = unsafe { paging::show(LOCAL_APIC) };
        let watchdog = Self { registers, pin: read(registers, LINT0) };
        // A local APIC that is off masks its pins.
        let spurious = read(registers, SPURIOUS_VECTOR);
        write(registers, SPURIOUS_VECTOR, spurious | SOFTWARE_ENABLE);
        write(registers, LINT0, AS_NMI);
        watchdog
    }

    fn stop(self) {
        write(self.registers, LINT0, self.pin);
    }
}

fn read(registers: usize, offset: usize) -> u32 {
    // SAFETY: the watchdog has mapped the registers; reading these has no effect.
    unsafe { core::ptr::with_exposed_provenance::<u32>(registers + offset).read_volatile() }
}

fn write(registers: usize, offset: usize, value: u32) {
    let register = core::ptr::with_exposed_provenance_mut::<u32>(registers + offset);
    // SAFETY: as above; what is written leads interrupts to vectors that have handlers.
    unsafe { register.write_volatile(value) };
}

/// Row "x2APIC".
fn x2apic() -> Verdict {
    same("CPUID.1:ECX[21]", u64::from(__cpuid(1).ecx >> 21 & 1), 1)
}
