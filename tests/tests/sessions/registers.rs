//! What gdb shows of the registers, and which of them it may change. QEMU is the witness.

use anyhow::{Result, ensure};
use tetrarch_tests::monitor::Monitor;
use tetrarch_tests::session::Session;
use tetrarch_tests::{Boot, Gdb, poll, under_gdb};

use crate::asking::{go_to, still_turns, store, words};
use crate::support::{address, same};
use crate::view::View;

/// All but the stack pointer, which must point to a stack: the timer uses it.
const GENERAL: [&str; 15] = [
    "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
    "r15",
];
const SELECTORS: [&str; 6] = ["cs", "ss", "ds", "es", "fs", "gs"];
const SYSTEM: [&str; 8] = ["fs_base", "gs_base", "cr0", "cr2", "cr3", "cr4", "cr8", "efer"];
const X87_CONTROL: [&str; 8] =
    ["fctrl", "fstat", "ftag", "fiseg", "fioff", "foseg", "fooff", "fop"];

/// All arithmetic flags, with interrupts on.
const FLAGS: u64 = 0xAD7;
/// `jmp $`
const JUMP_TO_ITSELF: u64 = 0xFEEB;

/// Stops the demo at the beginning of a turn, with gdb's expressions in C.
fn on_demo(test: impl FnOnce(&mut Session) -> Result<()>) -> Result<()> {
    under_gdb(Boot::new("demo")?, |session| {
        go_to(&mut session.gdb, "step_once")?;
        session.gdb.command("set language c")?;
        test(session)
    })
}

fn set(gdb: &mut Gdb, register: &str, value: u64) -> Result<()> {
    let output = gdb.command(&format!("set var ${register} = {value:#x}"))?;
    same(&format!("what gdb says to ${register} = {value:#x}"), output.as_str(), "")
}

/// Lets the image run an endless loop of one instruction, and gives QEMU's registers when it
/// is there and not in the timer's handler.
fn spin(gdb: &mut Gdb, monitor: &mut Monitor, place: u64) -> Result<View> {
    gdb.resume()?;
    let seen = poll::until("the loop", || {
        let view = View::of(monitor)?;
        Ok((view.word("rip")? == place).then_some(view))
    })?;
    let output = gdb.interrupt()?;
    gdb.check("continue", &output, "Program received signal SIGINT")?;
    // The stub's own interrupt brought it in; it stands where it was.
    same("the place", gdb.number("$pc")?, place)?;
    Ok(seen)
}

/// Puts the loop into `scratch`, where instructions may be fetched too.
fn write_loop(gdb: &mut Gdb) -> Result<u64> {
    let place = address(gdb, "scratch")?;
    store(gdb, "short", place, JUMP_TO_ITSELF)?;
    Ok(place)
}

#[test]
fn gdb_attaches_without_a_complaint_and_finds_every_register() -> Result<()> {
    let qemu = Boot::new("demo")?.start()?;
    let mut gdb = Gdb::start(qemu.image(), tetrarch_tests::conversation::Echo::Silent)?;
    let output = gdb.attach(&qemu)?;
    ensure!(output.starts_with("Remote debugging using"), "{output}{}", gdb.evidence());
    ensure!(!output.contains("warning"), "{output}{}", gdb.evidence());
    gdb.command("set language c")?;
    let vectors = (0..16).map(|number| format!("xmm{number}.uint128"));
    let stack = (0..8).map(|number| format!("st{number}"));
    let names = ["rsp", "rip", "eflags", "mxcsr"].into_iter().chain(GENERAL).chain(SELECTORS);
    let names =
        names.chain(SYSTEM).chain(X87_CONTROL).map(str::to_owned).chain(vectors).chain(stack);
    for name in names {
        let value = gdb.value(&format!("/x ${name}"))?;
        ensure!(value.starts_with("0x"), "{name} is {value}{}", gdb.evidence());
    }
    let all = gdb.command("info all-registers")?;
    for complaint in ["unavailable", "not saved", "not available", "warning"] {
        ensure!(!all.contains(complaint), "{complaint}: {all}");
    }
    Ok(())
}

