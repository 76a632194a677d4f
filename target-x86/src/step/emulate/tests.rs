//! Instructions that are carried out without running.

use super::super::fake::{
    CODE, Fake, GDT, IDT, INTERRUPT_GATE, KERNEL_CODE, KERNEL_DATA, STACK, USER_CODE, USER_DATA,
    frame, gate, state, system,
};
use super::super::system::SyscallTarget;
use super::super::{Begun, begin};
use super::*;

const NEXT: u64 = CODE as u64;
const SYSCALL: SyscallTarget =
    SyscallTarget { star: 0x0008 << 32, entry: 0x7000, mask: flag::INTERRUPT | flag::DIRECTION };

/// Begins a step of `code`, in `context`, and checks that it is armed for the processor, with
/// nothing else changed.
#[track_caller]
fn is_left_to_the_processor(code: &[u8], context: Frame, system: &System, memory: &mut Fake) {
    let untouched = memory.clone();
    let mut stepped = context.clone();
    let begun = begin(&mut stepped, memory, system);
    assert!(matches!(begun, Begun::Armed(_)), "{code:x?}: {begun:?}");
    let rflags = context.rflags & !flag::INTERRUPT | flag::TRAP;
    assert_eq!(state(&stepped), state(&Frame { rflags, ..context }), "{code:x?}");
    assert!(*memory == untouched);
}

fn user() -> Frame {
    Frame { cs: USER_CODE.into(), ss: USER_DATA.into(), ..frame() }
}

#[test]
fn a_halt_completes() {
    for code in [&[0xf4][..], &[0x48, 0xf4], &[0x0f, 0x01, 0xc9], &[0x0f, 0x01, 0xfb]] {
        for own in [0, flag::TRAP, flag::INTERRUPT, flag::TRAP | flag::INTERRUPT] {
            let rflags = flag::FIXED | own;
            let mut stepped = Frame { rflags: rflags | flag::RESUME, ..frame() };
            let begun = begin(&mut stepped, &mut Fake::new(code), &system());
            assert_eq!(begun, Begun::Completed);
            let rip = NEXT + code.len() as u64;
            assert_eq!(state(&stepped), state(&Frame { rip, rflags, ..frame() }), "{code:x?}");
        }
        is_left_to_the_processor(code, user(), &system(), &mut Fake::new(code));
    }
}

#[test]
fn syscall_saves_the_flags_of_before() {
    let system = System { syscall: Some(SYSCALL), ..system() };
    for context in [frame(), user()] {
        for own in [0, flag::TRAP, flag::INTERRUPT, flag::TRAP | flag::INTERRUPT] {
            let rflags = flag::FIXED | flag::DIRECTION | own;
            let mut stepped = Frame { rflags: rflags | flag::RESUME, ..context.clone() };
            let begun = begin(&mut stepped, &mut Fake::new(&[0x0f, 0x05]), &system);
            assert_eq!(begun, Begun::Completed);
            let expected = Frame {
                rcx: NEXT + 2,
                r11: rflags,
                rip: 0x7000,
                rflags: flag::FIXED | own & flag::TRAP,
                cs: KERNEL_CODE.into(),
                ss: KERNEL_DATA.into(),
                ..context.clone()
            };
            assert_eq!(state(&stepped), state(&expected), "{own:x}");
        }
    }
}

#[test]
fn syscall_without_a_target_is_left_to_the_processor() {
    let code = &[0x0f, 0x05];
    is_left_to_the_processor(code, user(), &system(), &mut Fake::new(code));
    // Selectors that the IRET out of the stub would refuse.
    for selector in [0, 0x10, 0x20, 0x38] {
        let target = SyscallTarget { star: selector << 32, ..SYSCALL };
        let system = System { syscall: Some(target), ..system() };
        is_left_to_the_processor(code, user(), &system, &mut Fake::new(code));
    }
    // Descriptors that it would refuse: code of ring 3, absent or 32 bits wide; and a stack
    // that cannot be written, or no descriptor at all for either.
    let system = System { syscall: Some(SYSCALL), ..system() };
    let code_segment = GDT + usize::from(KERNEL_CODE);
    let stack_segment = GDT + usize::from(KERNEL_DATA);
    for (address, byte) in [
        (code_segment + 5, 0xfa),
        (code_segment + 5, 0x1a),
        (code_segment + 6, 0x40),
        (stack_segment + 5, 0x90),
        (code_segment + 5, 0),
        (stack_segment + 5, 0),
    ] {
        let mut memory = Fake::new(code);
        memory.set(address, &[byte]);
        is_left_to_the_processor(code, user(), &system, &mut memory);
    }
}

