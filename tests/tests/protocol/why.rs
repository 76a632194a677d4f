//! `monitor why`: each cause of a refusal, in its sentence, behind the number that goes with it.

use anyhow::{Context, Result, ensure};
use tetrarch_tests::Boot;

use crate::bench::{Bench, errno, stopped, stopped_in, unguarded};
use crate::symbols::address;

/// Sends a packet, whose error must be this, and whose explanation must be this.
fn refuses(bench: &mut Bench, packet: &str, errno: &str, sentence: &str) -> Result<()> {
    bench.expect(packet, errno)?;
    let why = bench.monitor("why")?;
    ensure!(why == format!("{sentence}\n"), "of {packet} it was said:\n{why}and not:\n{sentence}");
    Ok(())
}

#[test]
fn without_a_refusal_there_is_nothing_to_explain() -> Result<()> {
    stopped(|bench| {
        let nothing = "nothing was refused in this session\n";
        ensure!(bench.monitor("why")? == nothing);
        bench.expect("m8000000000000000,1", errno::ADDRESS)?;
        ensure!(bench.monitor("why")? != nothing);
        // A success does not take the explanation away.
        bench.memory(0, 1)?;
        ensure!(bench.monitor("why")? == "memory at 0x8000000000000000 cannot be read\n");
        bench.runs_on()
    })
}

#[test]
fn a_lack_of_registers_is_explained_with_the_figures_and_the_holders() -> Result<()> {
    stopped(|bench| {
        let at = address("scratch")?;
        let config = address("config")?;
        let guards = format!(
            "slot 0: 0x0+8 read/write, null-guard; slot 1: {config:#x}+8 write, config-guard"
        );
        refuses(
            bench,
            &format!("Z2,{at:x},20"),
            errno::FULL,
            &format!(
                "write watchpoint on {at:#x}+32 refused: needs 4 debug registers, \
                 2 are available to the debugger on cpu 0, 0 kept for others; {guards}"
            ),
        )?;
        bench.expect(&format!("Z2,{at:x},4"), "OK")?;
        refuses(
            bench,
            &format!("Z3,{:x},a", at + 6),
            errno::FULL,
            &format!(
                "read watchpoint on {:#x}+10 refused: needs 2 debug registers, \
                 1 is available to the debugger on cpu 0, 0 kept for others; {guards}; \
                 slot 2: {at:#x}+4 write, debugger",
                at + 6
            ),
        )?;
        bench.expect(&format!("Z4,{:x},1", at + 9), "OK")?;
        let full = format!(
            "{guards}; slot 2: {at:#x}+4 write, debugger; slot 3: {:#x}+1 read/write, debugger",
            at + 9
        );
        let code = address("step_once")?;
        refuses(
            bench,
            &format!("Z1,{code:x},1"),
            errno::FULL,
            &format!(
                "hardware breakpoint on {code:#x}+1 refused: needs 1 debug register, \
                 0 are available to the debugger on cpu 0, 0 kept for others; {full}"
            ),
        )?;
        refuses(
            bench,
            &format!("Z4,{at:x},4"),
            errno::FULL,
            &format!(
                "access watchpoint on {at:#x}+4 refused: needs 1 debug register, \
                 0 are available to the debugger on cpu 0, 0 kept for others; {full}"
            ),
        )?;
        bench.runs_on()
    })
}

#[test]
fn what_is_kept_for_the_firmware_is_told_apart_from_what_it_uses() -> Result<()> {
    let boot = Boot::new("demo")?
        .argument("reserve=3,0")
        .argument("no-null-guard")
        .argument("no-config-guard");
    stopped_in(boot, |bench| {
        let at = address("scratch")?;
        refuses(
            bench,
            &format!("Z2,{at:x},10"),
            errno::FULL,
            &format!(
                "write watchpoint on {at:#x}+16 refused: needs 2 debug registers, \
                 1 is available to the debugger on cpu 0, 3 kept for others"
            ),
        )?;
        bench.runs_on()
    })
}

