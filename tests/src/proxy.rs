//! A line that need not be a good one: it stands between a client and an image's serial port.

use std::fmt;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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

/// The line, for one client after another. Dropping it ends it.
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
        let line = port.try_clone()?;
        thread::spawn(move || serve(&listener, line, &Arc::new(Mutex::new(noise))));
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

/// Lets clients onto the line, each until it ends; what comes while there is none is lost.
fn serve(listener: &UnixListener, mut port: UnixStream, noise: &Arc<Mutex<Noise>>) -> Result<()> {
    let client = Arc::new(Mutex::new(None::<UnixStream>));
    let (mut from_port, to_client, shared) = (port.try_clone()?, client.clone(), noise.clone());
    thread::spawn(move || {
        pass_on(&mut from_port, Direction::ToClient, &shared, |bytes| {
            let client = &mut *lock(&to_client);
            // One that has gone loses what comes for it.
            let lost = client.as_mut().is_some_and(|client| client.write_all(bytes).is_err());
            if lost {
                *client = None;
            }
            true
        });
        if let Some(client) = &*lock(&to_client) {
            let _ = client.shutdown(Shutdown::Both);
        }
    });
    while let Ok((mut stream, _)) = listener.accept() {
        *lock(&client) = Some(stream.try_clone()?);
        let mut is_open = true;
        pass_on(&mut stream, Direction::ToStub, noise, |bytes| {
            is_open = port.write_all(bytes).is_ok();
            is_open
        });
        if !is_open {
            break;
        }
    }
    Ok(())
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Passes bytes on until they end, or nobody wants them.
fn pass_on(
    from: &mut UnixStream,
    direction: Direction,
    noise: &Mutex<Noise>,
    mut give: impl FnMut(&[u8]) -> bool,
) {
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        let mut left = Vec::new();
        let mut arrive = lock(noise);
        buffer[..count].iter().for_each(|byte| arrive(direction, *byte, &mut left));
        drop(arrive);
        if !give(&left) {
            break;
        }
    }
}
