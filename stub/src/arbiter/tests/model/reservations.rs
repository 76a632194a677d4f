//! What a reservation means, without the formula: whatever the other side holds, and
//! whatever it releases, this side can get that many registers on every CPU.

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
    for cpu in [CpuId(0), CpuId(1)] {
        let used = own_windows(arbiter, owner.class(), cpu);
        let length = match usize::from(reserved).saturating_sub(used) {
            0 => continue,
            1 => 1,
            // From an odd address: one byte, two bytes, and so on.
            2 => 3,
            3 => 7,
            4.. => 11,
        };
        let fresh = region(0x2001, length);
        let request = Request::pinned(owner, fresh, Condition::Write).on(Scope::Cpu(cpu));
        match arbiter.clone().claim(request, carry_on) {
            // No place in the table to try it with.
            Ok(_) | Err(Rejection::TableFull(_)) => {}
            Err(rejection) => panic!("{owner} was promised {reserved}: {rejection}"),
        }
    }
}

/// How many distinct windows one side has in force.
fn own_windows(arbiter: &TestArbiter, class: Class, cpu: CpuId) -> usize {
    let mut windows: Vec<Window> = Vec::new();
    for (_, claim) in arbiter.claims().filter(|(_, claim)| !claim.is_held()) {
        let request = claim.request();
        if request.owner.class() == class && request.scope.applies(cpu, None) {
            windows.extend(request.region.windows(request.condition, arbiter.config().widest));
        }
    }
    let distinct = windows.iter().enumerate().filter(|(n, window)| !windows[..*n].contains(window));
    distinct.count()
}
