//! What the demo does wrong when it is told to.

use core::arch::asm;

use examples::paging;

use crate::guards;

/// Obeys an order from `provoke`: 1 writes through a null pointer, 2 writes the guarded
/// table, 3 panics, 4 touches a page that is not mapped. 0 is no order.
pub fn obey(order: u32) {
    match order {
        0 => {}
        1 => write_through_null(),
        2 => write_config(),
        3 => panic!("provoked"),
        4 => touch_unmapped_page(),
        other => defmt::warn!("provoke: no such order: {=u32}", other),
    }
}

#[unsafe(no_mangle)]
#[inline(never)]
fn write_through_null() {
    // SAFETY: wrong on purpose. Page 0 is mapped and nothing lives there; in assembly,
    // because the compiler may replace a null write by a trap.
    unsafe { asm!("mov dword ptr [{}], 0x0BAD", in(reg) 0_usize, options(nostack, preserves_flags)) };
}

#[unsafe(no_mangle)]
#[inline(never)]
fn write_config() {
    // SAFETY: one CPU; nobody holds a reference to the table.
    unsafe { guards::config += 1 };
}

#[unsafe(no_mangle)]
#[inline(never)]
fn touch_unmapped_page() {
    // SAFETY: wrong on purpose: the page fault is the effect that was asked for.
    unsafe {
        asm!("mov {0}, qword ptr [{0}]", inout(reg) paging::unmapped() => _, options(nostack, preserves_flags));
    }
}
