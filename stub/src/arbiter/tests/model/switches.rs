//! Steps that write registers, and what is hit meanwhile.

use super::*;

/// All of B0 to B3.
const ALL_HIT: Dr6 = Dr6::from_bits(Dr6::RESET.bits() | 0b1111);

fn armed(bank: &Bank) -> Vec<Window> {
    Slot::ALL.into_iter().filter_map(|slot| bank.armed(slot)).collect()
}

impl Model {
    /// Lets the arbiter write to the registers of a CPU; returns what they held after each write.
    fn writing(
        &mut self,
        cpu: CpuId,
        write: impl FnOnce(&mut TestArbiter, &mut Registers),
    ) -> Vec<Bank> {
        let registers = &mut self.cpus[cpu.index()].registers;
        write(&mut self.arbiter, registers);
        std::mem::take(&mut registers.states)
    }

    /// Promise 3: what is in force is armed, and nothing else.
    pub fn run(&mut self, cpu: CpuId) {
        let before = self.cpus[cpu.index()].registers.bank;
        let states = self.writing(cpu, |arbiter, registers| {
            assert_eq!(arbiter.suspend(cpu, registers), before.control());
        });
        assert_eq!(states.len(), usize::from(before.control().any_armed()));
        assert_eq!(self.cpus[cpu.index()].registers.bank.control(), Dr7::OFF);
        self.writing(cpu, |arbiter, registers| arbiter.resume(cpu, registers));
        self.cpus[cpu.index()].strays = false;
        self.leave_ended(cpu);
        self.check_armed(cpu);
    }

    /// Goes on as a task without claims, once the registers follow.
    fn leave_ended(&mut self, cpu: CpuId) {
        if std::mem::take(&mut self.cpus[cpu.index()].ended) {
            self.take_turn(cpu);
        }
    }

    /// Promise 9, and promise 10 for a hit after any of the writes.
    pub fn switch(&mut self, cpu: CpuId, task: TaskId, hit_after: usize) {
        let state = &self.cpus[cpu.index()];
        let (old_task, old, ended) = (state.task, state.registers.bank, state.ended);
        let (plan_before, plan) = (self.arbiter.in_force(cpu), self.arbiter.plan_of(task));
        let new_task = Some(task).filter(|task| self.has_claims(*task));
        assert_eq!(plan == PlanId::NONE, new_task.is_none());
        let now = self.now;
        let states =
            self.writing(cpu, |arbiter, registers| arbiter.switch_to(cpu, plan, now, registers));
        // One that runs already, whether it has changed or not: nothing is done.
        if plan == plan_before && !ended {
            assert_eq!(states, []);
            self.arbiter.accrue(cpu, now);
            return;
        }
        self.cpus[cpu.index()].task = new_task;
        self.cpus[cpu.index()].ended = false;
        self.take_turn(cpu);
        let lazy =
            self.arbiter.config().switching == Switching::Lazy && new_task.is_none() && !ended;
        self.follow(cpu, lazy, &old, &states);
        // Before the first write, or after that or another.
        if let Some(live) = [old].iter().chain(&states).nth(hit_after) {
            let put_off =
                DebugException { status: ALL_HIT, live: *live, plan: plan_before, rip: 0 };
            self.arbiter.deliver(cpu, &[put_off], &mut NoMemory);
            self.expect_hits(cpu, live, [old_task, new_task]);
        }
    }

    pub fn tick_of(&mut self, cpu: CpuId) {
        let (old, now) = (self.cpus[cpu.index()].registers.bank, self.now);
        let task = self.cpus[cpu.index()].task;
        let (plan, before) = (self.arbiter.in_force(cpu), self.wanted(cpu, task));
        let states = self.writing(cpu, |arbiter, registers| arbiter.tick(cpu, now, registers));
        self.tick(cpu);
        self.leave_ended(cpu);
        // If the turn of one is over, nothing is left lazily, or its hits could not be told from
        // stray ones.
        let has_changed = self.wanted(cpu, task).iter().any(|window| !before.contains(window));
        self.follow(cpu, self.cpus[cpu.index()].strays && !has_changed, &old, &states);
        let put_off = DebugException { status: ALL_HIT, live: old, plan, rip: 0 };
        self.arbiter.deliver(cpu, &[put_off], &mut NoMemory);
        self.expect_hits(cpu, &old, [task; 2]);
    }

    /// What was armed and is wanted stays where it is; what is wanted is armed, and nothing else
    /// is, but what may stay.
    fn follow(&mut self, cpu: CpuId, lazy: bool, old: &Bank, states: &[Bank]) {
        let wanted = self.wanted(cpu, self.cpus[cpu.index()].task);
        let before = armed(old);
        let is_somebodys = |window: &Window| {
            let mut here = self.known.iter().filter(|known| {
                known.in_force() && known.request.scope.cpu().is_none_or(|on| on == cpu)
            });
            here.any(|known| self.windows_of(&known.request).any(|own| own == *window))
        };
        self.cpus[cpu.index()].strays = lazy
            && before.iter().all(is_somebodys)
            && wanted.iter().all(|window| before.contains(window));
        if self.cpus[cpu.index()].strays {
            assert_eq!(states, [], "nothing need be written");
            return;
        }
        for state in states {
            for slot in Slot::ALL {
                let (was, is) = (old.armed(slot), state.armed(slot));
                assert!(is.is_none_or(|is| wanted.contains(&is) || before.contains(&is)));
                assert!(was.is_none_or(|was| !wanted.contains(&was) || is == Some(was)));
            }
        }
        self.check_armed(cpu);
    }

    /// Promise 10: all slots hit, also those that are off.
    pub fn hit(&mut self, cpu: CpuId) {
        let bank = self.cpus[cpu.index()].registers.bank;
        let exception = self.arbiter.exception(cpu, ALL_HIT, bank.control(), 0);
        let delivery = self.arbiter.deliver(cpu, &[exception], &mut NoMemory);
        assert_eq!(delivery.windows.len(), armed(&bank).len());
        let task = self.cpus[cpu.index()].task;
        self.expect_hits(cpu, &bank, [task; 2]);
    }
}
