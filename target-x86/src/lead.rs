//! The right to work on what all CPUs share, and to stop the others.
//!
//! A `Lead` is one CPU's, between [`Stub::lead`] and one of the functions that end it. It begins
//! with nothing stopped. [`take_in`](Lead::take_in) hands the CPU's own part to the arbiter, for
//! work that needs it; [`stop_others`](Lead::stop_others) calls the other CPUs, waits for them and
//! takes in theirs; [`let_others_go`](Lead::let_others_go) gives them back.
//!
//! The wait is bounded. A CPU that has not come by then runs on as far as anybody knows: what is
//! its own is not touched, and its plans are made anew when it comes.

use heapless::Vec;
use tetrarch::arbiter::CpuId;
use tetrarch::rendezvous::Standing;
use tetrarch::session::{Go, Motion, ResumeFlag};

use crate::cpus;
use crate::debug_regs::Registers;
use crate::local::{Local, Mine, Own};
use crate::state::State;
use crate::stub::Stub;

/// The leader's. To be ended by one of its own functions: it would else lead for ever.
#[must_use = "nobody else can lead until this has been ended"]
pub(crate) struct Lead<'s, const CLAIMS: usize, const TASKS: usize, const CPUS: usize> {
    stub: &'s Stub<CLAIMS, TASKS, CPUS>,
    pub cpu: CpuId,
    pub mine: Mine<'s, CLAIMS, TASKS>,
    /// A CPU has been waited for in vain.
    has_given_up: bool,
}

/// A CPU that was called has not come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Missing(pub CpuId);

/// A CPU goes on with what it was doing: it was not stopped for the debugger.
pub(crate) const AS_BEFORE: Go = Go { motion: Motion::Continue, resume_flag: ResumeFlag::Keep };

impl<const CLAIMS: usize, const TASKS: usize, const CPUS: usize> Stub<CLAIMS, TASKS, CPUS> {
    /// Leads from now on, unless another CPU does.
    pub(crate) fn lead<'s>(
        &'s self,
        cpu: CpuId,
        mine: Mine<'s, CLAIMS, TASKS>,
    ) -> Result<Lead<'s, CLAIMS, TASKS, CPUS>, Mine<'s, CLAIMS, TASKS>> {
        if self.world.lead(cpu) {
            Ok(Lead { stub: self, cpu, mine, has_given_up: false })
        } else {
            Err(mine)
        }
    }

    /// Leads from now on, because the leader before has handed that over.
    pub(crate) fn inherit<'s>(
        &'s self,
        cpu: CpuId,
        mine: Mine<'s, CLAIMS, TASKS>,
    ) -> Lead<'s, CLAIMS, TASKS, CPUS> {
        Lead { stub: self, cpu, mine, has_given_up: false }
    }
}

impl<'s, const CLAIMS: usize, const TASKS: usize, const CPUS: usize> Lead<'s, CLAIMS, TASKS, CPUS> {
    /// What all share.
    pub fn state(&mut self) -> &mut State<CLAIMS, TASKS, CPUS> {
        // SAFETY: there is one leader at a time, one `Lead` of it, and this is the only borrow.
        unsafe { &mut *self.stub.shared() }
    }

    /// Hands this CPU's part to the arbiter.
    pub fn take_in(&mut self) {
        let cpu = self.cpu;
        // SAFETY: as in `state`; the borrow ends with the call.
        let state = unsafe { &mut *self.stub.shared() };
        state.arbiter.give_back(cpu, &mut self.mine.part);
    }

    /// Takes this CPU's part back; unless the CPU is none of the stub's any more, because what it has
    /// then could be armed, and what it has counted would be lost.
    pub fn take_out(&mut self) {
        let cpu = self.cpu;
        if self.stub.world.standing(cpu) == Standing::Offline {
            return;
        }
        // SAFETY: as in `state`; the borrow ends with the call.
        let state = unsafe { &mut *self.stub.shared() };
        state.arbiter.lend(cpu, &mut self.mine.part);
    }

