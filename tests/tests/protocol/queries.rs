//! Packets that are unknown, and packets about threads, processes and documents.

use anyhow::{Result, ensure};

use crate::bench::{ATTACHED, all, errno, stopped};

/// Not supported, now or later.
const UNKNOWN: &str = "";

#[test]
fn packets_that_nobody_knows_have_an_empty_reply() -> Result<()> {
    let packets = all(
        UNKNOWN,
        &[
            "",
            "vMustReplyEmpty",
            "vNothing",
            "vAttach;1",
            "vRun",
            "vFile:open:2f,0,0",
            "vCtrlC",
            "vStopped",
            "qNothing",
            "QNothing",
            "QStartNoAckMode",
            "QThreadSuffixSupported",
            "QNonStop:1",
            "qHostInfo",
            "qRegisterInfo0",
            "qMemoryRegionInfo:1000",
            "qSymbol::",
            "qTStatus",
            "qOffsets",
            "qCRC:1000,4",
            "qSearch:memory:0;4;ab",
            "jThreadsInfo",
            "x1000,4",
            "A4,0,61",
            "b0",
            "B1000,S",
            "d",
            "e",
            "f",
            "i",
            "I",
            "t1000:ab,ff",
            "u",
            "_m1000",
            "\u{7f}",
            " ",
            "0",
            "~",
            // A known name that goes on is another name.
            "qRcmdx,64",
            "qSupportedx",
            "vContc",
            "vCont?x",
            "vKillx;1",
            "qCx",
            "qXfer:features:readtarget.xml:0,10",
            "qXfer:features:write:target.xml:0:00",
            "qXfer:auxv:read::0,10",
            "qXfer::read::0,10",
            "qXfer",
        ],
    );
    stopped(|bench| bench.expect_errors(&packets))
}

#[test]
fn a_word_that_begins_like_a_command_is_not_that_command() -> Result<()> {
    let packets = all(
        errno::INVALID,
        &[
            "cafe", "continue", "Dxyz", "detach", "kill", "kk", "step", "G", "gg", "?x", "!x",
            "Restart", "Rx", "R",
        ],
    );
    // These two begin with letters that nobody knows.
    let packets: Vec<_> = packets
        .into_iter()
        .map(|(packet, reply)| if packet == "detach" { (packet, UNKNOWN) } else { (packet, reply) })
        .collect();
    stopped(|bench| bench.expect_errors(&packets))
}

#[test]
fn threads_and_processes_that_are_not_there_are_errors() -> Result<()> {
    let mut packets = all(
        errno::NO_THREAD,
        &[
            "Hg2",
            "Hc2",
            "Hgffffffff",
            "Hgffffffffffffffff",
            "Hg11111111111111111",
            "Hgp2.1",
            "Hgp1.2",
            "Hcp2.1",
            "T2",
            "Tp1.2",
            "Tp2.1",
            "Tffffffffffffffff",
            "D;2",
            "D;0",
            "D;ffffffffffffffff",
            "vKill;2",
            "vKill;0",
            "qAttached:2",
            "qThreadExtraInfo,2",
            "qThreadExtraInfo,p2.1",
        ],
    );
    packets.extend(all(
        errno::INVALID,
        &[
            "H",
            "Hg",
            "Hc",
            "Hx1",
            "H1",
            "Hg1x",
            "Hgzz",
            "Hg-2",
            "Hg00",
            "Hg-1",
            "Hgp1.-1",
            "Hgp-1.1",
            "Hgp",
            "Hgp.",
            "Hgp1.",
            "Hgp.1",
            "Hg 1",
            "T",
            "T-1",
            "T0",
            "Tzz",
            "Tp",
            "D;",
            "D;zz",
            "D1",
            "D:1",
            "vKill",
            "vKill;",
            "vKill;zz",
            "vKill:1",
            "qAttached:",
            "qAttached;1",
            "qThreadExtraInfo",
            "qThreadExtraInfo,",
            "qThreadExtraInfo,-1",
            "qC,1",
            "qfThreadInfo,1",
            "qsThreadInfo:",
            "vCont?;",
        ],
    ));
    stopped(|bench| bench.expect_errors(&packets))
}