#[test]
fn system_registers_read_as_qemu_has_them() -> Result<()> {
    on_demo(|session| {
        let gdb = &mut session.gdb;
        gdb.command("set var $cr2 = 0x123456")?;
        let view = View::of(session.qemu.monitor())?;
        for name in ["cr0", "cr2", "cr3", "cr4", "efer"] {
            let found = gdb.number(&format!("${name}"))?;
            same(name, found, view.word(name)?)?;
        }
        same("CR2", gdb.number("$cr2")?, 0x12_3456)?;
        // SS is another one inside the stub: an exception that changes stacks clears it.
        for name in SELECTORS.into_iter().filter(|name| *name != "ss") {
            let found = gdb.number(&format!("${name}"))?;
            same(name, found, view.word(name)?)?;
        }
        for (name, value) in [("fs", 0x7000_u64), ("gs", 0xFFFF_8000_0000_1000)] {
            set(gdb, &format!("{name}_base"), value)?;
            let view = View::of(session.qemu.monitor())?;
            same(name, view.base(name)?, value)?;
            same(name, gdb.number(&format!("${name}_base"))?, value)?;
            gdb.command("stepi")?;
            same("a base after a step", gdb.number(&format!("${name}_base"))?, value)?;
        }
        // A change that harms nobody is made: CR0.AM.
        let control = gdb.number("$cr0")?;
        gdb.command("set var $cr0 = $cr0 | 0x40000")?;
        let found = View::of(session.qemu.monitor())?.word("cr0")?;
        same("CR0", (gdb.number("$cr0")?, found), (control | 0x4_0000, control | 0x4_0000))?;
        gdb.command("set var $cr0 = $cr0 & ~0x40000")?;
        same("CR0", View::of(session.qemu.monitor())?.word("cr0")?, control)?;
        set(gdb, "cr8", 5)?;
        gdb.command("stepi")?;
        same("CR8", gdb.number("$cr8")?, 5)?;
        set(gdb, "cr8", 0)?;
        gdb.command("set language auto")?;
        still_turns(gdb)
    })
}

#[test]
fn general_registers_arrive_in_the_image_and_come_back() -> Result<()> {
    on_demo(|session| {
        let gdb = &mut session.gdb;
        let saved: Vec<u64> = saved(gdb)?;
        let place = write_loop(gdb)?;
        let stack = gdb.number("$rsp")? - 0x400;
        // gdb takes what is there for return addresses, and complains of some.
        for word in 0..0x400 / 8 {
            gdb.command(&format!("set {{unsigned long}}{:#x} = {place}", stack + 8 * word))?;
        }
        let values: Vec<u64> = (1..=15).map(|number| number * 0x1101_0FF0_8421_0137).collect();
        for (register, value) in GENERAL.iter().zip(&values) {
            set(gdb, register, *value)?;
        }
        for (register, value) in [("pc", place), ("rsp", stack), ("eflags", FLAGS)] {
            set(gdb, register, value)?;
        }
        let view = spin(gdb, session.qemu.monitor(), place)?;
        let names = ["rip", "rsp", "rfl"];
        for (name, value) in names.into_iter().zip([place, stack, FLAGS]) {
            same(name, view.word(name)?, value)?;
        }
        for (register, value) in GENERAL.iter().zip(&values) {
            same(register, view.word(register)?, *value)?;
            same(register, gdb.number(&format!("${register}"))?, *value)?;
        }
        for register in SELECTORS {
            same(register, view.word(register)?, gdb.number(&format!("${register}"))?)?;
        }
        let found = (gdb.number("$rsp")?, gdb.number("$eflags")?);
        same("RSP and RFLAGS", found, (stack, FLAGS))?;
        gdb.command("stepi")?;
        let found = (gdb.number("$pc")?, gdb.number("$rsp")?, gdb.number("$eflags")?);
        same("RIP, RSP and RFLAGS after a step", found, (place, stack, FLAGS))?;

        restore(gdb, &saved)?;
        still_turns(gdb)
    })
}

fn saved(gdb: &mut Gdb) -> Result<Vec<u64>> {
    GENERAL
        .iter()
        .chain(&["rsp", "eflags", "pc"])
        .map(|name| gdb.number(&format!("${name}")))
        .collect()
}

fn restore(gdb: &mut Gdb, saved: &[u64]) -> Result<()> {
    for (name, value) in GENERAL.iter().chain(&["rsp", "eflags", "pc"]).zip(saved) {
        set(gdb, name, *value)?;
    }
    gdb.command("set language auto")?;
    Ok(())
}

