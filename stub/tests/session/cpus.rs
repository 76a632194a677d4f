//! Several CPUs: threads, their registers, what each is told to do, and whose stop it is.

use gdbstub::arch::Registers;
use tetrarch::arbiter::{Condition, CpuId, Owner, Region, Request, Scope, Verdict};
use tetrarch::session::ResumeFlag::Keep;
use tetrarch::session::{Cause, Go, Motion, Next, Overheard};
use tetrarch::target::CpuState;
use tetrarch::x86_64::X86_64Registers;

use crate::bench::{BASE, BenchOf, STEP, WRITABLE, console, go};

mod flags;

type Bench = BenchOf<4>;

const CPUS: [CpuId; 4] = [CpuId(0), CpuId(1), CpuId(2), CpuId(3)];
const QUIET: Vec<String> = Vec::new();

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

/// As in a reply to `g`.
fn shown(registers: &X86_64Registers) -> String {
    let mut text = String::new();
    registers.gdb_serialize(|byte| match byte {
        Some(byte) => text += &format!("{byte:02x}"),
        None => text += "xx",
    });
    text
}

/// The orders to four CPUs, with the resume flag as it was.
fn keeping(motions: [Motion; 4]) -> [Option<Go>; 4] {
    motions.map(|motion| Some(Go { motion, resume_flag: Keep }))
}

#[test]
fn threads_are_the_cpus_that_are_present() {
    let mut bench = Bench::attached(2, 0);
    bench.machine.states[3] = CpuState::Absent;
    bench.machine.states[2] = CpuState::NotResponding;
    assert_eq!(bench.ask("qfThreadInfo"), "mp01.01,p01.02,p01.03");
    assert_eq!(bench.ask("qsThreadInfo"), "l");
}

