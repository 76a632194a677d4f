//! Gates, stacks and what is pushed.

use super::super::fake::{
    CODE, Fake, GDT, IDT, INTERRUPT_GATE, KERNEL_CODE, KERNEL_DATA, STACK, TASK, TASK_SELECTOR,
    TRAP_GATE, USER_CODE, USER_CODE_32, USER_DATA, frame, gate, state, system,
};
use super::*;

const HANDLER: u64 = 0xffff_8000_1234_5678;
const PAGE_FAULT: Event = Event { vector: 14, error: Some(6), origin: Origin::Fault };
const INVALID: Event = Event { vector: 6, error: None, origin: Origin::Fault };
const INT: Event =
    Event { vector: 0x80, error: None, origin: Origin::Software { next: CODE as u64 + 2 } };
const DPL3: u8 = 3 << 5;

fn memory_with(event: Event, gate: [u8; 16]) -> Fake {
    let mut memory = Fake::new(&[0xcd, 0x80]);
    memory.set(IDT + 16 * usize::from(event.vector), &gate);
    for (offset, stack) in [(4, 0xd00), (12, 0xe00), (0x24, 0xa00), (0x54, 0xb00)] {
        memory.set(TASK + offset, &(STACK as u64 - stack).to_le_bytes());
    }
    memory
}

fn user() -> Frame {
    Frame { cs: USER_CODE.into(), ss: USER_DATA.into(), ..frame() }
}

/// Delivers, and checks the frame and exactly the words on the stack, error code or RIP first.
#[track_caller]
fn arrives(context: Frame, event: Event, gate: [u8; 16], expected: Frame, pushed: &[u64]) {
    let mut memory = memory_with(event, gate);
    let mut wanted = memory.clone();
    let mut delivered = context;
    let delivery = deliver(&mut delivered, &mut memory, &system(), event);
    assert_eq!(delivery, Delivery::Handler);
    assert_eq!(state(&delivered), state(&expected));
    for (index, word) in pushed.iter().enumerate() {
        wanted.set(expected.rsp as usize + 8 * index, &word.to_le_bytes());
    }
    assert!(memory == wanted, "the stack");
}

#[test]
fn a_fault_keeps_the_stack_and_aligns_it() {
    for offset in [0, 8, 15] {
        let rsp = (STACK - offset) as u64;
        let rflags = frame().rflags | flag::TRAP | flag::NESTED | flag::ACCESS | 0x8d5;
        let context = Frame { rsp, rflags, ..frame() };
        let top = if offset == 0 { STACK } else { STACK - 16 } as u64;
        let after = flag::FIXED | flag::ACCESS | 0x8d5;
        let arrived = Frame { rip: HANDLER, rflags: after, rsp: top - 48, ..frame() };
        let [cs, ss] = [KERNEL_CODE, KERNEL_DATA].map(u64::from);
        let pushed = [6, CODE as u64, cs, rflags | flag::RESUME, rsp, ss];
        let interrupt = gate(HANDLER, KERNEL_CODE, INTERRUPT_GATE, 0);
        arrives(context.clone(), PAGE_FAULT, interrupt, arrived.clone(), &pushed);

        let trap = gate(HANDLER, KERNEL_CODE, TRAP_GATE, 0);
        let arrived = Frame { rflags: after | flag::INTERRUPT, rsp: top - 40, ..arrived };
        arrives(context, INVALID, trap, arrived, &pushed[1..]);
    }
}

#[test]
fn int_returns_behind_itself_and_without_rf() {
    let context = Frame { rflags: frame().rflags | flag::RESUME, ..frame() };
    let arrived = Frame { rip: HANDLER, rsp: STACK as u64 - 40, ..frame() };
    let [cs, ss] = [KERNEL_CODE, KERNEL_DATA].map(u64::from);
    let pushed = [CODE as u64 + 2, cs, frame().rflags, STACK as u64, ss];
    arrives(context, INT, gate(HANDLER, KERNEL_CODE, TRAP_GATE, 0), arrived, &pushed);
}

