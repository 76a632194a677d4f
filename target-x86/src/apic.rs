//! The local APIC, for one thing: to send an NMI to another CPU.
//!
//! In xAPIC mode the command register is two words of memory, the upper one with the number of
//! the CPU that is meant; writing the lower one sends. In x2APIC mode it is one model-specific
//! register (Intel SDM vol. 3, 11.6.1 and 11.12.9). IA32_APIC_BASE says which mode it is, and
//! where the memory is: it has to be mapped there, uncached, in every address space that the
//! library may be entered in. If it is not, nothing is sent, and the CPU will not respond.
//!
//! The firmware may have been interrupted between its own two writes. So the upper word is put
//! back.

use core::arch::x86_64::{_mm_lfence, _mm_mfence};

use crate::memory::guarded::{
    tetrarch_load_word, tetrarch_mov_to_control, tetrarch_store_word, tetrarch_wrmsr,
};
use crate::registers::processor::{cr2, read_msr};

const APIC_BASE: u32 = 0x1B;
const X2APIC_MODE: u64 = 1 << 10;
const ADDRESS: u64 = 0x000F_FFFF_FFFF_F000;

/// Offsets in xAPIC mode.
const COMMAND_LOW: usize = 0x300;
const COMMAND_HIGH: usize = 0x310;
/// Of the lower word: the last command has not been accepted yet.
const PENDING: u32 = 1 << 12;
/// How often it is looked at.
const PATIENCE: u32 = 100_000;

const X2APIC_COMMAND: u32 = 0x830;

/// Delivery mode NMI, level "assert", to the CPU that is named.
const NMI: u32 = 0b100 << 8 | 1 << 14;

/// Sends an NMI to the CPU with this number of its local APIC. Supervisor mode only.
pub(crate) fn send_nmi(apic: u32) {
    let Ok(base) = read_msr(APIC_BASE) else { return };
    if base & X2APIC_MODE != 0 {
        // MFENCE and LFENCE together keep WRMSR behind earlier stores (11.12.3): the CPU must find
        // that it was called.
        // SAFETY: a fence has no other effect; every 64-bit processor has them.
        unsafe { _mm_mfence() };
        // SAFETY: as above.
        unsafe { _mm_lfence() };
        // SAFETY: the command is a valid one, and an NMI is what the caller wants.
        unsafe { tetrarch_wrmsr(X2APIC_COMMAND, u64::from(apic) << 32 | u64::from(NMI)) };
        return;
    }
    let base = (base & ADDRESS) as usize;
    let Some(high) = until_accepted(base).and_then(|()| load(base + COMMAND_HIGH)) else { return };
    store(base + COMMAND_HIGH, apic << 24);
    store(base + COMMAND_LOW, NMI);
    let _ = until_accepted(base);
    store(base + COMMAND_HIGH, high);
}

/// Waits, but not for ever, until the last command has been sent. `None` if nothing is mapped.
fn until_accepted(base: usize) -> Option<()> {
    for _ in 0..PATIENCE {
        if load(base + COMMAND_LOW)? & PENDING == 0 {
            break;
        }
        core::hint::spin_loop();
    }
    Some(())
}

/// Registers of the APIC must be accessed as whole words.
fn load(address: usize) -> Option<u32> {
    let page_fault_address = cr2();
    let mut value = 0;
    // SAFETY: the address is that of a register of the local APIC whose reading has no effect, by
    // its own word, or not mapped.
    if unsafe { tetrarch_load_word(address, &raw mut value) } == 0 {
        // SAFETY: CR2 is the firmware's, and this is what it held.
        unsafe { tetrarch_mov_to_control(2, page_fault_address) };
        return None;
    }
    Some(value)
}

fn store(address: usize, value: u32) {
    // SAFETY: the address is that of a register of the local APIC, by its own word, or not
    // mapped.
    unsafe { tetrarch_store_word(address, value) };
}
