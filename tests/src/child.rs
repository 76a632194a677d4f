//! Programs that end with us, however we end.

use std::process::{Child, Command};

/// A program that is killed when the thread that starts it ends without ending the program.
pub(crate) fn bound(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", program]);
    command
}

/// Ends the process when dropped, so that no failure leaves one behind.
#[derive(Debug)]
pub(crate) struct Guard(pub(crate) Child);

impl Drop for Guard {
    fn drop(&mut self) {
        // Either fails only if the process has ended already, which is as good.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
