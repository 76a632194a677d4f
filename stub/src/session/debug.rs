//! #DB and #BP: whom the hits belong to, and whether anybody wants to stop.
//!
//! One exception may carry several causes: two windows, a window and a finished step. Every
//! system owner has been told (by [`Arbiter::deliver`], or by the CPU itself) before it is decided here whether to
//! stop. One stop reply tells gdb one address; hits that it does not cover are told one by one
//! before the target really runs on from there (`untold`).

use super::places::Place;
use super::untold::covers;
use super::{Next, Overheard, Session};
use crate::arbiter::{Arbiter, CpuId};
use crate::dr::{Condition, Dr6};
use crate::hit::{Change, DebugException, Delivery, attribute};
use crate::stop::{self, Cause, Reason};
use crate::target::{Action, Machine};
use crate::watch::{Access, Report};

/// The opcode of INT1, which raises #DB without setting a bit in DR6.
const INT1: u8 = 0xF1;

impl<const PACKET: usize, const QUEUE: usize, const CPUS: usize> Session<PACKET, QUEUE, CPUS> {
    pub(super) fn debug_exception<M: Machine, const CLAIMS: usize, const TASKS: usize>(
        &mut self,
        arbiter: &mut Arbiter<CLAIMS, CPUS, TASKS>,
        machine: &mut M,
        exceptions: &[DebugException],
        delivery: &Delivery<CLAIMS>,
    ) -> Next {
        let cpu = machine.cpu();
        let next = machine.program_counter(cpu).unwrap_or_default();
        let mut statuses = exceptions.iter().map(|exception| exception.status);
        let executed = exceptions.iter().any(|exception| {
            attribute(exception.status, &exception.live).any(|(_, window)| {
                window.condition() == Condition::Execute && window.address() == next
            })
        });
        let reported = executed.then_some(next);
        self.remember(cpu, Place { program_counter: Some(next), reported });

        let reason = match self.tell(arbiter, cpu, next, delivery) {
            Some(report) => Some(Reason::Watch(report)),
            None if delivery.stopped_by_system() => Some(Reason::Trapped),
            None if statuses.clone().any(|status| self.has_stepped(cpu, status, next)) => {
                Some(Reason::Trapped)
            }
            None if delivery.windows.is_empty()
                && statuses.any(|status| is_int1(machine, status, next)) =>
            {
                Some(Reason::Trapped)
            }
            None => None,
        };
        let cause = Cause::Debug(exceptions);
        match (reason, delivery.stops.first()) {
            (Some(reason), Some(stopped)) => {
                let text = stop::by_owner(
                    stopped,
                    delivery.stops.len() - 1 + delivery.further_stops,
                    next,
                );
                self.announce(arbiter, machine, reason, text)
            }
            (Some(reason), None) => self.enter(arbiter, machine, reason, stop::by(reason, &cause)),
            (None, _) => self.carry_on(arbiter, machine),
        }
    }

    /// An INT3: one of the client's, or one that was compiled into the firmware.
    pub(super) fn breakpoint<M: Machine, const CLAIMS: usize, const TASKS: usize>(
        &mut self,
        arbiter: &mut Arbiter<CLAIMS, CPUS, TASKS>,
        machine: &mut M,
    ) -> Next {
        let cpu = machine.cpu();
        let after = machine.program_counter(cpu).unwrap_or_default();
        let address = after.wrapping_sub(1);
        self.remember(cpu, Place::NOWHERE);
        // gdb does not adjust the program counter for a stub that says `swbreak`.
        let is_patched = self.debugger.patches.contains(address)
            && machine.set_program_counter(cpu, address).is_ok();
        self.come_to(cpu, if is_patched { address } else { after });
        let reason = if is_patched { Reason::SoftwareBreakpoint } else { Reason::Trapped };
        self.enter(arbiter, machine, reason, stop::by(reason, &Cause::Breakpoint))
    }

    /// Picks the hit that goes into the stop reply and keeps those that it does not cover.
    fn tell<const CLAIMS: usize, const TASKS: usize>(
        &mut self,
        arbiter: &Arbiter<CLAIMS, CPUS, TASKS>,
        cpu: CpuId,
        place: usize,
        delivery: &Delivery<CLAIMS>,
    ) -> Option<Report> {
        let watches = &self.debugger.watches;
        let mut reports = delivery.debugger.iter().filter_map(|hit| {
            let access = match hit.change {
                Change::Changed => Access::Changed,
                Change::Unchanged | Change::Unknown => Access::Unchanged,
            };
            let was_hit = |handle| delivery.debugger.iter().any(|hit| hit.handle == handle);
            watches.report(hit.handle, hit.window, access, was_hit)
        });
        let told = reports.next()?;
        // Also if another that waits covers it: who knows whether that will be told.
        let waiting = reports.filter(|report| !covers(arbiter, &told, report));
        if let Some(untold) = self.untold.get_mut(cpu.index()) {
            untold.forget(|handle| delivery.debugger.iter().any(|hit| hit.handle == handle));
            untold.wait(place, waiting);
        }
        Some(told)
    }

    /// Whether this is the end of a step that the client asked for.
    fn has_stepped(&self, cpu: CpuId, status: Dr6, next: usize) -> bool {
        status.single_step()
            && match self.running.of(cpu) {
                // BS sticks, and the firmware may single-step itself; neither is ours.
                Action::Continue | Action::Wait => false,
                Action::Step => true,
                Action::StepRange { start, end } => !(start..end).contains(&next),
            }
    }

    /// Nobody wants to stop: the target goes on with what it was doing, unless the client has
    /// asked for attention meanwhile. A range is stepped with interrupts off, so here is the
    /// only place where its Ctrl-C can be heard.
    fn carry_on<M: Machine, const CLAIMS: usize, const TASKS: usize>(
        &mut self,
        arbiter: &mut Arbiter<CLAIMS, CPUS, TASKS>,
        machine: &mut M,
    ) -> Next {
        match self.overheard {
            Overheard::Nothing | Overheard::HangUp => {
                Next::Run(self.order(arbiter, machine, machine.cpu()))
            }
            Overheard::Interrupt => {
                let reason = Reason::Interrupted;
                self.enter(arbiter, machine, reason, stop::by(reason, &Cause::Interrupt))
            }
            Overheard::Packet => self.visit(arbiter, machine),
        }
    }
}

/// Whether the exception came from an INT1 just executed.
fn is_int1(memory: &mut impl Machine, status: Dr6, next: usize) -> bool {
    let mut opcode = [0];
    !status.single_step()
        && !status.register_access()
        && !status.task_switch()
        && memory.read(next.wrapping_sub(1), &mut opcode) == 1
        && opcode == [INT1]
}
