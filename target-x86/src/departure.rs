//! The way out of a stop: what one CPU was ordered to do, done to its frame.
//!
//! A step that can be carried out without the processor never leaves the stub; otherwise the frame
//! is let go, under the working IDT if it is stepped.

use tetrarch::dr::Dr6;
use tetrarch::machine::Memory;
use tetrarch::session::{Go, Motion, ResumeFlag};

use crate::course::{Course, News};
use crate::cpus;
use crate::exception::Visit;
use crate::frame::{flag, vector};
use crate::gates::DebugStack;
use crate::local::Mine;
use crate::memory::Linear;
use crate::step::{self, Begun, Delivery, Finished};

impl<'v, const CLAIMS: usize, const TASKS: usize, const CPUS: usize>
    Visit<'v, CLAIMS, TASKS, CPUS>
{
    /// Prepares the frame for what was ordered.
    pub fn depart(
        &mut self,
        mine: Mine<'v, CLAIMS, TASKS>,
        go: Go,
    ) -> Course<'v, CLAIMS, TASKS, CPUS> {
        match go.resume_flag {
            ResumeFlag::Keep => {}
            ResumeFlag::Set => self.frame.set(flag::RESUME),
            ResumeFlag::Clear => self.frame.clear(flag::RESUME),
        }
        match go.motion {
            Motion::Continue | Motion::Wait => Course::Done(mine),
            Motion::Step => self.begin_step(mine),
        }
    }

    fn begin_step(&mut self, mut mine: Mine<'v, CLAIMS, TASKS>) -> Course<'v, CLAIMS, TASKS, CPUS> {
        let begun = if self.has_breakpoint_here(&mine) {
            step::begin_at_breakpoint(self.frame)
        } else {
            step::begin(self.frame, &mut Linear, &mine.system())
        };
        match begun {
            Begun::Completed => stepped(mine),
            Begun::LoadedIdt(table) => {
                mine.firmware_idt = table;
                stepped(mine)
            }
            Begun::Exception(event) => {
                event.describe_in(self.frame);
                match self.frame.vector {
                    vector::BREAKPOINT if self.local.pending.is_requested() => {
                        // The library's own INT3: its handler knows what it is for.
                        self.frame.rip = self.frame.rip.wrapping_sub(1);
                        mine.steps_over_request = true;
                        Course::Done(mine)
                    }
                    vector::DEBUG => stepped(mine),
                    _ => Course::Tell(mine, News::of(self.frame)),
                }
            }
            Begun::Impossible(event) => {
                event.describe_in(self.frame);
                match self.frame.vector {
                    // The same, and the frame is still at it.
                    vector::BREAKPOINT if self.local.pending.is_requested() => {
                        mine.steps_over_request = true;
                        Course::Done(mine)
                    }
                    // Not one that was executed: to be told as a fault.
                    _ => Course::Tell(mine, News::Fault),
                }
            }
            Begun::Armed(step) => {
                mine.step = Some(step);
                Course::Done(mine)
            }
        }
    }

    /// Ends the step that is under way, if there is one: what came instead of its end, or with it.
    pub fn end_step(
        &mut self,
        mine: &mut Mine<'v, CLAIMS, TASKS>,
        status: Dr6,
        news: News,
    ) -> News {
        let Some(pending) = mine.step.take() else { return news };
        match step::finish(pending, self.frame, &mut Linear, status) {
            Finished::Debug => {
                let is_breakpoint = matches!(news, News::Breakpoint);
                mine.steps_over_request = is_breakpoint && self.local.pending.is_requested();
                news
            }
            Finished::Exception(event) => {
                mine.hits.clear();
                match step::deliver(self.frame, &mut Linear, &mine.system(), event) {
                    Delivery::Handler => {
                        mine.hits.set_step();
                        News::Debug
                    }
                    Delivery::Own(event) | Delivery::Impossible(event) => {
                        event.describe_in(self.frame);
                        News::of(self.frame)
                    }
                }
            }
        }
    }

    /// Whether the next instruction is to be reported before it runs.
    fn has_breakpoint_here(&self, mine: &Mine<'v, CLAIMS, TASKS>) -> bool {
        let breaks = |address| mine.part.as_ref().is_some_and(|part| part.breaks_at(address));
        !self.frame.has(flag::RESUME) && breaks(self.frame.rip as usize)
    }

    /// Where the #DB of the coming step shall arrive: see [`DebugStack`].
    pub fn choose_debug_stack(&self, mine: &Mine<'v, CLAIMS, TASKS>) {
        let watches = mine.part.as_ref().is_some_and(|part| part.watches_data());
        let delivers_twice = cpus::is_emulated_by_tcg();
        let ring_0 = self.frame.cs & 3 == 0;
        let stack = if watches && delivers_twice && ring_0 && has_room_below(self.frame.rsp) {
            DebugStack::Interrupted
        } else {
            DebugStack::Separate
        };
        mine.set_debug_stack(stack);
    }
}

/// A step has ended.
fn stepped<'v, const CLAIMS: usize, const TASKS: usize, const CPUS: usize>(
    mut mine: Mine<'v, CLAIMS, TASKS>,
) -> Course<'v, CLAIMS, TASKS, CPUS> {
    mine.hits.set_step();
    Course::Tell(mine, News::Debug)
}

/// Whether two exceptions can be delivered on the interrupted stack.
fn has_room_below(stack_pointer: u64) -> bool {
    const TWO_FRAMES: usize = 2 * 64;
    let mut bytes = [0; TWO_FRAMES];
    let lowest = (stack_pointer as usize & !15).wrapping_sub(TWO_FRAMES);
    Linear.read(lowest, &mut bytes) == TWO_FRAMES && Linear.write(lowest, &bytes) == TWO_FRAMES
}
