//! RFLAGS.RF of each CPU when it goes on.

use tetrarch::arbiter::CpuId;
use tetrarch::session::ResumeFlag::{self, Clear, Keep, Set};
use tetrarch::session::{Cause, Overheard};

use super::{Bench, CPUS};
use crate::bench::{BASE, STEP};

/// The resume flags of the last orders.
fn flags(bench: &Bench) -> [ResumeFlag; 4] {
    bench.orders.map(|order| order.expect("it had stopped").resume_flag)
}

/// CPU 1 has reported an execute breakpoint at the instruction that all are at.
fn reported() -> Bench {
    let mut bench = Bench::attached(2, 0);
    assert_eq!(bench.ask(&format!("Z1,{BASE:x},1")), "OK");
    bench.resume("vCont;c");
    let bit = bench.on(CPUS[1]).bit_of(BASE);
    assert_eq!(bench.debug_exception(bit), ["T05thread:p01.02;hwbreak:;"]);
    bench
}

#[test]
fn rf_is_set_where_a_breakpoint_was_reported_and_nowhere_else() {
    let mut bench = reported();
    bench.resume("vCont;c");
    assert_eq!(flags(&bench), [Keep, Set, Keep, Keep]);
    // It has gone on: what stops it at the same place later has not reported it.
    assert_eq!(bench.session.overhear(3), Overheard::Interrupt);
    assert_eq!(bench.on(CPUS[0]).stop(Cause::Interrupt), ["T02thread:p01.01;"]);
    bench.resume("vCont;c");
    assert_eq!(flags(&bench), [Keep; 4]);
}

#[test]
fn rf_is_cleared_where_the_debugger_moved_the_program_counter() {
    let mut bench = reported();
    for thread in [2, 4] {
        assert_eq!(bench.ask(&format!("Hgp1.{thread}")), "OK");
        assert_eq!(bench.ask("P10=0800100000000000"), "OK");
    }
    bench.resume("vCont;c");
    assert_eq!(flags(&bench), [Keep, Clear, Keep, Clear]);
}

#[test]
fn rf_is_still_known_when_another_cpu_has_stopped_in_between() {
    for (moves, flag) in [(false, Set), (true, Clear)] {
        let mut bench = reported();
        if moves {
            assert_eq!(bench.ask("P10=0800100000000000"), "OK");
        }
        for stepping in [0, 2] {
            bench.resume(&format!("vCont;s:p1.{}", stepping + 1));
            *bench.rip(CpuId(stepping)) += 2;
            let told = bench.on(CpuId(stepping)).debug_exception(STEP);
            assert_eq!(told, [format!("T05thread:p01.0{};", stepping + 1)]);
        }
        bench.resume("vCont;c");
        assert_eq!(flags(&bench), [Keep, flag, Keep, Keep]);
    }
}
