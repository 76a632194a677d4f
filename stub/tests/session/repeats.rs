//! Requests that come again because an acknowledgement was lost, and such as only look like it.
//!
//! A client that has not seen our `+` acknowledges the reply and throws it away, which is what the
//! bench's client does with each reply.

use std::cell::Cell;
use std::thread::LocalKey;

use tetrarch::link::{Transport, frame};
use tetrarch::session::{Cause, Next};
use tetrarch::target::monitor::{Command, Effect};

use crate::bench::{BASE, Bench, STEP, WRITABLE, hex};
use crate::machine::PATIENCE;

pub const NOTICE: &str =
    "tetrarch: not carried out again: it came again after a time-out, with nothing in between\n";

thread_local! {
    static TOGGLED: Cell<usize> = const { Cell::new(0) };
    static SHOWN: Cell<usize> = const { Cell::new(0) };
}

fn count(key: &'static LocalKey<Cell<usize>>) -> usize {
    key.set(key.get() + 1);
    key.get()
}

const COMMANDS: &[Command] = &[
    Command {
        name: "toggle",
        help: "changes something",
        effect: Effect::Changes,
        run: |_, out| writeln!(out, "toggled {}", count(&TOGGLED)).expect("there is room"),
    },
    Command {
        name: "show",
        help: "changes nothing",
        effect: Effect::Nothing,
        run: |_, out| writeln!(out, "shown {}", count(&SHOWN)).expect("there is room"),
    },
];

fn attached() -> Bench {
    let mut bench = Bench::attached(2, 0);
    bench.session.set_commands(COMMANDS);
    bench
}

fn wait(bench: &mut Bench, time: u64) {
    bench.machine.now = bench.machine.now.map(|now| now + time);
}

/// A client that has not seen our `+` throws the stop reply away and asks again.
#[test]
fn a_resume_that_comes_again_is_answered_and_not_carried_out() {
    for resume in ["vCont;s:p1.1", "vCont;c", "s"] {
        for now in [Some(0), None] {
            let mut bench = Bench::attached(2, 0);
            bench.machine.now = now;
            bench.resume(resume);
            let stop = bench.debug_exception(STEP);
            let reported = if resume == "vCont;c" { bench.stop(Cause::Interrupt) } else { stop };
            for _ in 0..3 {
                wait(&mut bench, PATIENCE);
                assert_eq!(bench.send(resume), reported, "{resume}");
                assert_eq!(bench.next, Some(Next::Stay));
            }
            assert_eq!(bench.ask("qC"), "QCp1.1");
            bench.resume(resume);
        }
    }
}

/// One that is quick, or has looked at something since, means what it says.
#[test]
fn a_resume_in_the_same_words_is_carried_out_if_it_cannot_be_a_repeat() {
    let mut bench = Bench::attached(2, 0);
    bench.resume("vCont;s:p1.1");
    // It runs for long.
    wait(&mut bench, 10 * PATIENCE);
    bench.debug_exception(STEP);
    wait(&mut bench, PATIENCE - 1);
    bench.resume("vCont;s:p1.1");
    bench.debug_exception(STEP);
    wait(&mut bench, 9 * PATIENCE);
    bench.ask("?");
    bench.resume("vCont;s:p1.1");
    bench.debug_exception(STEP);
    bench.resume("vCont;c");
}

/// The repeat is on its way when the target stops: the client has not heard of that.
#[test]
fn a_resume_that_crosses_the_stop_is_answered_and_not_carried_out() {
    let long = format!("vCont;r{BASE:016x},{:016x}:p0000000000000001.0000000000000001", BASE + 1);
    let stop: Vec<u8> = frame(b"T02thread:p01.01;").collect();
    let stop = String::from_utf8_lossy(&stop);
    for resume in ["vCont;s:p1.1", "vCont;c", &long] {
        // Before a byte of the stop reply has left, in the middle of it, and after its end.
        for left in [0, 1, 5, stop.len()] {
            let mut bench = Bench::attached(2, 0);
            bench.resume(resume);
            wait(&mut bench, 3 * PATIENCE);
            bench.stop_unheard(Cause::Interrupt);
            let mut said = Vec::new();
            said.extend((0..left).map_while(|_| bench.session.next_byte()));
            wait(&mut bench, 1);
            frame(resume.as_bytes()).for_each(|byte| _ = bench.receive(byte));
            assert_eq!(bench.next, Some(Next::Stay), "{resume}");
            said.extend(std::iter::from_fn(|| bench.session.next_byte()));
            let expected = match left {
                0 => format!("+{stop}"),
                _ => format!("{stop}+{stop}"),
            };
            assert_eq!(String::from_utf8_lossy(&said), expected, "{resume}, {left}");
            bench.receive(b'+');
            bench.ask("p10");
            bench.resume(resume);
        }
    }
}

