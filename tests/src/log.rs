//! The image's log: defmt frames in, lines of text out.

use std::io::Read;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result, bail};
use defmt_decoder::{DecodeError, Table};

use crate::poll::LIMIT;

/// Called with each line as it comes.
pub type Listener = Box<dyn FnMut(&str) + Send>;

/// The lines that have come so far.
#[derive(Clone, Debug, Default)]
pub struct Log {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    lines: Mutex<Vec<String>>,
    grown: Condvar,
}

impl Log {
    /// Decodes what comes from `stream`, on a thread that ends with the stream. `elf` is
    /// the image, which holds the text that defmt left out of the log.
    pub fn follow(
        elf: &[u8],
        mut stream: impl Read + Send + 'static,
        mut listener: Listener,
    ) -> Result<Self> {
        let table = Table::parse(elf)?.context("the image has no defmt section")?;
        let log = Self::default();
        let shared = Arc::clone(&log.shared);
        thread::spawn(move || {
            let mut decoder = table.new_stream_decoder();
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = stream.read(&mut buffer) {
                decoder.received(&buffer[..count]);
                loop {
                    let line = match decoder.decode() {
                        Ok(frame) => frame.display(false).to_string(),
                        Err(DecodeError::UnexpectedEof) => break,
                        Err(DecodeError::Malformed) => "(a damaged log frame)".to_owned(),
                    };
                    listener(&line);
                    shared.push(line);
                }
            }
        });
        Ok(log)
    }

    /// All lines so far.
    pub fn lines(&self) -> Vec<String> {
        self.shared.lock().clone()
    }

    /// Waits for a line that contains `text`, from the first one on, and gives it.
    pub fn wait_for(&self, text: &str) -> Result<String> {
        self.wait_for_times(text, 1)
    }

    /// Waits until `text` has appeared in `times` lines, and gives the last of them.
    pub fn wait_for_times(&self, text: &str, times: usize) -> Result<String> {
        let found = |lines: &Vec<String>| {
            lines.iter().filter(|line| line.contains(text)).nth(times.saturating_sub(1)).cloned()
        };
        let (lines, _) = self
            .shared
            .grown
            .wait_timeout_while(self.shared.lock(), LIMIT, |lines| found(lines).is_none())
            .unwrap_or_else(PoisonError::into_inner);
        match found(&lines) {
            Some(line) => Ok(line),
            None => bail!("{text:?} is not in the log {times} times:\n{}", lines.join("\n")),
        }
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        // Lines are only ever pushed: they are whole even if a holder panicked.
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: String) {
        self.lock().push(line);
        self.grown.notify_all();
    }
}
