//! A line that need not be a good one: it stands between a client and an image's serial port.

use std::fmt;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::Result;
use tempfile::TempDir;

/// Which way a byte goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// From the client.
    ToStub,
    /// From the stub.
    ToClient,
}

/// Told of each byte; it adds what arrives instead.
pub type Noise = Box<dyn FnMut(Direction, u8, &mut Vec<u8>) + Send>;

/// The line, for one client. Dropping it ends it.
pub struct Proxy {
    address: String,
    port: UnixStream,
    _directory: TempDir,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Proxy {
    /// Leads to the serial port with this address.
    pub fn start(port: &str, noise: Noise) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("tetrarch-").tempdir()?;
        let path = directory.path().join("line");
        let listener = UnixListener::bind(&path)?;
        let port = UnixStream::connect(port)?;
        let (from_port, to_port) = (port.try_clone()?, port.try_clone()?);
        thread::spawn(move || -> Result<()> {
            let (client, _) = listener.accept()?;
            let noise = Arc::new(Mutex::new(noise));
            let (to_client, shared) = (client.try_clone()?, noise.clone());
            thread::spawn(move || pass_on(from_port, to_client, Direction::ToClient, &shared));
            pass_on(client, to_port, Direction::ToStub, &noise);
            Ok(())
        });
        Ok(Self { address: path.display().to_string(), port, _directory: directory })
    }

    /// What to type after gdb's `target remote`.
    pub fn address(&self) -> &str {
        &self.address
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Whoever waits for a client or for a byte finds the end. If it has ended, all the better.
        let _ = UnixStream::connect(&self.address);
        let _ = self.port.shutdown(Shutdown::Both);
    }
}

/// Passes bytes on until either side has ended, which is no error, and ends the other.
fn pass_on(mut from: UnixStream, mut to: UnixStream, direction: Direction, noise: &Mutex<Noise>) {
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        let mut noise = noise.lock().unwrap_or_else(PoisonError::into_inner);
        let mut left = Vec::new();
        buffer[..count].iter().for_each(|byte| noise(direction, *byte, &mut left));
        drop(noise);
        if to.write_all(&left).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}
