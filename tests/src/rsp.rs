//! The serial protocol by hand: whole packets, or whatever bytes a test wants to send.
//!
//! Acknowledgements are left to the caller where they matter: [`Rsp::request`] plays a
//! well-behaved client, [`Rsp::send_bytes`] and [`Rsp::next`] do what they are told.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::poll::LIMIT;
use crate::qemu::Qemu;

/// One thing that the stub said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Said {
    /// `+`
    Acknowledged,
    /// `-`
    Refused,
    /// The payload of a packet whose checksum is right.
    Packet(String),
    /// A packet whose checksum is wrong, or a byte between packets.
    Garbage(Vec<u8>),
    /// Nothing, for as long as the caller wanted to wait.
    Nothing,
}

/// A client of the stub.
#[derive(Debug)]
pub struct Rsp {
    stream: UnixStream,
    received: VecDeque<u8>,
    transcript: String,
}

/// `$payload#xx`, with the right checksum.
pub fn frame(payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![b'$'];
    bytes.extend_from_slice(payload);
    bytes.extend_from_slice(format!("#{:02x}", checksum(payload)).as_bytes());
    bytes
}

fn checksum(payload: &[u8]) -> u8 {
    payload.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
}

impl Rsp {
    /// Connects to an image's serial port. Says nothing yet.
    pub fn connect(qemu: &Qemu) -> Result<Self> {
        let stream = UnixStream::connect(qemu.address())?;
        Ok(Self { stream, received: VecDeque::new(), transcript: String::new() })
    }

    /// Introduces itself as gdb does, which also stops the image.
    pub fn attach(qemu: &Qemu) -> Result<Self> {
        let mut client = Self::connect(qemu)?;
        client.send_bytes(b"+")?;
        client.request("qSupported:multiprocess+;swbreak+;hwbreak+;vContSupported+")?;
        client.request("?")?;
        Ok(client)
    }

    /// Sends a packet, sees it acknowledged, and gives the reply, acknowledged.
    pub fn request(&mut self, payload: &str) -> Result<String> {
        self.send(payload)?;
        self.reply().with_context(|| format!("the request was {payload}"))
    }

    /// Sends a packet and sees it acknowledged.
    pub fn send(&mut self, payload: &str) -> Result<()> {
        self.send_bytes(&frame(payload.as_bytes()))?;
        let said = self.next(LIMIT)?;
        if said != Said::Acknowledged {
            bail!("{payload} is not acknowledged but answered {said:?}\n{}", self.transcript);
        }
        Ok(())
    }

    /// Waits for a packet and acknowledges it.
    pub fn reply(&mut self) -> Result<String> {
        let Said::Packet(payload) = self.next(LIMIT)? else {
            bail!("no reply:\n{}", self.transcript);
        };
        self.send_bytes(b"+")?;
        Ok(payload)
    }

    /// Sends bytes as they are.
    pub fn send_bytes(&mut self, bytes: &[u8]) -> Result<()> {
        self.note('>', bytes);
        self.stream.write_all(bytes).context("the serial port is closed")
    }

    /// The next thing that the stub says, within `limit`.
    pub fn next(&mut self, limit: Duration) -> Result<Said> {
        let deadline = Instant::now() + limit;
        match self.byte(deadline)? {
            None => Ok(Said::Nothing),
            Some(b'+') => Ok(Said::Acknowledged),
            Some(b'-') => Ok(Said::Refused),
            Some(b'$') => self.rest_of_packet(deadline),
            Some(other) => Ok(Said::Garbage(vec![other])),
        }
    }

    /// Everything said so far: `>` sent, `<` received.
    pub fn transcript(&self) -> &str {
        &self.transcript
    }

    fn rest_of_packet(&mut self, deadline: Instant) -> Result<Said> {
        let mut payload = Vec::new();
        loop {
            match self.byte(deadline)? {
                None => return Ok(Said::Garbage(payload)),
                Some(b'#') => break,
                Some(byte) => payload.push(byte),
            }
        }
        let digits = [self.byte(deadline)?, self.byte(deadline)?].map(Option::unwrap_or_default);
        let said = u8::from_str_radix(&String::from_utf8_lossy(&digits), 16);
        match String::from_utf8(payload) {
            Ok(text) if said == Ok(checksum(text.as_bytes())) => Ok(Said::Packet(text)),
            Ok(text) => Ok(Said::Garbage(text.into_bytes())),
            Err(binary) => Ok(Said::Garbage(binary.into_bytes())),
        }
    }

    fn byte(&mut self, deadline: Instant) -> Result<Option<u8>> {
        while self.received.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            self.stream.set_read_timeout(Some(left))?;
            let mut buffer = [0; 4096];
            match self.stream.read(&mut buffer) {
                Ok(0) => bail!("the serial port is closed\n{}", self.transcript),
                Ok(count) => {
                    self.note('<', &buffer[..count]);
                    self.received.extend(&buffer[..count]);
                }
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(self.received.pop_front())
    }

    fn note(&mut self, direction: char, bytes: &[u8]) {
        self.transcript.push_str(&format!("{direction} {}\n", bytes.escape_ascii()));
    }
}

impl Drop for Rsp {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("---- packets:\n{}----", self.transcript);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_ends_in_its_checksum() {
        assert_eq!(frame(b"g"), b"$g#67");
        assert_eq!(frame(b"OK"), b"$OK#9a");
    }
}
