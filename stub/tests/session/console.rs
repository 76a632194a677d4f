//! The line as the firmware's console.

use std::cell::RefCell;

use tetrarch::session::{Overheard, Said};

use crate::bench::Bench;
use crate::machine::PATIENCE;

thread_local! {
    static TYPED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

fn read(byte: u8) {
    TYPED.with_borrow_mut(|typed| typed.push(byte));
}

/// Types on the line of a running target, and gives what the reader has got since.
fn typed(bench: &mut Bench, bytes: &[u8]) -> Vec<u8> {
    for byte in bytes {
        assert_eq!(bench.session.overhear(*byte), Overheard::Nothing);
    }
    TYPED.take()
}

fn sent(bench: &mut Bench) -> Vec<u8> {
    std::iter::from_fn(|| bench.session.next_byte()).collect()
}

#[test]
fn what_is_typed_without_a_client_is_the_readers() {
    let mut bench = Bench::new(2, 0);
    assert_eq!(typed(&mut bench, b"nobody reads\r"), b"");
    bench.session.set_reader(read);
    for line in
        [&b"ls -l\r"[..], b"+-\n", b"\x03", b"$HOME\r", b"a $\n", b"$$b\r", b"$A $B\r", b"$x\x03"]
    {
        assert_eq!(typed(&mut bench, line), line);
        assert_eq!(sent(&mut bench), b"");
    }
    assert_eq!(typed(&mut bench, b"+"), b"", "a client may be coming");
    assert_eq!(typed(&mut bench, b"+1\r"), b"++1\r");
    // A client is let in as ever, and the line is its own from then on, with its first word.
    assert_eq!(typed(&mut bench, b"+"), b"");
    bench.running_packet("qSupported:multiprocess+");
    assert_eq!(TYPED.take(), b"");
    bench.resume("vCont;c");
    assert_eq!(typed(&mut bench, b"noise\r\n"), b"");
}

#[test]
fn what_is_said_is_told_to_a_client_that_waits_piece_by_piece() {
    let mut bench = Bench::new(2, 0);
    assert_eq!(bench.session.say(b"hi"), Said::Raw);
    bench.running_packet("qSupported:multiprocess+");
    assert_eq!(bench.session.say(b"hi"), Said::Unheard, "it is not waiting");
    bench.resume("vCont;c");
    assert_eq!(bench.session.say(b"hi"), Said::Queued);
    assert_eq!(sent(&mut bench), b"$O6869#2c");
    assert_eq!(bench.session.say(b"!"), Said::Busy);
    typed(&mut bench, b"+");
    assert_eq!(bench.session.say(b"!"), Said::Queued);
    assert_eq!(sent(&mut bench), b"$O21#b2");
}

#[test]
fn a_client_that_does_not_hear_is_not_spoken_to_until_it_is_heard_of() {
    let mut bench = Bench::attached(2, 0);
    bench.resume("vCont;c");
    assert_eq!(bench.session.say(b"!"), Said::Queued);
    for time in 0..20 {
        sent(&mut bench);
        bench.session.pass_time_running(time * PATIENCE, PATIENCE);
    }
    assert_eq!(bench.session.say(b"!"), Said::Unheard);
    assert_eq!(sent(&mut bench), b"");
    // It comes back, in the same session or in another.
    bench.running_packet("?");
    bench.resume("vCont;c");
    assert_eq!(bench.session.say(b"!"), Said::Queued);
}
