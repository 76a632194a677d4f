//! The port as the firmware's console: what it says.
//!
//! Text goes out in pieces, and for each this CPU leads for as long as the port takes to send it; in
//! between interrupts are let in, a Ctrl-C among them. Nothing waits for a client that has vanished
//! longer than it takes to find that out.

use core::fmt;

use tetrarch::session::{Overheard, PIECE, Said};

use crate::cpus;
use crate::pending;
use crate::state::State;
use crate::stub::Stub;

/// Where the firmware's text goes: [`Stub::console`].
#[derive(Clone, Copy)]
pub struct Console<'s, const CLAIMS: usize, const TASKS: usize, const CPUS: usize>(
    &'s Stub<CLAIMS, TASKS, CPUS>,
);

impl<const CLAIMS: usize, const TASKS: usize, const CPUS: usize> fmt::Debug
    for Console<'_, CLAIMS, TASKS, CPUS>
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Console")
    }
}

impl<const CLAIMS: usize, const TASKS: usize, const CPUS: usize> Stub<CLAIMS, TASKS, CPUS> {
    /// The debugger's line as the firmware's console. gdb prints what is written here while the
    /// target runs; without a client it goes over the line as it is. What is typed there goes to
    /// [`Config::reader`](crate::Config::reader).
    ///
    /// Writing takes as long as the line does: about 90 µs a byte at 115,200 bits per second, and
    /// with a client more than twice as long. It is an error, and the text is lost, where the stub
    /// is not installed or at work (in a claim's handler), and when the client does not listen.
    pub fn console(&self) -> Console<'_, CLAIMS, TASKS, CPUS> {
        Console(self)
    }

    /// Says [`PIECE`] bytes or less.
    fn say(&self, piece: &[u8]) -> fmt::Result {
        let patience = self.setup().map_or(0, |setup| setup.client_patience);
        loop {
            // As in `poll`: nobody else's INT3 comes in between.
            let progress: Result<_, fmt::Error> = cpus::without_interrupts(|| {
                let (progress, overheard) = self
                    .exclusively(|lead| {
                        let state = lead.state();
                        state.session.pass_time_running(cpus::time_stamp(), patience);
                        (state.say(piece), state.overhear())
                    })
                    .map_err(|_| fmt::Error)?;
                if overheard != Overheard::Nothing {
                    self.ask(pending::Request::Attend);
                }
                Ok(progress)
            });
            match progress? {
                Said::Queued | Said::Raw => return Ok(()),
                Said::Unheard => return Err(fmt::Error),
                Said::Busy => core::hint::spin_loop(),
            }
        }
    }
}

impl<const CLAIMS: usize, const TASKS: usize, const CPUS: usize> fmt::Write
    for Console<'_, CLAIMS, TASKS, CPUS>
{
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.as_bytes().chunks(PIECE).try_for_each(|piece| self.0.say(piece))
    }
}

impl<const CLAIMS: usize, const TASKS: usize, const CPUS: usize> State<CLAIMS, TASKS, CPUS> {
    /// Says a piece of text to the client, or sends it as it is if there is none.
    fn say(&mut self, piece: &[u8]) -> Said {
        let said = self.session.say(piece);
        // What the client was told before goes first.
        self.drain();
        if said == Said::Raw {
            self.send(piece);
        }
        said
    }
}