/// Both answers were lost, the stop reply a moment ago.
#[test]
fn a_resume_that_comes_again_soon_after_a_lost_stop_reply_is_not_carried_out() {
    let mut bench = Bench::attached(2, 0);
    bench.resume("vCont;c");
    wait(&mut bench, 2 * PATIENCE);
    bench.stop_unheard(Cause::Interrupt);
    while bench.session.next_byte().is_some() {}
    wait(&mut bench, PATIENCE / 2);
    assert_eq!(bench.send("vCont;c"), ["T02thread:p01.01;"]);
    assert_eq!(bench.next, Some(Next::Stay));
}

#[test]
fn a_write_that_comes_again_is_answered_and_not_carried_out() {
    for write in [format!("M{WRITABLE:x},2:0102"), format!("X{WRITABLE:x},2:\x01\x02")] {
        for now in [Some(0), None] {
            let mut bench = attached();
            bench.machine.now = now;
            assert_eq!(bench.ask(&write), "OK");
            for _ in 0..3 {
                wait(&mut bench, 20 * PATIENCE);
                assert_eq!(bench.ask(&write), "OK");
            }
            assert_eq!(bench.machine.stores, 1, "{write}");
            // gdb looks at something after each write.
            bench.ask("p10");
            wait(&mut bench, 20 * PATIENCE);
            assert_eq!(bench.ask(&write), "OK");
            assert_eq!(bench.machine.stores, 2, "{write}");
        }
    }
}

#[test]
fn a_write_in_the_same_words_is_carried_out_if_it_comes_too_soon_for_a_repeat() {
    let mut bench = attached();
    let write = format!("M{WRITABLE:x},1:01");
    for stores in 1..4 {
        assert_eq!(bench.ask(&write), "OK");
        assert_eq!(bench.machine.stores, stores);
        wait(&mut bench, PATIENCE - 1);
    }
}

/// Something has come in between, although it was not kept.
#[test]
fn a_write_after_a_packet_that_was_too_long_is_another() {
    let mut bench = attached();
    let write = format!("M{WRITABLE:x},1:01");
    assert_eq!(bench.ask(&write), "OK");
    assert_eq!(bench.ask(&format!("M{WRITABLE:x},800:{}", "00".repeat(0x800))), "E07");
    wait(&mut bench, PATIENCE);
    assert_eq!(bench.ask(&write), "OK");
    assert_eq!(bench.machine.stores, 2);
}

/// The stop that it is told of at a Ctrl-C is no answer to that.
#[test]
fn a_write_after_a_stop_that_was_told_late_is_another() {
    let mut bench = attached();
    let write = format!("M{WRITABLE:x},1:01");
    bench.send(&write);
    for byte in frame(write.as_bytes()) {
        bench.receive(byte);
    }
    // Nothing of the reply arrives, however often.
    for _ in 0..20 {
        while bench.session.next_byte().is_some() {}
        wait(&mut bench, PATIENCE);
        assert_eq!(bench.pass_time(), Next::Stay);
    }
    let stores = bench.machine.stores;
    assert_eq!(bench.receive(3), Next::Stay);
    assert_eq!(bench.drain(), ["T02thread:p01.01;"]);
    wait(&mut bench, PATIENCE);
    assert_eq!(bench.ask(&write), "OK");
    assert_eq!(bench.machine.stores, stores + 1);
}

#[test]
fn where_nothing_is_lost_nothing_is_a_repeat() {
    let mut bench = attached();
    bench.session.set_transport(Transport::Reliable);
    let write = format!("M{WRITABLE:x},1:01");
    for stores in 1..4 {
        assert_eq!(bench.ask(&write), "OK");
        assert_eq!(bench.machine.stores, stores);
        wait(&mut bench, PATIENCE);
    }
}

