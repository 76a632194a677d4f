//! Where CPUs meet: who leads, who waits, and whose state may be touched by whom.
//!
//! What only its own CPU uses (its bank, its plans, the frame that an exception saved) has no
//! lock. What all share (the claims, the session) belongs to whoever *leads*; there is one leader
//! at the most. A leader that has to change what another CPU uses calls that CPU, by an NMI,
//! waits until it has *parked*, and *collects* it: from then on that CPU's state is the leader's,
//! until it lets the CPU go.
//!
//! ```text
//!                    start                park                collect
//!      Offline ───────────────▶ Running ────────▶ Parked ────────────────▶ Collected
//!         ▲                      ▲ ▲ ▲               │ nobody leads            │ │
//!         └──────────────────────┘ │ └───────────────┘                         │ │
//!              stop                └─────────── let go, or handed the lead ────┘ └ held: stays
//!                                               by the leader                     for the next
//! ```
//!
//! **Nobody waits for somebody who waits.** A CPU that cannot lead parks, and a parked CPU can be
//! collected by whoever does; so two CPUs that want to lead at once, with interrupts off, do not
//! wait for one another: one leads, and the other is parked. A CPU in the middle of work on its
//! own state does not park: it answers the call when it has finished, which takes no lock and is
//! soon. So what the leader finds is always what a CPU has between two pieces of work, and what a
//! CPU finds when it has been let go is all that the leader has changed: a claim is seen by a
//! switch, a tick or a debug exception either entirely or not at all.
//!
//! **Memory order.** All that a CPU did is before its `Parked` (release), which the leader reads
//! (acquire) when it collects. All that the leader did is before `Running` (release), which the
//! CPU reads (acquire) before it goes on. One leader's work is before the next one's in the same
//! way, by [`finish`](Rendezvous::finish) and [`lead`](Rendezvous::lead). A CPU that leaves
//! because nobody leads any more takes its place back by compare-and-exchange, so that it cannot
//! leave and be collected both.
//!
//! **A late CPU** finds that it was called, parks, and leaves if nobody leads any more. Nothing of
//! its own was changed meanwhile; the caller compares what it has with what there is now
//! ([`Arbiter::give_back`](crate::arbiter::Arbiter::give_back)).

#[cfg(not(loom))]
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
#[cfg(loom)]
use loom::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::arbiter::CpuId;

mod order;
// Under loom nothing runs outside of a model of its own; its tests are in `tests/rendezvous`.
#[cfg(all(test, not(loom)))]
mod tests;

/// What a CPU is doing, as far as the others are concerned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Standing {
    /// It has not been started, or has gone.
    Offline,
    /// It runs the firmware, or leads.
    Running,
    /// It waits, and its state is its own.
    Parked,
    /// It waits, and its state is the leader's.
    Collected,
}

impl Standing {
    const ALL: [Self; 4] = [Self::Offline, Self::Running, Self::Parked, Self::Collected];

    fn from_word(word: u32) -> Self {
        Self::ALL.get(word as usize).copied().unwrap_or(Self::Offline)
    }
}

/// What a parked CPU finds when it looks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Turn {
    /// Nothing new.
    Wait,
    /// The leader has let it go.
    LetGo,
    /// It leads now, and all whom the leader before had collected still wait.
    Lead,
    /// Nobody leads any more, and nobody had collected it, or it is gone: it goes by itself.
    Leave,
}

/// What one CPU shows to the others.
#[derive(Debug)]
struct Place {
    /// A [`Standing`].
    standing: AtomicU32,
    /// Called by a leader, and the call has not been taken yet.
    called: AtomicBool,
}

/// The meeting place of up to `CPUS` CPUs.
#[derive(Debug)]
pub struct Rendezvous<const CPUS: usize> {
    /// The number of the CPU that leads plus one, or 0.
    leader: AtomicU32,
    places: [Place; CPUS],
    order: order::Order<CPUS>,
}

impl<const CPUS: usize> Default for Rendezvous<CPUS> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const CPUS: usize> Rendezvous<CPUS> {
    /// All CPUs are offline, and nobody leads.
    #[cfg(not(loom))]
    pub const fn new() -> Self {
        let places =
            [const { Place { standing: AtomicU32::new(0), called: AtomicBool::new(false) } }; CPUS];
        Self { leader: AtomicU32::new(0), places, order: order::Order::new() }
    }

    /// All CPUs are offline, and nobody leads.
    #[cfg(loom)]
    pub fn new() -> Self {
        let offline = |_| Place { standing: AtomicU32::new(0), called: AtomicBool::new(false) };
        let places = core::array::from_fn(offline);
        Self { leader: AtomicU32::new(0), places, order: order::Order::new() }
    }

    fn place(&self, cpu: CpuId) -> Option<&Place> {
        self.places.get(usize::from(cpu.0))
    }

    /// What `cpu` is doing. Without leading, that is out of date at once.
    pub fn standing(&self, cpu: CpuId) -> Standing {
        self.place(cpu).map_or(Standing::Offline, |place| {
            Standing::from_word(place.standing.load(Ordering::Acquire))
        })
    }

