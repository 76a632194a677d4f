//! What the firmware asks of the arbiter: claims, and what they have counted.
//!
//! A change of the claims is in force on all CPUs when its call returns: each of them is stopped
//! for it, by an NMI, and arms its registers before it goes on. If one does not stop in time, the
//! change is refused, and nothing is changed anywhere; it finds what there is when it comes.

use tetrarch::arbiter::{
    Arbiter, Condition, Count, Handle, Handler, Owner, Region, Rejection, Request, Stale, TaskId,
};

use crate::debug_regs::Registers;
use crate::error::ClaimError;
use crate::lead::Missing;
use crate::memory::Linear;
use crate::stub::Stub;

#[expect(clippy::result_large_err, reason = "a rejection carries its figures")]
impl<const CLAIMS: usize, const TASKS: usize, const CPUS: usize> Stub<CLAIMS, TASKS, CPUS> {
    /// Claims a region for the firmware, on all CPUs and for all tasks. When this returns, it is
    /// armed; `handler` is called in the debug exception for every hit.
    ///
    /// # Errors
    ///
    /// A refused claim changes nothing, and the [`Rejection`] says why.
    pub fn claim(
        &self,
        name: &'static str,
        region: Region,
        condition: Condition,
        handler: Handler,
    ) -> Result<Handle, ClaimError> {
        self.request(Request::pinned(Owner::System(name), region, condition), handler)
    }

    /// Makes any claim of the firmware's: of a task, for instance, or one that takes turns. The
    /// first claim of a task gives it a plan ([`plan_of`](Self::plan_of)); it is armed from the
    /// next [`switch_to`](Self::switch_to) to that.
    ///
    /// # Errors
    ///
    /// A refused claim changes nothing, and the [`Rejection`] says why. A request that names
    /// the debugger as its owner is refused, too.
    pub fn request(&self, request: Request, handler: Handler) -> Result<Handle, ClaimError> {
        match request.owner {
            Owner::Debugger => return Err(ClaimError::DebuggersRequest),
            Owner::System(_) => {}
        }
        self.change(|arbiter| {
            let handle = arbiter.claim(request, handler)?;
            arbiter.remember(handle, &mut Linear);
            Ok(handle)
        })
    }

    /// Changes a claim in place: its region, condition, scope or tenure, but not its owner.
    ///
    /// # Errors
    ///
    /// If it is refused, the old one stays.
    pub fn modify(
        &self,
        handle: Handle,
        change: impl FnOnce(Request) -> Request,
    ) -> Result<(), ClaimError> {
        self.change(|arbiter| {
            arbiter.modify(handle, change)?;
            arbiter.remember(handle, &mut Linear);
            Ok(())
        })
    }

    /// Gives a claim back; its registers are disarmed when this returns.
    ///
    /// # Errors
    ///
    /// The handle is stale, or the caller is a handler.
    pub fn release(&self, handle: Handle) -> Result<(), ClaimError> {
        self.change(|arbiter| arbiter.release(handle).map_err(stale))
    }

    /// Switches a claim off and keeps its place for [`enable`](Self::enable).
    ///
    /// # Errors
    ///
    /// As for [`release`](Self::release).
    pub fn disable(&self, handle: Handle) -> Result<(), ClaimError> {
        self.change(|arbiter| arbiter.disable(handle).map_err(stale))
    }

    /// Puts a claim that was switched off in force again; there is always room.
    ///
    /// # Errors
    ///
    /// As for [`release`](Self::release).
    pub fn enable(&self, handle: Handle) -> Result<(), ClaimError> {
        self.change(|arbiter| {
            arbiter.enable(handle).map_err(stale)?;
            arbiter.remember(handle, &mut Linear);
            Ok(())
        })
    }

    /// Releases all claims of a task that has ended. Its plan is void then.
    ///
    /// # Errors
    ///
    /// There is no stub in place, or the caller is a handler.
    pub fn end_task(&self, task: TaskId) -> Result<(), ClaimError> {
        self.change(|arbiter| {
            arbiter.end_task(task);
            Ok(())
        })
    }

    /// What a claim that takes turns has counted up to now, on all CPUs: they are stopped for that.
    /// `None` for any other claim, for a stale handle, to a handler, and if a CPU does not respond.
    pub fn count(&self, handle: Handle) -> Option<Count> {
        let counted = self.with_all_stopped(|arbiter| arbiter.count(handle));
        counted.ok().flatten()
    }

    /// Changes claims and puts the registers of all CPUs into the state that they ask for.
    fn change<R>(
        &self,
        work: impl FnOnce(&mut Arbiter<CLAIMS, CPUS, TASKS>) -> Result<R, Rejection>,
    ) -> Result<R, ClaimError> {
        self.with_all_stopped(work)?.map_err(ClaimError::Rejected)
    }

    /// Works on the arbiter while all CPUs are stopped. If one does not come, nothing is done. Each
    /// arms its own registers before it executes an instruction of the firmware's again.
    ///
    /// Those of this CPU are off from the beginning: calling the others can touch what is watched,
    /// and so does looking at the watched regions.
    fn with_all_stopped<R>(
        &self,
        work: impl FnOnce(&mut Arbiter<CLAIMS, CPUS, TASKS>) -> R,
    ) -> Result<R, ClaimError> {
        self.exclusively(|lead| {
            lead.mine.load_working_idt();
            if let Some(part) = &mut lead.mine.part {
                part.accrue(self.now());
                part.suspend(&mut Registers);
            }
            let result = match lead.stop_others() {
                Ok(()) => {
                    lead.take_in();
                    Ok(work(&mut lead.state().arbiter))
                }
                Err(Missing(cpu)) => Err(ClaimError::NotResponding(cpu)),
            };
            lead.resume_all();
            result
        })?
    }
}

fn stale(_: Stale) -> Rejection {
    Rejection::StaleHandle
}
