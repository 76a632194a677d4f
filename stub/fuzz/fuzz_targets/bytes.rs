//! Bytes as they are, into the link and the session.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tetrarch_fuzz::play::bytes(data));
