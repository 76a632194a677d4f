//! The corpus of the fuzz targets, and what they have found, played once more.

use std::fs;
use std::path::Path;

use crate::play;

/// Plays each file of a folder of `stub/fuzz/corpus`.
fn replay(target: &str, play: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut files: Vec<_> = fs::read_dir(&folder)
        .expect("the corpus is there")
        .map(|entry| entry.expect("it can be read").path())
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{}", folder.display());
    for file in files {
        println!("{}", file.display());
        play(&fs::read(&file).expect("it can be read"));
    }
}

#[test]
fn any_bytes_leave_the_target_and_the_session_in_order() {
    replay("bytes", play::bytes);
}

#[test]
fn any_packets_and_events_leave_the_target_and_the_session_in_order() {
    replay("events", play::events);
}
