//! Whatever the fence lets through, gdbstub takes, and does what the packet says.

use super::std::{string::String, vec::Vec};

use core::num::NonZeroUsize;

use gdbstub::arch::Arch;
use gdbstub_arch::x86::{X86_64_SSE, X86_SSE};
use proptest::prelude::*;

use super::fake::{Outcome, Resumed, register_sizes, run};
use crate::cases::{cases, one_in};
use crate::link::Transport;
use crate::packet::{Checked, Limits, Name, Packet, check};
use crate::register_file;

const PACKET: usize = 1200;

fn limits<A: Arch>(highest_address: usize, threads: usize) -> Limits {
    Limits {
        packet: PACKET,
        highest_address,
        threads: NonZeroUsize::new(threads).unwrap(),
        stepping: NonZeroUsize::MIN,
        readable: usize::MAX,
        register_sizes: register_sizes::<A>(),
        transport: Transport::Lossy,
        block: register_file::length(register_sizes::<A>()),
    }
}

/// Gives a packet to gdbstub if the fence says so.
fn try_packet<A: Arch>(payload: &[u8], limits: &Limits) {
    let shown = String::from_utf8_lossy(payload).into_owned();
    match check(payload, limits) {
        Checked::Forward(packet)
        | Checked::NewClient(packet, _)
        | Checked::SelectThread(packet, _) => forwarded::<A>(&shown, &packet, limits),
        Checked::StopReason
        | Checked::CurrentThread
        | Checked::StopAcknowledging
        | Checked::Kill(_)
        | Checked::Reset
        | Checked::Answer(_) => {}
    }
}

fn forwarded<A: Arch>(shown: &str, packet: &Packet<'_>, limits: &Limits) {
    let run = run::<A>(packet.payload(), limits);
    let resumes = matches!(
        packet.name(),
        Name::Continue | Name::ContinueWithSignal | Name::Step | Name::StepWithSignal | Name::VCont
    );
    let expected = if packet.name() == Name::Detach {
        Outcome::Disconnected
    } else if resumes {
        Outcome::Running
    } else {
        Outcome::Idle
    };
    assert_eq!(run.outcome, expected, "{shown}");
    if resumes {
        assert_eq!(run.resumed.last(), Some(&Resumed::Go), "{shown}");
        assert_eq!(run.output, b"+", "{shown}");
    } else {
        assert_eq!(run.resumed, [], "{shown}");
    }
    // Each frame of the answer fits; monitor output comes as several.
    let longest = run.output.split(|byte| *byte == b'$').map(|frame| frame.len() + 1).max();
    assert!(longest <= Some(limits.packet), "{shown} has an answer of {longest:?} bytes");
    let empty_read = shown.starts_with('m') && shown.trim_end_matches('0').ends_with(',');
    assert!(!run.output.ends_with(b"$#00") || empty_read, "{shown} is not supported after all");
}

/// One of each packet that goes through, for any architecture.
const VALID: &[&str] = &[
    "qSupported:multiprocess+;swbreak+;hwbreak+;vContSupported+",
    "vCont?",
    "Hg0",
    "Hgp1.1",
    "Hc-1",
    "qAttached",
    "qAttached:1",
    "qfThreadInfo",
    "qsThreadInfo",
    "qThreadExtraInfo,p1.1",
    "Tp1.1",
    "g",
    "p0",
    "P0=00112233",
    "P0=0011223344556677",
    "m1000,10",
    "m1000,0",
    "mfffffff0,10",
    "mfffffffffffffff0,10",
    "M1000,2:0aFF",
    "X1000,3:a}\x03,",
    "X1000,0:",
    "Z0,1000,1",
    "z0,1000,1",
    "Z1,1000,1",
    "z1,1000,1",
    "Z2,1000,8",
    "Z3,fffffffc,4",
    "z4,1003,64",
    "vCont;c",
    "vCont;C05:1;c",
    "vCont;s:p1.1;c:p1.-1",
    "vCont;s:1",
    "vCont;s",
    "vCont;r1000,1010:1;c",
    "vCont;S05:1;c",
    "c",
    "C05",
    "s",
    "S05",
    "qRcmd,6472",
    "qXfer:features:read:target.xml:0,ffb",
    "qXfer:features:read:target.xml:ffffffff,ffffffff",
    "qXfer:memory-map:read::0,ffb",
    "D",
    "D;1",
];

