//! What the model knows of turns: who waits in which context, and what each has had. Nothing of
//! this is shared with `plan` or `turn`.

use super::*;

pub type Waiting = (Handle, Window);

/// The claims that take turns in one context, first the one that is next.
#[derive(Clone, Default)]
pub struct Queue {
    pub order: Vec<Waiting>,
    /// What was armed when the turn began.
    pub at_start: Vec<Window>,
    /// What was armed at some time in the turn.
    pub sometime: Vec<Window>,
    /// What has had a part of an earlier turn, each as often as that.
    pub parts: Vec<Window>,
    /// What has had a whole turn.
    pub whole: Vec<Window>,
    /// In which turn of the CPU the context was last switched to, unless a tick found it running
    /// since.
    pub ran: Option<u64>,
    /// Whether a turn has begun that is not over.
    pub under_way: bool,
}

impl Queue {
    /// The context runs, and these are armed.
    pub fn see(&mut self, armed: &[Window]) {
        self.sometime.extend(self.windows().iter().filter(|window| armed.contains(window)));
    }

    /// What takes turns here, if no pinned claim has it.
    pub fn windows(&self) -> Vec<Window> {
        union(self.order.iter().map(|(_, window)| *window))
    }
}

impl Model {
    /// The running context, if there is one, has had its turn, and the next one begins.
    pub fn tick(&mut self, number: CpuId) {
        let cpu = &mut self.cpus[number.index()];
        cpu.turn += 1;
        if !cpu.ended {
            self.send_back(number);
            self.begin_turn(number).ran = None;
        }
    }

    /// A context that ran in an earlier turn, and was not running when that ended, has had it.
    pub fn take_turn(&mut self, number: CpuId) {
        let (turn, task) = (self.cpus[number.index()].turn, self.cpus[number.index()].task);
        let queue = self.queue_mut(number, task);
        if queue.ran.replace(turn).is_some_and(|ran| ran != turn) {
            queue.under_way = false;
            self.send_back(number);
        }
        let wanted = self.wanted(number, task);
        let queue = self.queue_mut(number, task);
        if queue.under_way {
            queue.see(&wanted);
        } else {
            self.begin_turn(number);
        }
    }

    /// The first that has had a whole turn, or parts of two, goes to the back, if some wait.
    fn send_back(&mut self, number: CpuId) {
        let task = self.cpus[number.index()].task;
        let (wanted, counted) = (self.wanted(number, task), self.pinned(number, task).1);
        let queue = self.queue_mut(number, task);
        for one in queue.windows() {
            if queue.at_start.contains(&one) && wanted.contains(&one) {
                queue.whole.push(one);
            } else if queue.at_start.contains(&one) || queue.sometime.contains(&one) {
                queue.parts.push(one);
            }
        }
        let has_had = |one: &&Window| {
            queue.whole.contains(one) || queue.parts.iter().filter(|part| part == one).count() > 1
        };
        let mut in_turns = queue.windows();
        in_turns.retain(|window| !counted.contains(window));
        let Some(first) = in_turns.iter().find(has_had).copied() else { return };
        if in_turns.iter().any(|window| !wanted.contains(window)) {
            let its: Vec<_> = queue.order.extract_if(.., |(_, own)| *own == first).collect();
            queue.whole.retain(|one| *one != first);
            queue.parts.retain(|one| *one != first);
            queue.order.extend(its);
        }
    }

    fn begin_turn(&mut self, number: CpuId) -> &mut Queue {
        let task = self.cpus[number.index()].task;
        let wanted = self.wanted(number, task);
        let queue = self.queue_mut(number, task);
        queue.at_start = queue.windows();
        queue.at_start.retain(|window| wanted.contains(window));
        queue.sometime = queue.at_start.clone();
        queue.under_way = true;
        queue
    }
}
