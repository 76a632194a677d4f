//! Text without allocation, to be kept and copied.

use core::fmt::{self, Write};

/// Text of bounded length; what does not fit is cut off.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Text {
    bytes: [u8; 160],
    length: usize,
}

impl Default for Text {
    fn default() -> Self {
        Self::new()
    }
}

impl Text {
    /// Nothing written yet.
    pub const fn new() -> Self {
        Self { bytes: [0; 160], length: 0 }
    }

    /// Whether nothing was.
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// What was written.
    pub fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..self.length).unwrap_or(&[]);
        match core::str::from_utf8(bytes) {
            Ok(text) => text,
            // A character was cut in two.
            Err(error) => {
                let whole = bytes.get(..error.valid_up_to()).unwrap_or_default();
                core::str::from_utf8(whole).unwrap_or_default()
            }
        }
    }
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for (place, byte) in self.bytes.iter_mut().skip(self.length).zip(text.bytes()) {
            *place = byte;
            self.length += 1;
        }
        Ok(())
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Text {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "{=str}", self.as_str());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_off_between_characters() {
        let mut text = Text::new();
        for _ in 0..159 {
            assert_eq!(text.write_str("x"), Ok(()));
        }
        assert_eq!(text.write_str("é"), Ok(()));
        assert_eq!(text.as_str().len(), 159);
    }
}
