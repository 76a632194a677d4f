//! The gate by itself: each kind of packet under each policy, and the bounds of a lock.

extern crate std;

use std::vec::Vec;

use super::*;
use crate::target::monitor::request_changes;

const REGION: fn(usize, usize) -> Region = |address, length| match Region::new(address, length) {
    Ok(region) => region,
    Err(_) => panic!("it wraps"),
};

const LOCK: Lock = Lock {
    check: |word| match word {
        b"open sesame" => Some(Grant::Open),
        b"a look" => Some(Grant::ReadOnly),
        _ => None,
    },
    delay: 100,
    patience: 1000,
};

fn gate(access: Access) -> Gate {
    let ranges = std::boxed::Box::leak(std::boxed::Box::new([
        Range { region: REGION(0x1010, 0x10), name: "a hole", rights: Rights::All },
        Range { region: REGION(0x1000, 0x100), name: "a device", rights: Rights::None },
        Range { region: REGION(0x2000, 0x100), name: "a table", rights: Rights::Read },
    ]));
    let mut gate = Gate::new();
    gate.policy = Policy { access, ranges };
    gate
}

fn ruling(gate: &Gate, payload: &str) -> Ruling {
    gate.rule(payload.as_bytes(), || request_changes(payload.as_bytes(), &[]))
}

const PASS: Ruling = Ruling::PASS;

fn monitor(line: &str) -> std::string::String {
    let digits = line.bytes().map(|byte| std::format!("{byte:02x}"));
    std::format!("qRcmd,{}", digits.collect::<std::string::String>())
}

/// What changes nothing, each with arguments that are right.
const LOOKS: [&str; 26] = [
    "!",
    "?",
    "D",
    "g",
    "Hg1",
    "m5000,4",
    "p0",
    "T1",
    "z0,5000,1",
    "Z1,5000,1",
    "Z2,5000,8",
    "qAttached",
    "qC",
    "qfThreadInfo",
    "qsThreadInfo",
    "qSupported",
    "qThreadExtraInfo,1",
    "qXfer:features:read:target.xml:0,1",
    "qXfer:memory-map:read::0,1",
    "vCont?",
    "vCont;c",
    "c",
    "C05",
    "s",
    "S05",
    "vCont;s:1",
];

/// What does.
const CHANGES: [&str; 7] =
    ["G00", "M5000,1:00", "P0=00", "X5000,0:", "Z0,5000,1", "R00", "vKill;1"];

#[test]
fn open_lets_everything_pass() {
    let gate = gate(Access::Open);
    for payload in LOOKS.into_iter().chain(CHANGES).chain(["k", "unknown"]) {
        assert_eq!(ruling(&gate, payload), PASS, "{payload}");
    }
    assert_eq!(ruling(&gate, &monitor("reset")), PASS);
}

#[test]
fn read_only_lets_pass_what_changes_nothing() {
    let gate = gate(Access::ReadOnly);
    for payload in LOOKS {
        assert_eq!(ruling(&gate, payload), PASS, "{payload}");
    }
    for payload in CHANGES {
        let ruling = ruling(&gate, payload);
        assert!(matches!(ruling, Ruling::Deny(Denied::ReadOnly(_))), "{payload}: {ruling:?}");
    }
    assert_eq!(ruling(&gate, "k"), Ruling::Dismiss);
    assert_eq!(ruling(&gate, &monitor("dr")), PASS);
    for line in ["reset", "  reset", "reset now", &" ".repeat(81)] {
        let ruling = ruling(&gate, &monitor(line));
        assert!(matches!(ruling, Ruling::Deny(Denied::ReadOnly(_))), "{line}: {ruling:?}");
    }
}

#[test]
fn locked_lets_pass_what_a_client_needs_to_get_to_a_prompt() {
    let gate = gate(Access::Locked(LOCK));
    let handshake = [
        "?",
        "D",
        "Hg1",
        "qAttached",
        "qC",
        "qfThreadInfo",
        "qsThreadInfo",
        "qSupported",
        "qXfer:features:read:target.xml:0,1",
        "vCont?",
    ];
    for payload in LOOKS.into_iter().chain(CHANGES).chain(["k", "p1", "px"]) {
        let expected = match payload {
            "g" => Ruling::Zeros(None),
            "p0" => Ruling::Zeros(Some(0)),
            "p1" => Ruling::Zeros(Some(1)),
            "k" => Ruling::Dismiss,
            payload if handshake.contains(&payload) => Ruling::Pass { readable: 0 },
            _ => Ruling::Deny(Denied::Locked),
        };
        assert_eq!(ruling(&gate, payload), expected, "{payload}");
    }
    let word = |word: &[u8]| Ruling::Unlock(heapless::Vec::from_slice(word).unwrap());
    assert_eq!(ruling(&gate, &monitor("unlock open sesame")), word(b"open sesame"));
    assert_eq!(ruling(&gate, &monitor("unlock ")), word(b""));
    for line in ["unlock", "help", "reset", " unlock x", &"unlock x".repeat(20)] {
        assert_eq!(ruling(&gate, &monitor(line)), Ruling::Explain, "{line}");
    }
}

