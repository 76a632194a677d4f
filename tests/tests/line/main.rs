//! A stock gdb and an image, over a line that loses and damages bytes.

mod acknowledgements;
mod chaos;
mod late;
mod noisy;
mod replies;
mod script;
#[path = "../sessions/support.rs"]
#[allow(dead_code, reason = "shared with the sessions, which use more of it")]
mod support;