#[test]
fn the_one_thread_there_is_can_be_selected_in_every_way() -> Result<()> {
    stopped(|bench| {
        for packet in [
            "Hg1", "Hgp1.1", "Hg0", "Hgp1.0", "Hgp0.0", "Hc1", "Hc-1", "Hc0", "Hcp1.-1", "T1",
            "Tp1.1",
        ] {
            bench.expect(packet, "OK")?;
        }
        bench.expect("qC", "QCp1.1")?;
        bench.expect("qfThreadInfo", "mp01.01")?;
        bench.expect("qsThreadInfo", "l")?;
        bench.expect("qAttached", "1")?;
        bench.expect("qAttached:1", "1")?;
        bench.expect("!", "OK")?;
        bench.expect("vCont?", "vCont;c;C;s;S;r")?;
        bench.expect("?", ATTACHED)?;
        bench.runs_on()
    })
}

#[test]
fn monitor_commands_in_bad_digits_are_errors() -> Result<()> {
    let packets = all(
        errno::INVALID,
        &[
            "qRcmd",
            "qRcmd;64",
            "qRcmd:64",
            "qRcmd,6",
            "qRcmd,zz",
            "qRcmd,646",
            "qRcmd,64zz",
            "qRcmd,dr",
            "qRcmd,6 4",
        ],
    );
    stopped(|bench| {
        bench.expect_errors(&packets)?;
        ensure!(
            bench.monitor("nothing of the kind")?
                == "no such command: nothing (try: monitor help)\n"
        );
        ensure!(bench.monitor("DR")? == "no such command: DR (try: monitor help)\n");
        ensure!(bench.monitor("  help  ")? == bench.monitor("")?);
        // Bytes that are no text.
        ensure!(bench.monitor_bytes(&[0xFF, 0xFE, 0x80])? == bench.monitor("")?);
        bench.expect("?", ATTACHED)
    })
}

#[test]
fn documents_that_are_not_there_are_errors() -> Result<()> {
    let mut packets = all(
        "E00",
        &[
            "qXfer:features:read:other.xml:0,10",
            "qXfer:features:read::0,10",
            "qXfer:memory-map:read:target.xml:0,10",
        ],
    );
    packets.extend(all(
        errno::INVALID,
        &[
            "qXfer:features:read",
            "qXfer:features:read:",
            "qXfer:features:read:target.xml",
            "qXfer:features:read:target.xml:",
            "qXfer:features:read:target.xml:0",
            "qXfer:features:read:target.xml:0,",
            "qXfer:features:read:target.xml:,10",
            "qXfer:features:read:target.xml:0,0",
            "qXfer:features:read:target.xml:zz,10",
            "qXfer:features:read:target.xml:0,zz",
            "qXfer:features:read:target.xml:-1,10",
            "qXfer:features:read:target.xml:10000000000000000,10",
            "qXfer:memory-map:read::0,0",
            "qXfer:memory-map:read::0",
            "qXfer:memory-map:read",
        ],
    ));
    stopped(|bench| bench.expect_errors(&packets))
}

#[test]
fn target_description_and_memory_map_can_be_read_in_pieces_of_any_size() -> Result<()> {
    stopped(|bench| {
        for (object, begins, ends) in [
            ("features:read:target.xml", "<?xml version=\"1.0\"?>", "</target>"),
            ("memory-map:read:", "<memory-map>", "</memory-map>"),
        ] {
            let mut documents = Vec::new();
            for size in [0x10, 0x7F, 0x400, 0x7FB, 0x10_0000, usize::MAX] {
                let mut document = String::new();
                loop {
                    let reply =
                        bench.ask(&format!("qXfer:{object}:{:x},{size:x}", document.len()))?;
                    let (kind, piece) = reply.split_at(1);
                    ensure!(piece.len() <= size, "{} bytes instead of {size}", piece.len());
                    document.push_str(piece);
                    match kind {
                        "m" => ensure!(!piece.is_empty(), "more is said to come, and does not"),
                        "l" => break,
                        _ => anyhow::bail!("{object} was answered {reply}"),
                    }
                }
                documents.push(document);
            }
            let first = &documents[0];
            ensure!(first.starts_with(begins) && first.ends_with(ends), "{object}:\n{first}");
            ensure!(documents.iter().all(|document| document == first), "{object} differs by size");
            for offset in [first.len(), first.len() + 1, 0xFFFF_FFFF, usize::MAX] {
                bench.expect(&format!("qXfer:{object}:{offset:x},10"), "l")?;
            }
        }
        bench.runs_on()
    })
}
