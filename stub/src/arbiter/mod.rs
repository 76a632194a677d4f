//! Who may use which debug register.
//!
//! x86 has four debug registers a CPU, and more than one party that wants them. Here every
//! use is a *claim* with an owner; registers can be reserved for either side, what is left
//! is first come, first served; what was accepted is never taken away, and what does not
//! fit is refused at once, as a whole, with the reason, and changes nothing.
//!
//! The parts: a [`Region`] is cut into windows (`region`); `admission` decides whether they
//! fit, from the claims that are live (`table`) and nothing else; `plan` works out what each
//! CPU arms for each task, and whose turn it is among the claims that take turns; `cpu` goes
//! from one plan to another; `placement` chooses slots at the last moment, when a CPU
//! resumes or switches, and hands them to [`bank`](crate::bank) to be written; `count` is what
//! the turns have seen; `report` shows it all to people. Whose hit it was is found in
//! [`hit`](crate::hit). Nothing here knows of a debugger's protocol.
//!
//! ```
//! use tetrarch::arbiter::{self, Arbiter, Class, Config, Owner, Region, Request, Reservations};
//! use tetrarch::dr::Condition;
//!
//! // Sixteen claims, one CPU; one register is kept for the system, two for the debugger.
//! let reservations = Reservations::new(2, 1, 0).unwrap();
//! let config = Config { reservations, ..Config::DEFAULT };
//! let mut arbiter: Arbiter<16, 1> = Arbiter::new(config);
//!
//! let null = Region::new(0, 8).unwrap();
//! let guard = Request::pinned(Owner::System("null-guard"), null, Condition::ReadWrite);
//! let handle = arbiter.claim(guard, arbiter::stop).unwrap();
//! assert_eq!(arbiter.available(Class::Debugger), 3);
//! assert_eq!(arbiter.available(Class::System), 1);
//!
//! // Five windows are too many; the refusal says so, and changes nothing.
//! let table = Region::new(0x1000, 40).unwrap();
//! let watch = Request::pinned(Owner::Debugger, table, Condition::Write);
//! let refused = arbiter.claim(watch, arbiter::stop);
//! assert_eq!(
//!     refused.unwrap_err().to_string(),
//!     "needs 5 debug registers, 3 are available to the debugger on cpu 0, 0 kept for others; \
//!      slot 0: 0x0+8 read/write, null-guard",
//! );
//! arbiter.release(handle).unwrap();
//! ```
//!
//! With tasks: each has a stack guard, and carries the number of its plan.
//!
//! ```
//! # use tetrarch::arbiter::{self, Arbiter, Condition, Config, Owner, PlanId, Region, Request};
//! # use tetrarch::arbiter::{CpuId, Scope, TaskId};
//! # use tetrarch::dr::{Dr7, Slot};
//! # use tetrarch::machine::DebugRegisters;
//! # struct Registers(usize);
//! # impl DebugRegisters for Registers {
//! #     fn write_address(&mut self, _: Slot, _: usize) { self.0 += 1 }
//! #     fn write_control(&mut self, _: Dr7) { self.0 += 1 }
//! # }
//! # let mut registers = Registers(0);
//! // Sixteen claims, one CPU, eight tasks with claims.
//! let mut arbiter: Arbiter<16, 1, 8> = Arbiter::new(Config::DEFAULT);
//! let plans = [(TaskId(1), 0x8000), (TaskId(2), 0x9000)].map(|(task, stack)| {
//!     let end = Region::new(stack, 8).unwrap();
//!     let guard = Request::pinned(Owner::System("stack-guard"), end, Condition::Write);
//!     arbiter.claim(guard.on(Scope::Task(task)), arbiter::stop).unwrap();
//!     arbiter.plan_of(task)
//! });
//! let cpu = CpuId(0);
//! for now in 0..10 {
//!     arbiter.switch_to(cpu, plans[now % 2], now as u64, &mut registers);
//! }
//! // DR0 and DR7 once, and DR0 at each further switch.
//! assert_eq!(registers.0, 2 + 9);
//! ```

#![doc = include_str!("promises.md")]
#![expect(clippy::result_large_err, reason = "a refusal carries its figures, without allocation")]

mod acceptance;
mod admission;
mod claim;
mod config;
mod count;
mod counting;
mod cpu;
mod deferral;
mod placement;
mod plan;
mod protect;
mod region;
mod rejection;
mod report;
mod roster;
mod sharing;
mod snapshot;
mod table;
mod tasks;
#[cfg(test)]
mod tests;
mod turn;

pub use claim::{
    Class, CpuId, Handle, Handler, Hit, Owner, Request, Scope, TaskId, Tenure, Verdict, carry_on,
    stop,
};
pub use config::{
    Ability, ClaimsLive, Config, IoBreakpoints, Reservations, StartError, Switching,
    TooManyReserved,
};
pub use count::{Count, Spread};
pub use cpu::Cpu;
pub use deferral::HoldError;
pub use plan::PlanId;
pub use protect::{Against, PROTECTED_RANGES, ProtectError, Protected};
pub use region::{Region, RegionError, Widest, Windows};
pub use rejection::{Holder, HolderState, Rejection, Shortage};
pub use report::{Row, SlotState, Table, TaskList};
pub use snapshot::Snapshot;
pub use table::{Claim, Stale};
pub use tasks::Task;

pub use crate::dr::{Condition, Window};

use heapless::Vec;

use crate::event::{self, Event};

