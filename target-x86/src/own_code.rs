//! Software breakpoints in code that the stub itself runs.
//!
//! The entry is protected, and a firmware can protect more ([`Stub::protect`]), but a library
//! cannot know where the linker has put all of its code, and it shares functions such as
//! `memcpy` with the firmware. An INT3 there would stop the stub in the middle of a stop, for
//! good. So each patch is also noted here, where it can be read without the lock, and when
//! the stub runs into one, the original byte goes back and execution goes on: the breakpoint
//! has taken itself away. The session's own list still has it; removing it there later
//! writes the same byte once more.
//!
//! On the working stack [`entry`](crate::entry) does that, in assembly, because any Rust
//! function might be the one with the breakpoint. The rest, code that holds the lock on the
//! firmware's stack, goes by [`step_aside`].
//!
//! [`Stub::protect`]: crate::Stub::protect

use core::mem::offset_of;
use core::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use tetrarch::machine::Memory;
use tetrarch::patch::INT3;

use crate::frame::Frame;
use crate::memory::Linear;

/// As many as a session can have.
pub(crate) const CAPACITY: usize = tetrarch::patch::CAPACITY;

/// One patched byte; the entry knows this layout.
#[repr(C, align(16))]
pub(crate) struct Patch {
    /// 0 for none: a patch at address 0 is not noted.
    address: AtomicUsize,
    original: AtomicU8,
}

pub(crate) const PATCH_SIZE: usize = size_of::<Patch>();
pub(crate) const ORIGINAL: usize = offset_of!(Patch, original);

/// The patches in memory.
pub(crate) static PATCHES: [Patch; CAPACITY] =
    [const { Patch { address: AtomicUsize::new(0), original: AtomicU8::new(0) } }; CAPACITY];

fn find(address: usize) -> Option<&'static Patch> {
    PATCHES.iter().find(|patch| patch.address.load(Ordering::Relaxed) == address)
}

/// A place for a note about `address`: what is noted there already, as the firmware may have
/// loaded other code since; else one that is free, or that stands for a patch which the
/// firmware has written over.
fn place_for(address: usize) -> Option<&'static Patch> {
    find(address).or_else(|| find(0)).or_else(|| PATCHES.iter().find(|patch| patch.is_stale()))
}

impl Patch {
    /// Whether something else than its INT3 is there by now.
    fn is_stale(&self) -> bool {
        let mut byte = [0];
        Linear.read(self.address.load(Ordering::Relaxed), &mut byte) == 1 && byte != [INT3]
    }
}

/// Writes code, and notes an INT3 or forgets the one that was there.
pub(crate) fn patch(address: usize, bytes: &[u8]) -> usize {
    let mut original = [0];
    let noted = match bytes {
        [INT3] if Linear.read(address, &mut original) == 1 => place_for(address),
        _ => None,
    };
    if let Some(patch) = noted {
        // Complete before the INT3 is in memory: it may be in the very code that writes it.
        patch.address.store(0, Ordering::Relaxed);
        patch.original.store(original[0], Ordering::Relaxed);
        patch.address.store(address, Ordering::Relaxed);
    }
    let written = Linear.patch(address, bytes);
    if noted.is_none() || written == 0 {
        for offset in 0..bytes.len() {
            if let Some(patch) = find(address.wrapping_add(offset)) {
                patch.address.store(0, Ordering::Relaxed);
            }
        }
    }
    written
}

/// Takes the software breakpoint away that `frame` has just run into, if it is one.
#[must_use]
pub(crate) fn step_aside(frame: &mut Frame) -> Outcome {
    let address = (frame.rip as usize).wrapping_sub(1);
    match find(address) {
        // Another CPU, which has run into it as well, may have taken it away meanwhile.
        None if is_int3_before(frame.rip as usize) => return Outcome::NotOurs,
        None => {}
        Some(patch) => {
            let original = patch.original.load(Ordering::Relaxed);
            if Linear.patch(address, &[original]) == 0 {
                return Outcome::NotOurs;
            }
            // Last: who does not find the note finds the original.
            patch.address.store(0, Ordering::Relaxed);
        }
    }
    frame.rip = address as u64;
    Outcome::Gone
}

