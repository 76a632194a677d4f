//! The course of an exception: lead, or wait for the leader; stop, step or go on.
//!
//! ```text
//!          ┌────────────────────────── put off ─────────────────────────┐
//!   Tell ──┤ another leads                                              ▼
//!    ▲     └──────▶ Lead ── stop, converse ──▶ let others go ──┐      Park ──▶ Wait
//!    │               ▲                                         ▼                │ │ │
//!    │               └──────────── handed the lead ────────────┼────────────────┘ │ │
//!    └── step without the processor ────────── Depart ◀────────┴── let go ────────┘ │
//!                                                 └─────────▶ Done ◀── nobody leads ┘
//! ```
//!
//! A CPU that another has told something meanwhile, a hit that came while that one led, is handed
//! the lead before anybody goes on: its hit is told next, once, and the others stay where they are.

use tetrarch::machine::Memory;
use tetrarch::rendezvous::Turn;
use tetrarch::session::{Go, Overheard};

use crate::exception::Visit;
use crate::frame::{Frame, vector};
use crate::hits::STEPPED;
use crate::lead::Lead;
use crate::local::Mine;
use crate::memory::Linear;
use crate::pending::Request;
use crate::stopped::Deferred;

/// What there is to tell.
pub(crate) enum News {
    /// Debug exceptions, of which this CPU's own [hits](crate::hits) say more.
    Debug,
    /// #BP: an INT3 of the debugger's, of the firmware's, or of the library's own.
    Breakpoint,
    /// The exception that the frame describes.
    Fault,
    Nmi,
    Overheard(Overheard),
}

impl News {
    /// By the vector of the frame, which is none of a debug exception or an interrupt.
    pub fn of(frame: &Frame) -> Self {
        if frame.vector == vector::BREAKPOINT { Self::Breakpoint } else { Self::Fault }
    }
}

