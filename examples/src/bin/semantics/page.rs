//! Memory to watch: statics on pages of their own, used through addresses only.
//!
//! On pages of their own because QEMU reports accesses near a watched word as hits; where
//! that is the point of a check, the check says so.

use core::cell::UnsafeCell;

/// Bytes of a page.
pub const SIZE: usize = 4096;

/// Two adjacent pages.
#[repr(align(4096))]
pub struct Pages(UnsafeCell<[u8; 2 * SIZE]>);

// SAFETY: nobody has a reference to the bytes; the checks access them in assembly.
unsafe impl Sync for Pages {}

impl Pages {
    const fn new() -> Self {
        Self(UnsafeCell::new([0; 2 * SIZE]))
    }

    /// The address of the byte with this offset.
    pub fn at(&self, offset: usize) -> usize {
        assert!(offset < 2 * SIZE, "outside of the pages");
        self.0.get() as usize + offset
    }
}

/// What most checks watch.
#[unsafe(link_section = ".page.watched")]
pub static WATCHED: Pages = Pages::new();

/// Where a string instruction reads while [`WATCHED`] is written.
#[unsafe(link_section = ".page.other")]
pub static OTHER: Pages = Pages::new();
