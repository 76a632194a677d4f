//! The image's command line: words separated by spaces, `name` or `name=value`.

use core::str::SplitAsciiWhitespace;

/// Longer command lines are cut off here.
const CAPACITY: usize = 256;

/// A copy of the command line, because the loader's lies in memory that nobody reserved.
pub struct Arguments {
    bytes: [u8; CAPACITY],
    length: usize,
}

impl Arguments {
    /// Copies a string that ends in a zero byte. A null pointer gives no arguments.
    ///
    /// # Safety
    ///
    /// `string` is null or points to readable bytes up to and including a zero byte.
    pub(crate) unsafe fn copied_from(string: *const u8) -> Self {
        let mut arguments = Self { bytes: [0; CAPACITY], length: 0 };
        while !string.is_null() && arguments.length < CAPACITY {
            // SAFETY: no zero byte was met before this offset, so it is still in the string.
            let byte = unsafe { string.wrapping_add(arguments.length).read() };
            if byte == 0 {
                break;
            }
            arguments.bytes[arguments.length] = byte;
            arguments.length += 1;
        }
        arguments
    }

    /// Whether the bare word `name` was given.
    pub fn has(&self, name: &str) -> bool {
        self.words().any(|word| word == name)
    }

    /// The text after `name=`, if it was given.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.words()
            .filter_map(|word| word.split_once('='))
            .find_map(|(found, value)| (found == name).then_some(value))
    }

    /// The number after `name=`, if it was given and is one.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.value(name)?.parse().ok()
    }

    fn words(&self) -> SplitAsciiWhitespace<'_> {
        core::str::from_utf8(&self.bytes[..self.length]).unwrap_or("").split_ascii_whitespace()
    }
}
