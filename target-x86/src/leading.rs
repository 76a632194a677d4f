//! What the leader does: the session decides, and all CPUs follow.
//!
//! Nothing is stopped for what concerns nobody; for anything else the other CPUs are stopped before
//! the session is told, so that what it sees stays as it is.

use tetrarch::arbiter::Arbiter;
use tetrarch::session::{Cause, Go, Motion, Next, Overheard};
use tetrarch::text::Text;

use crate::course::{Course, News};
use crate::exception::Visit;
use crate::fault;
use crate::hits::Hits;
use crate::lead::{AS_BEFORE, Lead};
use crate::pending::Request;
use crate::recovery::GivenUp;
use crate::state::{Input, State};
use crate::stopped::Stopped;

impl<'v, const CLAIMS: usize, const TASKS: usize, const CPUS: usize>
    Visit<'v, CLAIMS, TASKS, CPUS>
{
    /// Tells the session, and does what it says until it lets the machine go.
    pub fn serve(
        &mut self,
        mut lead: Lead<'v, CLAIMS, TASKS, CPUS>,
        news: News,
    ) -> Course<'v, CLAIMS, TASKS, CPUS> {
        lead.take_in();
        if !matches!(news, News::Debug) {
            // This CPU waited with hits of its own, and is asked to lead for another reason.
            lead.mine.hits.forget_steps();
            lead.mine.steps_over_request = false;
        }
        let (text, hits): (Text, Hits);
        let cause = match news {
            News::Debug => {
                hits = core::mem::replace(&mut lead.mine.hits, Hits::NONE);
                match hits.mishap {
                    Some(mishap) => Cause::Mishap(mishap),
                    None => Cause::Told(&hits.exceptions, &hits.told),
                }
            }
            News::Fault => Cause::Fault(fault::describe(self.frame)),
            News::Nmi => Cause::Nmi,
            News::Overheard(overheard) => cause_of(overheard),
            News::Breakpoint => match self.local.pending.take_request() {
                None => Cause::Breakpoint,
                // Attended to meanwhile, if nothing is left, by another leader.
                Some(Request::Attend) => cause_of(lead.state().session.overheard()),
                Some(Request::Panic) => {
                    text = lead.mine.message;
                    Cause::Panic(text.as_str())
                }
                Some(Request::HandOff) => return self.hand_off(lead),
                // They do not come this far.
                Some(Request::Deliver | Request::Wait) => Cause::Debug(&[]),
            },
        };
        let overheard = lead.state().session.overheard();
        match (cause, overheard) {
            // A step of a range, for instance: seldom does anybody stop for it.
            (Cause::Debug(_), Overheard::Nothing) => {}
            (Cause::Told(_, told), Overheard::Nothing) if told.concerns_nobody() => {}
            _ => self.stop_others(&mut lead),
        }
        let next = self.stopped(&mut lead, cause);
        self.attend(lead, next)
    }

    fn attend(
        &mut self,
        mut lead: Lead<'v, CLAIMS, TASKS, CPUS>,
        first: Next,
    ) -> Course<'v, CLAIMS, TASKS, CPUS> {
        let mut next = first;
        loop {
            next = match next {
                Next::Stay => {
                    self.stop_others(&mut lead);
                    self.converse(&mut lead)
                }
                Next::Reset => {
                    lead.state().drain();
                    self.stub.reset()
                }
                Next::Run(go) => match self.arrived_meanwhile(&mut lead) {
                    Some(cause) => {
                        self.stop_others(&mut lead);
                        self.stopped(&mut lead, cause)
                    }
                    None => return self.leave(lead, go),
                },
            }
        }
    }

    fn stopped(&mut self, lead: &mut Lead<'v, CLAIMS, TASKS, CPUS>, cause: Cause<'_>) -> Next {
        self.attempt(lead, |State { session, arbiter, .. }, machine| {
            session.stopped(arbiter, machine, cause)
        })
    }

    /// Has the session do something, or as much of it as can be done.
    fn attempt(
        &mut self,
        lead: &mut Lead<'v, CLAIMS, TASKS, CPUS>,
        work: impl FnOnce(
            &mut State<CLAIMS, TASKS, CPUS>,
            &mut Stopped<'_, CLAIMS, TASKS, CPUS>,
        ) -> Next,
    ) -> Next {
        let attempt = &self.local.attempt;
        let (state, mut machine) = self.view(lead);
        attempt.attempt(|| work(state, &mut machine)).unwrap_or_else(|GivenUp| {
            let (State { session, arbiter, .. }, mut machine) = self.view(lead);
            session.give_up(arbiter, &mut machine, attempt.mishap())
        })
    }

    /// What the session works on.
    fn view<'a>(
        &'a mut self,
        lead: &'a mut Lead<'v, CLAIMS, TASKS, CPUS>,
    ) -> (&'a mut State<CLAIMS, TASKS, CPUS>, Stopped<'a, CLAIMS, TASKS, CPUS>) {
        (lead.state(), Stopped { stub: self.stub, cpu: self.cpu, frame: self.frame })
    }

    /// Stops the other CPUs for the debugger.
    fn stop_others(&mut self, lead: &mut Lead<'v, CLAIMS, TASKS, CPUS>) {
        // Who has not come is shown as one that does not respond.
        let _ = lead.stop_others();
        self.greet(lead);
    }

    /// Takes in CPUs that have come too late.
    fn greet(&mut self, lead: &mut Lead<'v, CLAIMS, TASKS, CPUS>) {
        for (cpu, local) in lead.collected() {
            lead.forget_steps(local);
            let (State { session, .. }, machine) = self.view(lead);
            session.arrived(&machine, cpu);
        }
    }

    /// Carries bytes, until the session lets the machine go.
    fn converse(&mut self, lead: &mut Lead<'v, CLAIMS, TASKS, CPUS>) -> Next {
        /// What has come is heard before anything is said, since it cannot be about that: a client
        /// that has waited for long says so by a `-`. But not for ever, on a line that never falls silent.
        const LISTENING: u32 = 64;
        let mut heard_bytes = 0_u32;
        loop {
            if lead.collect_late() {
                self.greet(lead);
            }
            let next = self.attempt(lead, |state, machine| {
                heard_bytes = heard_bytes.wrapping_add(1);
                if heard_bytes.is_multiple_of(LISTENING) {
                    state.transmit();
                }
                let byte = match state.receive() {
                    Some(Input::Byte(byte)) => byte,
                    Some(Input::HangUp) => {
                        return state.session.hang_up(&mut state.arbiter, machine);
                    }
                    None => {
                        state.transmit();
                        core::hint::spin_loop();
                        return state.session.pass_time(&mut state.arbiter, machine);
                    }
                };
                let Some(heard) = state.session.hear(machine, byte) else { return Next::Stay };
                // The acknowledgement, before an answer that may take its time.
                state.drain();
                state.session.act(&mut state.arbiter, machine, heard)
            });
            match next {
                Next::Stay => {}
                next @ (Next::Run(_) | Next::Reset) => return next,
            }
        }
    }

    /// What came in the meantime is told first, so that a client can interrupt what never leaves
    /// the stub.
    fn arrived_meanwhile(
        &mut self,
        lead: &mut Lead<'v, CLAIMS, TASKS, CPUS>,
    ) -> Option<Cause<'static>> {
        lead.state().drain();
        match self.overhear(lead) {
            Overheard::Nothing => {}
            Overheard::Interrupt => return Some(Cause::Interrupt),
            Overheard::Packet => return Some(Cause::Packet),
            Overheard::HangUp => return Some(Cause::HangUp),
        }
        let is_foreign = self.local.pending.take_nmi() && !self.stub.world.take_call(self.cpu);
        (is_foreign && !self.goes_to_the_image(&lead.mine)).then_some(Cause::Nmi)
    }

    /// Takes what has arrived while the target runs. What the firmware reads of it may fail, and is told
    /// of then.
    pub fn overhear(&self, lead: &mut Lead<'v, CLAIMS, TASKS, CPUS>) -> Overheard {
        let attempt = &self.local.attempt;
        attempt.attempt(|| lead.state().overhear()).unwrap_or_else(|GivenUp| {
            lead.mine.hits.mishap = Some(attempt.mishap());
            Overheard::Nothing
        })
    }

    /// Lets the others go, or hands the lead to one who has something to tell; and goes, or waits.
    fn leave(
        &mut self,
        mut lead: Lead<'v, CLAIMS, TASKS, CPUS>,
        go: Go,
    ) -> Course<'v, CLAIMS, TASKS, CPUS> {
        let mut heir = None;
        for (cpu, local) in lead.collected() {
            let (State { session, arbiter, .. }, machine) = self.view(&mut lead);
            let is_to_go = session.order(arbiter, &machine, cpu).motion != Motion::Wait;
            if is_to_go && lead.has_untold(local) {
                heir = Some(cpu);
            }
        }
        if go.motion != Motion::Wait && !lead.mine.hits.is_empty() {
            return Course::Lead(lead, News::Debug);
        }
        if let Some(heir) = heir {
            return Course::Wait(lead.hand_over(heir));
        }
        lead.let_others_go(|lead, cpu| {
            let (State { session, arbiter, .. }, machine) = self.view(lead);
            let go = session.order(arbiter, &machine, cpu);
            if go.motion != Motion::Wait {
                session.departed(cpu);
            }
            go
        });
        match go.motion {
            Motion::Wait => Course::Wait(lead.end_and_wait()),
            Motion::Continue | Motion::Step => {
                lead.state().session.departed(self.cpu);
                Course::Depart(lead.end(), go)
            }
        }
    }

    /// Lets go of everything, on all CPUs. One that does not respond does so when it comes
    /// ([`handle`](crate::dispatch::Installed::handle)).
    fn hand_off(
        &mut self,
        mut lead: Lead<'v, CLAIMS, TASKS, CPUS>,
    ) -> Course<'v, CLAIMS, TASKS, CPUS> {
        self.stop_others(&mut lead);
        let (State { session, arbiter, .. }, mut machine) = self.view(&mut lead);
        session.close(arbiter, &mut machine);
        Arbiter::release_all(arbiter);
        lead.state().drain();
        if let Some(uart) = &mut lead.state().uart {
            uart.stay_silent();
        }
        self.stub.abdicate();
        lead.let_others_go(|_, _| AS_BEFORE);
        Course::Done(lead.end())
    }
}

fn cause_of(overheard: Overheard) -> Cause<'static> {
    match overheard {
        Overheard::Interrupt => Cause::Interrupt,
        Overheard::Packet => Cause::Packet,
        Overheard::HangUp => Cause::HangUp,
        Overheard::Nothing => Cause::Debug(&[]),
    }
}
