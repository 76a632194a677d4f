//! The lists below the table: claims of tasks, claims that take turns, and who runs where.

use core::fmt;

use crate::arbiter::claim::{CpuId, Tenure};
use crate::arbiter::{Arbiter, Claim};

/// The claims that are armed only while their task runs.
pub(super) fn claims_of_tasks<
    const CLAIMS: usize,
    const CPUS: usize,
    const TASKS: usize,
    const SLOTS: usize,
>(
    arbiter: &Arbiter<CLAIMS, CPUS, TASKS, SLOTS>,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    let mut title = "claims of tasks:\n";
    for task in arbiter.tasks() {
        for (_, claim) in arbiter.claims() {
            let request = claim.request();
            if request.scope.task() == Some(task.id) {
                write!(f, "{title} {}: {} {}", request.scope, request.region, request.condition)?;
                writeln!(f, ", {} hits, {}{}", claim.hits(), request.owner, off(claim))?;
                title = "";
            }
        }
    }
    Ok(())
}

/// What flexible claims have counted.
pub(super) fn claims_that_take_turns<
    const CLAIMS: usize,
    const CPUS: usize,
    const TASKS: usize,
    const SLOTS: usize,
>(
    arbiter: &Arbiter<CLAIMS, CPUS, TASKS, SLOTS>,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    let mut title = "claims that take turns:\n";
    let flexible = arbiter.claims().filter(|(_, claim)| claim.request().tenure == Tenure::Flexible);
    for (handle, claim) in flexible {
        let request = claim.request();
        write!(f, "{title} {}, {}{}: ", request.owner, request.scope, off(claim))?;
        write!(f, "{} {}", request.region, request.condition)?;
        match arbiter.count(handle) {
            Some(count) => writeln!(f, ", {count}")?,
            None => writeln!(f)?,
        }
        title = "";
    }
    Ok(())
}

fn off(claim: &Claim) -> &'static str {
    match (claim.is_held(), claim.is_disabled()) {
        (true, _) => " (held)",
        (false, true) => " (disabled)",
        (false, false) => "",
    }
}

/// Which CPU runs which task, and which tasks have claims; `Display` prints it.
#[derive(Debug)]
pub struct TaskList<
    'a,
    const CLAIMS: usize,
    const CPUS: usize,
    const TASKS: usize,
    const SLOTS: usize,
>(&'a Arbiter<CLAIMS, CPUS, TASKS, SLOTS>);

impl<const CLAIMS: usize, const CPUS: usize, const TASKS: usize, const SLOTS: usize>
    Arbiter<CLAIMS, CPUS, TASKS, SLOTS>
{
    /// Who runs, and who has claims.
    pub const fn task_list(&self) -> TaskList<'_, CLAIMS, CPUS, TASKS, SLOTS> {
        TaskList(self)
    }
}

impl<const CLAIMS: usize, const CPUS: usize, const TASKS: usize, const SLOTS: usize> fmt::Display
    for TaskList<'_, CLAIMS, CPUS, TASKS, SLOTS>
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(arbiter) = self;
        for cpu in (0..=u16::MAX).take(CPUS).map(CpuId) {
            match arbiter.running(cpu) {
                Some(task) => writeln!(f, "cpu {} runs {task}", cpu.0)?,
                None => writeln!(f, "cpu {} runs no task with claims", cpu.0)?,
            }
        }
        for task in arbiter.tasks() {
            let own =
                arbiter.claims().filter(|(_, claim)| claim.request().scope.task() == Some(task.id));
            let count = own.count();
            let plural = if count == 1 { "" } else { "s" };
            writeln!(f, "{}: {count} claim{plural}, plan {}", task.id, task.plan.bits())?;
        }
        Ok(())
    }
}
