//! Asks again and again until something has happened, within a limit.
//!
//! For what cannot tell us by itself: a socket that another program is about to open.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How long anything may take before it counts as hung. Generous: machines that run the
/// tests are slow and busy, and a passing test never waits for it.
pub const LIMIT: Duration = Duration::from_secs(60);

/// Calls `attempt` until it gives a value, fails, or [`LIMIT`] has passed.
pub fn until<T>(what: &str, mut attempt: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let start = Instant::now();
    let mut pause = Duration::from_micros(100);
    loop {
        if let Some(value) = attempt()? {
            return Ok(value);
        }
        if start.elapsed() > LIMIT {
            bail!("waited {} s for {what}", LIMIT.as_secs());
        }
        thread::park_timeout(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}
