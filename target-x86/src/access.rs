//! How the firmware's calls get at what they work on.
//!
//! They run on the firmware's own stack, with interrupts off. What concerns this CPU alone is done
//! with its own ([`local`](crate::local)); for what concerns all, this CPU leads
//! ([`lead`](crate::lead)). Exceptions that come meanwhile leave a note ([`pending`]), which is
//! looked at as soon as the work is done, in an exception again: an INT3 of the library's own,
//! which is also how this CPU waits while another leads, and how the debugger is told that the work
//! had to be given up ([`recovery`](crate::recovery)).

use tetrarch::arbiter::{Cpu, CpuId};

use crate::cpus;
use crate::error::ClaimError;
use crate::exception;
use crate::lead::Lead;
use crate::local::{Local, Mine};
use crate::pending;
use crate::recovery::GivenUp;
use crate::stub::{Setup, Stub};

impl<const CLAIMS: usize, const TASKS: usize, const CPUS: usize> Stub<CLAIMS, TASKS, CPUS> {
    /// Works on this CPU's part, and looks at the notes afterwards.
    pub(crate) fn by_itself<R>(
        &self,
        (_, local): (CpuId, &Local<CLAIMS, TASKS>),
        work: impl FnOnce(&mut Cpu<CLAIMS, TASKS>, &Setup) -> R,
    ) -> Option<R> {
        cpus::without_interrupts(|| {
            let mut mine = local.enter().ok()?;
            let setup = self.setup().filter(|_| self.rules())?;
            let part = mine.part.as_mut()?;
            let result = local.attempt.attempt(|| work(part, setup));
            if let Err(GivenUp) = result {
                mine.hits.mishap = Some(local.attempt.mishap());
            }
            drop(mine);
            if local.pending.has_notes() || result.is_err() {
                self.enter(local, pending::Request::Deliver);
            }
            result.ok()
        })
    }

    /// Works as the leader, and looks at the notes afterwards. While another CPU leads, this one
    /// waits.
    #[expect(clippy::result_large_err, reason = "a rejection carries its figures")]
    pub(crate) fn exclusively<R>(
        &self,
        work: impl FnOnce(&mut Lead<'_, CLAIMS, TASKS, CPUS>) -> R,
    ) -> Result<R, ClaimError> {
        let (mut work, mut result) = (Some(work), None);
        self.lead_for(&mut |lead| result = work.take().map(|work| work(lead)))?;
        // What has not been done has been refused above.
        result.ok_or(ClaimError::Busy)
    }

    /// The same for all kinds of work, so that there is one copy of it.
    #[inline(never)]
    #[expect(clippy::result_large_err, reason = "a rejection carries its figures")]
    fn lead_for(
        &self,
        work: &mut dyn FnMut(&mut Lead<'_, CLAIMS, TASKS, CPUS>),
    ) -> Result<(), ClaimError> {
        cpus::without_interrupts(|| {
            let (cpu, local) = self.here().ok_or(ClaimError::NotInstalled)?;
            let lead = self.lead_in_turn(cpu, local);
            match &lead {
                Ok(_) => self.world.answered(cpu),
                Err(_) => self.world.pass_over(cpu),
            }
            let mut lead = lead?;
            let result = local.attempt.attempt(|| work(&mut lead));
            let result = result.map_err(|GivenUp| local.attempt.mishap());
            if let Err(mishap) = &result {
                lead.mine.hits.mishap = Some(*mishap);
                lead.resume_all();
            }
            drop(lead.end());
            if local.pending.has_notes() || result.is_err() {
                self.enter(local, pending::Request::Deliver);
            }
            result.map_err(ClaimError::GivenUp)
        })
    }

    #[expect(clippy::result_large_err, reason = "a rejection carries its figures")]
    fn lead_in_turn<'s>(
        &'s self,
        cpu: CpuId,
        local: &'s Local<CLAIMS, TASKS>,
    ) -> Result<Lead<'s, CLAIMS, TASKS, CPUS>, ClaimError> {
        loop {
            // Who cannot lead at all, a handler for one, does not wait for its turn.
            drop(self.enter_as_started(local)?);
            // Again: it may have been passed over while it was stopped for the debugger.
            self.world.ask(cpu);
            self.let_others_precede(cpu);
            let mine = self.enter_as_started(local)?;
            match self.lead(cpu, mine) {
                Ok(lead) => return Ok(lead),
                Err(mine) => {
                    drop(mine);
                    self.enter(local, pending::Request::Wait);
                }
            }
        }
    }

    /// Waits while it is another CPU's turn to lead; for each not longer than the firmware has
    /// allowed. A leader's call interrupts this.
    fn let_others_precede(&self, cpu: CpuId) {
        let patience = self.setup().map_or(0, |setup| setup.patience);
        let mut waiting_for = None;
        let mut start = cpus::time_stamp();
        while let Some(other) = self.world.precedes(cpu) {
            if waiting_for.replace(other) != Some(other) {
                start = cpus::time_stamp();
            } else if cpus::time_stamp().wrapping_sub(start) > patience {
                self.world.pass_over(other);
            }
            core::hint::spin_loop();
        }
    }

    #[expect(clippy::result_large_err, reason = "a rejection carries its figures")]
    fn enter_as_started<'s>(
        &self,
        local: &'s Local<CLAIMS, TASKS>,
    ) -> Result<Mine<'s, CLAIMS, TASKS>, ClaimError> {
        let mine = local.enter()?;
        if self.rules() && Self::is_started(&mine) {
            Ok(mine)
        } else {
            Err(ClaimError::NotInstalled)
        }
    }

    fn is_started(mine: &Mine<'_, CLAIMS, TASKS>) -> bool {
        mine.tables.is_some()
    }

    /// Enters the stub from the firmware's context, on the CPU that `local` belongs to. Interrupts
    /// are off, so that no other INT3 takes the request for its own.
    pub(crate) fn enter(&self, local: &Local<CLAIMS, TASKS>, request: pending::Request) {
        local.pending.request(request);
        exception::breakpoint();
    }

    pub(crate) fn ask(&self, request: pending::Request) {
        if let Some((_, local)) = self.here() {
            self.enter(local, request);
        }
    }
}
