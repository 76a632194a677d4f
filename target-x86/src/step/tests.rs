//! A step must come out as if the instruction had simply run.
//!
//! So a small model of the processor runs each instruction twice: on the context as it is,
//! and between [`begin`] and [`finish`]. What both leave behind, frame and memory, must be
//! the same.

use super::deliver::Origin;
use super::fake::{
    CODE, Fake, KERNEL_CODE, KERNEL_DATA, STACK, USER_CODE, USER_CODE_32, frame, state, system,
};
use super::*;

/// What the model executes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Model {
    Nothing,
    SetInterrupt,
    ClearInterrupt,
    SystemEnter,
    Push { width: u64 },
    Pop,
    InterruptReturn,
    SystemReturn,
}

/// All of them, with prefixes that must not matter and ones that do.
const INSTRUCTIONS: [(&[u8], Model); 26] = [
    (&[0x90], Model::Nothing),
    (&[0xf3, 0x90], Model::Nothing),
    (&[0x48, 0x89, 0xc3], Model::Nothing),
    (&[0xf3, 0xa4], Model::Nothing),
    (&[0x0f, 0x35], Model::Nothing),
    (&[0xfb], Model::SetInterrupt),
    (&[0x66, 0xfb], Model::SetInterrupt),
    (&[0x48, 0xfb], Model::SetInterrupt),
    (&[0xfa], Model::ClearInterrupt),
    (&[0x2e, 0xf3, 0xfa], Model::ClearInterrupt),
    (&[0x0f, 0x34], Model::SystemEnter),
    (&[0x48, 0x0f, 0x34], Model::SystemEnter),
    (&[0x9c], Model::Push { width: 8 }),
    (&[0x66, 0x9c], Model::Push { width: 2 }),
    (&[0x66, 0x48, 0x9c], Model::Push { width: 8 }),
    (&[0xf2, 0x9c], Model::Push { width: 8 }),
    (&[0x65, 0x9c], Model::Push { width: 8 }),
    (&[0x9d], Model::Pop),
    (&[0x48, 0x9d], Model::Pop),
    (&[0x36, 0xf2, 0x9d], Model::Pop),
    (&[0xcf], Model::InterruptReturn),
    (&[0x48, 0xcf], Model::InterruptReturn),
    (&[0x66, 0xcf], Model::InterruptReturn),
    (&[0x48, 0x0f, 0x07], Model::SystemReturn),
    (&[0x0f, 0x07], Model::SystemReturn),
    (&[0x67, 0x48, 0x0f, 0x07], Model::SystemReturn),
];

/// The processor: one instruction of `length` bytes, by the manual.
fn execute(model: Model, length: usize, frame: &mut Frame, memory: &mut Fake) {
    let may = frame.cs & 3 <= frame.rflags >> 12 & 3;
    let load = |frame: &mut Frame, image: u64| {
        let loaded = if may { HELD } else { flag::TRAP };
        frame.rflags = frame.rflags & !loaded | image & loaded;
    };
    frame.rip += length as u64;
    match model {
        Model::Nothing => {}
        Model::SetInterrupt if may => frame.set(flag::INTERRUPT),
        Model::ClearInterrupt if may => frame.clear(flag::INTERRUPT),
        // Not a fault here, so that it can be told from one: as CR4.PVI has it in ring 3.
        Model::SetInterrupt | Model::ClearInterrupt => {}
        Model::SystemEnter => {
            frame.clear(flag::INTERRUPT);
            (frame.rip, frame.cs, frame.ss) = (0x9000, KERNEL_CODE.into(), KERNEL_DATA.into());
        }
        Model::Push { width } => {
            let image = frame.rflags & !flag::RESUME;
            frame.rsp -= width;
            memory.set(frame.rsp as usize, &image.to_le_bytes()[..width as usize]);
        }
        Model::Pop => {
            let image = memory.word(frame.rsp);
            load(frame, image);
            frame.rsp += 8;
        }
        Model::InterruptReturn => {
            let at = frame.rsp;
            load(frame, memory.word(at + 16));
            frame.rip = memory.word(at);
            frame.rsp = memory.word(at + 24);
        }
        Model::SystemReturn => {
            frame.rip = frame.rcx;
            frame.rflags = frame.r11 & 0x003c_7fd7 | flag::FIXED;
            frame.cs = USER_CODE.into();
        }
    }
    frame.clear(flag::RESUME);
}

/// Every context that the flags could depend on, and every pair of flags to load.
fn contexts() -> impl Iterator<Item = (Frame, u64)> {
    let flags = [0, flag::TRAP, flag::INTERRUPT, HELD];
    let rings = [(KERNEL_CODE, 0), (KERNEL_CODE, 3 << 12), (USER_CODE, 0), (USER_CODE, 3 << 12)];
    rings.into_iter().flat_map(move |(cs, level)| {
        flags.into_iter().flat_map(move |own| {
            [0, flag::RESUME].into_iter().flat_map(move |resume| {
                flags.into_iter().map(move |image| {
                    let rflags = flag::FIXED | level | own | resume;
                    let image = flag::FIXED | level | image;
                    (Frame { cs: cs.into(), rflags, r11: image, rcx: 0x7000, ..frame() }, image)
                })
            })
        })
    })
}

fn with_image(code: &[u8], image: u64) -> Fake {
    let mut memory = Fake::new(code);
    for (index, word) in [0x7000, image, image, 0x8000].into_iter().enumerate() {
        memory.set(STACK + 8 * index, &word.to_le_bytes());
    }
    memory
}

