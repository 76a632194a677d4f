//! With how many random cases a property is tried.
//!
//! `PROPTEST_CASES` asks for more or fewer, as for any property. Under Miri, which is slower by
//! a factor of hundreds and looks for something else (undefined behaviour, overflow, a stray
//! access in what the tests run through), a few are enough.

extern crate std;

use proptest::test_runner::{Config, RngAlgorithm};

/// For so many cases in the normal run.
pub fn cases(normal: u32) -> Config {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    let usual = if cfg!(miri) { (normal / 10_000).clamp(1, 3) } else { normal };
    // Miri isolates the program from the files that failures would be kept in.
    Config {
        cases: asked.unwrap_or(usual),
        failure_persistence: None,
        // The other one takes half of the time if it is not optimised.
        rng_algorithm: RngAlgorithm::XorShift,
        ..Config::default()
    }
}

/// Under Miri, one in so many of what a test goes through one by one; all of it otherwise.
pub const fn one_in(number: usize) -> usize {
    if cfg!(miri) { number } else { 1 }
}