/// The arbiter: at most `CLAIMS` claims, on CPUs 0 up to `CPUS`, for so many `TASKS` at a time
/// as have claims of their own, in the first `SLOTS` slots of each CPU.
///
/// It has no lock and no access to any register of its own; whoever owns it sees to both.
/// A CPU follows a change of the claims when it next goes through
/// [`resume`](Self::resume) or [`switch_to`](Self::switch_to). A task runs on a CPU from the
/// call of `switch_to` with its plan to the next one.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone, PartialEq))]
pub struct Arbiter<
    const CLAIMS: usize,
    const CPUS: usize,
    const TASKS: usize = 0,
    const SLOTS: usize = 4,
> {
    config: Config,
    pub(crate) table: table::Table<CLAIMS>,
    protected: Vec<Protected, PROTECTED_RANGES>,
    tasks: tasks::Tasks<TASKS>,
    /// Each CPU's own part; `None` while that CPU has it ([`lend`](Self::lend)).
    cpus: [Option<Cpu<CLAIMS, TASKS, SLOTS>>; CPUS],
    /// How often the plans were made anew.
    revision: u32,
    /// The number of the next deferred release, to know which is the oldest.
    next_held: u32,
    /// The number of the next count.
    next_count: u32,
}

/// Claims of the debugger that must go to make room, and nothing else.
pub(crate) type Displaced<const CLAIMS: usize> = Vec<Handle, CLAIMS>;

impl<const CLAIMS: usize, const CPUS: usize, const TASKS: usize, const SLOTS: usize>
    Arbiter<CLAIMS, CPUS, TASKS, SLOTS>
{
    const EXTENT: admission::Extent = admission::Extent { cpus: CPUS, slots: SLOTS };

    /// No claim; every CPU's registers as after reset, and no task running.
    pub const fn new(config: Config) -> Self {
        const { assert!(SLOTS <= 4, "x86 has four debug registers") };
        Arbiter {
            config,
            table: table::Table::new(),
            protected: Vec::new(),
            tasks: tasks::Tasks::NONE,
            cpus: [const { Some(Cpu::RESET) }; CPUS],
            revision: 0,
            next_held: 0,
            next_count: 1,
        }
    }

    /// Goes by another configuration from now on.
    pub fn configure(&mut self, config: Config) -> Result<(), ClaimsLive> {
        match self.table.iter().next() {
            Some(_) => Err(ClaimsLive),
            None => {
                self.config = config;
                Ok(())
            }
        }
    }

    /// The configuration in force.
    pub const fn config(&self) -> Config {
        self.config
    }

    /// Refuses breakpoints in a range from now on (promise 7). Repeating a call is harmless.
    pub fn protect(&mut self, range: Protected) -> Result<(), ProtectError> {
        if self.protected.contains(&range) {
            return Ok(());
        }
        match self.table.iter().find(|(_, claim)| range.forbids(claim.request())) {
            Some((_, claim)) => Err(ProtectError::InUse(claim.request().owner)),
            None => self.protected.push(range).map_err(|_| ProtectError::TooMany),
        }
    }

    /// Releases a claim for good. A slot is free when its last claim goes.
    pub fn release(&mut self, handle: Handle) -> Result<(), Stale> {
        self.remove(handle).ok_or(Stale)?;
        self.replan();
        Ok(())
    }

    /// Releases all claims of one side, held ones included: all of the debugger's and only
    /// those when it detaches (promise 11).
    pub fn release_class(&mut self, class: Class) {
        self.release_where(|request| request.owner.class() == class);
    }

    /// Releases all claims of a task that has ended, whoever made them.
    pub fn end_task(&mut self, task: TaskId) {
        self.release_where(|request| request.scope.task() == Some(task));
    }

    fn release_where(&mut self, matches: impl Fn(&Request) -> bool) {
        while let Some(handle) = self.table.find(|claim| matches(&claim.request)) {
            self.remove(handle);
        }
        self.replan();
    }

    /// Releases every claim: for handing the machine over. Each CPU disarms at its next
    /// [`resume`](Self::resume), tick or switch to another plan.
    pub fn release_all(&mut self) {
        self.release_where(|_| true);
    }

    fn remove_all(&mut self, handles: &[Handle]) {
        for handle in handles {
            self.remove(*handle);
        }
    }

    /// Takes a claim out of the table; the plans are for the caller to make anew.
    pub(crate) fn remove(&mut self, handle: Handle) -> Option<()> {
        let claim = self.table.remove(handle)?;
        event::emit(&Event::ClaimReleased { handle, request: claim.request() });
        Some(())
    }

    /// The claim that the handle names, live or held.
    pub fn get(&self, handle: Handle) -> Option<&Claim> {
        self.table.get(handle)
    }

    /// All claims, live and held.
    pub fn claims(&self) -> impl Iterator<Item = (Handle, &Claim)> + Clone {
        self.table.iter()
    }

    /// The first claim in force that was made with exactly this request.
    pub fn find(&self, request: &Request) -> Option<Handle> {
        self.table.find(|claim| claim.request == *request && claim.is_live())
    }

    /// How many claims of one window each, on all CPUs, this side could still make; held
    /// claims stand in the debugger's way no more than free slots do.
    pub fn available(&self, class: Class) -> usize {
        admission::room(
            self.table.requests_seen_by(class),
            Self::EXTENT,
            &self.config,
            class,
            Scope::AllCpus,
            Tenure::Pinned,
        )
        .available
    }
}
