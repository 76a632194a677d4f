//! Makes code and constants read-only, and one page unmapped; maps devices.
//!
//! Page 0 stays mapped: a write through a null pointer does not fault here, which is what
//! a null guard in a debug register is for.

use core::arch::asm;
use core::ops::Range;
use core::sync::atomic::{AtomicU64, Ordering};

/// One of the two tables of 4 KiB entries that [`boot`](crate::boot) filled.
const ENTRIES: usize = 1024;
/// Which of the entries of 2 MiB [`show`] uses: the last one, which maps no memory of ours.
const SHOWN: usize = 511;
/// It is in the third page of `page_tables`.
const LARGE_TABLE: usize = 2;
const LARGE_PAGE: u64 = 2 << 20;

/// They are the fourth and fifth page of `page_tables`.
const FIRST_TABLE: usize = 3;

/// The second page of `page_tables` has an entry for each GiB; this one is the fourth's.
const FOURTH_GIB: usize = 512 + 3;
const GIB: usize = 1 << 30;

/// Entries of 2 MiB for the fourth GiB, where devices have their registers. Several processors
/// may map the same device at once: they write the same value.
static DEVICES: Table = Table([const { AtomicU64::new(0) }; 512]);

#[repr(C, align(4096))]
struct Table([AtomicU64; 512]);

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

/// Maps the page of 2 MiB with the registers of a device to itself, uncached, for good, and on
/// all processors: they share the tables. `physical` is in the fourth GiB, which holds nothing
/// but devices at its end, so that one page does not mix kinds of memory.
pub fn map_device(physical: usize) {
    assert_eq!(physical / GIB, 3, "devices are mapped in the fourth GiB only");
    let start = (physical as u64) & !(LARGE_PAGE - 1);
    let entry = &DEVICES.0[physical % GIB / LARGE_PAGE as usize];
    if entry.load(Ordering::Relaxed) != 0 {
        return;
    }
    let table = (&raw mut page_tables).cast::<u64>().wrapping_add(FOURTH_GIB);
    // SAFETY: the entry is inside its table, and nothing but this line writes it. What was not
    // present before needs no INVLPG.
    unsafe { table.write_volatile(&raw const DEVICES as u64 | WRITABLE | PRESENT) };
    entry.store(start | LARGE | NOT_CACHED | WRITABLE | PRESENT, Ordering::Release);
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