/// Base addresses of the tables that the processor has loaded while the target runs.
fn loaded_tables(bench: &mut Bench) -> Result<[u64; 3]> {
    bench.client.send("vCont;c")?;
    bench.wait_for_turns()?;
    let text = bench.qemu.monitor().human("info registers")?;
    bench.client.send_bytes(b"\x03")?;
    bench.client.reply()?;
    let base = |name: &str| -> Result<u64> {
        let line =
            text.lines().find(|line| line.starts_with(name)).with_context(|| text.clone())?;
        let word = line
            .split_whitespace()
            .find(|word| word.len() == 16)
            .with_context(|| line.to_owned())?;
        Ok(u64::from_str_radix(word, 16)?)
    };
    Ok([base("IDT=")?, base("GDT=")?, base("TR =")?])
}

#[test]
fn what_the_debug_exception_needs_is_refused_by_its_name() -> Result<()> {
    stopped(|bench| {
        let mut ranges: Vec<_> = loaded_tables(bench)?
            .into_iter()
            .map(|base| (base + 8, "tetrarch's tables and exception stacks"))
            .collect();
        for own in ["dispatch::INSTALLED", "own_code::PATCHES", "panic::PORT"] {
            let at = address(&format!("tetrarch_x86::{own}"))?;
            ranges.push((at, "tetrarch's tables and exception stacks"));
        }
        ranges.push((address("demo::guards::STUB")? + 64, "tetrarch's state"));
        ranges.push((address("examples::interrupts::TABLE")?, "the IDT"));
        ranges.push((address("gdt")?, "the GDT"));
        for (at, name) in ranges {
            for (kind, word) in
                [(2, "write watchpoint"), (3, "read watchpoint"), (4, "access watchpoint")]
            {
                refuses(
                    bench,
                    &format!("Z{kind},{at:x},4"),
                    errno::PROTECTED,
                    &format!(
                        "{word} on {at:#x}+4 refused: overlaps the protected range {name}, \
                         where a hit would recurse for ever"
                    ),
                )?;
            }
            // It can be looked at all the same, and not written.
            let before = bench.memory(at, 8)?;
            ensure!(before.len() == 8);
            let refused = format!(
                "write at {at:#x} refused: it overlaps {name}, which the stub itself runs on"
            );
            refuses(bench, &format!("M{at:x},4:5a5a5a5a"), errno::ACCESS, &refused)?;
            ensure!(bench.memory(at, 8)? == before);
        }
        bench.runs_on()
    })
}

#[test]
fn breakpoints_in_the_exception_entry_are_refused_and_watchpoints_are_not() -> Result<()> {
    stopped(|bench| {
        let start = address("tetrarch_entry_start")?;
        let end = address("tetrarch_entry_end")?;
        for at in [start, start + 16, end - 1] {
            let original = bench.real_byte(at)?;
            refuses(
                bench,
                &format!("Z1,{at:x},1"),
                errno::PROTECTED,
                &format!(
                    "hardware breakpoint on {at:#x}+1 refused: overlaps the protected range \
                     the exception entry, where a hit would recurse for ever"
                ),
            )?;
            refuses(
                bench,
                &format!("Z0,{at:x},1"),
                errno::PROTECTED,
                &format!(
                    "software breakpoint at {at:#x} refused: the exception entry runs while a \
                     breakpoint is handled, so one there would never end"
                ),
            )?;
            ensure!(bench.real_byte(at)? == original);
        }
        // Nothing reads or writes it as data while registers are armed.
        bench.expect(&format!("Z4,{start:x},8"), "OK")?;
        bench.runs_on()
    })
}