#[test]
fn user_code_gets_the_stack_of_ring_0() {
    let arrived = Frame {
        rip: HANDLER,
        cs: KERNEL_CODE.into(),
        rflags: flag::FIXED,
        rsp: STACK as u64 - 0xd00 - 48,
        ss: 0,
        ..frame()
    };
    let [cs, ss] = [USER_CODE, USER_DATA].map(u64::from);
    let rflags = frame().rflags | flag::RESUME;
    let pushed = [6, CODE as u64, cs, rflags, STACK as u64, ss];
    // Also by a selector that asks for less: its RPL does not count.
    for selector in [KERNEL_CODE, KERNEL_CODE | 3] {
        let gate = gate(HANDLER, selector, INTERRUPT_GATE, 0);
        arrives(user(), PAGE_FAULT, gate, arrived.clone(), &pushed);
    }
}

#[test]
fn an_interrupt_stack_is_used_from_every_ring() {
    for (context, ss) in [(frame(), KERNEL_DATA.into()), (user(), 0)] {
        for (number, offset) in [(1, 0xa00), (7, 0xb00)] {
            let rsp = STACK as u64 - offset - 48;
            let cs = KERNEL_CODE.into();
            let arrived = Frame { rip: HANDLER, cs, rflags: flag::FIXED, rsp, ss, ..frame() };
            let rflags = frame().rflags | flag::RESUME;
            let pushed = [6, CODE as u64, context.cs, rflags, STACK as u64, context.ss];
            let gate = gate(HANDLER, KERNEL_CODE, INTERRUPT_GATE, number);
            arrives(context.clone(), PAGE_FAULT, gate, arrived, &pushed);
        }
    }
}

#[test]
fn conforming_code_keeps_the_ring() {
    let mut memory = memory_with(INT, gate(HANDLER, KERNEL_CODE, TRAP_GATE | DPL3, 0));
    memory.set(GDT + usize::from(KERNEL_CODE) + 5, &[0x9e]);
    let mut delivered = user();
    assert_eq!(deliver(&mut delivered, &mut memory, &system(), INT), Delivery::Handler);
    let cs = (KERNEL_CODE | 3).into();
    let expected = Frame { rip: HANDLER, cs, rsp: STACK as u64 - 40, ..user() };
    assert_eq!(state(&delivered), state(&expected));
}

/// What is wrong with the way to the handler.
#[track_caller]
fn fails(event: Event, context: Frame, break_it: impl Fn(&mut Fake, &mut System)) -> Fake {
    let mut memory = memory_with(event, gate(HANDLER, KERNEL_CODE, INTERRUPT_GATE, 0));
    let mut system = system();
    break_it(&mut memory, &mut system);
    let mut delivered = context.clone();
    let delivery = deliver(&mut delivered, &mut memory, &system, event);
    assert_eq!(delivery, Delivery::Impossible(event));
    assert_eq!(state(&delivered), state(&context));
    memory
}

