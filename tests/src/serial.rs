//! Where gdb's serial port of an emulated machine comes out.

use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::json;
use tempfile::TempDir;

use crate::monitor::Monitor;

/// Where gdb's serial port comes out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Serial {
    /// A socket in a directory of its own, for tests.
    Private,
    /// A listening unix socket.
    Unix(PathBuf),
    /// A listening TCP port.
    Tcp {
        /// The address to listen on.
        host: String,
        /// The port to listen on.
        port: u16,
    },
    /// A pseudo-terminal.
    Pty,
}

impl Serial {
    /// QEMU's option for it.
    pub(crate) fn chardev(&self, directory: &TempDir) -> String {
        match self {
            Self::Private => format!(
                "socket,id=serial,path={}/gdb,server=on,wait=off",
                directory.path().display()
            ),
            Self::Unix(path) => {
                format!("socket,id=serial,path={},server=on,wait=off", path.display())
            }
            // Without nodelay each round trip takes 44 ms.
            Self::Tcp { host, port } => {
                format!("socket,id=serial,host={host},port={port},server=on,wait=off,nodelay=on")
            }
            Self::Pty => "pty,id=serial".to_owned(),
        }
    }

    /// What to type after gdb's `target remote`.
    pub(crate) fn address(&self, directory: &TempDir, monitor: &mut Monitor) -> Result<String> {
        match self {
            Self::Private => Ok(format!("{}/gdb", directory.path().display())),
            Self::Unix(path) => Ok(path.display().to_string()),
            Self::Tcp { host, port } => Ok(format!("{host}:{port}")),
            Self::Pty => monitor
                .execute("query-chardev", &json!({}))?
                .as_array()
                .and_then(|devices| devices.iter().find(|device| device["label"] == "serial"))
                .and_then(|device| {
                    device["filename"].as_str()?.strip_prefix("pty:").map(str::to_owned)
                })
                .context("QEMU does not say which pseudo-terminal it took"),
        }
    }
}
