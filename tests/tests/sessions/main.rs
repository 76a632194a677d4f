//! The images under a stock gdb: what a person would type, and what must come of it.

mod arbitration;
mod asking;
mod bench;
mod breakpoints;
mod console;
mod costs;
mod embedding;
mod flags;
mod guards;
mod hits;
mod interruption;
mod lifecycle;
mod memory;
mod mishaps;
mod policy;
mod regions;
mod registers;
mod reliable;
mod stepping;
mod support;
mod view;
mod watching;
mod witness;