#[test]
fn ranges_say_what_may_be_read_written_and_watched() {
    let device =
        |address| Ruling::Deny(Denied::Range { address, name: "a device", rights: Rights::None });
    let table =
        |address| Ruling::Deny(Denied::Range { address, name: "a table", rights: Rights::Read });
    let up_to = |readable| Ruling::Pass { readable };
    let gate = gate(Access::Open);
    let cases = [
        // What is readable in front of a device is read, and no more.
        ("m1000,1", device(0x1000)),
        ("m10ff,8", device(0x10FF)),
        ("mff0,10", PASS),
        ("mff0,11", up_to(0x10)),
        ("mff0,1000", up_to(0x10)),
        ("m1100,8", PASS),
        // The first range that an address is in counts.
        ("m1010,10", PASS),
        ("m1010,11", up_to(0x10)),
        ("m2000,100", PASS),
        // A write is all or nothing.
        ("Mfff,1:00", PASS),
        ("Mfff,2:0000", device(0x1000)),
        ("M1010,10:00", PASS),
        ("X100f,4:abcd", device(0x100F)),
        ("M20ff,1:00", table(0x20FF)),
        ("X2100,1:a", PASS),
        ("M0,0:", PASS),
        // What is watched is read; a software breakpoint is written.
        ("Z2,1000,1", device(0x1000)),
        ("Z3,10fc,8", device(0x10FC)),
        ("Z4,2000,8", PASS),
        ("Z1,2000,1", PASS),
        ("Z0,2000,1", table(0x2000)),
        ("Z0,1010,1", PASS),
        ("z2,1000,1", PASS),
        // The end of all addresses.
        ("mfffffffffffffff0,10", PASS),
        // What is not well formed is for the fence to answer.
        ("m1000", PASS),
        ("mx,1", PASS),
        ("M1000:00", PASS),
        ("Z2,1000", PASS),
    ];
    for (payload, expected) in cases {
        assert_eq!(ruling(&gate, payload), expected, "{payload}");
    }
}

#[test]
fn a_right_word_opens_what_it_is_for_until_the_client_goes() {
    for (word, grant, may_write) in
        [(b"open sesame".as_slice(), Grant::Open, true), (b"a look", Grant::ReadOnly, false)]
    {
        let mut gate = gate(Access::Locked(LOCK));
        gate.meet(Some(0));
        assert_eq!(gate.unlock(word, Some(1)), Unlocked::Granted(grant));
        assert_eq!(ruling(&gate, "g"), PASS);
        assert_eq!(ruling(&gate, "P0=00") == PASS, may_write);
        assert_ne!(ruling(&gate, "m1000,1"), PASS, "ranges count for everybody");
        assert_eq!(gate.patience(Some(u64::MAX)), Patience::Left);
        gate.close();
        assert!(gate.is_locked());
    }
}

#[test]
fn after_each_wrong_word_none_is_looked_at_for_twice_as_long() {
    let mut gate = gate(Access::Locked(LOCK));
    let mut now = 5;
    for delay in [100, 200, 400, 800] {
        assert_eq!(gate.unlock(b"no", Some(now)), Unlocked::Wrong);
        // Nor for the next client.
        gate.close();
        assert_eq!(gate.unlock(b"open sesame", Some(now + delay - 1)), Unlocked::TooSoon);
        now += delay;
    }
    assert_eq!(gate.unlock(b"open sesame", Some(now)), Unlocked::Granted(Grant::Open));
    gate.close();
    assert_eq!(gate.unlock(b"no", Some(now)), Unlocked::Wrong);
    assert_eq!(gate.unlock(b"a look", Some(now + 100)), Unlocked::Granted(Grant::ReadOnly));
}

#[test]
fn without_a_clock_a_few_wrong_words_lock_it_for_good() {
    let mut gate = gate(Access::Locked(LOCK));
    for _ in 0..TRIES {
        assert_eq!(gate.unlock(b"no", None), Unlocked::Wrong);
    }
    gate.close();
    assert_eq!(gate.unlock(b"open sesame", None), Unlocked::TooSoon);
}

#[test]
fn who_stays_locked_is_not_waited_for() {
    let mut gate = gate(Access::Locked(LOCK));
    assert_eq!(gate.patience(Some(5000)), Patience::Left, "nobody is there");
    gate.meet(Some(5000));
    gate.meet(Some(5500));
    assert_eq!(gate.patience(Some(5999)), Patience::Left);
    assert_eq!(gate.patience(Some(6000)), Patience::Exhausted);
    gate.close();
    let packets: Vec<_> = (0..=PACKETS)
        .map(|_| {
            gate.meet(None);
            gate.patience(None)
        })
        .collect();
    let (last, others) = packets.split_last().unwrap();
    assert!(others.iter().all(|patience| *patience == Patience::Left));
    assert_eq!(*last, Patience::Exhausted);
}
