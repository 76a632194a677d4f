//! The session against a machine without hardware: every effect of a packet or an exception.

mod bench;
mod breakpoints;
mod clients;
mod console;
mod cpus;
mod hang_ups;
mod losses;
mod machine;
mod play;
mod policy;
mod repeats;
mod replay;
mod script;
mod watching;
