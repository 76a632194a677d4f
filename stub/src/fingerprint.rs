//! What tells one packet from another without a copy of it.

/// FNV-1a, of 64 bits: two packets in a row that differ and have the same one do not occur.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Fingerprint(u64);

impl Fingerprint {
    pub fn of(payload: &[u8]) -> Self {
        const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
        const PRIME: u64 = 0x0100_0000_01b3;
        let mix = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(PRIME);
        Self(payload.iter().fold(OFFSET, mix))
    }
}
