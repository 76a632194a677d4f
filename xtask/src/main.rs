//! The developer's commands: `cargo xtask demo | run | test | bench | size | install`.

mod bench;
mod demo;
mod run;
mod size;
mod stack;
mod test;
mod tools;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// The developer's commands. Missing tools are installed where that is possible.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Watch gdb debug an image that guards itself, step by step
    Demo,
    /// Boot an image and leave it running for your own gdb
    Run(run::Options),
    /// Run all tests, or one group of them
    Test(test::Options),
    /// Count and measure what a context switch costs
    Bench,
    /// Install what the other commands need, and nothing else
    Install,
    /// Print how much memory the images need, and the library's share
    Size,
}

fn main() -> Result<()> {
    match Arguments::parse().command {
        Command::Demo => demo::demo(),
        Command::Run(options) => run::run(options),
        Command::Test(options) => test::test(&options),
        Command::Bench => bench::bench(),
        Command::Install => tools::for_everything(),
        Command::Size => size::size(),
    }
}