#[test]
fn int_goes_through_the_gate() {
    for (code, number) in [(&[0xcd, 0x80][..], 0x80), (&[0xcc], 3), (&[0xcd, 0x03], 3)] {
        let mut memory = Fake::new(code);
        memory.set(IDT + 16 * number, &gate(0x7000, KERNEL_CODE, INTERRUPT_GATE, 0));
        let rflags = frame().rflags | flag::RESUME;
        let mut stepped = Frame { rflags, ..frame() };
        assert_eq!(begin(&mut stepped, &mut memory, &system()), Begun::Completed);
        let rsp = STACK as u64 - 40;
        let expected = Frame { rip: 0x7000, rflags: flag::FIXED, rsp, ..frame() };
        assert_eq!(state(&stepped), state(&expected));
        assert_eq!(memory.word(rsp), NEXT + code.len() as u64);
        assert_eq!(memory.word(rsp + 16), frame().rflags, "without RF");
    }
}

#[test]
fn a_breakpoint_instruction_is_reported_if_the_gate_is_the_stubs() {
    let mut memory = Fake::new(&[0xcc]);
    memory.set(IDT + 16 * 3, &gate(0x5030, KERNEL_CODE, INTERRUPT_GATE, 1));
    let untouched = memory.clone();
    let mut stepped = frame();
    let origin = Origin::Software { next: NEXT + 1 };
    let event = Event { vector: 3, error: None, origin };
    assert_eq!(begin(&mut stepped, &mut memory, &system()), Begun::Exception(event));
    assert_eq!(state(&stepped), state(&Frame { rip: NEXT + 1, ..frame() }));
    assert!(memory == untouched);
}

#[test]
fn int_without_any_handler_changes_nothing() {
    let mut memory = Fake::new(&[0xcd, 0x80]);
    let mut stepped = frame();
    let begun = begin(&mut stepped, &mut memory, &system());
    assert!(matches!(begun, Begun::Impossible(Event { vector: 0x80, .. })), "{begun:?}");
    assert_eq!(state(&stepped), state(&frame()));
}

#[test]
fn lidt_is_carried_out_and_reported() {
    // LIDT [rbx + rcx*8 + 8]
    let code = &[0x0f, 0x01, 0x5c, 0xcb, 0x08];
    let mut memory = Fake::new(code);
    let context = Frame { rbx: STACK as u64 - 0x10, rcx: 1, ..frame() };
    memory.set(STACK, &[0xff, 0x01, 0, 0x10, 0, 0, 0, 0x80, 0xff, 0xff]);
    let mut stepped = context.clone();
    let loaded = DescriptorTable { base: 0xffff_8000_0000_1000, limit: 0x1ff };
    assert_eq!(begin(&mut stepped, &mut memory, &system()), Begun::LoadedIdt(loaded));
    assert_eq!(state(&stepped), state(&Frame { rip: NEXT + 5, ..context.clone() }));

    is_left_to_the_processor(
        code,
        Frame { cs: USER_CODE.into(), ..context.clone() },
        &system(),
        &mut memory,
    );
    let short = Frame { rbx: STACK as u64 + 0x7ef, ..context.clone() };
    is_left_to_the_processor(code, short, &system(), &mut memory);
    memory.set(STACK + 8, &[0x7f]);
    is_left_to_the_processor(code, context, &system(), &mut memory);
}

