//! CPUs as threads of loom's, and what they can do to one another.
//!
//! What is a CPU's own, and what is the leader's, are two words each that always agree, in a cell
//! of loom's: an access that is not ordered after the last one of another CPU fails the test.

use std::fmt::Debug;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread::{self, yield_now};
use tetrarch::arbiter::CpuId;
use tetrarch::rendezvous::{Rendezvous, Turn};

/// Two words that only change together.
pub struct Words(UnsafeCell<[u32; 2]>);

// SAFETY: who may use them when is what the tests are about, and loom watches it.
unsafe impl Sync for Words {}

impl Words {
    pub fn new() -> Self {
        Self(UnsafeCell::new([0; 2]))
    }

    /// What both are.
    pub fn read(&self) -> u32 {
        let [first, second] = [0, 1].map(|word| {
            self.0.with(|words| {
                // SAFETY: loom has just seen to it that nobody else uses them.
                unsafe { (*words)[word] }
            })
        });
        assert_eq!(first, second, "half of a change");
        first
    }

    pub fn add(&self, number: u32) {
        for word in 0..2 {
            self.0.with_mut(|words| {
                // SAFETY: loom has just seen to it that nobody else uses them.
                unsafe { (*words)[word] += number };
            });
        }
    }
}

/// CPUs that meet.
pub struct World<const CPUS: usize> {
    pub meeting: Rendezvous<CPUS>,
    pub own: [Words; CPUS],
    /// The leader's.
    pub shared: Words,
}

impl<const CPUS: usize> World<CPUS> {
    /// All of them run.
    pub fn new() -> Self {
        let meeting = Rendezvous::new();
        (0..CPUS).for_each(|cpu| meeting.start(CpuId(cpu as u16)));
        Self { meeting, own: std::array::from_fn(|_| Words::new()), shared: Words::new() }
    }

    pub fn own(&self, cpu: CpuId) -> &Words {
        &self.own[usize::from(cpu.0)]
    }

    pub fn wait(&self, cpu: CpuId) -> Turn {
        loop {
            match self.meeting.look(cpu) {
                Turn::Wait => yield_now(),
                turn @ (Turn::LetGo | Turn::Lead | Turn::Leave) => return turn,
            }
        }
    }

    /// Leads, as soon as it can, and is there for other leaders until then.
    pub fn lead(&self, cpu: CpuId) {
        while !self.meeting.lead(cpu) {
            self.meeting.park(cpu);
            assert_ne!(self.wait(cpu), Turn::Lead);
        }
    }

    /// Leads when it is its turn, for one that has asked.
    pub fn lead_in_turn(&self, cpu: CpuId) {
        loop {
            while self.meeting.precedes(cpu).is_some() {
                yield_now();
            }
            if self.meeting.lead(cpu) {
                break;
            }
            self.meeting.park(cpu);
            assert_ne!(self.wait(cpu), Turn::Lead);
        }
        self.meeting.answered(cpu);
    }

    /// Calls `cpu` and looks so many times whether it has come. If it has, changes what is its
    /// own, and lets it go.
    pub fn change(&self, cpu: CpuId, looks: usize) -> bool {
        let _ = self.meeting.call(cpu);
        let has_come = (0..looks).any(|look| {
            if look > 0 {
                yield_now();
            }
            self.meeting.collect(cpu)
        });
        if has_come {
            self.own(cpu).add(1);
            self.meeting.let_go(cpu);
        }
        has_come
    }

    /// Makes `cpu` wait, and changes what is its own.
    pub fn stop_and_change(&self, cpu: CpuId) {
        let _ = self.meeting.call(cpu);
        while !self.meeting.collect(cpu) {
            yield_now();
        }
        self.own(cpu).add(1);
    }

    /// Works on what is its own until it is called; waits then.
    pub fn work(&self, cpu: CpuId) -> Turn {
        let before = self.own(cpu).read();
        while !self.meeting.take_call(cpu) {
            assert_eq!(self.own(cpu).read(), before);
            yield_now();
        }
        assert_eq!(self.own(cpu).read(), before);
        self.stop(cpu)
    }

    pub fn stop(&self, cpu: CpuId) -> Turn {
        self.meeting.park(cpu);
        self.wait(cpu)
    }
}

/// What came of an encounter.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Outcome<T, const CPUS: usize> {
    /// What each CPU has to say.
    pub told: [T; CPUS],
    pub own: [u32; CPUS],
    pub shared: u32,
}

/// Begins, and lets each CPU do its part, in every order with at most so many unforced switches from one to
/// another, and returns what can come of it.
pub fn explore<T: Ord + Clone + Debug + Send + 'static, const CPUS: usize>(
    switches: usize,
    begin: fn(&World<CPUS>),
    parts: [fn(&World<CPUS>, CpuId) -> T; CPUS],
) -> Vec<Outcome<T, CPUS>> {
    let found = std::sync::Arc::new((AtomicUsize::new(0), Mutex::new(Vec::new())));
    let of_model = found.clone();
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(switches);
    builder.check(move || {
        let world = Arc::new(World::new());
        begin(&world);
        let mut cpus = (0..).map(CpuId);
        let threads = parts.map(|part| {
            let (world, cpu) = (world.clone(), cpus.next().expect("there are enough numbers"));
            thread::spawn(move || part(&world, cpu))
        });
        let told = threads.map(|thread| thread.join().expect("it has ended"));
        let own = std::array::from_fn(|cpu| world.own[cpu].read());
        let outcome = Outcome { told, own, shared: world.shared.read() };
        let (executions, outcomes) = &*of_model;
        executions.fetch_add(1, Ordering::Relaxed);
        let mut outcomes = outcomes.lock().expect("nobody panics with it");
        if !outcomes.contains(&outcome) {
            outcomes.push(outcome);
        }
    });
    let (executions, outcomes) = &*found;
    println!("{} executions", executions.load(Ordering::Relaxed));
    let mut outcomes = outcomes.lock().expect("nobody panics with it").clone();
    outcomes.sort();
    outcomes
}

/// Nobody leads.
pub fn all_run<const CPUS: usize>(_: &World<CPUS>) {}

pub fn first_leads<const CPUS: usize>(world: &World<CPUS>) {
    assert!(world.meeting.lead(FIRST));
}

pub fn first_has_stopped_all<const CPUS: usize>(world: &World<CPUS>) {
    first_leads(world);
    for cpu in (1..CPUS).map(|cpu| CpuId(cpu as u16)) {
        world.meeting.park(cpu);
        assert!(world.meeting.collect(cpu));
    }
}

pub const FIRST: CpuId = CpuId(0);
pub const SECOND: CpuId = CpuId(1);
pub const THIRD: CpuId = CpuId(2);
