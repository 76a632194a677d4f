//! What a CPU arms while it runs a task: worked out when a claim is made, not at the switch.
//!
//! There is a plan for each CPU and each task that has claims, and one for each CPU and all
//! other tasks. It lists the windows that pinned claims want, those that only keep their
//! place, and the flexible claims in the order of their turns. A task carries the number of
//! its plan; so a context switch compares two numbers, and only if they differ looks further.
//!
//! **Turns.** Flexible claims take the `H` slots of the context that no pinned window has,
//! front of the queue first; a turn later the front goes to the back. While `F` of them want
//! a slot and neither number changes, each is therefore armed for exactly `H` of any `F` turns
//! (promise 8), one address is written a turn, and whoever joins goes behind all who wait.
//!
//! Others may come and go in the middle of a turn, and pinned claims take a slot away for a
//! while. Who was armed when the turn began and is when it ends has had a whole one; who was
//! armed at some time in it, a part; and one whole turn, or a part of two, is what sends the
//! front to the back. So who is let in just before a tick does not lose its turn by that, and
//! who gives way to a pinned claim in each of its turns does not keep the others waiting.
//! A turn goes on when its context is switched away and back; what changes while another runs
//! counts from when it comes back. (Only who is new and finds a free slot has had it from the
//! start, whoever runs: there is nobody who would wait the longer for that.)
//!
//! What takes turns is a *window*. Flexible claims with the same one share its turn, also one that
//! is made in the middle of it, and one whose window a pinned claim has, or keeps a place for, needs
//! none: it is armed all the time.

use heapless::Vec;

use super::Claim;
use super::claim::{CpuId, Handle, TaskId, Tenure};
use super::region::Widest;
use super::turn::{Contender, Course, Turn};
use crate::dr::Window;
use crate::gather::gather;

/// The number of a plan, for a task to carry.
///
/// A task has a number of its own from its first claim to the release of its last: ask for it
/// ([`plan_of`](super::Arbiter::plan_of)) after each of the two. All other tasks have
/// [`NONE`](Self::NONE). A number that is out of date is never another task's; it is taken for
/// `NONE`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct PlanId(u32);

impl PlanId {
    /// What is armed for every task that has no claims: the claims of the CPU alone.
    pub const NONE: PlanId = PlanId(0);

    /// No plan's number, so that whatever is switched to differs from it.
    pub(super) const GONE: PlanId = PlanId(u32::MAX);

    /// The number as a word, for a register or an atomic.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// The number that has this word.
    pub const fn from_bits(bits: u32) -> PlanId {
        PlanId(bits)
    }

    /// The `generation`-th number of place `index` among `places`.
    pub(super) const fn new(index: usize, generation: u32, places: usize) -> PlanId {
        // Comes round after 2^32 tasks with claims, and never to 0 or to `GONE`.
        let rounds = (u32::MAX - 1) / places as u32;
        PlanId(generation % rounds * places as u32 + index as u32 + 1)
    }

    /// The place that the number belongs to, if it is one of `places`.
    pub(super) const fn index(self, places: usize) -> Option<usize> {
        if self.0 == 0 || places == 0 { None } else { Some((self.0 as usize - 1) % places) }
    }
}

/// Whether the context of a plan runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Activity {
    Runs,
    Away,
}

/// What to arm in one context.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone, PartialEq))]
pub(crate) struct Plan<const CLAIMS: usize, const SLOTS: usize> {
    pub id: PlanId,
    pub task: Option<TaskId>,
    /// The windows to arm: those of pinned claims first, and so many of the queue as fit.
    pub wanted: Vec<Window, SLOTS>,
    /// How many of them are pinned.
    pinned: usize,
    /// Windows that are counted but not armed for their pinned claims: held or disabled ones.
    pub kept: Vec<Window, SLOTS>,
    /// The flexible claims, in the order of their turns.
    pub queue: Vec<Contender, CLAIMS>,
    /// How far it is with its turn.
    pub turn: Course,
}

impl<const CLAIMS: usize, const SLOTS: usize> Plan<CLAIMS, SLOTS> {
    /// Arms nothing.
    pub const EMPTY: Self = Plan {
        id: PlanId::NONE,
        task: None,
        wanted: Vec::new(),
        pinned: 0,
        kept: Vec::new(),
        queue: Vec::new(),
        turn: Course::ToCome,
    };

    /// Runs from reset on, in the CPU's first turn: what it arms then has had its turn at the
    /// first tick.
    pub const FROM_RESET: Self = Plan {
        id: PlanId::NONE,
        task: None,
        wanted: Vec::new(),
        pinned: 0,
        kept: Vec::new(),
        queue: Vec::new(),
        turn: Course::Since(0),
    };

    /// Of a task that has just got claims, or of none.
    pub fn of(id: PlanId, task: Option<TaskId>) -> Self {
        Plan { id, task, ..Self::EMPTY }
    }

