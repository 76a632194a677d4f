//! What a reservation means, without the formula: whatever the other side holds, and
//! whatever it releases, this side can get that many registers, in every context.

use super::*;

pub fn check(arbiter: &TestArbiter) {
    let reservations = arbiter.config().reservations;
    let sides =
        [(Owner::Debugger, reservations.debugger()), (Owner::System("a"), reservations.system())];
    for (owner, reserved) in sides {
        keeps(arbiter, owner, reserved);
        let class = owner.class().other();
        let others = arbiter.claims().filter(|(_, claim)| claim.request().owner.class() == class);
        for (handle, _) in others {
            let mut without = arbiter.clone();
            without.release(handle).unwrap();
            keeps(&without, owner, reserved);
        }
        let mut alone = arbiter.clone();
        alone.release_class(class);
        keeps(&alone, owner, reserved);
    }
}

/// Tries for all that is promised and not used yet, in one request of so many windows.
fn keeps(arbiter: &TestArbiter, owner: Owner, reserved: u8) {
    // One that has no claims stands for all such, and can have some only if there is a place.
    let with_claims = |task: &TaskId| arbiter.plan_of(*task) != PlanId::NONE;
    let tasks = (0..3).map(TaskId).filter(with_claims).chain([TaskId(3)]);
    for (task, cpu) in tasks.flat_map(|task| CPU_IDS.map(|cpu| (task, cpu))) {
        let used = own_windows(arbiter, owner.class(), cpu, task);
        let length = match usize::from(reserved).saturating_sub(used) {
            0 => continue,
            1 => 1,
            // From an odd address: one byte, two bytes, and so on.
            2 => 3,
            3 => 7,
            4.. => 11,
        };
        let fresh = region(0x2001, length);
        let request = Request::pinned(owner, fresh, Condition::Write);
        match arbiter.clone().claim(request.on(Scope::TaskOnCpu(task, cpu)), carry_on) {
            // No place in the tables to try it with.
            Ok(_) | Err(Rejection::TableFull(_) | Rejection::TooManyTasks(_)) => {}
            Err(rejection) => panic!("{owner} was promised {reserved}: {rejection}"),
        }
    }
}

/// How many distinct windows one side has in a context; what is held may give way to it.
fn own_windows(arbiter: &TestArbiter, class: Class, cpu: CpuId, task: TaskId) -> usize {
    let own = arbiter.claims().map(|(_, claim)| claim).filter(|claim| {
        let request = claim.request();
        !claim.is_held()
            && request.tenure == Tenure::Pinned
            && request.owner.class() == class
            && request.scope.applies(cpu, Some(task))
    });
    let widest = arbiter.config().widest;
    union(own.flat_map(|claim| claim.request().region.windows(claim.request().condition, widest)))
        .len()
}