#[test]
fn memory_registers_and_packets_are_explained_too() -> Result<()> {
    stopped(|bench| {
        let unmapped = address("unmapped_page")?;
        let code = address("step_once")?;
        let unreadable = format!("memory at {unmapped:#x} cannot be read");
        refuses(bench, &format!("m{unmapped:x},4"), errno::ADDRESS, &unreadable)?;
        let not_mapped =
            format!("software breakpoint at {unmapped:#x} refused: no memory can be written there");
        refuses(bench, &format!("Z0,{unmapped:x},1"), errno::ADDRESS, &not_mapped)?;
        // gdb reads by itself, and must not hide with that what a person was refused.
        bench.expect(&format!("m{unmapped:x},4"), errno::ADDRESS)?;
        ensure!(bench.monitor("why")? == format!("{not_mapped}\nafter that, {unreadable}\n"));
        let unwritable = format!("memory at {code:#x} cannot be written");
        refuses(bench, &format!("M{code:x},1:90"), errno::ADDRESS, &unwritable)?;
        // The first byte that could not be written.
        refuses(
            bench,
            &format!("X{:x},4:abcd", unmapped - 2),
            errno::ADDRESS,
            &format!("memory at {unmapped:#x} cannot be written"),
        )?;
        refuses(
            bench,
            "P3b=0000000000000000",
            errno::REGISTER,
            "register refused: the processor does not take the value, or it would end the session",
        )?;
        let malformed = |number: u8| {
            format!(
                "packet refused (error {number}): it is malformed or asks for what is not there"
            )
        };
        refuses(bench, "Z2,zz,1", errno::INVALID, &malformed(22))?;
        refuses(bench, "Z2,fffffffffffffffc,8", errno::ADDRESS, &malformed(14))?;
        refuses(bench, "Hg2", errno::NO_THREAD, &malformed(3))?;
        let oversized = format!("M{code:x},1:{}", "0".repeat(3000));
        refuses(
            bench,
            &oversized,
            errno::TOO_LONG,
            "packet refused: it is longer than the declared PacketSize",
        )?;
        bench.runs_on()
    })
}

#[test]
fn more_software_breakpoints_than_can_be_remembered_are_refused() -> Result<()> {
    /// How many the stub remembers.
    const CAPACITY: u64 = 32;
    stopped(|bench| {
        let first = address("scratch")?;
        for index in 0..CAPACITY {
            bench.expect(&format!("Z0,{:x},1", first + index), "OK")?;
        }
        let one_more = first + CAPACITY;
        let before = bench.real_byte(one_more)?;
        let text = format!(
            "software breakpoint at {one_more:#x} refused: 32 are set, there is room for no more"
        );
        refuses(bench, &format!("Z0,{one_more:x},1"), errno::NO_MEMORY, &text)?;
        ensure!(bench.real_byte(one_more)? == before);
        // Those that are there can be asked for again, and one of them makes room.
        bench.expect(&format!("Z0,{first:x},1"), "OK")?;
        bench.expect(&format!("z0,{first:x},1"), "OK")?;
        bench.expect(&format!("Z0,{one_more:x},1"), "OK")?;
        for index in 1..=CAPACITY {
            bench.expect(&format!("z0,{:x},1", first + index), "OK")?;
        }
        ensure!(bench.real_byte(one_more)? == before);
        bench.runs_on()
    })
}

#[test]
fn more_watchpoints_than_can_be_remembered_are_refused() -> Result<()> {
    /// How many the stub remembers, however few registers they need.
    const CAPACITY: usize = 16;
    stopped_in(unguarded()?, |bench| {
        let first = address("scratch")?;
        // Every run of the same four windows, for reading and for access.
        let requests: Vec<_> = (0..4u64)
            .flat_map(|from| (from + 1..=4).map(move |to| (first + 8 * from, 8 * (to - from))))
            .flat_map(|(address, length)| {
                [3, 4].map(|kind| format!("{kind},{address:x},{length:x}"))
            })
            .collect();
        let (kept, refused) = requests.split_at(CAPACITY);
        for request in kept {
            bench.expect(&format!("Z{request}"), "OK")?;
        }
        ensure!(bench.armed()? == [first, first + 8, first + 16, first + 24]);
        let text = format!(
            "read watchpoint on {:#x}+16 refused: the stub cannot remember another request",
            first + 16
        );
        refuses(bench, &format!("Z{}", refused[0]), errno::NO_MEMORY, &text)?;
        for request in kept {
            bench.expect(&format!("z{request}"), "OK")?;
        }
        ensure!(bench.armed()?.is_empty());
        Ok(())
    })
}