    /// The other CPUs that have been started.
    fn others(
        &self,
    ) -> impl Iterator<Item = (CpuId, &'s Local<CLAIMS, TASKS>)> + use<'s, CLAIMS, TASKS, CPUS>
    {
        let (stub, own) = (self.stub, self.cpu);
        stub.locals()
            .filter(move |(cpu, _)| *cpu != own && stub.world.standing(*cpu) != Standing::Offline)
    }

    /// Stops the other CPUs, and waits for them; not longer than the firmware has allowed. Who has
    /// been waited for in vain is not waited for again.
    pub fn stop_others(&mut self) -> Result<(), Missing> {
        let Some(setup) = self.stub.setup() else { return Ok(()) };
        for (cpu, local) in self.others() {
            if self.stub.world.call(cpu) {
                (setup.send_nmi)(local.apic.load(core::sync::atomic::Ordering::Relaxed));
            }
        }
        let start = cpus::time_stamp();
        loop {
            let missing = self.others().find(|(cpu, _)| !self.collect(*cpu));
            match missing {
                None => return Ok(()),
                Some((cpu, _))
                    if self.has_given_up
                        || cpus::time_stamp().wrapping_sub(start) > setup.patience =>
                {
                    self.has_given_up = true;
                    // The rest may have come all the same.
                    self.others().for_each(|(cpu, _)| _ = self.collect(cpu));
                    return Err(Missing(cpu));
                }
                Some(_) => core::hint::spin_loop(),
            }
        }
    }

    /// Takes over what is `cpu`'s own, if it waits. Returns whether it does.
    pub fn collect(&self, cpu: CpuId) -> bool {
        if !self.stub.world.collect(cpu) {
            return false;
        }
        let Some(local) = self.stub.local(cpu) else { return false };
        // SAFETY: the CPU has been collected, so what is its own is the leader's.
        let own = unsafe { &mut *local.own() };
        // SAFETY: as in `state`; the borrow ends with the call.
        let state = unsafe { &mut *self.stub.shared() };
        state.arbiter.give_back(cpu, &mut own.part);
        true
    }

    /// Takes over from those that have come after [`stop_others`](Self::stop_others) gave up.
    /// Returns whether one has.
    pub fn collect_late(&self) -> bool {
        let is_parked = |cpu| self.stub.world.standing(cpu) == Standing::Parked;
        let late = self.others().filter(|(cpu, _)| is_parked(*cpu) && self.collect(*cpu));
        late.count() > 0
    }

    /// Those of the other CPUs that wait.
    pub fn collected(
        &self,
    ) -> impl Iterator<Item = (CpuId, &'s Local<CLAIMS, TASKS>)> + use<'s, CLAIMS, TASKS, CPUS>
    {
        let world = &self.stub.world;
        self.others().filter(|(cpu, _)| world.standing(*cpu) == Standing::Collected)
    }

    /// Whether a CPU that waits has hits that are to be told.
    pub fn has_untold(&mut self, local: &Local<CLAIMS, TASKS>) -> bool {
        !self.own_of(local).hits.is_empty()
    }

    /// Another stop is told than the ends of the steps of a CPU that waits.
    pub fn forget_steps(&mut self, local: &Local<CLAIMS, TASKS>) {
        self.own_of(local).hits.forget_steps();
    }

    /// What is the own of a CPU that waits.
    fn own_of<'a>(&'a mut self, local: &'a Local<CLAIMS, TASKS>) -> &'a mut Own<CLAIMS, TASKS> {
        // SAFETY: the CPU has been collected, so what is its own is the leader's.
        unsafe { &mut *local.own() }
    }

    /// Gives a CPU its own back and lets it go.
    fn let_go(&mut self, cpu: CpuId, local: &Local<CLAIMS, TASKS>, go: Go) {
        // SAFETY: the CPU has been collected, so what is its own is the leader's.
        let own = unsafe { &mut *local.own() };
        self.state().arbiter.lend(cpu, &mut own.part);
        local.mailbox.order(go);
        self.state().set_held(cpu, false);
        self.publish();
        self.stub.world.let_go(cpu);
    }

    /// Lets the other CPUs go: each as it was ordered to; who is to wait, waits. Returns when they
    /// have gone: whoever leads goes last, or it would be the first to stop again, and keep a CPU
    /// that is slow to leave from ever getting anywhere.
    pub fn let_others_go(&mut self, mut order: impl FnMut(&mut Self, CpuId) -> Go) {
        let mut leaving = Vec::<_, CPUS>::new();
        for (cpu, local) in self.collected() {
            let go = order(self, cpu);
            match go.motion {
                Motion::Wait => self.state().set_held(cpu, true),
                Motion::Continue | Motion::Step => {
                    self.let_go(cpu, local, go);
                    // There is room for all.
                    let _ = leaving.push((cpu, local));
                }
            }
        }
        self.wait_until_gone(&leaving);
    }

    /// Who has stopped again, by a hit or at the end of a step, has been gone. Not longer than the
    /// firmware has allowed.
    fn wait_until_gone(&self, leaving: &[(CpuId, &Local<CLAIMS, TASKS>)]) {
        let patience = self.stub.setup().map_or(0, |setup| setup.patience);
        let start = cpus::time_stamp();
        let is_leaving = |(cpu, local): &(CpuId, &Local<CLAIMS, TASKS>)| {
            self.stub.world.standing(*cpu) == Standing::Running && local.mailbox.is_open()
        };
        while leaving.iter().any(is_leaving) && cpus::time_stamp().wrapping_sub(start) <= patience {
            core::hint::spin_loop();
        }
    }

    /// Lets those go that were not told by the debugger to wait.
    pub fn let_others_go_on(&mut self) {
        for (cpu, local) in self.collected() {
            if !self.state().is_held(cpu) {
                self.let_go(cpu, local, AS_BEFORE);
            }
        }
    }

    /// After a change of the claims, for which the CPUs were stopped or were to be: each arms what it
    /// wants now and goes on.
    pub fn resume_all(&mut self) {
        self.take_out();
        let cpu = self.cpu;
        if let Some(part) = &mut self.mine.part {
            part.resume(cpu, &mut Registers);
        }
        self.mine.leave_working_idt();
        self.let_others_go_on();
    }

    /// Tells CPUs that look without leading which revision of the claims there is.
    fn publish(&mut self) {
        let revision = self.state().arbiter.revision();
        self.stub.set_revision(revision);
    }

    /// Leads no more.
    pub fn end(mut self) -> Mine<'s, CLAIMS, TASKS> {
        let cpu = self.cpu;
        self.take_out();
        self.state().set_held(cpu, false);
        self.publish();
        self.stub.world.finish(cpu);
        self.mine
    }

    /// Leads no more, and waits while others run.
    pub fn end_and_wait(mut self) -> Mine<'s, CLAIMS, TASKS> {
        let cpu = self.cpu;
        self.take_in();
        self.state().set_held(cpu, true);
        self.publish();
        self.stub.world.finish_and_wait(cpu);
        self.mine
    }

    /// Another CPU leads, and this one waits like those that it has stopped.
    pub fn hand_over(mut self, heir: CpuId) -> Mine<'s, CLAIMS, TASKS> {
        self.take_in();
        self.publish();
        self.stub.world.hand_over(self.cpu, heir);
        self.mine
    }
}
