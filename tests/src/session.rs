//! An image, and a gdb attached to it, for the length of one test.

use anyhow::Result;

use crate::conversation::Echo;
use crate::gdb::Gdb;
use crate::qemu::{Boot, Qemu};

/// Both sides. Dropping it ends both.
#[derive(Debug)]
pub struct Session {
    /// The image.
    pub qemu: Qemu,
    /// The debugger.
    pub gdb: Gdb,
}

impl Session {
    /// Starts the image and attaches gdb while it runs.
    pub fn start(boot: Boot) -> Result<Self> {
        let qemu = boot.start()?;
        let mut gdb = Gdb::start(qemu.image(), Echo::Silent)?;
        gdb.attach(&qemu)?;
        Ok(Self { qemu, gdb })
    }

    /// Ends gdb without a word, and starts another.
    pub fn replace_gdb(&mut self) -> Result<String> {
        self.gdb = Gdb::start(self.qemu.image(), Echo::Silent)?;
        self.gdb.attach(&self.qemu)
    }
}

/// Runs a test in a session. If it fails, the error carries both sides' log.
pub fn under_gdb(boot: Boot, test: impl FnOnce(&mut Session) -> Result<()>) -> Result<()> {
    let mut session = Session::start(boot)?;
    test(&mut session).map_err(|error| {
        let log = session.qemu.log().lines().join("\n");
        error.context(format!("{}\n---- the image's log:\n{log}\n----", session.gdb.evidence()))
    })
}