/// Whether an INT3 ends at `end`, in its short form or its long one, or nobody knows.
fn is_int3_before(end: usize) -> bool {
    const LONG: [u8; 2] = [0xCD, 3];
    let mut bytes = [0; 2];
    Linear.read(end.wrapping_sub(2), &mut bytes) < 2 || bytes == LONG || bytes[1] == INT3
}

/// What became of an INT3.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    /// It is gone, and the frame is at the instruction that it hid.
    Gone,
    /// It was not a noted patch.
    NotOurs,
}

#[cfg(test)]
mod tests {
    use spin::mutex::SpinMutex;

    use super::*;

    /// The tests share the one list.
    static LIST: SpinMutex<()> = SpinMutex::new(());

    fn noted() -> usize {
        PATCHES.iter().filter(|patch| patch.address.load(Ordering::Relaxed) != 0).count()
    }

    #[test]
    fn a_patch_at_the_same_address_takes_the_same_note() {
        let _list = LIST.lock();
        let code = [const { AtomicU8::new(0x90) }; 1];
        let address = code.as_ptr().addr();
        assert_eq!(patch(address, &[INT3]), 1);
        // The firmware loads other code, which the session patches again.
        code[0].store(0x55, Ordering::Relaxed);
        assert_eq!(patch(address, &[INT3]), 1);
        assert_eq!(noted(), 1);
        let mut frame = Frame { rip: address as u64 + 1, ..Frame::ZERO };
        assert_eq!(step_aside(&mut frame), Outcome::Gone);
        assert_eq!((code[0].load(Ordering::Relaxed), noted()), (0x55, 0));
    }

    #[test]
    fn a_patch_that_was_written_over_gives_its_note_up() {
        let _list = LIST.lock();
        let code = [const { AtomicU8::new(0x90) }; CAPACITY + 1];
        let start = code.as_ptr().addr();
        for address in start..start + CAPACITY {
            assert_eq!(patch(address, &[INT3]), 1);
        }
        // The session drops this one without a write.
        code[3].store(0x55, Ordering::Relaxed);
        let last = start + CAPACITY;
        assert_eq!(patch(last, &[INT3]), 1);
        let mut frame = Frame { rip: last as u64 + 1, ..Frame::ZERO };
        assert_eq!(step_aside(&mut frame), Outcome::Gone);
        assert_eq!(code[CAPACITY].load(Ordering::Relaxed), 0x90);
        assert_eq!(code[3].load(Ordering::Relaxed), 0x55);
        for address in start..start + CAPACITY {
            assert_eq!(patch(address, &[0x90]), 1);
        }
        assert_eq!(noted(), 0);
    }

    #[test]
    fn a_patch_that_is_run_into_takes_itself_away() {
        let _list = LIST.lock();
        let code = [const { AtomicU8::new(0x90) }; 2];
        let now = || code.each_ref().map(|byte| byte.load(Ordering::Relaxed));
        let address = code.as_ptr().addr() + 1;
        let after = || Frame { rip: address as u64 + 1, ..Frame::ZERO };

        let mut frame = after();
        assert_eq!(patch(address, &[INT3]), 1);
        assert_eq!(now(), [0x90, INT3]);
        assert_eq!(step_aside(&mut frame), Outcome::Gone);
        assert_eq!((now(), frame.rip), ([0x90, 0x90], address as u64));
        // Two CPUs have run into it, and this one is the second.
        let mut frame = after();
        assert_eq!(step_aside(&mut frame), Outcome::Gone);
        assert_eq!((now(), frame.rip), ([0x90, 0x90], address as u64));
        // What the image has compiled in stays.
        for int3 in [[0x90, INT3], [0xCD, 3]] {
            code.iter().zip(int3).for_each(|(byte, to)| byte.store(to, Ordering::Relaxed));
            let mut frame = after();
            assert_eq!(step_aside(&mut frame), Outcome::NotOurs);
            assert_eq!((now(), frame.rip), (int3, address as u64 + 1));
        }
    }
}
