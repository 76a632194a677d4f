//! DR6 and DR7 as values: after reset, reserved bits, the upper halves, DR4 and DR5.

use core::arch::asm;
use core::arch::x86_64::__cpuid_count;

use tetrarch::dr::{Dr6, Dr7, Slot};

use crate::event::Brief;
use crate::recorder::vector;
use crate::verdict::{self, Verdict, same};
use crate::{Check, arm, registers};

pub const CHECKS: &[Check] = &[
    ("dr0-takes-any-value", any_address),
    ("dr6-reserved-bits-are-fixed", reserved_status),
    ("dr7-reserved-bits-are-fixed", reserved_control),
    ("dr7-bit-11-is-fixed-without-rtm", no_transactions),
    ("dr6-upper-half-is-gp", upper_status),
    ("dr7-upper-half-is-gp", upper_control),
    ("dr4-and-dr5-are-aliases", aliases),
    ("dr4-and-dr5-are-ud-with-de", no_aliases),
];

/// What the registers held before anything wrote them.
pub struct ResetValues {
    status: u64,
    control: u64,
}

impl ResetValues {
    pub fn read() -> Self {
        Self { status: registers::status(), control: registers::control() }
    }

    /// Like checks that have been run.
    pub fn verdicts(&self) -> [(&'static str, Verdict); 2] {
        let (status, control) = (Dr6::RESET.bits(), Dr7::OFF.bits());
        [
            ("dr6-after-reset", same("DR6", self.status, status.into())),
            ("dr7-after-reset", same("DR7", self.control, control.into())),
        ]
    }
}

/// Nothing checks that an address is canonical.
fn any_address() -> Verdict {
    let address = 0x0123_4567_89AB_CDEF;
    registers::write_address(Slot::Zero, address);
    let came = registers::address_zero();
    registers::write_address(Slot::Zero, 0);
    same("DR0", came as u64, address as u64)
}

/// Bits 4 to 10 and 17 to 31 are 1, bit 12 is 0. Bits 11 and 16 depend on the processor.
fn reserved_status() -> Verdict {
    const FIXED: u64 = 0xFFFE_17F0;
    let tried = [0, u32::MAX].map(|bits| {
        registers::write_status(bits);
        registers::status() & FIXED
    });
    registers::reset_status();
    tried.into_iter().try_for_each(|came| same("DR6", came, FIXED & !(1 << 12)))
}

/// Bits 12, 14 and 15 are 0, bit 10 is 1.
fn reserved_control() -> Verdict {
    [0, 1 << 12 | 1 << 14 | 1 << 15].into_iter().try_for_each(control_reads_as_off)
}

/// Bit 11 is 0 too where it is not for restricted transactional memory.
fn no_transactions() -> Verdict {
    const TRANSACTIONS: u32 = 1 << 11;
    if __cpuid_count(7, 0).ebx & TRANSACTIONS != 0 {
        return Ok(());
    }
    control_reads_as_off(TRANSACTIONS)
}

fn control_reads_as_off(bits: u32) -> Verdict {
    registers::write_control(Dr7::from_bits(bits));
    let came = registers::control();
    registers::write_control(Dr7::OFF);
    same("DR7", came, Dr7::OFF.bits().into())
}

fn upper_status() -> Verdict {
    let (events, at) = arm::with(&[], || {
        let at;
        // SAFETY: if it does not fault, it writes the reset value.
        unsafe {
            asm!(
                "lea {at}, [rip + 2f]",
                "lea r11, [rip + 3f]",
                "2: mov dr6, {value}",
                "3:",
                at = out(reg) at,
                value = in(reg) 1 << 63 | u64::from(Dr6::RESET.bits()),
                out("r11") _,
            );
        }
        at
    });
    verdict::events_but_rf(&events, &[Brief::exception(vector::PROTECTION, at, 0)])
}

fn upper_control() -> Verdict {
    let (events, at) = arm::with(&[], || {
        let at;
        // SAFETY: if it does not fault, it arms nothing.
        unsafe {
            asm!(
                "lea {at}, [rip + 2f]",
                "lea r11, [rip + 3f]",
                "2: mov dr7, {value}",
                "3:",
                at = out(reg) at,
                value = in(reg) 1 << 32 | u64::from(Dr7::OFF.bits()),
                out("r11") _,
            );
        }
        at
    });
    verdict::events_but_rf(&events, &[Brief::exception(vector::PROTECTION, at, 0)])
}

/// DR4 is DR6 and DR5 is DR7 while CR4.DE is clear.
fn aliases() -> Verdict {
    let (events, [status, control]) = arm::with(&[], || {
        let status: u64;
        let control: u64;
        // A value of DR7 that arms nothing and is not the one after reset.
        registers::write_control(Dr7::from_bits(0x0001_0400));
        // SAFETY: reading has no effect; where there are no aliases it ends at the label.
        unsafe {
            asm!(
                "lea r11, [rip + 2f]",
                "xor {status:e}, {status:e}",
                "xor {control:e}, {control:e}",
                "mov {status}, dr4",
                "mov {control}, dr5",
                "2:",
                status = out(reg) status,
                control = out(reg) control,
                out("r11") _,
            );
        }
        [status, control]
    });
    verdict::events(&events, &[])?;
    same("DR4", status, Dr6::RESET.bits().into())?;
    same("DR5", control, 0x0001_0400)
}

fn no_aliases() -> Verdict {
    let (events, [first, second]) = registers::with_debugging_extensions(|| {
        arm::with(&[], || {
            let (first, second);
            // SAFETY: reading has no effect, and so has the fault.
            unsafe {
                asm!(
                    "lea {first}, [rip + 2f]",
                    "lea r11, [rip + 3f]",
                    "2: mov rax, dr4",
                    "3: lea {second}, [rip + 2f]",
                    "lea r11, [rip + 3f]",
                    "2: mov rax, dr5",
                    "3:",
                    first = out(reg) first,
                    second = out(reg) second,
                    out("rax") _,
                    out("r11") _,
                );
            }
            [first, second]
        })
    });
    let expected = [first, second].map(|at| Brief::exception(vector::INVALID_OPCODE, at, 0));
    verdict::events_but_rf(&events, &expected)
}
