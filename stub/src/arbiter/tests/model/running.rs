//! What the model knows of a CPU: which task it runs, what is armed then, and how long everybody was
//! wanted and armed. Nothing of this is shared with `plan` or `switch`.

use super::*;

#[derive(Clone)]
pub struct Cpu {
    pub task: Option<TaskId>,
    pub registers: Registers,
    /// Registers may be armed that a task has left lazily.
    pub strays: bool,
    /// Its task has lost its last claim, and nothing was written since.
    pub ended: bool,
    /// For tasks without claims, and for each task with claims.
    queues: Vec<(Option<TaskId>, Queue)>,
    pub turn: u64,
    since: u64,
    /// Enabled and running.
    pub times: Vec<(Handle, u64, u64)>,
}

impl Default for Cpu {
    fn default() -> Cpu {
        let first = Queue { ran: Some(0), under_way: true, ..Queue::default() };
        Cpu {
            task: None,
            registers: Registers::default(),
            strays: false,
            ended: false,
            queues: [(None, first)].into(),
            turn: 0,
            since: 0,
            times: Vec::new(),
        }
    }
}

pub fn union(windows: impl Iterator<Item = Window>) -> Vec<Window> {
    let mut distinct = Vec::new();
    windows.for_each(|window| {
        if !distinct.contains(&window) {
            distinct.push(window);
        }
    });
    distinct
}

impl Model {
    pub fn windows_of(&self, request: &Request) -> impl Iterator<Item = Window> + use<> {
        request.region.windows(request.condition, self.arbiter.config().widest)
    }

    /// The windows of pinned claims that apply there: those in force, and all.
    pub fn pinned(&self, cpu: CpuId, task: Option<TaskId>) -> (Vec<Window>, Vec<Window>) {
        let of = |which: &dyn Fn(&&Known) -> bool| {
            let there = self.known.iter().filter(|known| {
                known.request.tenure == Tenure::Pinned && known.request.scope.applies(cpu, task)
            });
            union(there.filter(which).flat_map(|known| self.windows_of(&known.request)))
        };
        (of(&|known| known.in_force()), of(&|_| true))
    }

    /// Promises 3 and 8: the pinned ones, and of those that wait as many as there is room for.
    pub fn wanted(&self, cpu: CpuId, task: Option<TaskId>) -> Vec<Window> {
        let (mut armed, counted) = self.pinned(cpu, task);
        let mut room = 4 - counted.len();
        for (_, window) in &self.queue(cpu, task).order {
            if armed.contains(window) {
                continue;
            }
            if counted.contains(window) {
                armed.push(*window);
            } else if room > 0 {
                room -= 1;
                armed.push(*window);
            }
        }
        armed
    }

    /// All that has a slot: armed, or kept for somebody.
    pub fn held_and_wanted(&self, cpu: CpuId, task: Option<TaskId>) -> Vec<Window> {
        // Of a task without claims nothing in particular is known.
        let task = task.filter(|task| self.has_claims(*task));
        union(self.wanted(cpu, task).into_iter().chain(self.pinned(cpu, task).1))
    }

    pub fn queue(&self, cpu: CpuId, task: Option<TaskId>) -> &Queue {
        let queues = &self.cpus[cpu.index()].queues;
        let own = queues.iter().find(|(of, _)| *of == task).unwrap_or(&queues[0]);
        &own.1
    }

    pub fn queue_mut(&mut self, cpu: CpuId, task: Option<TaskId>) -> &mut Queue {
        let queues = &mut self.cpus[cpu.index()].queues;
        &mut queues.iter_mut().find(|(of, _)| *of == task).unwrap().1
    }

    pub fn has_claims(&self, task: TaskId) -> bool {
        self.known.iter().any(|known| known.request.scope.task() == Some(task))
    }

