//! The local APIC: who this processor is, and the messages that start another one.
//!
//! Each processor has one (Intel SDM vol. 3, 11.4), in one of two modes that IA32_APIC_BASE
//! tells apart:
//!
//! * **xAPIC**: 32-bit registers in memory, 16 bytes apart, at the same address on every
//!   processor, though each sees its own. They must not be cached. The interrupt command
//!   register (ICR) is two of them; writing the lower one sends, and the next message may be
//!   written only when this one has left.
//! * **x2APIC**: the same registers as MSRs, one number apart. The ICR is one of 64 bits, and
//!   does not wait; but WRMSR may overtake the stores before it, which the receiver shall see.
//!
//! A processor that is reset by INIT keeps its mode, and has to be enabled again. NMI, INIT and
//! SIPI reach it before that. The two halves of the xAPIC's ICR are not protected against a
//! handler that sends between them: the handlers of these images do not, and whoever sends
//! from an NMI must put the upper half back.

use core::arch::x86_64::{__cpuid, _mm_lfence, _mm_mfence};
use core::sync::atomic::{Ordering, fence};

use x86::apic::DeliveryMode;
use x86::apic::xapic::{
    XAPIC_ICR0, XAPIC_ICR1, XAPIC_ID, XAPIC_LVT_LINT0, XAPIC_LVT_LINT1, XAPIC_SVR,
};
use x86::msr::{IA32_APIC_BASE, IA32_X2APIC_ICR, rdmsr, wrmsr};

use crate::{interrupts, paging};

/// Where the xAPIC is after reset, and where every firmware leaves it.
const BASE: usize = 0xFEE0_0000;
/// The MSR of the x2APIC's register that would be at offset 0.
const FIRST_MSR: u32 = 0x800;

/// IA32_APIC_BASE: this is the processor that booted.
const BOOT_PROCESSOR: u64 = 1 << 8;
/// IA32_APIC_BASE: x2APIC, if the next bit is set as well.
const X2APIC: u64 = 1 << 10;
/// IA32_APIC_BASE: there is a local APIC at all.
const PRESENT: u64 = 1 << 11;

/// SVR: enabled.
const ENABLED: u32 = 1 << 8;
/// LVT: the line carries what the 8259 has to say.
const EXTERNAL: u32 = 0b111 << 8;
/// LVT: the line is the NMI.
const NMI: u32 = 0b100 << 8;

/// Lower half of the ICR: the message has not left yet.
const PENDING: u32 = 1 << 12;
/// Lower half of the ICR: what all messages but one of the 1990s have set.
const ASSERT: u32 = 1 << 14;

/// The local APIC's id of the processor that executes the call.
pub fn id() -> u32 {
    if is_x2apic() { read(XAPIC_ID) } else { read(XAPIC_ID) >> 24 }
}

/// Whether it is in x2APIC mode.
pub fn is_x2apic() -> bool {
    // SAFETY: every 64-bit processor has the register, and reading has no effect.
    unsafe { rdmsr(IA32_APIC_BASE) & X2APIC != 0 }
}

/// Enables it, in the mode that it is in.
pub fn enable() {
    let was_enabled = read(XAPIC_SVR) & ENABLED != 0;
    write(XAPIC_SVR, ENABLED | u32::from(interrupts::APIC_SPURIOUS_VECTOR));
    // SAFETY: as in `is_x2apic`.
    let is_boot_processor = unsafe { rdmsr(IA32_APIC_BASE) } & BOOT_PROCESSOR != 0;
    if is_boot_processor && !was_enabled {
        // Enabled with both lines masked, it would keep the 8259's interrupts, which went
        // through before, from the processor.
        write(XAPIC_LVT_LINT0, EXTERNAL);
        write(XAPIC_LVT_LINT1, NMI);
    }
}

/// Puts it into x2APIC mode, which only a reset of the machine ends, and enables it. False, and
/// nothing happens, where there is no such mode.
pub fn enable_x2apic() -> bool {
    const EXISTS: u32 = 1 << 21;
    if __cpuid(1).ecx & EXISTS == 0 {
        return false;
    }
    // SAFETY: as in `is_x2apic`.
    let base = unsafe { rdmsr(IA32_APIC_BASE) };
    // SAFETY: the mode exists, and from either mode this is a valid change; the registers keep
    // their values. Nobody but this module uses them.
    unsafe { wrmsr(IA32_APIC_BASE, base | X2APIC | PRESENT) };
    enable();
    true
}

/// Resets a processor: it then waits for [`send_startup`].
///
/// # Safety
///
/// What the processor was doing is never continued: it must hold nothing that is waited for,
/// and nobody may rely on what is on its stack. It is not this processor.
pub unsafe fn send_init(apic_id: u32) {
    send(apic_id, DeliveryMode::Init, 0);
}

/// Makes a processor that waits for it begin in real mode at the start of a page below 1 MiB.
/// Others ignore it.
///
/// # Safety
///
/// The page, of 4 KiB, holds code that may run there.
pub unsafe fn send_startup(apic_id: u32, page: u8) {
    send(apic_id, DeliveryMode::StartUp, page);
}

/// Interrupts a processor by an NMI; it may be the one that executes the call.
///
/// # Safety
///
/// The processor's IDT has a handler for it.
pub unsafe fn send_nmi(apic_id: u32) {
    send(apic_id, DeliveryMode::NMI, 0);
}

fn send(apic_id: u32, mode: DeliveryMode, vector: u8) {
    let command = ASSERT | (mode as u32) << 8 | u32::from(vector);
    // What the receiver shall find in memory is written before.
    fence(Ordering::SeqCst);
    if is_x2apic() {
        // MFENCE and LFENCE together keep WRMSR behind earlier stores (SDM 11.12.3).
        // SAFETY: a fence has no other effect; every 64-bit processor has them.
        unsafe { _mm_mfence() };
        // SAFETY: as above.
        unsafe { _mm_lfence() };
        // SAFETY: this mode has the register; the callers vouch for the message.
        unsafe { wrmsr(IA32_X2APIC_ICR, u64::from(apic_id) << 32 | u64::from(command)) };
        return;
    }
    wait_until_sent();
    write(XAPIC_ICR1, apic_id << 24);
    write(XAPIC_ICR0, command);
    wait_until_sent();
}

fn wait_until_sent() {
    while read(XAPIC_ICR0) & PENDING != 0 {
        core::hint::spin_loop();
    }
}

fn read(offset: u32) -> u32 {
    if is_x2apic() {
        // SAFETY: this mode has the register, and reading it has no effect.
        return unsafe { rdmsr(number(offset)) } as u32;
    }
    let register = register(offset);
    // SAFETY: it is mapped, and reading it has no effect.
    unsafe { register.read_volatile() }
}

fn write(offset: u32, value: u32) {
    if is_x2apic() {
        // SAFETY: this mode has the register; the callers know what they set.
        unsafe { wrmsr(number(offset), u64::from(value)) };
        return;
    }
    let register = register(offset);
    // SAFETY: it is mapped; the callers know what they set.
    unsafe { register.write_volatile(value) };
}

fn number(offset: u32) -> u32 {
    FIRST_MSR + offset / 16
}

fn register(offset: u32) -> *mut u32 {
    paging::map_device(BASE);
    (BASE + offset as usize) as *mut u32
}
