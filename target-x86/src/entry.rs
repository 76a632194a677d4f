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
    r#"
    .macro tetrarch_load
        .set tetrarch_offset, 0
        .irp register, r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax
        mov \register, [rsp + tetrarch_offset]
        .set tetrarch_offset, tetrarch_offset + 8
        .endr
    .endm

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

    2:  .irp register, rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15
        push \register
        .endr
        push {flags}
        popfq

        mov r13, [rip + {only}]             # r13, rcx: this CPU's memory
        test r13, r13
        jnz 16f
        mov eax, 1
        cpuid
        shr ebx, 24
        lea rax, [rip + {memories}]
        mov r13, [rax + 8 * rbx]
        test r13, r13
        jz 22f
    16: mov rcx, r13

        cmp qword ptr [rsp + {vector}], {nmi}
        jne 15f
        lea rbx, [rip + tetrarch_entry_start]
        lea rdx, [rip + tetrarch_entry_end]
        sub rdx, rbx
        mov rax, [rsp + {instruction_pointer}]
        mov rsi, rax
        sub rsi, rbx
        cmp rsi, rdx
        jae 15f
        lea rbx, [rip + 21f]
        cmp rax, rbx
        je 18f
        lea rbx, [rip + 27f]
        cmp rax, rbx
        je 11f
        lea rbx, [rip + 28f]
        cmp rax, rbx
        je 24f
        lea rbx, [rip + 19f]
        cmp rax, rbx
        jae 17f
        mov byte ptr [rcx + {nmi_noted}], 1     # an NMI on the way in: a frame may be moving
        jmp 25f
    17: mov rsp, [rsp + {stack_pointer}]        # on the way out: that exception's frame is ours
        mov qword ptr [rsp + {vector}], {nmi}
        jmp 15f
    18: mov rsi, [rsp + {stack_pointer}]        # at the very end: but for these, so are we it
        lea rdi, [rsp + {instruction_pointer}]
        mov ecx, 5
        rep movsq
        mov rcx, r13
        jmp 15f
    11: mov rsi, [rsp + {stack_pointer}]        # at the end of the other way out: likewise
        mov rdi, [rsi]
        mov [rsp + {rflags}], rdi
        add qword ptr [rsp + {stack_pointer}], 8
    24: mov rsi, [rsp + {stack_pointer}]
        lea rdi, [rsp + {instruction_pointer}]
        movsq
        movsq
        mov [rsp + {stack_pointer}], rsi

    15: cmp qword ptr [rsp + {vector}], {breakpoint}
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
    13: mov dl, [rsi + {patch_original}] # a patch: put the original back, and go on there
        mov rax, cr0
        mov rbx, rax
        and eax, {without_write_protection}
        mov cr0, rax
        mov [rdi], dl
        mov cr0, rbx
        mov qword ptr [rsi], 0
        mov [rsp + {instruction_pointer}], rdi
        jmp 19f

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
        mov rdx, r13
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
        je 19f
        mov dr7, r12
    19: cmp byte ptr [r13 + {nmi_noted}], 0     # from here on an NMI finds the frame complete
        je 25f
        cmp byte ptr [r13 + {called}], 0        # back to the stub? then it is for that to look
        jne 25f
        mov rax, [rsp + {stack_pointer}]
        sub rax, r13
        cmp rax, {stack_size}
        jb 25f
        lea rdi, [rip + tetrarch_entry_start]
        lea rsi, [rip + tetrarch_entry_end]
        sub rsi, rdi
        mov rax, [rsp + {instruction_pointer}]
        sub rax, rdi
        cmp rax, rsi
        jb 25f
        mov qword ptr [rsp + {vector}], {nmi}   # one came before: it is served as if it came now
        mov rcx, r13
        jmp 15b
    25: cmp qword ptr [rsp + {vector}], {image_nmi}
        je 26f
        tetrarch_load
        lea rsp, [rsp + {instruction_pointer}]
    21: iretq

    26: tetrarch_load
        mov rsp, [rsp + {error}]        # flags, RIP and CS, below what the handler finds
    27: popfq
    28: retfq

    22: cmp qword ptr [rsp + {vector}], {nmi}   # a CPU that was not started
        je 25b
    23: cli
        hlt
        jmp 23b
    .global tetrarch_entry_end
    tetrarch_entry_end:
    .popsection
    "#,
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
