# Exception entry and exit; what it does, and why so, is in entry.rs, which also says what the names in
# braces stand for.

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
