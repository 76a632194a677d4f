//! Packets and verdicts, as the protocol has them.

extern crate std;

mod fake;
mod fatal;
mod forwarded;
mod malformed;

use std::{format, string::String, vec::Vec};

use super::*;

/// Three threads of a 64-bit machine with two registers.
const LIMITS: Limits = Limits {
    packet: 128,
    highest_address: usize::MAX,
    threads: NonZeroUsize::new(3).unwrap(),
    stepping: NonZeroUsize::new(2).unwrap(),
    readable: usize::MAX,
    register_sizes: &[8, 4],
    block: 12,
    transport: Transport::Lossy,
};

const ONE_THREAD: Limits =
    Limits { threads: NonZeroUsize::MIN, stepping: NonZeroUsize::MIN, ..LIMITS };

/// A verdict in one word, or the packet that goes on.
fn verdict(payload: &[u8], limits: &Limits) -> String {
    let packet = |packet: &Packet<'_>| String::from_utf8_lossy(packet.payload()).into_owned();
    match check(payload, limits) {
        Checked::Forward(forwarded) => packet(&forwarded),
        Checked::NewClient(forwarded, ThreadIds::Plain) => format!("{} plain", packet(&forwarded)),
        Checked::NewClient(forwarded, ThreadIds::WithProcess) => {
            format!("{} with process", packet(&forwarded))
        }
        Checked::SelectThread(forwarded, _) => packet(&forwarded),
        Checked::StopReason => "stop reason".into(),
        Checked::CurrentThread => "current thread".into(),
        Checked::StopAcknowledging => "stop acknowledging".into(),
        Checked::Kill(Farewell::Silent) => "kill".into(),
        Checked::Kill(Farewell::Ok) => "kill and say so".into(),
        Checked::Reset => "reset".into(),
        Checked::Answer(Reply::Empty) => "empty".into(),
        Checked::Answer(Reply::Ok) => "OK".into(),
        Checked::Answer(Reply::Error(errno)) => format!("E{:02x}", errno.code()),
    }
}

fn judge(limits: &Limits, table: &[(&str, &str)]) {
    let wrong: Vec<_> = table
        .iter()
        .map(|(payload, expected)| (*payload, verdict(payload.as_bytes(), limits), *expected))
        .filter(|(_, got, expected)| got != expected)
        .collect();
    assert!(wrong.is_empty(), "(packet, verdict, expected): {wrong:#?}");
}

/// Packets that go on as they came.
fn goes_on(limits: &Limits, packets: &[&str]) {
    let table: Vec<_> = packets.iter().map(|packet| (*packet, *packet)).collect();
    judge(limits, &table);
}

#[test]
fn what_gdb_sends_when_it_attaches_and_works() {
    goes_on(
        &LIMITS,
        &[
            "vCont?",
            "Hg0",
            "Hc-1",
            "Hgp1.1",
            "Hgp0.0",
            "Hcp1.-1",
            "Hc0",
            "qAttached",
            "qAttached:1",
            "qfThreadInfo",
            "qsThreadInfo",
            "qThreadExtraInfo,p1.2",
            "Tp1.3",
            "T1",
            "g",
            "G00112233445566778899aabb",
            "p0",
            "p1",
            "P1=00112233",
            "P0=0011223344556677",
            "m0,8",
            "mffffffff81000000,3e",
            "mffffffffffffffff,1",
            "M1000,2:0aFF",
            "X1000,0:",
            "Z0,1000,1",
            "z1,1000,1",
            "Z2,fffffffffffffff8,8",
            "Z3,0,1",
            "z4,1003,64",
            "vCont;c",
            "vCont;s:p1.1;c:p1.-1",
            "vCont;s:1;c",
            "vCont;r1000,1010:p1.2;c",
            "vCont;s:1",
            "vCont;C05:2;c",
            "vCont;S05:1;c:-1",
            "vCont;c:1;c:2",
            "qRcmd,6472",
            "qRcmd,",
            "qXfer:features:read:target.xml:0,ffb",
            "qXfer:memory-map:read::0,ffb",
            "D",
            "D;1",
        ],
    );
    judge(
        &LIMITS,
        &[
            (
                "qSupported:multiprocess+;swbreak+;hwbreak+;xmlRegisters=i386;QThreadEvents+",
                "qSupported:multiprocess+;swbreak+;hwbreak+;xmlRegisters=i386;QThreadEvents+ with process",
            ),
            ("?", "stop reason"),
            ("qC", "current thread"),
            ("!", "OK"),
            ("k", "kill"),
            ("vKill;1", "kill and say so"),
            ("R0", "reset"),
        ],
    );
}

