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
//! are for landing only: the frame moves at once to the stub's one working stack, below
//! whatever is on it already, by the saved RSP. From then until `iretq` any exception may nest.
//! Before, none may build a frame: the saved RSP would be one of a landing stack and say
//! nothing about the working one. So an NMI in this section leaves a mark and returns, and
//! the exception that it interrupted takes the mark along. What remains is #DB, which an
//! emulator alone delivers there: at the very first instruction of the handler, for a step
//! onto a watchpoint (QEMU; [`DebugStack`](crate::area::DebugStack) is for that), or as a
//! false hit on the way in.
//!
//! ```text
//!  vector ▸ push registers ▸ plain flags ▸ move frame ▸ FXSAVE ▸ DR7 off ▸ tetrarch_exception
//!                                     IRETQ ◂ pop registers ◂ DR7 on ◂ FXRSTOR ◂┘
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
//! In the handler they nest like everything else, and leave a note there; on the way in or
//! out they leave the mark.

mod section;

use core::arch::global_asm;
use core::mem::offset_of;

use tetrarch::dr::Dr7;

use crate::area::{NMI_NOTED, WORKING_STACK, WORKING_STACK_SIZE};
use crate::dispatch;
use crate::frame::{FPU_SAVED, Frame, flag, vector};
use crate::own_code;

pub(crate) use section::{is_ours, section, way_in};
pub use section::{serial_entry, vector_entry};

/// The distance from one vector's entry to the next.
const ENTRY_SIZE: usize = 16;
/// Vectors for which the processor pushes an error code (Intel SDM vol. 3, table 7-1, and
/// AMD's #VC and #SX).
const WITH_ERROR_CODE: u32 = 1 << 8 | 0b1_1111 << 10 | 1 << 17 | 1 << 21 | 1 << 29 | 1 << 30;
/// Bytes of the frame that move: all but the FXSAVE image.
const WORDS_SIZE: usize = Frame::WORDS * 8;
/// Where in them some are.
const VECTOR: usize = offset_of!(Frame, vector) - offset_of!(Frame, r15);
const INSTRUCTION_POINTER: usize = offset_of!(Frame, rip) - offset_of!(Frame, r15);
const STACK_POINTER: usize = offset_of!(Frame, rsp) - offset_of!(Frame, r15);
/// Code that keeps data below its stack pointer keeps at most this much there.
const RED_ZONE: usize = 128;
/// CR0.EM and CR0.TS.
const EMULATION: u32 = 1 << 2;
const TASK_SWITCHED: u32 = 1 << 3;
/// CR0.WP. MOV to CR0 keeps the upper half zero, as it must be.
const WRITE_PROTECT: u32 = 1 << 16;
/// The enable bits of DR7, and GD.
const ARMED: u32 = 0x20FF;

