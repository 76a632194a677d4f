//! The image `smp` under a stock gdb: several CPUs, stopped and resumed as one machine.

mod churn;
mod coming;
mod costs;
mod deaf;
mod hits;
mod nmis;
mod stopping;
mod support;
mod threads;