#[test]
fn what_is_not_offered_is_not_supported() {
    let unknown = [
        "",
        "vMustReplyEmpty",
        "QStartNoAckMode",
        "qTStatus",
        "qOffsets",
        "qSymbol::",
        "vRun;",
        "vAttach;1",
        "vFile:open:00,0,0",
        "vCtrlC",
        "vStopped",
        "QThreadSuffixSupported",
        "qHostInfo",
        "qRegisterInfo0",
        "qMemoryRegionInfo:0",
        "jThreadsInfo",
        "x0,10",
        "r",
        "t0",
        "bc",
        "bs",
        "i",
        "A0",
        "d",
        "\u{1}",
        "qCRC:0,10",
        "qSupportedX",
        "qAttachedX",
        "vContX",
        "vCont?x",
        "vKillX",
        "qXfer:features:write:a:0,00",
        "qXfer:features:readX",
        "qXfer:auxv:read::0,10",
        "qRcmdX",
        "Z5,1000,1",
        "z9,1000,1",
        "Zff,1000,1",
    ];
    let table: Vec<_> = unknown.iter().map(|packet| (*packet, "empty")).collect();
    judge(&LIMITS, &table);
}

#[test]
fn addresses_and_ids_that_do_not_exist_have_errors_of_their_own() {
    judge(
        &LIMITS,
        &[
            ("m10000000000000000,1", "E0e"),
            ("m0,10000000000000000", "E0e"),
            ("mffffffffffffffff,2", "E0e"),
            ("Mffffffffffffffff,2:0000", "E0e"),
            ("Xffffffffffffffff,2:ab", "E0e"),
            ("Z2,ffffffffffffffff,2", "E0e"),
            ("Z0,10000000000000000,1", "E0e"),
            ("z1,0,10000000000000000", "E0e"),
            ("vCont;r0,10000000000000000:1", "E0e"),
            ("Hg4", "E03"),
            ("Hcp2.1", "E03"),
            ("Tp2.1", "E03"),
            ("T4", "E03"),
            ("T10000000000000000", "E03"),
            ("vCont;s:4", "E03"),
            ("vCont;c:p2.1", "E03"),
            ("qThreadExtraInfo,4", "E03"),
            ("D;2", "E03"),
            ("vKill;0", "E03"),
            ("vKill;2", "E03"),
            ("qAttached:2", "E03"),
            ("qXfer:features:read:i386.xml:0,10", "E00"),
            ("qXfer:features:read::0,10", "E00"),
            ("qXfer:memory-map:read:a:0,10", "E00"),
        ],
    );
}

#[test]
fn a_32_bit_target_has_32_bit_addresses() {
    let limits = Limits { highest_address: 0xFFFF_FFFF, ..LIMITS };
    goes_on(&limits, &["mffffffff,1", "m00000000ffffffff,1", "Z2,fffffffc,4"]);
    judge(
        &limits,
        &[
            ("m100000000,1", "E0e"),
            ("mffffffff,2", "E0e"),
            ("Z2,ffffffff,2", "E0e"),
            ("Z0,100000000,1", "E0e"),
            ("vCont;r100000000,100000010:1", "E0e"),
        ],
    );
}

#[test]
fn resume_packets_are_turned_into_what_they_mean() {
    judge(
        &LIMITS,
        &[
            ("c", "vCont;c"),
            ("C05", "vCont;C05"),
            ("s", "vCont;s:2;c"),
            ("S0b", "vCont;S0b:2;c"),
            ("vCont;c;s:1", "vCont;c"),
            ("vCont;s:1;c;s:1;r0,1:2", "vCont;s:1;c"),
            ("vCont;c:-1;s", "vCont;c:-1"),
        ],
    );
    judge(
        &ONE_THREAD,
        &[
            ("s", "vCont;s:1;c"),
            ("vCont;s", "vCont;s:1;c"),
            ("vCont;s:-1", "vCont;s:1;c"),
            ("vCont;s:0", "vCont;s:1;c"),
            ("vCont;s:p1.-1", "vCont;s:1;c"),
            ("vCont;S05", "vCont;S05:1;c"),
            (
                "vCont;rffffffffffffff00,ffffffffffffff10",
                "vCont;rffffffffffffff00,ffffffffffffff10:1;c",
            ),
            ("vCont;s;c:1", "vCont;s:1;c"),
            ("vCont;c:1;s", "vCont;c:1"),
            ("vCont;s:1;c", "vCont;s:1;c"),
            ("vCont;r00000000000000000000000000000000000000000000000000000000001,2", "E07"),
        ],
    );
    let many = Limits {
        threads: NonZeroUsize::new(0x1000).unwrap(),
        stepping: NonZeroUsize::new(0xA0F).unwrap(),
        ..LIMITS
    };
    judge(&many, &[("s", "vCont;s:a0f;c")]);
    let confused = Limits { stepping: NonZeroUsize::new(9).unwrap(), ..LIMITS };
    judge(&confused, &[("s", "vCont;s:3;c")]);
}

