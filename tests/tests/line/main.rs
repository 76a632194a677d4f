//! A stock gdb and the demo, over a line that loses bytes.

mod acknowledgements;
mod chaos;
mod replies;
#[path = "../sessions/support.rs"]
#[allow(dead_code, reason = "shared with the sessions, which use more of it")]
mod support;
