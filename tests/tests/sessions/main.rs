//! The images under a stock gdb: what a person would type, and what must come of it.

mod arbitration;
mod breakpoints;
mod flags;
mod guards;
mod hits;
mod lifecycle;
mod regions;
mod registers;
mod stepping;
mod support;
mod watching;
mod witness;
