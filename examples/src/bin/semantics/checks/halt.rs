//! HLT under a step, and which interrupt controller there is.
//!
//! With TF set and IF clear, HLT ends at once with the step's trap. Where it does not, nothing
//! would ever end it: so a watchdog does after a while, an NMI that the I/O APIC makes of the
//! timer's interrupt. No other check needs one, because nothing else waits.

use core::arch::asm;
use core::arch::x86_64::__cpuid;
use core::ptr::with_exposed_provenance_mut;

use examples::{paging, port};

use crate::event::Brief;
use crate::verdict::{self, Verdict, same};
use crate::{Check, arm, recorder};

pub const CHECKS: &[Check] =
    &[("hlt-under-a-step-traps-at-once", halt), ("x2apic-is-there", x2apic)];

/// Where the I/O APIC's registers are: one that selects, one through which to access.
const IO_APIC: u64 = 0xFEC0_0000;
const DATA: usize = 0x10;
/// The timer's pin: where it leads, 64 bits in two registers.
const TIMER_PIN: u32 = 0x10 + 2 * 2;
/// Divisor of the timer, in its mode that counts once: 54 ms, for what takes a microsecond.
const ONCE: [(u16, u8); 3] = [(0x43, 0x30), (0x40, 0xFF), (0x40, 0xFF)];
/// Delivery mode 100, edge-triggered, to the first CPU.
const AS_NMI: [u32; 2] = [0b100 << 8, 0];

/// TF is set and IF clear.
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
    let barks = watchdog.stop();
    verdict::events(&events, &[Brief::step(0, next)])?;
    // The trap may have been waiting until the NMI ended the halt, and still be told first.
    same("NMIs", barks, 0)
}

/// The timer's interrupt as an NMI.
struct Watchdog {
    registers: usize,
    before: [u32; 2],
    nmis: u64,
}

impl Watchdog {
    fn start() -> Self {
        // SAFETY: there is no memory but the I/O APIC's registers, which nobody else uses.
        let registers = unsafe { paging::show(IO_APIC) };
        let before = [0, 1].map(|half| read(registers, TIMER_PIN + half));
        let watchdog = Self { registers, before, nmis: recorder::nmis() };
        for (port, value) in ONCE {
            // SAFETY: nothing else in this image wants to know the time.
            unsafe { port::write(port, value) };
        }
        watchdog.lead(AS_NMI);
        watchdog
    }

    /// Ends it, and gives how many NMIs there were.
    fn stop(self) -> u64 {
        self.lead(self.before);
        recorder::nmis() - self.nmis
    }

    /// The half with the address first: the other one may let interrupts through.
    fn lead(&self, [low, high]: [u32; 2]) {
        write(self.registers, TIMER_PIN + 1, high);
        write(self.registers, TIMER_PIN, low);
    }
}

fn read(registers: usize, index: u32) -> u32 {
    let data = select(registers, index);
    // SAFETY: the watchdog has mapped the registers; reading these has no effect.
    unsafe { data.read_volatile() }
}

fn write(registers: usize, index: u32, value: u32) {
    let data = select(registers, index);
    // SAFETY: the watchdog has mapped the registers; what it writes leads to a vector that has
    // a handler, or nowhere.
    unsafe { data.write_volatile(value) };
}

/// Selects a register, and gives where to access it.
fn select(registers: usize, index: u32) -> *mut u32 {
    // SAFETY: the watchdog has mapped the registers; selecting has no effect by itself.
    unsafe { with_exposed_provenance_mut::<u32>(registers).write_volatile(index) };
    with_exposed_provenance_mut(registers + DATA)
}

/// What a stub without MMIO would stop the other CPUs with.
fn x2apic() -> Verdict {
    same("CPUID.1:ECX[21]", u64::from(__cpuid(1).ecx >> 21 & 1), 1)
}