#[test]
fn a_step_leaves_what_the_instruction_alone_would() {
    for (code, model) in INSTRUCTIONS {
        for (context, image) in contexts() {
            let mut memory = with_image(code, image);
            if model == Model::Pop {
                memory.set(STACK, &image.to_le_bytes());
            }
            let (mut alone, mut expected) = (context.clone(), memory.clone());
            execute(model, code.len(), &mut alone, &mut expected);

            let mut stepped = context.clone();
            match begin(&mut stepped, &mut memory, &system()) {
                Begun::Completed if model == Model::SetInterrupt => {}
                Begun::Armed(pending) => {
                    assert_eq!(stepped.rflags & HELD, flag::TRAP, "{code:x?}");
                    execute(model, code.len(), &mut stepped, &mut memory);
                    let status = Dr6::from_bits(Dr6::RESET.bits() | 1 << 14);
                    assert_eq!(finish(pending, &mut stepped, &mut memory, status), Finished::Debug);
                }
                other @ (Begun::Completed
                | Begun::LoadedIdt(_)
                | Begun::Exception(_)
                | Begun::Impossible(_)) => panic!("{code:x?}: {other:?}"),
            }

            let before = context.rflags;
            assert_eq!(state(&stepped), state(&alone), "{code:x?} with {before:x}, {image:x}");
            assert!(memory == expected, "{code:x?} with {before:x}, {image:x}: memory");
        }
    }
}

#[test]
fn sysret_would_not_trap_without_tf_in_r11() {
    let mut memory = Fake::new(&[0x48, 0x0f, 0x07]);
    let mut stepped = Frame { r11: flag::FIXED | flag::INTERRUPT, ..frame() };
    assert!(matches!(begin(&mut stepped, &mut memory, &system()), Begun::Armed(_)));
    assert_eq!(stepped.r11, flag::FIXED | flag::TRAP);
}

/// The step that the processor has to finish. STI may have been carried out instead, and then
/// there is nothing left that could fault or hit.
#[track_caller]
fn armed(begun: Begun, code: &[u8], model: Model) -> Option<Pending> {
    match begun {
        Begun::Armed(pending) => Some(pending),
        Begun::Completed if model == Model::SetInterrupt => None,
        other @ (Begun::Completed
        | Begun::LoadedIdt(_)
        | Begun::Exception(_)
        | Begun::Impossible(_)) => panic!("{code:x?}: {other:?}"),
    }
}

#[test]
fn a_fault_pushes_the_flags_of_before() {
    for (code, model) in INSTRUCTIONS {
        for (context, image) in contexts() {
            let mut memory = with_image(code, image);
            let untouched = memory.clone();
            let mut stepped = context.clone();
            let begun = begin(&mut stepped, &mut memory, &system());
            let Some(pending) = armed(begun, code, model) else { continue };
            stepped.set(flag::RESUME);
            (stepped.vector, stepped.error) = (vector::PROTECTION, 0x18);
            let finished = finish(pending, &mut stepped, &mut memory, Dr6::RESET);

            let event = Event { vector: 13, error: Some(0x18), origin: Origin::Fault };
            assert_eq!(finished, Finished::Exception(event));
            let rflags = context.rflags | flag::RESUME;
            let expected = Frame { rflags, vector: 13, error: 0x18, ..context };
            assert_eq!(state(&stepped), state(&expected), "{code:x?}");
            assert!(memory == untouched);
        }
    }
}

#[test]
fn an_execute_breakpoint_comes_before_the_instruction() {
    for (code, model) in INSTRUCTIONS {
        for (context, image) in contexts() {
            let mut memory = with_image(code, image);
            let untouched = memory.clone();
            let mut stepped = context.clone();
            let begun = begin(&mut stepped, &mut memory, &system());
            let Some(pending) = armed(begun, code, model) else { continue };
            let status = Dr6::from_bits(Dr6::RESET.bits() | 1);
            assert_eq!(finish(pending, &mut stepped, &mut memory, status), Finished::Debug);
            assert_eq!(state(&stepped), state(&context), "{code:x?}");
            assert!(memory == untouched);
        }
    }
}

#[test]
fn a_hit_without_bs_ends_the_step_too() {
    // As QEMU reports the first of its two debug exceptions.
    let mut memory = Fake::new(&[0x9d]);
    let mut stepped = frame();
    let Begun::Armed(pending) = begin(&mut stepped, &mut memory, &system()) else {
        panic!("POPF is not for emulation");
    };
    (stepped.rip, stepped.rflags) = (stepped.rip + 1, flag::FIXED);
    let status = Dr6::from_bits(Dr6::RESET.bits() | 1);
    assert_eq!(finish(pending, &mut stepped, &mut memory, status), Finished::Debug);
    assert_eq!(stepped.rflags, flag::FIXED, "as POPF loaded them");
}

#[test]
fn code_that_cannot_be_read_is_left_to_the_processor() {
    let mut memory = Fake::new(&[0xf4]);
    memory.unreadable = CODE..CODE + 1;
    assert!(matches!(begin(&mut frame(), &mut memory, &system()), Begun::Armed(_)));
}

#[test]
fn rex_is_no_prefix_in_32_bit_code() {
    // 48 is DEC EAX there: the PUSHF after it is another step.
    let mut memory = Fake::new(&[0x48, 0x9c]);
    let untouched = memory.clone();
    let mut stepped = Frame { cs: USER_CODE_32.into(), ..frame() };
    let Begun::Armed(pending) = begin(&mut stepped, &mut memory, &system()) else {
        panic!("DEC is not for emulation");
    };
    stepped.rip += 1;
    let status = Dr6::from_bits(Dr6::RESET.bits() | 1 << 14);
    assert_eq!(finish(pending, &mut stepped, &mut memory, status), Finished::Debug);
    assert!(memory == untouched);
}
