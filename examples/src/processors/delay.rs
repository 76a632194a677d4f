//! Short waits, by the timer's channel 2: the one for the speaker.
//!
//! It counts down from what is written at 1,193,182 Hz on every PC, whereas nothing says how
//! fast a time-stamp counter is. Port 0x61 starts it and shows when it has arrived, so no
//! interrupt is needed, and channel 0, which makes the timer's interrupts, is left alone.

use crate::port;

const FREQUENCY: u32 = 1_193_182;

const CHANNEL_2: u16 = 0x42;
const COMMAND: u16 = 0x43;
/// Channel 2, both bytes, mode 0: its output goes up at the end of the count and stays there.
const COUNT_ONCE: u8 = 0xB0;

const CONTROL: u16 = 0x61;
const GATE: u8 = 1 << 0;
const SPEAKER: u8 = 1 << 1;
const OUTPUT: u8 = 1 << 5;
/// The rest of the register is read-only.
const WRITABLE: u8 = 0x0F;

/// Waits at least this long; at most 50,000.
pub(super) fn microseconds(duration: u32) {
    assert!(duration <= 50_000, "the count has 16 bits");
    let [low, high, ..] = (duration * (FREQUENCY / 1000) / 1000 + 2).to_le_bytes();
    // SAFETY: reading this register has no effect.
    let before = unsafe { port::read(CONTROL) } & WRITABLE;
    let silent = before & !(GATE | SPEAKER);
    for (register, value) in [
        (CONTROL, silent),
        (COMMAND, COUNT_ONCE),
        (CHANNEL_2, low),
        (CHANNEL_2, high),
        (CONTROL, silent | GATE),
    ] {
        // SAFETY: nobody else uses the speaker or its channel; the other bits keep their values.
        unsafe { port::write(register, value) };
    }
    // SAFETY: as above.
    while unsafe { port::read(CONTROL) } & OUTPUT == 0 {
        core::hint::spin_loop();
    }
    // SAFETY: as it was.
    unsafe { port::write(CONTROL, before) };
}
