//! Replies that need no look at the target, and what is wrong with a packet.

/// A reply that needs no look at the target.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Reply {
    /// Not supported, now or later.
    Empty,
    /// `OK`
    Ok,
    /// `E` and two digits.
    Error(Errno),
}

impl Reply {
    /// The bytes between `$` and `#`.
    pub fn payload(self) -> heapless::Vec<u8, 3> {
        let mut payload = heapless::Vec::new();
        let text: &[u8] = match self {
            Reply::Empty => b"",
            Reply::Ok => b"OK",
            Reply::Error(errno) => errno.reply(),
        };
        // No text above is longer than three bytes.
        let _ = payload.extend_from_slice(text);
        payload
    }
}

/// What is wrong with a packet. The numbers are those of the protocol's file I/O; gdb shows
/// them, and tells none apart from another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Errno {
    /// `E00`: there is no such annex (in answer to `qXfer` only).
    NoAnnex,
    /// ESRCH: no such thread or process.
    NoThread,
    /// EIO: the stub failed.
    Failed,
    /// E2BIG: the packet does not fit.
    TooLong,
    /// EFAULT: the address does not exist, or the region wraps around.
    Address,
    /// EINVAL: malformed, or not possible here.
    Invalid,
}

impl Errno {
    /// The number that follows the `E`.
    pub const fn code(self) -> u8 {
        match self {
            Errno::NoAnnex => 0,
            Errno::NoThread => 3,
            Errno::Failed => 5,
            Errno::TooLong => 7,
            Errno::Address => 14,
            Errno::Invalid => 22,
        }
    }

    const fn reply(self) -> &'static [u8] {
        match self {
            Errno::NoAnnex => b"E00",
            Errno::NoThread => b"E03",
            Errno::Failed => b"E05",
            Errno::TooLong => b"E07",
            Errno::Address => b"E0e",
            Errno::Invalid => b"E16",
        }
    }
}