    /// Makes the plan anew, from the claims that are left. Who waited keeps its place.
    pub fn rebuild<'a>(
        &mut self,
        cpu: CpuId,
        widest: Widest,
        claims: impl Iterator<Item = (Handle, &'a Claim)> + Clone,
        activity: Activity,
    ) {
        let task = self.task;
        let here = claims.filter(|(_, claim)| claim.request.scope.applies(cpu, task));
        let pinned = || here.clone().filter(|(_, claim)| claim.request.tenure == Tenure::Pinned);
        self.wanted.clear();
        for (_, claim) in pinned().filter(|(_, claim)| claim.is_live()) {
            claim.request.windows(widest).for_each(|window| add(&mut self.wanted, window));
        }
        self.pinned = self.wanted.len();
        self.kept.clear();
        for (_, claim) in pinned().filter(|(_, claim)| !claim.is_live()) {
            for window in
                claim.request.windows(widest).filter(|window| !self.wanted.contains(window))
            {
                add(&mut self.kept, window);
            }
        }
        let flexible = || {
            let live = here
                .clone()
                .filter(|(_, claim)| claim.request.tenure == Tenure::Flexible && claim.is_live());
            // Admission has seen to it that there is one window.
            live.filter_map(|(handle, claim)| {
                let window = claim.request.windows(widest).next()?;
                Some(Contender { place: handle.index, window, turn: Turn::NONE })
            })
        };
        self.queue.retain(|waiting| flexible().any(|contender| contender.is(waiting)));
        let known = self.queue.len();
        for contender in flexible() {
            if !self.queue.iter().any(|waiting| waiting.is(&contender)) {
                let pushed = self.queue.push(contender);
                debug_assert!(pushed.is_ok(), "more claims than places");
            }
        }
        self.choose();
        for index in known..self.queue.len() {
            let Some((before, new)) = self.queue.split_at_mut_checked(index) else { continue };
            let Some(contender) = new.first_mut() else { continue };
            match before.iter().find(|other| other.window == contender.window) {
                Some(other) => contender.turn = other.turn,
                None => contender.turn.begin(self.wanted.contains(&contender.window)),
            }
        }
        match activity {
            Activity::Runs => self.go_on(),
            Activity::Away => {}
        }
    }

    /// Is switched to in this turn of the CPU. If it ran in an earlier one, and was not running
    /// when that ended, it has had that turn.
    pub fn run_in(&mut self, turn: u64) {
        match core::mem::replace(&mut self.turn, Course::Since(turn)) {
            Course::ToCome => self.begin_turn(),
            Course::FromTick => self.go_on(),
            Course::Since(last) if last == turn => self.go_on(),
            Course::Since(_) => {
                self.rotate();
                self.begin_turn();
            }
        }
    }

    /// The turn ends while it runs, and the next one begins.
    pub fn end_turn(&mut self) {
        self.rotate();
        self.turn = Course::FromTick;
        self.begin_turn();
    }

    /// It runs, in the middle of a turn.
    fn go_on(&mut self) {
        for contender in &mut self.queue {
            if self.wanted.contains(&contender.window) {
                contender.turn.arm();
            }
        }
    }

    fn begin_turn(&mut self) {
        for contender in &mut self.queue {
            contender.turn.begin(self.wanted.contains(&contender.window));
        }
    }

    /// Ends a turn: the first of those that have had theirs goes to the back of the queue, if
    /// there are some that wait.
    fn rotate(&mut self) {
        for contender in &mut self.queue {
            contender.turn.end(self.wanted.contains(&contender.window));
        }
        let mut turns = self.queue.iter().filter(|contender| self.takes_turns(contender.window));
        let waits = turns.clone().any(|contender| !self.wanted.contains(&contender.window));
        let front = turns.find(|contender| contender.turn.is_over()).filter(|_| waits);
        let Some(front) = front.map(|contender| contender.window) else { return };
        let is_back = |contender: &&Contender| contender.window == front;
        let stay = self.queue.iter().filter(|contender| !is_back(contender)).copied();
        let back = self.queue.iter().filter(is_back);
        self.queue = gather(stay.chain(back.map(|one| Contender { turn: Turn::NONE, ..*one })));
        self.choose();
    }

    /// Whether a flexible claim needs a turn to have this window armed.
    fn takes_turns(&self, window: Window) -> bool {
        let pinned = self.wanted.iter().take(self.pinned);
        !pinned.chain(&self.kept).any(|known| *known == window)
    }

    /// Gives the slots that are left to the queue.
    fn choose(&mut self) {
        self.wanted.truncate(self.pinned);
        let mut room = SLOTS.saturating_sub(self.pinned + self.kept.len());
        for Contender { window, .. } in &self.queue {
            if self.wanted.contains(window) {
                continue;
            }
            if !self.kept.contains(window) {
                let Some(less) = room.checked_sub(1) else { continue };
                room = less;
            }
            add(&mut self.wanted, *window);
        }
    }

    /// Whether it arms this window, in this turn or another.
    pub fn arms(&self, window: &Window) -> bool {
        let waits = self.queue.iter().any(|contender| contender.window == *window);
        waits || self.wanted.contains(window)
    }

    /// The windows that keep their place, and that nobody else wants armed.
    pub fn spare(&self) -> Vec<Window, SLOTS> {
        let mut spare = self.kept.clone();
        spare.retain(|window| !self.wanted.contains(window));
        spare
    }
}

fn add<const SLOTS: usize>(windows: &mut Vec<Window, SLOTS>, window: Window) {
    if !windows.contains(&window) {
        let pushed = windows.push(window);
        debug_assert!(pushed.is_ok(), "admission let too many windows in");
    }
}