global_asm!(
    r#"
    .pushsection .text.tetrarch_entry, "ax"
    .balign {entry_size}
    .global tetrarch_entry_start
    tetrarch_entry_start:
    .set tetrarch_vector, 0
    .rept {count}
    .balign {entry_size}
        .if (({with_error_code} >> tetrarch_vector) & 1) == 0
        push 0
        .endif
        push tetrarch_vector
        jmp 2f
    .set tetrarch_vector, tetrarch_vector + 1
    .endr
    .balign {entry_size}
    .global tetrarch_entry_serial
    tetrarch_entry_serial:
        push 0
        push {serial}

    2:  push rax
        push rbx
        push rcx
        push rdx
        push rsi
        push rdi
        push rbp
        push r8
        push r9
        push r10
        push r11
        push r12
        push r13
        push r14
        push r15
        push {flags}
        popfq

        cmp qword ptr [rsp + {vector}], {nmi}
        jne 15f
        lea rbx, [rip + tetrarch_entry_start]
        lea rcx, [rip + tetrarch_entry_end]
        sub rcx, rbx
        mov rax, [rsp + {instruction_pointer}]
        sub rax, rbx
        cmp rax, rcx
        jae 15f
        mov byte ptr [rip + {nmi_noted}], 1     # an NMI in here: a frame may be on its way
        jmp 11f

    15: lea rcx, [rip + {stack}]
        cmp qword ptr [rsp + {vector}], {breakpoint}
        jne 14f
        mov rax, [rsp + {stack_pointer}]    # an INT3 in the stub itself?
        sub rax, rcx
        cmp rax, {stack_size}
        jae 14f
        mov rdi, [rsp + {instruction_pointer}]
        dec rdi
        lea rsi, [rip + {patches}]
        mov edx, {patch_count}
    12: cmp [rsi], rdi
        je 13f
        add rsi, {patch_size}
        dec edx
        jnz 12b
        jmp 14f
    13: mov qword ptr [rsi], 0          # a patch: put the original back, and go on there
        mov dl, [rsi + {patch_original}]
        mov rax, cr0
        mov rbx, rax
        and eax, {without_write_protection}
        mov cr0, rax
        mov [rdi], dl
        mov cr0, rbx
        mov [rsp + {instruction_pointer}], rdi
        jmp 11f

    14: mov rsi, rsp                    # already on the working stack?
        mov rax, rsi
        sub rax, rcx
        cmp rax, {stack_size}
        jb 5f
        mov rdi, [rsi + {stack_pointer}]
        mov rax, rdi                    # no: was it in use when this came?
        sub rax, rcx
        cmp rax, {stack_size}
        jae 3f
        sub rdi, {red_zone}             # then go on below
        jmp 4f
    3:  lea rdi, [rcx + {stack_size}]   # else at its top
    4:  sub rdi, {words_size}
        and rdi, -16
        mov rbx, rdi
        mov ecx, {words}
        rep movsq
        mov rsp, rbx

    5:  sub rsp, 512
        mov qword ptr [rsp + {fpu_saved}], 0
        mov rax, cr0
        test eax, {emulation}
        jnz 7f
        test eax, {task_switched}
        jz 6f
        clts
    6:  fxsave64 [rsp]
        mov qword ptr [rsp + {fpu_saved}], 1
        test eax, {task_switched}
        jz 7f
        mov cr0, rax

    7:  mov rsi, dr7
        mov ebx, esi                    # rbx: what DR7 holds while the handler runs
        test esi, {armed}
        jz 8f
        mov ebx, {off}
        mov dr7, rbx
    .global tetrarch_entry_disarmed
    tetrarch_entry_disarmed:
    8:  mov rdi, rsp
        call {exception}
        mov r12d, eax

        cmp qword ptr [rsp + {fpu_saved}], 0
        je 10f
        mov rax, cr0
        test eax, {emulation}
        jnz 10f
        test eax, {task_switched}
        jz 9f
        clts
    9:  fxrstor64 [rsp]
        test eax, {task_switched}
        jz 10f
        mov cr0, rax

    10: add rsp, 512
        cmp r12d, ebx
        je 11f
        mov dr7, r12
    11: pop r15
        pop r14
        pop r13
        pop r12
        pop r11
        pop r10
        pop r9
        pop r8
        pop rbp
        pop rdi
        pop rsi
        pop rdx
        pop rcx
        pop rbx
        pop rax
        add rsp, 16
        iretq
    .global tetrarch_entry_end
    tetrarch_entry_end:
    .popsection
    "#,
    entry_size = const ENTRY_SIZE,
    count = const vector::COUNT,
    with_error_code = const WITH_ERROR_CODE,
    serial = const vector::SERIAL,
    flags = const flag::FIXED,
    stack = sym WORKING_STACK,
    stack_size = const WORKING_STACK_SIZE,
    stack_pointer = const STACK_POINTER,
    instruction_pointer = const INSTRUCTION_POINTER,
    vector = const VECTOR,
    breakpoint = const vector::BREAKPOINT,
    nmi = const vector::NMI,
    nmi_noted = sym NMI_NOTED,
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
extern "C" fn tetrarch_exception(frame: *mut Frame, live: u32) -> u32 {
    // SAFETY: the assembly passes the address of the frame that it has just built, on a stack
    // that nobody else uses until this function returns.
    let frame = unsafe { &mut *frame };
    dispatch::from_entry(frame, Dr7::from_bits(live)).bits()
}
