//! Software breakpoints: `Z0` writes an INT3 over an instruction and keeps what was there.
//!
//! Whoever reads memory through the session sees the original byte, and whoever writes it
//! changes the original, so that the patch is invisible but for its effect. Asking twice for
//! the same address must not save the INT3 as the original, and taking a patch away must put
//! back what the last writer wanted there. The firmware is such a writer too, and says nothing:
//! a patch is believed only while its INT3 is there.

use heapless::Vec;

use crate::machine::Memory;

/// The one-byte breakpoint instruction.
pub const INT3: u8 = 0xCC;

/// How many there can be at a time.
pub const CAPACITY: usize = 32;

/// Why a software breakpoint was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum PatchError {
    /// Nothing can be read or written there.
    Unreachable,
    /// More patches than there is room to remember.
    TooMany,
}

#[derive(Clone, Copy, Debug)]
struct Patch {
    address: usize,
    original: u8,
}

/// The patches in force.
#[derive(Debug, Default)]
pub struct Patches {
    patches: Vec<Patch, CAPACITY>,
}

impl Patches {
    /// No patches yet.
    pub const fn new() -> Self {
        Self { patches: Vec::new() }
    }

    /// Whether there is a patch at `address`.
    pub fn contains(&self, address: usize) -> bool {
        self.patches.iter().any(|patch| patch.address == address)
    }

    /// Puts a breakpoint at `address`; a second one at the same place is the first.
    pub fn insert(&mut self, memory: &mut impl Memory, address: usize) -> Result<(), PatchError> {
        let original = byte_at(memory, address).ok_or(PatchError::Unreachable)?;
        let is_known = self.contains(address);
        if is_known && original == INT3 {
            return Ok(());
        }
        if !is_known && self.patches.is_full() {
            return Err(PatchError::TooMany);
        }
        if memory.patch(address, &[INT3]) != 1 {
            return Err(PatchError::Unreachable);
        }
        match self.patches.iter_mut().find(|patch| patch.address == address) {
            // The firmware has loaded other code there since.
            Some(patch) => patch.original = original,
            None => {
                // There is room: looked at above.
                let _ = self.patches.push(Patch { address, original });
            }
        }
        Ok(())
    }

    /// Takes the breakpoint at `address` away; it is no error if there is none. If the byte
    /// cannot be written now, the breakpoint stays, and stays known.
    pub fn remove(&mut self, memory: &mut impl Memory, address: usize) -> Result<(), PatchError> {
        let Some(patch) = self.patches.iter().find(|patch| patch.address == address) else {
            return Ok(());
        };
        if !patch.restore(memory) {
            return Err(PatchError::Unreachable);
        }
        self.patches.retain(|patch| patch.address != address);
        Ok(())
    }

    /// Takes all of them away but those that cannot be written now.
    pub fn remove_all(&mut self, memory: &mut impl Memory) {
        self.patches.retain(|patch| !patch.restore(memory));
    }

    /// Puts the original bytes into `bytes`, which were read from `address` on.
    pub fn hide(&self, address: usize, bytes: &mut [u8]) {
        for patch in &self.patches {
            let offset = patch.address.wrapping_sub(address);
            if let Some(byte) = bytes.get_mut(offset).filter(|byte| **byte == INT3) {
                *byte = patch.original;
            }
        }
    }

    /// Makes good after `bytes` were written from `address` on: what was written under a patch
    /// is its new original, and the breakpoint goes back in.
    pub fn settle(&mut self, memory: &mut impl Memory, address: usize, bytes: &[u8]) {
        for patch in &mut self.patches {
            let offset = patch.address.wrapping_sub(address);
            if let Some(&byte) = bytes.get(offset) {
                patch.original = byte;
                memory.patch(patch.address, &[INT3]);
            }
        }
    }
}

impl Patch {
    /// Puts the original back, unless something else is there by now: that is the firmware's.
    fn restore(&self, memory: &mut impl Memory) -> bool {
        match byte_at(memory, self.address) {
            Some(INT3) => memory.patch(self.address, &[self.original]) == 1,
            Some(_) => true,
            None => false,
        }
    }
}

fn byte_at(memory: &mut impl Memory, address: usize) -> Option<u8> {
    let mut byte = [0];
    let [found] = (memory.read(address, &mut byte) == 1).then_some(byte)?;
    Some(found)
}
