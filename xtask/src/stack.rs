//! How deep the stacks get, measured in a session that uses everything.
//!
//! Not computed: the library is called through function pointers (handlers, monitor
//! commands) and formats text through trait objects, so a call graph would be a guess. The
//! stacks are zeroed when the image boots and nothing clears them afterwards. The deepest
//! byte that is not zero marks how far the stack has been used, less the zeros that the
//! deepest function may have left there.

use anyhow::Result;
use object::ObjectSymbol;
use tetrarch_tests::conversation::Echo;
use tetrarch_tests::{Boot, Gdb, Image, Qemu};

use crate::size::symbol;

/// Both stacks that the library runs on.
pub struct Stacks {
    /// The stub's own, in exceptions.
    pub stub: Use,
    /// The firmware's, for claims.
    pub image: Use,
}

/// Bytes used, of how many.
#[derive(Clone, Copy)]
pub struct Use {
    pub used: usize,
    pub size: u64,
}

/// What comes first in the memory of a CPU, when the library is optimised (`area.rs`).
const WORKING_STACK: u64 = 32 << 10;

/// Boots the image, keeps the stub busy, and looks.
pub fn measure(image: &Image, elf: &object::File) -> Result<Stacks> {
    let watched = symbol(elf, "timer_ticks")?.address();
    let stub = symbol(elf, "tetrarch_x86::area::BOOT_MEMORY")?.address();
    let bottom = symbol(elf, "stack_bottom")?.address();
    let top = symbol(elf, "stack_top")?.address();

    let mut qemu = Boot::image(image.clone()).start()?;
    keep_busy(&qemu, watched)?;
    Ok(Stacks {
        stub: used(&mut qemu, stub, WORKING_STACK)?,
        image: used(&mut qemu, bottom, top - bottom)?,
    })
}

/// Every kind of packet that gdb sends, refusals included. `watched` is the address of a
/// variable that changes by itself.
fn keep_busy(qemu: &Qemu, watched: u64) -> Result<()> {
    let mut gdb = Gdb::start(qemu.image(), Echo::Silent)?;
    gdb.attach(qemu)?;
    for command in [
        "info registers all",
        "set variable $rax = $rax",
        "monitor help",
        &format!("watch *({watched} as *mut u64)"),
        "continue",
        "continue",
        "monitor dr",
        "stepi 20",
        "next",
        "delete",
        &format!("awatch *({} as *mut [u8; 40])", watched + 3),
        "continue",
        "monitor why",
        "delete",
        "tbreak *$pc",
        "thbreak *$pc",
        "x/2000xb $sp",
        "x/4xb 0x800000000000",
        &format!("set variable *({watched} as *mut u64) = 1"),
        "maintenance packet Z9,0,8",
        "maintenance packet vCont;x",
    ] {
        gdb.command(command)?;
    }
    gdb.resume()?;
    gdb.interrupt()?;
    gdb.command("detach")?;
    Ok(())
}

fn used(qemu: &mut Qemu, bottom: u64, size: u64) -> Result<Use> {
    let bytes = qemu.monitor().memory(bottom, usize::try_from(size)?)?;
    let untouched = bytes.iter().take_while(|byte| **byte == 0).count();
    Ok(Use { used: bytes.len() - untouched, size })
}