#[test]
fn a_fault_without_a_way_changes_nothing() {
    let entry = IDT + 16 * 14;
    let set = |address: usize, byte: u8| {
        move |memory: &mut Fake, _: &mut System| memory.set(address, &[byte])
    };
    fails(PAGE_FAULT, frame(), set(entry + 5, 0x0e));
    fails(PAGE_FAULT, frame(), set(entry + 5, 0x8c));
    fails(PAGE_FAULT, frame(), set(entry + 5, 0x9e));
    fails(PAGE_FAULT, frame(), set(entry + 2, 0));
    fails(PAGE_FAULT, frame(), set(entry + 2, KERNEL_DATA as u8));
    fails(PAGE_FAULT, frame(), set(entry + 2, USER_CODE as u8));
    fails(PAGE_FAULT, user(), set(entry + 2, USER_CODE_32 as u8));
    fails(PAGE_FAULT, frame(), set(entry + 2, KERNEL_CODE as u8 | 4));
    fails(PAGE_FAULT, frame(), set(entry + 9, 0));
    fails(PAGE_FAULT, frame(), set(GDT + usize::from(KERNEL_CODE) + 5, 0x1a));
    fails(PAGE_FAULT, frame(), |_, system| system.idt.limit = 16 * 15 - 2);
    fails(PAGE_FAULT, frame(), |_, system| system.idt.base = 0x10);
    fails(PAGE_FAULT, frame(), |_, system| system.gdt.limit = KERNEL_CODE + 6);
    fails(PAGE_FAULT, user(), |_, system| system.gdt.limit = TASK_SELECTOR + 14);
    fails(PAGE_FAULT, user(), |_, system| system.task = 0);
    // Not even if there is something where the null descriptor is.
    fails(PAGE_FAULT, user(), |memory, system| {
        let from = GDT + usize::from(TASK_SELECTOR);
        let mut task = [0; 16];
        assert_eq!(memory.read(from, &mut task), 16);
        memory.set(GDT - 8, &task);
        (system.gdt.base, system.task) = (GDT as u64 - 8, 0);
        memory.set(IDT + 16 * 14 + 2, &[KERNEL_CODE as u8 + 8]);
    });
    fails(PAGE_FAULT, frame(), |memory, _| {
        memory.set(GDT, &[0, 0, 0, 0, 0, 0x9a, 0x20, 0]);
        memory.set(IDT + 16 * 14 + 2, &[0]);
    });
    fails(PAGE_FAULT, user(), set(GDT + usize::from(TASK_SELECTOR), 10));
    fails(PAGE_FAULT, frame(), |memory, _| memory.unwritable = STACK - 1..STACK);
    let off = Frame { rsp: 0x8000_0000_0000_0000, ..frame() };
    fails(PAGE_FAULT, off, |_, _| ());
    fails(INT, frame(), |memory, _| memory.unwritable = STACK - 1..STACK);
}

#[test]
fn int_through_a_bad_gate_is_a_fault_at_the_instruction() {
    let entry = IDT + 16 * 0x80;
    let protection = 0x80 << 3 | 2;
    for (context, attributes, vector, error) in [
        (user(), INTERRUPT_GATE, 13, protection),
        (user(), INTERRUPT_GATE | 2 << 5, 13, protection),
        (user(), 0x0e | DPL3, 11, protection),
        (frame(), 0, 13, protection),
    ] {
        let mut memory = memory_with(INT, gate(HANDLER, KERNEL_CODE, attributes, 0));
        memory.set(IDT + 16 * vector, &gate(0x6000, KERNEL_CODE, INTERRUPT_GATE, 0));
        let mut delivered = context.clone();
        let delivery = deliver(&mut delivered, &mut memory, &system(), INT);
        assert_eq!(delivery, Delivery::Handler);
        assert_eq!(delivered.rip, 0x6000);
        assert_eq!(memory.word(delivered.rsp), error);
        assert_eq!(memory.word(delivered.rsp + 8), CODE as u64);
        assert_eq!(memory.word(delivered.rsp + 24), context.rflags | flag::RESUME);

        // The same where the gate of that fault is the stub's.
        memory.set(IDT + 16 * vector, &gate(0x5000, KERNEL_CODE, INTERRUPT_GATE, 0));
        let mut delivered = context.clone();
        let origin = Origin::Fault;
        let event = Event { vector: vector as u8, error: Some(error), origin };
        let delivery = deliver(&mut delivered, &mut memory, &system(), INT);
        assert_eq!(delivery, Delivery::Own(event));
        assert_eq!(delivered.rip, CODE as u64);
    }
    // DPL 3 is allowed, and faults do not ask.
    let mut memory = memory_with(INT, gate(HANDLER, KERNEL_CODE, INTERRUPT_GATE | DPL3, 0));
    assert_eq!(deliver(&mut user(), &mut memory, &system(), INT), Delivery::Handler);
    fails(INT, frame(), |memory, _| memory.set(entry, &[0; 16]));
}

#[test]
fn events_know_their_error_code_and_return_address() {
    for number in 0..32 {
        let event = Event::of(&Frame { vector: number, error: 0x18, ..frame() });
        assert_eq!(u64::from(event.vector), number);
        let has_error = [8, 10, 11, 12, 13, 14, 17, 21, 29, 30].contains(&number);
        assert_eq!(event.error, has_error.then_some(0x18), "{number}");
        let next = Origin::Software { next: CODE as u64 };
        let expected = if matches!(number, 3 | 4) { next } else { Origin::Fault };
        assert_eq!(event.origin, expected);
    }
}
