//! The image `tasks` under a stock gdb: claims that follow tasks, claims that take turns.

mod guards;
mod support;
mod switches;
mod view;
mod watching;