/// What comes next.
pub(crate) enum Course<'s, const CLAIMS: usize, const TASKS: usize, const CPUS: usize> {
    /// Lead, if nobody does, and tell the session.
    Tell(Mine<'s, CLAIMS, TASKS>, News),
    /// Tell the session, as the leader.
    Lead(Lead<'s, CLAIMS, TASKS, CPUS>, News),
    /// Begin to wait.
    Park(Mine<'s, CLAIMS, TASKS>),
    /// Wait for what the leader says.
    Wait(Mine<'s, CLAIMS, TASKS>),
    /// Go as ordered.
    Depart(Mine<'s, CLAIMS, TASKS>, Go),
    /// Go on.
    Done(Mine<'s, CLAIMS, TASKS>),
}

/// A held CPU listens to the port once in so many looks.
const LISTENING: u32 = 1024;

impl<'v, const CLAIMS: usize, const TASKS: usize, const CPUS: usize>
    Visit<'v, CLAIMS, TASKS, CPUS>
{
    /// Follows the course to its end. The registers are off and the working IDT is loaded
    /// ([`pause`](Self::pause)) when it begins, and both are as they shall be when it ends.
    pub fn run(&mut self, start: Course<'v, CLAIMS, TASKS, CPUS>) {
        let mut course = start;
        loop {
            course = match course {
                Course::Tell(mine, news) => self.tell(mine, news),
                Course::Lead(lead, news) => self.serve(lead, news),
                Course::Park(mine) => {
                    self.stub.world.park(self.cpu);
                    Course::Wait(mine)
                }
                Course::Wait(mine) => self.wait(mine),
                Course::Depart(mine, go) => self.depart(mine, go),
                Course::Done(mine) => match self.unpause(mine) {
                    None => return,
                    Some(course) => course,
                },
            }
        }
    }

    /// Turns this CPU's registers off and loads the IDT under which faults come home.
    pub fn pause(&mut self, mine: &mut Mine<'v, CLAIMS, TASKS>) {
        mine.load_working_idt();
        if let Some(part) = &mut mine.part {
            part.accrue(self.stub.now());
            part.suspend(&mut Deferred(&mut self.control));
        }
        self.local.mailbox.open(self.frame);
    }

    /// Arms this CPU's registers and loads the IDT that the context goes on under; unless claims
    /// have changed that its plans do not know.
    fn unpause(
        &mut self,
        mut mine: Mine<'v, CLAIMS, TASKS>,
    ) -> Option<Course<'v, CLAIMS, TASKS, CPUS>> {
        if self.is_stale(&mine) {
            return Some(match self.stub.lead(self.cpu, mine) {
                Ok(mut lead) => {
                    lead.take_in();
                    Course::Done(lead.end())
                }
                Err(mine) => Course::Park(mine),
            });
        }
        if let Some(part) = &mut mine.part {
            part.resume(self.cpu, &mut Deferred(&mut self.control));
            // Nobody is watched during a stop, however long it is.
            part.skip_to(self.stub.now());
        }
        match mine.step {
            Some(_) => self.choose_debug_stack(&mine),
            None => mine.load_firmware_idt(),
        }
        if !self.stub.rules() {
            mine.load_image_idt();
        }
        self.local.mailbox.close();
        None
    }

    /// Whether the claims have changed since this CPU's plans were made.
    pub fn is_stale(&self, mine: &Mine<'v, CLAIMS, TASKS>) -> bool {
        mine.part.as_ref().is_some_and(|part| part.revision() != self.stub.revision())
    }

    fn tell(
        &mut self,
        mut mine: Mine<'v, CLAIMS, TASKS>,
        news: News,
    ) -> Course<'v, CLAIMS, TASKS, CPUS> {
        let pending = &self.local.pending;
        match (&news, pending.requested()) {
            (News::Breakpoint, Some(Request::Wait)) => {
                pending.take_request();
                if core::mem::take(&mut mine.steps_over_request) {
                    // It waits all the same, if another leads, and is told then.
                    mine.hits.set_step();
                    return Course::Tell(mine, News::Debug);
                }
                return Course::Park(mine);
            }
            // An NMI is told after that.
            (News::Breakpoint, Some(Request::Deliver)) => {
                pending.take_request();
                let mut exceptions = pending.debug.take();
                if core::mem::take(&mut mine.steps_over_request) {
                    // There is room for one more than can be noted.
                    let _ = exceptions.push(STEPPED);
                }
                return if !exceptions.is_empty() {
                    self.tell_owners(&mut mine, exceptions);
                    self.after_telling(mine)
                } else if !mine.hits.is_empty() {
                    // Of a CPU that was about to leave.
                    Course::Tell(mine, News::Debug)
                } else {
                    Course::Done(mine)
                };
            }
            _ => {}
        }
        match self.stub.lead(self.cpu, mine) {
            Ok(lead) => Course::Lead(lead, news),
            Err(mine) => {
                self.put_off(&news);
                Course::Park(mine)
            }
        }
    }

    /// Another CPU leads: what has come is told next, or comes again when the context goes on.
    fn put_off(&mut self, news: &News) {
        match news {
            // This CPU's own hits are kept.
            News::Debug => {}
            News::Breakpoint => self.frame.rip = before_int3(self.frame.rip),
            News::Fault => {}
            News::Nmi => self.local.pending.note_nmi(),
            News::Overheard(_) => self.local.pending.note_serial(),
        }
    }

    fn wait(&mut self, mine: Mine<'v, CLAIMS, TASKS>) -> Course<'v, CLAIMS, TASKS, CPUS> {
        let world = &self.stub.world;
        let mut looks = 0_u32;
        loop {
            match world.look(self.cpu) {
                Turn::Wait => self.local.mailbox.serve(self.frame),
                Turn::LetGo | Turn::Leave if !mine.hits.is_empty() && self.stub.rules() => {
                    return Course::Tell(mine, News::Debug);
                }
                Turn::LetGo => return Course::Depart(mine, self.local.mailbox.ordered()),
                Turn::Leave => return Course::Done(mine),
                Turn::Lead => {
                    let lead = self.stub.inherit(self.cpu, mine);
                    return Course::Lead(lead, News::Debug);
                }
            }
            looks = looks.wrapping_add(1);
            // All others may be held as well, or run without looking at the port.
            if looks.is_multiple_of(LISTENING) && world.lead_if_held(self.cpu) {
                let mut lead = self.stub.inherit(self.cpu, mine);
                match self.overhear(&mut lead) {
                    Overheard::Nothing => return Course::Wait(lead.end_and_wait()),
                    overheard @ (Overheard::Interrupt | Overheard::Packet | Overheard::HangUp) => {
                        return Course::Lead(lead, News::Overheard(overheard));
                    }
                }
            }
            core::hint::spin_loop();
        }
    }
}

/// Where the INT3 begins that ends at `rip`: it has one byte, or two in its long form.
fn before_int3(rip: u64) -> u64 {
    const LONG_FORM: [u8; 2] = [0xCD, 3];
    let mut bytes = [0; 2];
    let start = rip.wrapping_sub(2);
    let is_long = Linear.read(start as usize, &mut bytes) == 2 && bytes == LONG_FORM;
    if is_long { start } else { rip.wrapping_sub(1) }
}
