//! Debug exceptions on one CPU, and what came of telling the firmware's owners.
//!
//! That is done at once, by the CPU itself and with what is its own: it neither waits for another
//! CPU nor makes one wait. What is left concerns the debugger, or an owner that wants to stop, and
//! takes a leader; until this CPU can be that, it is kept.

use tetrarch::arbiter::{Condition, PlanId};
use tetrarch::bank::Bank;
use tetrarch::dr::Dr6;
use tetrarch::hit::{DebugException, Told, attribute};
use tetrarch::session::Mishap;

use crate::course::{Course, News};
use crate::exception::Visit;
use crate::frame::flag;
use crate::local::{Mine, Own};
use crate::memory::Linear;
use crate::notes::{Exceptions, status_of};
use crate::recovery::GivenUp;

/// A step that ended without the processor's help.
pub(crate) const STEPPED: DebugException = DebugException {
    // BS.
    status: Dr6::from_bits(Dr6::RESET.bits() | 1 << 14),
    live: Bank::RESET,
    plan: PlanId::NONE,
    rip: 0,
};

/// Debug exceptions of which the firmware's owners know.
#[derive(Debug)]
pub(crate) struct Hits {
    pub exceptions: Exceptions,
    pub told: Told,
    /// What came in between when the owners were told; who was told then is not known.
    pub mishap: Option<Mishap>,
}

impl Hits {
    pub const NONE: Self =
        Self { exceptions: Exceptions::new(), told: Told::NOTHING, mishap: None };

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.exceptions.is_empty() && self.mishap.is_none()
    }

    /// Nothing but a step that ended without the processor's help.
    pub fn set_step(&mut self) {
        self.clear();
        // The list is empty.
        let _ = self.exceptions.push(STEPPED);
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.exceptions.clear();
        self.told = Told::NOTHING;
        self.mishap = None;
    }

    /// What happened in any of them.
    pub fn status(&self) -> Dr6 {
        status_of(&self.exceptions)
    }

    /// Whether nobody wants more of it than to be told.
    fn is_settled(&self) -> bool {
        self.mishap.is_none() && self.told.is_settled() && !self.status().single_step()
    }

    /// Whether the instruction at `rip` is one that hit before it was executed.
    fn is_at(&self, rip: usize) -> bool {
        self.told
            .windows
            .iter()
            .any(|(_, window)| window.condition() == Condition::Execute && window.address() == rip)
    }

    /// Forgets that steps have ended: the debugger is told of another stop, and sees where this
    /// CPU has come to. To be told of the step as well, at its next one, would mislead it.
    pub fn forget_steps(&mut self) {
        for exception in &mut self.exceptions {
            exception.status = exception.status.without_single_step();
        }
        let has_hit = |one: &DebugException| attribute(one.status, &one.live).next().is_some();
        self.exceptions.retain(has_hit);
    }
}

impl<'v, const CLAIMS: usize, const TASKS: usize, const CPUS: usize>
    Visit<'v, CLAIMS, TASKS, CPUS>
{
    /// Tells the firmware's owners of these. The registers are off ([`pause`](Self::pause)).
    pub fn tell_owners(&self, mine: &mut Mine<'v, CLAIMS, TASKS>, exceptions: Exceptions) {
        let Own { part, hits, .. } = &mut **mine;
        hits.exceptions = exceptions;
        hits.told = Told::NOTHING;
        let Some(part) = part else { return };
        let tell = || part.tell(self.cpu, &hits.exceptions, &mut Linear);
        match self.local.attempt.attempt(tell) {
            Ok(told) => hits.told = told,
            Err(GivenUp) => hits.mishap = Some(self.local.attempt.mishap()),
        }
    }

    /// What comes after that: no more, for most hits.
    pub fn after_telling(
        &mut self,
        mut mine: Mine<'v, CLAIMS, TASKS>,
    ) -> Course<'v, CLAIMS, TASKS, CPUS> {
        if !mine.hits.is_settled() {
            return Course::Tell(mine, News::Debug);
        }
        if mine.hits.is_at(self.frame.rip as usize) {
            // Without RF it would come again for ever.
            self.frame.set(flag::RESUME);
        }
        mine.hits.clear();
        Course::Done(mine)
    }
}
