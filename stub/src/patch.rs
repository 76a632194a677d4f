//! Software breakpoints: `Z0` writes an INT3 over an instruction and keeps what was there.
//!
//! Whoever reads memory through the session sees the original byte, and whoever writes it
//! changes the original, so that the patch is invisible but for its effect. Asking twice for
//! the same address must not save the INT3 as the original, and taking a patch away must put
//! back what the last writer wanted there.

use heapless::Vec;

use crate::machine::Memory;

/// The one-byte breakpoint instruction.
pub const INT3: u8 = 0xCC;

const CAPACITY: usize = 32;

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
        if self.contains(address) {
            return Ok(());
        }
        let mut original = [0];
        if self.patches.is_full() {
            return Err(PatchError::TooMany);
        }
        if memory.read(address, &mut original) != 1 || memory.patch(address, &[INT3]) != 1 {
            return Err(PatchError::Unreachable);
        }
        let [original] = original;
        // There is room: looked at above.
        let _ = self.patches.push(Patch { address, original });
        Ok(())
    }

    /// Takes the breakpoint at `address` away; it is no error if there is none.
    pub fn remove(&mut self, memory: &mut impl Memory, address: usize) -> Result<(), PatchError> {
        let Some(index) = self.patches.iter().position(|patch| patch.address == address) else {
            return Ok(());
        };
        let Patch { original, .. } = self.patches.swap_remove(index);
        match memory.patch(address, &[original]) {
            1 => Ok(()),
            _ => Err(PatchError::Unreachable),
        }
    }

    /// Takes all of them away. One whose page has gone meanwhile is forgotten with the others.
    pub fn remove_all(&mut self, memory: &mut impl Memory) {
        while let Some(patch) = self.patches.pop() {
            memory.patch(patch.address, &[patch.original]);
        }
    }

    /// Puts the original bytes into `bytes`, which were read from `address` on.
    pub fn hide(&self, address: usize, bytes: &mut [u8]) {
        for patch in &self.patches {
            let offset = patch.address.wrapping_sub(address);
            if let Some(byte) = bytes.get_mut(offset) {
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