#[test]
fn vector_and_floating_point_registers_arrive_in_the_image_and_come_back() -> Result<()> {
    on_demo(|session| {
        let gdb = &mut session.gdb;
        let saved = saved(gdb)?;
        let place = write_loop(gdb)?;
        let vectors: Vec<[u64; 2]> = (1..=16)
            .map(|number| [number * 0x0123_4567_89AB_CDEF, number * 0x1111_0000_2222])
            .collect();
        for (number, [low, high]) in vectors.iter().enumerate() {
            gdb.command(&format!("set var $xmm{number}.v2_int64[0] = {low:#x}"))?;
            gdb.command(&format!("set var $xmm{number}.v2_int64[1] = {high:#x}"))?;
        }
        // Round towards zero; everything masked.
        const MXCSR: u64 = 0x7F80;
        set(gdb, "mxcsr", MXCSR)?;
        for number in 0..8 {
            gdb.command(&format!("set var $st{number} = -{number}.5"))?;
        }
        set(gdb, "pc", place)?;
        let view = spin(gdb, session.qemu.monitor(), place)?;
        for (number, [low, high]) in vectors.iter().enumerate() {
            same(&format!("xmm{number}"), view.vector(number)?, [*low, *high])?;
            let found = gdb.value(&format!("/x $xmm{number}.v2_int64"))?;
            same(&format!("xmm{number}"), found, format!("{{{low:#x}, {high:#x}}}"))?;
        }
        same("MXCSR", view.word("mxcsr")?, MXCSR)?;
        same("MXCSR", gdb.number("$mxcsr")?, MXCSR)?;
        for number in 0..8_u32 {
            same(
                &format!("st{number}"),
                gdb.value(&format!("$st{number}"))?,
                format!("-{number}.5"),
            )?;
            let mantissa = view.word(&format!("FPR{number}"))?;
            same(&format!("mantissa of st{number}"), mantissa, mantissa_of_half_above(number))?;
        }
        restore(gdb, &saved)?;
        still_turns(gdb)
    })
}

/// The 64-bit mantissa of `number + 0.5`, whose highest bit is 1.
fn mantissa_of_half_above(number: u32) -> u64 {
    let doubled = u64::from(2 * number + 1);
    doubled << doubled.leading_zeros()
}

#[test]
fn a_register_value_that_would_end_the_session_is_refused() -> Result<()> {
    on_demo(|session| {
        let gdb = &mut session.gdb;
        let before = View::of(session.qemu.monitor())?;
        for (assignment, unchanged) in [
            ("$cr0 = $cr0 & ~1", "cr0"),                 // PE
            ("$cr0 = $cr0 & ~0x80000000", "cr0"),        // PG
            ("$cr0 = $cr0 | 4", "cr0"),                  // EM
            ("$cr3 = $cr3 + 0x1000", "cr3"),             // page tables
            ("$cr4 = $cr4 & ~0x20", "cr4"),              // PAE
            ("$cr4 = $cr4 | 0x8000000000000000", "cr4"), // reserved
            ("$efer = $efer & ~0x100", "efer"),          // LME
            ("$cs = 0x10", "cs"),                        // data, not code
            ("$ss = 0", "ss"),
            ("$pc = 0x8000000000000000", "pc"), // not canonical
            ("$mxcsr = 0xFFFFFFFF", "mxcsr"),   // reserved
            ("$fs_base = 0x8000000000000000", "fs_base"), // not canonical
        ] {
            let value = gdb.number(&format!("${unchanged}"))?;
            let output = gdb.command(&format!("set var {assignment}"))?;
            gdb.check(assignment, &output, "Could not write register")?;
            gdb.command("flushregs")?;
            same(&format!("after {assignment}"), gdb.number(&format!("${unchanged}"))?, value)?;
        }
        let after = View::of(session.qemu.monitor())?;
        for name in ["cr0", "cr2", "cr3", "cr4", "efer", "cs", "mxcsr"] {
            same(name, after.word(name)?, before.word(name)?)?;
        }
        gdb.command("set language auto")?;
        still_turns(gdb)
    })
}

#[test]
fn writing_pc_makes_the_image_go_on_from_there() -> Result<()> {
    on_demo(|session| {
        let gdb = &mut session.gdb;
        // A call by hand: the function returns to where the image stands.
        let (place, stack) = (gdb.number("$pc")?, gdb.number("$rsp")?);
        let table = address(gdb, "config")?;
        let value = words(gdb, table, 1)?[0];
        store(gdb, "long", stack - 8, place)?;
        set(gdb, "rsp", stack - 8)?;
        let function = address(gdb, "write_config")?;
        set(gdb, "pc", function)?;
        gdb.command("thbreak *step_once")?;
        gdb.expect("continue", "Temporary breakpoint")?;
        let found = (gdb.number("$pc")?, gdb.number("$rsp")?);
        same("place and stack pointer after the call", found, (place, stack))?;
        same("the table it wrote", words(gdb, table, 1)?, vec![value + 1])?;
        gdb.command("set language auto")?;
        still_turns(gdb)
    })
}
