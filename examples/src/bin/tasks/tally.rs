//! What the image counted itself, against what its guards saw.

use core::fmt::Write;
use core::sync::atomic::Ordering;

use tetrarch::arbiter::Handle;

use crate::guards::{FOREIGN, RECORDS, STRAYS};
use crate::profile::{self, BURSTS, COUNT, PROFILES};
use crate::scheduler;
use crate::work;

/// `monitor tally`: a name and a number a line, for people and for the tests.
pub fn print(_: &str, out: &mut dyn Write) {
    // It fails only if the console is full, and then the rest cannot be told either.
    let _ = print_lines(out);
}

fn print_lines(out: &mut dyn Write) -> core::fmt::Result {
    writeln!(out, "switches {}", scheduler::switches())?;
    writeln!(out, "beats {}", work::beats())?;
    writeln!(out, "cut {}", work::cut_beats())?;
    for (task, record) in RECORDS.iter().enumerate().skip(1) {
        writeln!(out, "written-{task} {}", record.written.load(Ordering::Relaxed))?;
        writeln!(out, "seen-{task} {}", record.seen.load(Ordering::Relaxed))?;
    }
    writeln!(out, "foreign {}", FOREIGN.load(Ordering::Relaxed))?;
    writeln!(out, "strays {}", STRAYS.load(Ordering::Relaxed))?;
    for (index, profile) in PROFILES.iter().enumerate() {
        writeln!(out, "{} {}", profile.name, profile::writes(index))?;
    }
    Ok(())
}

/// Says in the log how it stands, and whether it is as it must be: every write to a task's own
/// guard seen, no other, and estimates as near to the truth as they can be told to be.
pub fn is_right(profiles: &[Handle; COUNT]) -> bool {
    let mut right = true;
    for (task, record) in RECORDS.iter().enumerate().skip(1) {
        let written = record.written.load(Ordering::Relaxed);
        let seen = record.seen.load(Ordering::Relaxed);
        defmt::info!("stack-guard-{=usize}: {=u64} writes, {=u64} seen", task, written, seen);
        right &= written == seen;
    }
    let strays = STRAYS.load(Ordering::Relaxed);
    let foreign = FOREIGN.load(Ordering::Relaxed);
    defmt::info!("{=u64} writes under the stacks of others, {=u64} stray hits", foreign, strays);
    right &= strays == 0;

    let cut = work::cut_beats();
    defmt::info!("{=u64} beats, {=u64} of them cut", work::beats(), cut);
    for (index, handle) in profiles.iter().enumerate() {
        let count = profile::count(*handle);
        let near = profile::is_near(index, &count, cut);
        let text = defmt::Display2Format(&count);
        let name = PROFILES[index].name;
        defmt::info!("{=str}: {=u64} writes; {}", name, profile::writes(index), text);
        right &= count.enabled == profile::wanted(index) && (near || index == BURSTS);
    }
    right
}
