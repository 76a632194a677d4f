//! Makes code and constants read-only, and one page unmapped.
//!
//! Page 0 stays mapped: a write through a null pointer does not fault here, which is what
//! a null guard in a debug register is for.

use core::arch::asm;
use core::ops::Range;

/// One of the two tables of 4 KiB entries that [`boot`](crate::boot) filled.
const ENTRIES: usize = 1024;
/// Which of the entries of 2 MiB [`show`] uses: the last one, which maps no memory of ours.
const SHOWN: usize = 511;
/// It is in the third page of `page_tables`.
const LARGE_TABLE: usize = 2;
const LARGE_PAGE: u64 = 2 << 20;

/// They are the fourth and fifth page of `page_tables`.
const FIRST_TABLE: usize = 3;

const PAGE: usize = 4096;
const PRESENT: u64 = 1 << 0;
const WRITABLE: u64 = 1 << 1;
const NOT_CACHED: u64 = 1 << 4;
const LARGE: u64 = 1 << 7;

unsafe extern "C" {
    // From the linker script and boot.rs; only their addresses mean anything.
    static mut page_tables: [[u64; 512]; 5];
    static text_start: u8;
    static stub_code_start: u8;
    static stub_code_end: u8;
    static rodata_end: u8;
    static unmapped_page: u8;
}

/// Where the linker script has put the code of the stub.
pub fn stub_code() -> Range<usize> {
    &raw const stub_code_start as usize..&raw const stub_code_end as usize
}

/// The address of the one page below 1 GiB that is not mapped.
pub fn unmapped() -> usize {
    &raw const unmapped_page as usize
}

/// Maps a second view of the 2 MiB around a physical address, and gives the linear address of
/// it there: for devices above the first GiB, and for aliases. Ends the view before it.
///
/// # Safety
///
/// What is written there is written where `physical` is, whatever Rust knows about that place.
pub unsafe fn show(physical: u64) -> usize {
    let entry = (&raw mut page_tables).cast::<u64>().wrapping_add(LARGE_TABLE * 512 + SHOWN);
    let start = physical & !(LARGE_PAGE - 1);
    // SAFETY: the entry is inside its table, and what it has mapped so far holds nothing of
    // the image's.
    unsafe { entry.write_volatile(start | LARGE | NOT_CACHED | WRITABLE | PRESENT) };
    let linear = SHOWN * LARGE_PAGE as usize;
    // SAFETY: drops the old translation, which nobody uses any more.
    unsafe { asm!("invlpg [{}]", in(reg) linear, options(nostack, preserves_flags)) };
    linear + (physical - start) as usize
}

pub(crate) fn protect_image() {
    let code = &raw const text_start as usize..&raw const rodata_end as usize;
    for page in code.step_by(PAGE) {
        clear(page, WRITABLE);
    }
    clear(unmapped(), PRESENT);
    // SAFETY: CR3 keeps its value; writing it drops the old translations. Everything that
    // runs or is written from here on stays mapped as it needs to be.
    unsafe { asm!("mov {0}, cr3", "mov cr3, {0}", out(reg) _, options(nostack, preserves_flags)) };
}

/// Clears `bits` in the entry that maps `address`.
fn clear(address: usize, bits: u64) {
    let index = address / PAGE;
    assert!(index < ENTRIES, "only the first 4 MiB have 4 KiB pages");
    let entry = (&raw mut page_tables).cast::<u64>().wrapping_add(FIRST_TABLE * 512 + index);
    // SAFETY: the index is inside the two tables, which nothing else touches after boot;
    // the processor only reads them.
    let old = unsafe { entry.read_volatile() };
    // SAFETY: as above.
    unsafe { entry.write_volatile(old & !bits) };
}
