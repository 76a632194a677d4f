//! Who may use which debug register.
//!
//! x86 has four debug registers a CPU, and more than one party that wants them. Here every
//! use is a *claim* with an owner; registers can be reserved for either side, what is left
//! is first come, first served; what was accepted is never taken away, and what does not
//! fit is refused at once, as a whole, with the reason, and changes nothing.
//!
//! The parts: a [`Region`] is cut into windows (`region`); `admission` decides whether they
//! fit, from the claims that are live (`table`) and nothing else; `placement` chooses slots
//! at the last moment, when a CPU resumes, and hands them to [`bank`](crate::bank) to be
//! written; `report` shows it all to people. Whose hit it was is found in
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

#![expect(clippy::result_large_err, reason = "a refusal carries its figures, without allocation")]

mod acceptance;
mod admission;
mod claim;
mod config;
mod deferral;
mod placement;
mod protect;
mod region;
mod rejection;
mod report;
mod snapshot;
mod table;
#[cfg(test)]
mod tests;

pub use claim::{
    Class, CpuId, Handle, Handler, Hit, Owner, Request, Scope, TaskId, Tenure, Verdict, carry_on,
    stop,
};
pub use config::{ClaimsLive, Config, IoBreakpoints, Reservations, TooManyReserved};
pub use deferral::HoldError;
pub use protect::{Against, PROTECTED_RANGES, ProtectError, Protected};
pub use region::{Region, RegionError, Widest, Windows};
pub use rejection::{Feature, Holder, HolderState, Rejection, Shortage};
pub use report::{Row, SlotState, Table};
pub use snapshot::Snapshot;
pub use table::{Claim, Stale};

pub use crate::dr::{Condition, Window};

use heapless::Vec;

use crate::bank::Bank;
use crate::event::{self, Event};

/// The arbiter: at most `CLAIMS` claims, on CPUs 0 up to `CPUS`.
///
/// It has no lock and no access to any register of its own; whoever owns it sees to both.
/// A CPU follows a change of the claims when it next goes through
/// [`resume`](Self::resume).
#[derive(Debug)]
#[cfg_attr(test, derive(Clone, PartialEq))]
pub struct Arbiter<const CLAIMS: usize, const CPUS: usize> {
    config: Config,
    pub(crate) table: table::Table<CLAIMS>,
    protected: Vec<Protected, PROTECTED_RANGES>,
    banks: [Bank; CPUS],
    /// What each CPU was last armed with: only a difference is an event.
    armed: [[Option<Window>; 4]; CPUS],
    /// The number of the next deferred release, to know which is the oldest.
    next_held: u32,
}

/// Claims of the debugger that must go to make room, and nothing else.
pub(crate) type Displaced<const CLAIMS: usize> = Vec<Handle, CLAIMS>;

impl<const CLAIMS: usize, const CPUS: usize> Arbiter<CLAIMS, CPUS> {
    /// No claim; every CPU's registers as after reset.
    pub const fn new(config: Config) -> Self {
        Arbiter {
            config,
            table: table::Table::new(),
            protected: Vec::new(),
            banks: [Bank::RESET; CPUS],
            armed: [[None; 4]; CPUS],
            next_held: 0,
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
        self.remove(handle).ok_or(Stale)
    }

    /// Releases all claims of one side, held ones included: all of the debugger's and only
    /// those when it detaches (promise 11).
    pub fn release_class(&mut self, class: Class) {
        while let Some(handle) = self.table.find(|claim| claim.request.owner.class() == class) {
            self.remove(handle);
        }
    }

    /// Releases every claim: for handing the machine over. Each CPU disarms at its next
    /// [`resume`](Self::resume).
    pub fn release_all(&mut self) {
        self.release_class(Class::Debugger);
        self.release_class(Class::System);
    }

    fn remove_all(&mut self, handles: &[Handle]) {
        for handle in handles {
            self.remove(*handle);
        }
    }

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
        self.table.find(|claim| claim.request == *request && !claim.is_held())
    }

    /// How many claims of one window each, on all CPUs, this side could still make; held
    /// claims stand in the debugger's way no more than free slots do.
    pub fn available(&self, class: Class) -> usize {
        admission::room(
            self.table.requests_seen_by(class),
            CPUS,
            &self.config,
            class,
            Scope::AllCpus,
        )
        .available
    }
}
