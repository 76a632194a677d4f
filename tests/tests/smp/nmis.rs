//! NMIs that are none of the stub's.

use anyhow::Result;
use tetrarch_tests::under_gdb;

use crate::support::{boot, order, same, selected, tally};

/// How many the image sends itself for one order.
const IN_A_ROW: u64 = 10;

#[test]
fn an_nmi_of_the_images_own_reaches_its_handler_and_the_next_one_waits_for_its_end() -> Result<()> {
    under_gdb(boot(2)?.argument("own-nmi"), |session| {
        let gdb = &mut session.gdb;
        for times in 1..=20 {
            // CPU 0 has installed the stub, CPU 1 has called in.
            order(gdb, times % 2, 8)?;
            gdb.command("tbreak all_handled")?;
            gdb.expect("continue", "Temporary breakpoint")?;
            same("the CPU", selected(gdb)?, times % 2)?;
            same("NMIs", tally(gdb)?["nmis"], IN_A_ROW * times)?;
        }
        same("handlers at the same time", tally(gdb)?["nmi-depth"], 1)
    })
}
