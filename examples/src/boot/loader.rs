//! What the loader tells the image: its command line.
//!
//! QEMU passes a `start_info` block with a pointer to it (PVH). GRUB passes a list of tags,
//! one of which holds it (<https://www.gnu.org/software/grub/manual/multiboot2/multiboot.html>,
//! 3.6). Either lies in memory that nobody reserved, so it is copied before anything else.

use crate::arguments::Arguments;

/// What a multiboot2 loader leaves in EAX.
pub(super) const MULTIBOOT_MAGIC: u32 = 0x36D7_6289;

/// A `start_info` block begins with this: "xEn3", with the high bit of the "E" set. The PVH
/// entry point puts it where a multiboot2 loader puts its own.
pub(super) const START_INFO_MAGIC: u32 = 0x336E_C578;

/// What a PVH loader tells; the fields that are used, at their offsets.
#[repr(C)]
struct StartInfo {
    magic: u32,
    version: u32,
    flags: u32,
    module_count: u32,
    module_list: u64,
    command_line: u64,
}

/// The start of each tag of a multiboot2 loader's.
#[repr(C)]
struct Tag {
    kind: u32,
    /// In bytes, with this header and without what aligns the next tag to 8.
    size: u32,
}

impl Tag {
    const END: u32 = 0;
    const COMMAND_LINE: u32 = 1;
}

/// The command line that came with `magic`.
///
/// # Safety
///
/// `info` is what the loader passed beside `magic`, and still as it left it.
pub(super) unsafe fn arguments(magic: u32, info: *const u8) -> Arguments {
    let command_line = match magic {
        // SAFETY: the caller's promise; a wrong pointer would give a wrong magic number.
        START_INFO_MAGIC => unsafe { start_info(info.cast()) },
        // SAFETY: the caller's promise.
        MULTIBOOT_MAGIC => unsafe { multiboot(info) },
        other => panic!("started by an unknown loader: {other:#x}"),
    };
    // SAFETY: the loader promises a string that ends in a zero byte; a wrong address would
    // give nonsense for options.
    unsafe { Arguments::copied_from(command_line) }
}

/// # Safety
///
/// `info` is a PVH loader's.
unsafe fn start_info(info: *const StartInfo) -> *const u8 {
    // SAFETY: the caller's promise; the block lies in mapped memory.
    let info = unsafe { info.read_unaligned() };
    assert_eq!(info.magic, START_INFO_MAGIC, "the loader passed something else");
    info.command_line as *const u8
}

/// # Safety
///
/// `info` is a multiboot2 loader's.
unsafe fn multiboot(info: *const u8) -> *const u8 {
    // Its own size and a reserved word come first.
    let mut at = info.wrapping_add(size_of::<Tag>());
    loop {
        // SAFETY: the caller's promise: tags follow each other up to the one that ends them.
        let tag = unsafe { at.cast::<Tag>().read_unaligned() };
        match tag.kind {
            Tag::END => return core::ptr::null(),
            Tag::COMMAND_LINE => return at.wrapping_add(size_of::<Tag>()),
            _ => at = at.wrapping_add((tag.size as usize).next_multiple_of(8)),
        }
    }
}