#[test]
fn a_thread_says_what_its_cpu_does() {
    let mut bench = Bench::new(2, 0);
    bench.machine.activities = ["", "idle", "task 7", ""];
    bench.late.push(CPUS[2]);
    bench.running_packet("qSupported:multiprocess+");
    for (thread, text) in [
        (1, "cpu 0 — stopped because a debugger attached"),
        (2, "cpu 1 — idle"),
        (3, "cpu 2 — task 7, not responding"),
        (4, "cpu 3"),
    ] {
        assert_eq!(bench.ask(&format!("qThreadExtraInfo,p1.{thread}")), hex(text));
    }
    assert_eq!(
        bench.monitor("cpus"),
        console(&hex("\
next instruction    cpu
0x0000000000100000  cpu 0 — stopped because a debugger attached
0x0000000000100000  cpu 1 — idle
-                   cpu 2 — task 7, not responding
0x0000000000100000  cpu 3
"))
    );
}

#[test]
fn each_cpu_has_its_own_registers() {
    let mut bench = Bench::attached(2, 0);
    for cpu in CPUS {
        let number = u64::from(cpu.0);
        bench.registers(cpu).core.regs[0] = 0x1000 + number;
        bench.registers(cpu).fs_base = 0x2000 + number;
    }
    for cpu in CPUS {
        assert_eq!(bench.ask(&format!("Hgp1.{}", cpu.0 + 1)), "OK");
        let before = bench.machine.registers.clone();
        assert_eq!(bench.ask("g"), shown(&before[usize::from(cpu.0)]));
        assert_eq!(bench.ask("P1=0807060504030201"), "OK");
        let mut expected = before;
        expected[usize::from(cpu.0)].core.regs[1] = 0x0102_0304_0506_0708;
        assert_eq!(bench.machine.registers, expected);
        assert_eq!(bench.ask("p1"), "0807060504030201");
    }
}

#[test]
fn a_cpu_that_does_not_respond_has_no_registers_and_nothing_else_is_the_worse_for_it() {
    let mut bench = Bench::new(2, 0);
    bench.late.push(CPUS[1]);
    bench.running_packet("qSupported:multiprocess+");
    assert_eq!(bench.ask("Hgp1.2"), "OK");
    let before = bench.machine.registers.clone();
    // As many digits as if it had: gdb would take a shorter answer for the registers of all.
    let registers = bench.ask("g");
    assert!(registers.bytes().all(|digit| digit == b'x'), "{registers}");
    assert_eq!(bench.ask("Hgp1.1"), "OK");
    assert_eq!(bench.ask("g").len(), registers.len());
    assert_eq!(bench.ask("Hgp1.2"), "OK");
    for packet in ["p0", "P0=0100000000000000"] {
        assert_eq!(bench.ask(packet), "E10", "{packet}");
        assert_eq!(bench.monitor("why"), "registers refused: that CPU has not stopped\n");
    }
    assert_eq!(bench.machine.registers, before);
    assert_eq!(bench.ask(&format!("m{BASE:x},2")), "0001");
    assert_eq!(bench.ask("Hgp1.3"), "OK");
    assert_eq!(bench.ask("p0"), "0000000000000000");
    bench.resume("vCont;c");
    let mut orders = keeping([Motion::Continue; 4]);
    orders[1] = None;
    assert_eq!(bench.orders, orders);
}

#[test]
fn each_cpu_does_what_its_thread_was_told() {
    use Motion::{Continue, Step, Wait};
    for (packet, motions) in [
        ("vCont;c", [Continue; 4]),
        ("vCont;s:p1.2;c", [Continue, Step, Continue, Continue]),
        ("vCont;s:p1.2", [Wait, Step, Wait, Wait]),
        ("vCont;c:p1.3;s:p1.1", [Step, Wait, Continue, Wait]),
        ("vCont;c:p1.3", [Wait, Wait, Continue, Wait]),
        ("vCont;r100000,100008:p1.4;c", [Continue, Continue, Continue, Step]),
        ("vCont;s:p1.1;s:p1.2;c:p1.-1", [Step, Step, Continue, Continue]),
    ] {
        let mut bench = Bench::attached(2, 0);
        bench.resume(packet);
        assert_eq!(bench.orders, keeping(motions), "{packet}");
    }
}

#[test]
fn no_step_steps_all_cpus_at_once() {
    let mut bench = Bench::attached(2, 0);
    for packet in ["vCont;s", "vCont;s:p1.-1", "vCont;c:p1.1;s", "vCont;r100000,100008"] {
        assert_eq!(bench.ask(packet), "E16", "{packet}");
        assert_eq!(bench.next, Some(Next::Stay), "{packet}");
    }
}

#[test]
fn a_plain_step_is_one_of_the_chosen_thread() {
    let mut bench = Bench::attached(2, 0);
    assert_eq!(bench.ask("Hcp1.3"), "OK");
    bench.resume("s");
    let mut motions = [Motion::Continue; 4];
    motions[2] = Motion::Step;
    assert_eq!(bench.orders, keeping(motions));
}

#[test]
fn a_hit_is_told_as_that_of_its_cpu() {
    let mut bench = Bench::attached(2, 0);
    let address = WRITABLE;
    assert_eq!(bench.ask(&format!("Z2,{address:x},8")), "OK");
    bench.resume("vCont;c");
    let bit = bench.on(CPUS[2]).bit_of(address);
    assert_eq!(bench.debug_exception(bit), [format!("T05thread:p01.03;watch:{address:x};")]);
    assert_eq!(bench.ask("qC"), "QCp1.3");
    assert_eq!(bench.ask("?"), format!("T05thread:p01.03;watch:{address:x};"));
    assert_eq!(
        bench.ask("qThreadExtraInfo,p1.3"),
        hex(&format!("cpu 2 — stopped by a write watchpoint at {address:#x}"))
    );
}

#[test]
fn a_hit_that_waits_is_told_when_its_cpu_goes_on_as_that_of_its_cpu() {
    let mut bench = Bench::attached(2, 0);
    let (first, second) = (WRITABLE, WRITABLE + 64);
    for address in [first, second] {
        assert_eq!(bench.ask(&format!("Z2,{address:x},8")), "OK");
    }
    bench.resume("vCont;c");
    let stop = |address: usize| format!("T05thread:p01.03;watch:{address:x};");
    assert_eq!(bench.on(CPUS[2]).debug_exception(0b11), [stop(first)]);
    bench.resume("vCont;s:p1.1");
    assert_eq!(bench.on(CPUS[0]).debug_exception(STEP), ["T05thread:p01.01;"]);
    assert_eq!(bench.send("vCont;c"), [stop(second)]);
    assert_eq!(bench.ask("qC"), "QCp1.3");
    assert_eq!(bench.ask("?"), stop(second));
    for (thread, text) in [
        (1, "cpu 0".to_string()),
        (3, format!("cpu 2 — stopped by a write watchpoint at {second:#x}")),
    ] {
        assert_eq!(bench.ask(&format!("qThreadExtraInfo,p1.{thread}")), hex(&text));
    }
    bench.resume("vCont;c");
    assert_eq!(bench.orders, keeping([Motion::Continue; 4]));
}

#[test]
fn what_was_taken_out_is_kept_until_the_cpu_that_stopped_goes_on() {
    for kept in ["vCont;s:p1.3;c", "vCont;s:p1.3", "vCont;s:p1.1", "vCont;c:p1.2"] {
        let mut bench = Bench::attached(1, 3);
        let address = WRITABLE;
        assert_eq!(bench.ask(&format!("Z2,{address:x},8")), "OK");
        bench.resume("vCont;c");
        let bit = bench.on(CPUS[2]).bit_of(address);
        bench.debug_exception(bit);
        assert_eq!(bench.ask(&format!("z2,{address:x},8")), "OK");
        bench.resume(kept);
        assert_eq!(bench.arbiter.claims().count(), 1, "{kept}");
        assert_eq!(bench.arbiter.wanted(CPUS[2]).len(), 0, "{kept}");
        // Of whichever went; the stop of another is none of the one that waits.
        let cpu = if kept.contains("p1.3") { CPUS[2] } else { CPUS[0] };
        if kept.contains("vCont;s") {
            let thread = cpu.0 + 1;
            let told = bench.on(cpu).debug_exception(STEP);
            assert_eq!(told, [format!("T05thread:p01.0{thread};")], "{kept}");
            assert_eq!(bench.arbiter.claims().count(), 1, "{kept}");
            bench.resume("vCont;c");
            assert_eq!(bench.arbiter.claims().count(), 0, "{kept}");
        }
    }
    let mut bench = Bench::attached(1, 3);
    assert_eq!(bench.ask(&format!("Z2,{WRITABLE:x},8")), "OK");
    assert_eq!(bench.ask(&format!("z2,{WRITABLE:x},8")), "OK");
    bench.resume("vCont;s:p1.2;c");
    assert_eq!(bench.arbiter.claims().count(), 0, "cpu 0 has stopped, and goes on");
}

#[test]
fn a_step_is_over_where_it_was_asked_for() {
    let mut bench = Bench::attached(2, 0);
    bench.resume("vCont;s:p1.1;c");
    assert_eq!(bench.on(CPUS[1]).debug_exception(STEP), QUIET);
    assert_eq!(bench.next, go(Motion::Continue, Keep));
    assert_eq!(bench.on(CPUS[0]).debug_exception(STEP), ["T05thread:p01.01;"]);
    bench.resume("vCont;s:p1.2;c");
    assert_eq!(bench.on(CPUS[0]).debug_exception(STEP), QUIET);
    assert_eq!(bench.on(CPUS[1]).debug_exception(STEP), ["T05thread:p01.02;"]);
}

#[test]
fn a_range_is_stepped_through_by_its_own_cpu() {
    let mut bench = Bench::attached(2, 0);
    bench.resume(&format!("vCont;r{BASE:x},{:x}:p1.4;c", BASE + 8));
    *bench.rip(CPUS[3]) += 4;
    assert_eq!(bench.on(CPUS[3]).debug_exception(STEP), QUIET);
    assert_eq!(bench.next, go(Motion::Step, Keep));
    *bench.rip(CPUS[3]) += 4;
    assert_eq!(bench.debug_exception(STEP), ["T05thread:p01.04;"]);
}

#[test]
fn who_waits_still_waits_when_another_goes_on_unheard() {
    let mut bench = Bench::attached(2, 1);
    let region = Region::new(WRITABLE, 8).expect("a region");
    let request = Request::pinned(Owner::System("count"), region, Condition::Write);
    bench.arbiter.claim(request, |_| Verdict::Continue).expect("there is room");
    bench.resume("vCont;c:p1.2");
    let bit = bench.on(CPUS[1]).bit_of(WRITABLE);
    assert_eq!(bench.debug_exception(bit), QUIET);
    use Motion::{Continue, Wait};
    assert_eq!(bench.orders, keeping([Wait, Continue, Wait, Wait]));
    assert_eq!(bench.session.overhear(3), Overheard::Interrupt);
    assert_eq!(bench.on(CPUS[0]).stop(Cause::Interrupt), ["T02thread:p01.01;"]);
    bench.resume("vCont;c");
    assert_eq!(bench.orders, keeping([Continue; 4]));
}

#[test]
fn the_table_is_that_of_the_thread_that_is_looked_at_or_of_the_one_that_is_named() {
    let mut bench = Bench::new(2, 1);
    let region = Region::new(WRITABLE, 8).expect("a region");
    let request = Request::pinned(Owner::System("two"), region, Condition::Write);
    let request = request.on(Scope::Cpu(CPUS[2]));
    bench.arbiter.claim(request, |_| Verdict::Continue).expect("there is room");
    bench.arbiter.resume(CPUS[2], &mut bench.machine);
    bench.late.push(CPUS[3]);
    bench.running_packet("qSupported:multiprocess+");
    let tables = CPUS.map(|cpu| format!("cpu {}:\n{}", cpu.0, bench.arbiter.table(cpu)));
    assert!(tables[2].contains("two") && !tables[1].contains("two"), "{tables:?}");
    assert_eq!(bench.monitor("dr"), tables[0]);
    assert_eq!(bench.monitor("dr 2"), tables[2]);
    for thread in [2, 3] {
        assert_eq!(bench.ask(&format!("Hgp1.{thread}")), "OK");
        assert_eq!(bench.monitor("dr"), tables[thread - 1]);
    }
    assert_eq!(bench.monitor("dr 0"), tables[0]);
    let unknown = "cpu 3 does not respond: what its registers hold is not known\n";
    assert_eq!(bench.monitor("dr 3"), unknown);
    for nobody in ["dr 9", "dr x", "dr 65536"] {
        assert_eq!(bench.monitor(nobody), "there is no such cpu (try: monitor cpus)\n");
    }
}
