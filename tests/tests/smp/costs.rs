//! What it costs to stop all CPUs is measured at all. Nothing here looks at the figures.

use anyhow::{Result, ensure};
use tetrarch_tests::rendezvous;

#[test]
fn the_costs_of_a_stop_are_measured() -> Result<()> {
    for cpus in [1, 2] {
        let measured = rendezvous::measure(cpus, 5)?;
        for (ticks, name) in measured.iter().zip(rendezvous::NAMES) {
            ensure!(0 < ticks.least && ticks.least <= ticks.median, "{name}: {ticks:?}");
        }
    }
    Ok(())
}