    fn set(&self, cpu: CpuId, standing: Standing) {
        if let Some(place) = self.place(cpu) {
            place.standing.store(standing as u32, Ordering::Release);
        }
    }

    fn change(&self, cpu: CpuId, from: Standing, to: Standing) -> bool {
        self.place(cpu).is_some_and(|place| {
            place
                .standing
                .compare_exchange(from as u32, to as u32, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok()
        })
    }

    /// `cpu`, which executes the call, runs from now on.
    pub fn start(&self, cpu: CpuId) {
        if let Some(place) = self.place(cpu) {
            // A call that it had not taken before it was reset never comes.
            place.called.store(false, Ordering::Relaxed);
        }
        self.set(cpu, Standing::Running);
    }

    /// `cpu` is gone: to be called by itself, or by a leader who knows that it runs no more.
    pub fn stop(&self, cpu: CpuId) {
        self.set(cpu, Standing::Offline);
    }

    /// Who leads.
    pub fn leader(&self) -> Option<CpuId> {
        let number = self.leader.load(Ordering::Acquire);
        number.checked_sub(1).map(|number| CpuId(number as u16))
    }

    /// Makes `cpu`, which executes the call and runs, the leader, unless there is one.
    #[must_use]
    pub fn lead(&self, cpu: CpuId) -> bool {
        let own = u32::from(cpu.0) + 1;
        self.leader.compare_exchange(0, own, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Makes `cpu`, which executes the call and waits, the leader, if it is held and nobody leads.
    #[must_use]
    pub fn lead_if_held(&self, cpu: CpuId) -> bool {
        let is_held = || self.standing(cpu) == Standing::Collected;
        if self.leader().is_some() || !is_held() || !self.lead(cpu) {
            return false;
        }
        // Another may have led in between and let it go; from now on nobody can.
        if !is_held() {
            self.leader.store(0, Ordering::Release);
            return false;
        }
        true
    }

    /// `cpu`, which leads, leads no more, and runs, unless it has gone. Whom it has collected and
    /// not let go is held: it waits for an order of the next leader.
    pub fn finish(&self, cpu: CpuId) {
        self.change(cpu, Standing::Collected, Standing::Running);
        self.leader.store(0, Ordering::Release);
    }

    /// The same, for a leader that waits from now on, as one that is held.
    pub fn finish_and_wait(&self, cpu: CpuId) {
        // First: the next leader may let it go at once.
        self.set(cpu, Standing::Collected);
        self.leader.store(0, Ordering::Release);
    }

    /// The leader calls `cpu`. Returns whether it has to be woken by an NMI: not if it waits
    /// already, or is gone, or an earlier call is still on its way.
    #[must_use]
    pub fn call(&self, cpu: CpuId) -> bool {
        self.standing(cpu) == Standing::Running
            && self.place(cpu).is_some_and(|place| !place.called.swap(true, Ordering::AcqRel))
    }

    /// Whether a leader has called `cpu`, and that has not taken the call yet.
    pub fn is_called(&self, cpu: CpuId) -> bool {
        self.place(cpu).is_some_and(|place| place.called.load(Ordering::Acquire))
    }

    /// An NMI has come on `cpu`, which executes the call: whether it was a leader's.
    #[must_use]
    pub fn take_call(&self, cpu: CpuId) -> bool {
        self.place(cpu).is_some_and(|place| place.called.swap(false, Ordering::AcqRel))
    }

    /// `cpu`, which executes the call and does not lead, waits from now on: to be followed by
    /// [`look`](Self::look) until that says something else than to wait. One that is gone does not
    /// come back by that.
    pub fn park(&self, cpu: CpuId) {
        self.change(cpu, Standing::Running, Standing::Parked);
    }

    /// What has become of the wait.
    pub fn look(&self, cpu: CpuId) -> Turn {
        match self.standing(cpu) {
            Standing::Running if self.leader() == Some(cpu) => Turn::Lead,
            Standing::Running => Turn::LetGo,
            Standing::Offline => Turn::Leave,
            Standing::Parked
                if self.leader().is_none()
                    && self.change(cpu, Standing::Parked, Standing::Running) =>
            {
                Turn::Leave
            }
            Standing::Parked | Standing::Collected => Turn::Wait,
        }
    }

    /// The leader takes over the state of `cpu`, if that has parked. True also if it was collected
    /// before.
    #[must_use]
    pub fn collect(&self, cpu: CpuId) -> bool {
        self.change(cpu, Standing::Parked, Standing::Collected)
            || self.standing(cpu) == Standing::Collected
    }

    /// The leader gives `cpu`, which it has collected, its state back and lets it run.
    pub fn let_go(&self, cpu: CpuId) {
        self.set(cpu, Standing::Running);
    }

    /// The leader, who is `from`, waits from now on, as one that is collected, and `to`, whom it
    /// has collected, leads.
    pub fn hand_over(&self, from: CpuId, to: CpuId) {
        // First: the new leader may let it go at once.
        self.set(from, Standing::Collected);
        self.leader.store(u32::from(to.0) + 1, Ordering::Release);
        self.set(to, Standing::Running);
    }
}
