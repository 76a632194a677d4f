//! What was counted: by the image, and by the guards.

use core::fmt::{self, Write};
use core::sync::atomic::{AtomicU64, Ordering};

use crate::guards::{RECORDS, STRAYS};
use crate::tasks::{BEATS, TASKS};
use crate::{churn, nmi, work};

fn value(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}

/// Whether each guard has seen what it must, and nothing else. Not while a CPU runs.
pub fn is_right() -> bool {
    let guards = RECORDS.iter().map(|record| (&record.written, &record.seen));
    let tasks = TASKS.iter().map(|task| (&task.written, &task.seen));
    let all_seen = guards.chain(tasks).all(|(written, seen)| value(written) == value(seen));
    all_seen && value(&STRAYS) == 0 && value(&churn::WRONG) == 0
}

/// `monitor tally`.
pub fn print(_: &str, out: &mut dyn Write) {
    // What does not fit is cut off by the stub.
    let _ = write(out);
}

fn write(out: &mut dyn Write) -> fmt::Result {
    for (cpu, record) in RECORDS.iter().enumerate() {
        let (written, seen) = (value(&record.written), value(&record.seen));
        writeln!(out, "written-{cpu} {written}\nseen-{cpu} {seen}")?;
        writeln!(out, "beats-{cpu} {}", value(&BEATS[cpu]))?;
        writeln!(out, "counted-{cpu} {}", value(&work::counters[cpu].0))?;
        writeln!(out, "shared-{cpu} {}", value(&work::writes[cpu]))?;
    }
    for (number, task) in TASKS.iter().enumerate() {
        writeln!(out, "task-written-{number} {}", value(&task.written))?;
        writeln!(out, "task-seen-{number} {}", value(&task.seen))?;
    }
    for (cpu, rounds) in churn::churned.iter().enumerate() {
        writeln!(out, "churned-{cpu} {}", value(rounds))?;
    }
    writeln!(out, "nmis {}\nnmi-depth {}", value(&nmi::HANDLED), value(&nmi::DEEPEST))?;
    writeln!(out, "wrong {}\nstrays {}", value(&churn::WRONG), value(&STRAYS))
}
