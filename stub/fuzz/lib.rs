//! What the fuzz targets play is what the tests of the session play.

#![allow(dead_code, unused_imports, reason = "the tests use more of it")]

#[path = "../tests/session/bench.rs"]
mod bench;
#[path = "../tests/session/machine.rs"]
mod machine;
#[path = "../tests/session/play.rs"]
pub mod play;
#[path = "../tests/session/script.rs"]
mod script;
