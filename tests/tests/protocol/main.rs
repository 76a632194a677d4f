//! The raw protocol, without a gdb: what no gdb would send, and what must come of it.
//!
//! Every packet here is answered as the protocol wants it, and behind the answer the target
//! is looked at: an error is one only if nothing changed, the target goes on when it is told
//! to, and not before.

mod bench;
mod breakpoints;
mod clients;
mod link;
mod memory;
mod names;
mod panics;
mod queries;
mod readme;
mod registers;
mod reset;
mod resume;
mod stops;
mod symbols;
mod text;
mod why;
