//! Exception entry and exit; with [`debug_regs`](crate::debug_regs) the only assembly on the
//! path of a hit.
//!
//! **Whoever runs here runs with breakpoints armed**, until DR7 is off and after it is on
//! again: a hit in between would come back here, for ever. So everything between the two
//! ends is assembly in one section, [`section`], which is protected against breakpoints,
//! and all the memory it touches is protected against watchpoints. Rust code is called with
//! DR7 off, and DR7 is written last, with the value that the handler returned. (Where the
//! firmware's own handler calls, [`dispatch`] turns DR7 off instead, in Rust.)
//!
//! **Landing stacks.** An interrupt stack (IST) always starts at the same address, so a
//! second exception of the same vector overwrites the frame of the first. Here those stacks
//! are for landing only: the frame moves at once to the CPU's one working stack, below
//! whatever is on it already, by the saved RSP. From then until the way out any exception may
//! nest. Before, none may build a frame: the saved RSP would be one of a landing stack and say
//! nothing about the working one. So an NMI on the way in leaves a mark and returns. What remains
//! is #DB, which an emulator alone delivers there: at the very first instruction of the handler,
//! for a step onto a watchpoint (QEMU; [`DebugStack`](crate::gates::DebugStack) is for that), or
//! as a false hit on the way in.
//!
//! **An NMI may not be missed**: another CPU waits for this one to answer it. The mark is looked
//! at on the way out, when the frame is complete again; if it is there, the exception goes on
//! as an NMI of the context that it interrupted. From that look on, an NMI does the same itself:
//! it drops its own frame and takes the one that was about to be left. The registers are loaded
//! from the frame with RSP where it is, so that the frame is whole until RSP moves, and at the
//! IRETQ after that all registers are the interrupted context's own.
//!
//! ```text
//!  vector ▸ push registers ▸ plain flags ▸ move frame ▸ FXSAVE ▸ DR7 off ▸ tetrarch_exception
//!             IRETQ (or RETF) ◂ load registers ◂ NMI marked? ◂ DR7 on ◂ FXRSTOR ◂┘
//! ```
//!
//! *Plain flags*: IF off (a trap gate leaves it on), DF off as compiled code expects, AC off
//! so that SMAP is not suspended, NT off or `iretq` would be #GP. The frame has the real ones.
//!
//! *CR0.TS* makes FXSAVE raise #NM; it is cleared around it and put back, for kernels that
//! switch the FPU lazily. With CR0.EM there is no FXSAVE, and the image says so.
//!
//! *INT3 in the stub's own code*, while it works: taken away before anything else
//! (see [`own_code`]).
//!
//! *NMI*: an `iretq` of an exception that nested in an NMI handler lets further NMIs in early.
//! In the handler they nest like everything else, and leave a note there. One that is none of the
//! stub's goes on to the image's handler, and by a far return: an IRETQ would let the next one in
//! before that handler has returned, and on an interrupt stack it would overwrite the first one's
//! frame ([`interrupts`](crate::interrupts)).
//!
//! *A CPU that was not started* has no stack to work on: it lets an NMI go and halts otherwise.

mod layout;
mod section;

use core::arch::global_asm;

use tetrarch::dr::Dr7;

use crate::area::{CALLED, CpuMemory, NMI_NOTED, WORKING_STACK_SIZE};
use crate::directory::{MEMORIES, ONLY};
use crate::dispatch;
use crate::frame::{FPU_SAVED, Frame, flag, vector};
use crate::own_code;

use layout::{
    ARMED, EMULATION, ENTRY_SIZE, ERROR, INSTRUCTION_POINTER, RED_ZONE, RFLAGS, STACK_POINTER,
    TASK_SWITCHED, VECTOR, WITH_ERROR_CODE, WORDS_SIZE, WRITE_PROTECT,
};
pub(crate) use section::{is_ours, section, way_in};
pub use section::{serial_entry, vector_entry};

global_asm!(
    include_str!("entry/path.s"),
    entry_size = const ENTRY_SIZE,
    count = const vector::COUNT,
    with_error_code = const WITH_ERROR_CODE,
    serial = const vector::SERIAL,
    flags = const flag::FIXED,
    only = sym ONLY,
    memories = sym MEMORIES,
    stack_size = const WORKING_STACK_SIZE,
    stack_pointer = const STACK_POINTER,
    error = const ERROR,
    instruction_pointer = const INSTRUCTION_POINTER,
    rflags = const RFLAGS,
    vector = const VECTOR,
    breakpoint = const vector::BREAKPOINT,
    nmi = const vector::NMI,
    image_nmi = const vector::IMAGE_NMI,
    nmi_noted = const NMI_NOTED,
    called = const CALLED,
    patches = sym own_code::PATCHES,
    patch_count = const own_code::CAPACITY,
    patch_size = const own_code::PATCH_SIZE,
    patch_original = const own_code::ORIGINAL,
    without_write_protection = const !WRITE_PROTECT,
    red_zone = const RED_ZONE,
    words_size = const WORDS_SIZE,
    words = const Frame::WORDS,
    fpu_saved = const FPU_SAVED,
    emulation = const EMULATION,
    task_switched = const TASK_SWITCHED,
    armed = const ARMED,
    off = const Dr7::OFF.bits(),
    exception = sym tetrarch_exception,
);

/// Called by the assembly, with DR7 off; `live` is what it held. Returns what DR7 shall hold
/// when the context goes on.
extern "C" fn tetrarch_exception(frame: *mut Frame, live: u32, memory: *const CpuMemory) -> u32 {
    // SAFETY: the assembly passes the address of the frame that it has just built, on a stack
    // that nobody else uses until this function returns.
    let frame = unsafe { &mut *frame };
    // SAFETY: it comes from one of the two statics that hold references to statics.
    let memory = unsafe { &*memory };
    dispatch::from_entry(frame, Dr7::from_bits(live), memory).bits()
}
