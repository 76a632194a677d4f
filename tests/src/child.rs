//! Programs that end with us, however we end.

use std::process::{Child, Command};

use anyhow::Result;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A program that is killed when the thread that starts it ends without ending the program.
pub(crate) fn bound(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", program]);
    command
}

/// Ends the process when dropped, so that no failure leaves one behind.
#[derive(Debug)]
pub(crate) struct Guard(pub(crate) Child);

impl Guard {
    /// Something that sends the process a signal when called, from another thread for instance.
    pub(crate) fn signaller(&self, signal: Signal) -> Result<impl Fn() + Send + 'static> {
        let process = Pid::from_raw(i32::try_from(self.0.id())?);
        // It fails only if the process has ended already, which is as good.
        Ok(move || {
            let _ = kill(process, signal);
        })
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // Either fails only if the process has ended already, which is as good.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