    /// After a change of the claims: who is new goes behind those who wait.
    pub fn requeue(&mut self) {
        let mut flexible: Vec<_> = self.known.clone();
        flexible.retain(|known| known.request.tenure == Tenure::Flexible && known.in_force());
        flexible.sort_by_key(|known| known.handle.index);
        let tasks = union_of_tasks(&self.known);
        for number in CPU_IDS {
            let mut queues = self.cpus[number.index()].queues.clone();
            queues.retain(|(of, _)| of.is_none_or(|task| tasks.contains(&task)));
            for task in &tasks {
                if !queues.iter().any(|(of, _)| *of == Some(*task)) {
                    let order = queues[0].1.order.clone();
                    queues.push((Some(*task), Queue { order, ..Queue::default() }));
                }
            }
            let mut fresh = Vec::new();
            for (task, queue) in &mut queues {
                let here = |known: &&Known| known.request.scope.applies(number, *task);
                let all: Vec<_> = flexible
                    .iter()
                    .filter(here)
                    .map(|known| (known.handle, self.windows_of(&known.request).next().unwrap()))
                    .collect();
                queue.order.retain(|waiting| all.contains(waiting));
                let windows = queue.windows();
                let Queue { order, at_start, sometime, parts, whole, .. } = queue;
                for list in [&mut *at_start, sometime, parts, whole] {
                    list.retain(|window| windows.contains(window));
                }
                let new = all.iter().filter(|one| !order.contains(one)).copied();
                let new: Vec<_> = new.collect();
                order.extend(new);
                // Of these, what is not armed is taken out below.
                let new = queue.windows().into_iter().filter(|one| !windows.contains(one));
                let new: Vec<_> = new.collect();
                queue.at_start.extend(&new);
                fresh.extend(new.iter().map(|one| (*task, *one)));
            }
            let cpu = &mut self.cpus[number.index()];
            cpu.queues = queues;
            let goes_on = cpu.task.filter(|task| tasks.contains(task));
            cpu.ended |= goes_on != cpu.task;
            cpu.task = goes_on;
            let runs = (!cpu.ended).then_some(cpu.task);
            for task in [None].into_iter().chain(tasks.iter().copied().map(Some)) {
                let wanted = self.wanted(number, task);
                let queue = self.queue_mut(number, task);
                if runs == Some(task) {
                    queue.see(&wanted);
                }
                queue.at_start.retain(|one| !fresh.contains(&(task, *one)) || wanted.contains(one));
            }
        }
    }

    /// Time goes on, for those that the running context knows.
    pub fn pass(&mut self, number: CpuId, now: u64) {
        let task = self.cpus[number.index()].task;
        let wanted = self.wanted(number, task);
        let order = self.queue(number, task).order.clone();
        let cpu = &mut self.cpus[number.index()];
        // Of a task that has ended the registers are as they were.
        let bank = cpu.registers.bank;
        let armed = Slot::ALL.into_iter().filter_map(|slot| bank.armed(slot));
        let armed = if cpu.ended { armed.collect() } else { wanted };
        let time = now - cpu.since;
        cpu.since = now;
        for (handle, window) in order {
            if !cpu.times.iter().any(|(of, _, _)| *of == handle) {
                cpu.times.push((handle, 0, 0));
            }
            let times = cpu.times.iter_mut().find(|(of, _, _)| *of == handle).unwrap();
            times.1 += time;
            times.2 += if armed.contains(&window) { time } else { 0 };
        }
    }

    /// What it holds after it followed the claims.
    pub fn check_armed(&mut self, number: CpuId) {
        let wanted = self.wanted(number, self.cpus[number.index()].task);
        let bank = self.cpus[number.index()].registers.bank;
        assert_eq!(bank, *self.arbiter.bank(number));
        let armed: Vec<_> = Slot::ALL.into_iter().filter_map(|slot| bank.armed(slot)).collect();
        assert_eq!(armed.len(), wanted.len());
        assert!(wanted.iter().all(|window| armed.contains(window)), "{wanted:?} {armed:?}");
    }

    /// Promise 10: who is told of a hit of all slots that are on in `bank`, which came under the first
    /// of these tasks and is told under the second.
    pub fn expect_hits(&mut self, number: CpuId, bank: &Bank, tasks: [Option<TaskId>; 2]) {
        let wanted = self.wanted(number, self.cpus[number.index()].task);
        // With a task that has claims nothing is armed for others.
        let strays = self.cpus[number.index()].strays && tasks[0].is_none();
        let mut hit = union(Slot::ALL.into_iter().filter_map(|slot| bank.armed(slot)));
        hit.retain(|window| !strays || wanted.contains(window));
        let widest = self.arbiter.config().widest;
        for known in self.known.iter_mut().filter(|known| known.in_force()) {
            let request = known.request;
            let mut own = request.region.windows(request.condition, widest);
            if tasks.iter().any(|task| request.scope.applies(number, *task))
                && own.any(|window| hit.contains(&window))
            {
                known.hits += 1;
            }
        }
    }
}

pub fn union_of_tasks(known: &[Known]) -> Vec<TaskId> {
    let mut tasks: Vec<_> = known.iter().filter_map(|known| known.request.scope.task()).collect();
    tasks.sort_unstable();
    tasks.dedup();
    tasks
}