#[test]
fn a_write_that_was_refused_is_refused_again() {
    let mut bench = attached();
    let write = "M0,1:01";
    assert_eq!(bench.ask(write), "E0e");
    wait(&mut bench, PATIENCE);
    assert_eq!(bench.ask(write), "E0e");
    assert_eq!(bench.monitor("why"), "memory at 0x0 cannot be written\n");
}

#[test]
fn a_command_that_comes_again_is_shown_again_and_not_carried_out() {
    for now in [Some(0), None] {
        let mut bench = attached();
        bench.machine.now = now;
        let before = TOGGLED.get();
        let first = format!("toggled {}\n", before + 1);
        assert_eq!(bench.monitor("toggle"), first);
        for _ in 0..3 {
            wait(&mut bench, 2 * PATIENCE);
            assert_eq!(bench.monitor("toggle"), format!("{NOTICE}{first}"));
        }
        // Another request in between, and it is another command.
        assert_eq!(bench.ask("qC"), "QCp1.1");
        assert_eq!(bench.monitor("toggle"), format!("toggled {}\n", before + 2));
    }
}

#[test]
fn a_command_in_the_same_words_is_carried_out_if_it_cannot_be_a_repeat() {
    let mut bench = attached();
    let before = TOGGLED.get();
    for (number, time) in [0, PATIENCE - 1, 8 * PATIENCE, 1000 * PATIENCE].into_iter().enumerate() {
        wait(&mut bench, time);
        assert_eq!(bench.monitor("toggle"), format!("toggled {}\n", before + 1 + number));
    }
    wait(&mut bench, 8 * PATIENCE - 1);
    assert!(bench.monitor("toggle").starts_with(NOTICE));
}

#[test]
fn what_only_shows_something_shows_what_is_so_now() {
    let mut bench = attached();
    let before = SHOWN.get();
    for number in 1..4 {
        assert_eq!(bench.monitor("show"), format!("shown {}\n", before + number));
        wait(&mut bench, 2 * PATIENCE);
    }
    let read = format!("m{WRITABLE:x},1");
    bench.machine.at(WRITABLE)[0] = 1;
    assert_eq!(bench.ask(&read), "01");
    wait(&mut bench, 2 * PATIENCE);
    bench.machine.at(WRITABLE)[0] = 2;
    assert_eq!(bench.ask(&read), "02");
}

/// The reply is on its way when the request comes again: of what was to follow, nothing is left.
#[test]
fn a_command_whose_reply_cannot_be_had_back_is_an_error_and_not_carried_out() {
    let mut bench = attached();
    let before = TOGGLED.get();
    let packet = format!("qRcmd,{}", hex(b"toggle"));
    let feed = |bench: &mut Bench| {
        for byte in frame(packet.as_bytes()) {
            bench.receive(byte);
        }
    };
    feed(&mut bench);
    // The `+`, and the first byte of the output.
    assert_eq!(bench.session.next_byte(), Some(b'+'));
    assert_eq!(bench.session.next_byte(), Some(b'$'));
    wait(&mut bench, PATIENCE);
    feed(&mut bench);
    let said: Vec<u8> = std::iter::from_fn(|| bench.session.next_byte()).collect();
    assert!(said.ends_with(b"+$E05#aa"), "{:?}", String::from_utf8_lossy(&said));
    assert_eq!(TOGGLED.get(), before + 1);
    bench.receive(b'+');
    assert_eq!(
        bench.monitor("why"),
        "packet refused: it came again, was not carried out again, and its reply is lost\n"
    );
}

/// Output that leaves no more room than the reply needs: the line that says that it was not carried
/// out still has its place.
#[test]
fn the_notice_finds_room_beside_the_longest_output() {
    const FLOOD: &[Command] = &[Command {
        name: "flood",
        help: "prints without end",
        effect: Effect::Changes,
        run: |_, out| while out.write_str("0123456789abcdef").is_ok() {},
    }];
    let mut bench = Bench::attached(2, 0);
    bench.session.set_commands(FLOOD);
    let printed = bench.monitor("flood");
    assert!(printed.ends_with("[cut]\n"), "{printed}");
    wait(&mut bench, PATIENCE);
    assert_eq!(bench.monitor("flood"), format!("{NOTICE}{printed}"));
}