fn all_registers(limits: &Limits) -> String {
    core::iter::once('G').chain(core::iter::repeat_n('0', 2 * limits.block)).collect()
}

#[test]
fn each_valid_packet_is_taken_by_gdbstub() {
    for threads in [1, 3] {
        let limits64 = limits::<X86_64_SSE>(usize::MAX, threads);
        let limits32 = limits::<X86_SSE>(0xFFFF_FFFF, threads);
        for packet in VALID.iter().step_by(one_in(10)) {
            try_packet::<X86_64_SSE>(packet.as_bytes(), &limits64);
            try_packet::<X86_SSE>(packet.as_bytes(), &limits32);
        }
        try_packet::<X86_64_SSE>(all_registers(&limits64).as_bytes(), &limits64);
        try_packet::<X86_SSE>(all_registers(&limits32).as_bytes(), &limits32);
    }
}

#[test]
fn each_name_is_among_the_valid_packets_or_never_forwarded() {
    let limits = limits::<X86_64_SSE>(usize::MAX, 1);
    let goes_on = |packet: &str| {
        matches!(
            check(packet.as_bytes(), &limits),
            Checked::Forward(_) | Checked::NewClient(..) | Checked::SelectThread(..)
        )
    };
    let failed: Vec<_> = VALID.iter().filter(|packet| !goes_on(packet)).collect();
    assert_eq!(failed, [&"P0=00112233"], "rax has eight bytes");
    assert!(goes_on(&all_registers(&limits)));
}

#[test]
fn the_longest_read_has_the_longest_reply() {
    let limits = limits::<X86_64_SSE>(usize::MAX, 1);
    try_packet::<X86_64_SSE>(b"m0,256", &limits);
    let run = run::<X86_64_SSE>(b"m0,256", &limits);
    assert_eq!(run.output.len(), 1 + PACKET);
}

/// A valid packet with a few bytes changed, inserted or taken away.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let telling = prop_oneof![
        4 => prop::sample::select(&b"0123456789abcdefx,:;.-+?=pcCsSrtzZ"[..]),
        1 => any::<u8>(),
    ];
    let change = (0usize..3, any::<prop::sample::Index>(), telling);
    (prop::sample::select(VALID), prop::collection::vec(change, 0..4)).prop_map(
        |(packet, changes)| {
            let mut bytes = packet.as_bytes().to_vec();
            for (kind, place, byte) in changes {
                let place = place.index(bytes.len() + 1);
                match kind {
                    0 => bytes.insert(place, byte),
                    1 if place < bytes.len() => bytes[place] = byte,
                    _ if place < bytes.len() => drop(bytes.remove(place)),
                    _ => bytes.push(byte),
                }
            }
            bytes
        },
    )
}

/// Pieces of packets, put together at random.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(
        &[
            "vCont",
            "m",
            "M",
            "X",
            "Z",
            "H",
            "T",
            "c",
            "s",
            "D",
            "p",
            "P",
            "q",
            ";",
            ",",
            ":",
            "-1",
            "p1.",
            "0",
            "1",
            "2",
            "ffffffffffffffff",
            "10000000000000000",
            "r",
            "?",
            "=",
            "}",
            "00",
            "g",
            "Xfer",
            "t",
            ";c",
            ";s:",
        ][..],
    );
    prop::collection::vec(piece, 1..8).prop_map(|pieces| pieces.concat().into_bytes())
}

proptest! {
    #![proptest_config(cases(4096))]

    #[test]
    fn nothing_that_passes_is_fatal(
        payload in prop_oneof![
            6 => mutated(),
            2 => pieces(),
            1 => prop::collection::vec(any::<u8>(), 0..40),
        ],
        threads in 1usize..4,
    ) {
        let limits64 = limits::<X86_64_SSE>(usize::MAX, threads);
        try_packet::<X86_64_SSE>(&payload, &limits64);
        let limits32 = limits::<X86_SSE>(0xFFFF_FFFF, threads);
        try_packet::<X86_SSE>(&payload, &limits32);
    }
}