#[test]
fn a_client_without_features_is_a_client() {
    judge(
        &LIMITS,
        &[
            ("qSupported", "qSupported:multiprocess- plain"),
            ("qSupported:xmlRegisters=i386", "qSupported:xmlRegisters=i386 plain"),
            (
                "qSupported:multiprocess+;multiprocess-",
                "qSupported:multiprocess+;multiprocess- plain",
            ),
        ],
    );
}

#[test]
fn a_selection_says_whom_and_for_what() {
    let selection = |payload: &'static str| {
        let Checked::SelectThread(_, selection) = check(payload.as_bytes(), &LIMITS) else {
            panic!("{payload} selects nothing");
        };
        selection
    };
    let two = NonZeroUsize::new(2).unwrap();
    assert_eq!(selection("Hg2"), Selection { purpose: Purpose::Access, thread: Thread::One(two) });
    assert_eq!(
        selection("Hcp1.2"),
        Selection { purpose: Purpose::Resume, thread: Thread::One(two) }
    );
    assert_eq!(selection("Hc-1"), Selection { purpose: Purpose::Resume, thread: Thread::All });
    assert_eq!(selection("Hg0"), Selection { purpose: Purpose::Access, thread: Thread::Any });
}

#[test]
fn the_longest_packet_fits_and_the_longest_answer_too() {
    let limits = Limits { packet: 64, ..LIMITS };
    judge(&limits, &[("m0,1e", "m0,1e"), ("m0,1f", "m0,1e"), ("m00001000,1f", "m01000,1e")]);
    let mut payload = b"X0,35:".to_vec();
    payload.extend([b'a'; 53]);
    payload.push(b'a');
    assert_eq!(payload.len() + ENVELOPE, 64);
    assert_eq!(verdict(&payload, &limits), "E16");
    payload[4] = b'6';
    assert_eq!(verdict(&payload, &limits).as_bytes(), payload);
    payload.push(b'a');
    assert_eq!(verdict(&payload, &limits), "E07");
    let tight = Limits { packet: 14, ..ONE_THREAD };
    judge(&tight, &[("s", "E07"), ("c", "vCont;c")]);
}

#[test]
fn binary_data_may_be_anything_that_is_escaped() {
    for payload in
        [&b"X10,3:\0\x03\xFF"[..], b"X10,3:,:;", b"X10,2:}\x03}\x04", b"X10,1:}]", b"X10,1:*"]
    {
        assert_eq!(
            check(payload, &LIMITS),
            Checked::Forward(Packet { name: Name::WriteBinary, text: Text::AsSent(payload) })
        );
    }
}

#[test]
fn replies_are_written_as_the_protocol_has_them() {
    assert_eq!(Reply::Empty.payload(), b"");
    assert_eq!(Reply::Ok.payload(), b"OK");
    let all = [
        Errno::NoAnnex,
        Errno::NoThread,
        Errno::Failed,
        Errno::TooLong,
        Errno::Address,
        Errno::Invalid,
    ];
    for errno in all {
        let payload = Reply::Error(errno).payload();
        assert_eq!(payload, format!("E{:02x}", errno.code()).as_bytes());
    }
}

#[test]
fn a_read_is_as_long_as_the_policy_allows() {
    let limits = Limits { readable: 0x10, ..LIMITS };
    assert_eq!(verdict(b"m1000,10", &limits), "m1000,10");
    assert_eq!(verdict(b"m1000,11", &limits), "m01000,10");
}

#[test]
fn acknowledgements_end_on_a_reliable_transport_only() {
    let reliable = Limits { transport: Transport::Reliable, ..LIMITS };
    judge(&LIMITS, &[("QStartNoAckMode", "empty"), ("QStartNoAckModes", "empty")]);
    judge(&reliable, &[("QStartNoAckMode", "stop acknowledging"), ("QStartNoAckMode;", "E16")]);
}