#[test]
fn sidt_stores_the_firmwares_table() {
    // SIDT [rip - 0x100], in ring 0
    let code = &[0x0f, 0x01, 0x0d, 0xf9, 0x0f, 0, 0];
    let mut memory = Fake::new(code);
    let mut expected = memory.clone();
    expected.set(IDT, &[0xff, 0x0f, 0x00, 0x10, 0x40, 0, 0, 0, 0, 0]);
    let mut stepped = frame();
    assert_eq!(begin(&mut stepped, &mut memory, &system()), Begun::Completed);
    assert_eq!(state(&stepped), state(&Frame { rip: NEXT + 7, ..frame() }));
    assert!(memory == expected);

    is_left_to_the_processor(code, user(), &system(), &mut Fake::new(code));
    let mut memory = Fake::new(code);
    memory.unwritable = IDT..IDT + 1;
    is_left_to_the_processor(code, frame(), &system(), &mut memory);
}

#[test]
fn mov_to_ss_does_not_put_the_trap_off() {
    // MOV SS, EAX and MOV SS, [RSP]
    for code in [&[0x8e, 0xd0][..], &[0x8e, 0x14, 0x24]] {
        for (selector, ring) in [(0, 0), (KERNEL_DATA, 0), (USER_DATA, 3)] {
            let mut memory = Fake::new(code);
            memory.set(STACK, &selector.to_le_bytes());
            let context = if ring == 0 { frame() } else { user() };
            let context = Frame { rax: 0xdead_0000 | u64::from(selector), ..context };
            let mut stepped = context.clone();
            assert_eq!(begin(&mut stepped, &mut memory, &system()), Begun::Completed);
            let rip = NEXT + code.len() as u64;
            assert_eq!(state(&stepped), state(&Frame { rip, ss: selector.into(), ..context }));
        }
        // Code, the wrong ring twice, the wrong RPL twice, beyond the table, an LDT's, null in
        // ring 3, and the wrong ring there.
        for (selector, context) in [
            (KERNEL_CODE, frame()),
            (USER_DATA, frame()),
            (USER_DATA & !3, frame()),
            (KERNEL_DATA | 3, frame()),
            (1, frame()),
            (0x40, frame()),
            (KERNEL_DATA | 4, frame()),
            (3, user()),
            (KERNEL_DATA, user()),
        ] {
            let mut memory = Fake::new(code);
            memory.set(STACK, &selector.to_le_bytes());
            let context = Frame { rax: selector.into(), ..context };
            is_left_to_the_processor(code, context, &system(), &mut memory);
        }
    }
    // Not present.
    let mut memory = Fake::new(&[0x8e, 0xd0]);
    memory.set(GDT + usize::from(KERNEL_DATA) + 5, &[0x12]);
    let context = Frame { rax: KERNEL_DATA.into(), ..frame() };
    is_left_to_the_processor(&[0x8e, 0xd0], context, &system(), &mut memory);
}

#[test]
fn operands_add_up() {
    use super::super::operand::{AddressSize, Base, Index, Segment};
    let place = Place {
        base: Base::Register(13),
        index: Some(Index { register: 9, shift: 3 }),
        displacement: -100,
        segment: Segment::Flat,
        address_size: AddressSize::Eight,
    };
    let address = |place: Place| place.address(&frame(), 0x1000, &system());
    assert_eq!(address(place), 13_u64.wrapping_add(72).wrapping_sub(100));
    let short = Place { address_size: AddressSize::Four, ..place };
    assert_eq!(address(short), 0xffff_fff1);
    assert_eq!(address(Place { segment: Segment::Fs, ..short }), 0x1_ffff_fff1);
    assert_eq!(address(Place { segment: Segment::Gs, ..place }), 0x1_ffff_fff1);
    assert_eq!(address(Place { base: Base::Rip, index: None, ..place }), 0x1000 - 100);
    let absolute = Place { base: Base::None, index: None, displacement: i32::MIN, ..place };
    assert_eq!(address(absolute), 0xffff_ffff_8000_0000);
    // The registers in the order of their numbers.
    let numbers = [0, 1, 2, 3, STACK as u64, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
    for (number, value) in numbers.into_iter().enumerate() {
        assert_eq!(general(&frame(), number as u8), value);
    }
}
