//! Packets that are nearly right, in a machine in which things happen.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tetrarch_fuzz::play::events(data));
