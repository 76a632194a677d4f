//! The link under streams of bytes that nobody thought of.

use super::*;
use crate::cases::cases;

/// Bytes as a noisy line delivers them: mostly the ones that mean something.
fn line_byte() -> impl Strategy<Value = u8> {
    prop_oneof![
        Just(b'$'),
        Just(b'#'),
        Just(b'+'),
        Just(b'-'),
        Just(3),
        Just(b'}'),
        Just(b'0'),
        any::<u8>(),
    ]
}

fn payload() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>().prop_filter("framing", |b| !matches!(b, b'#' | b'$')), 0..28)
        .prop_map(|mut payload| {
            // Binary data is in `X` only, behind the colon.
            if payload.contains(&3) {
                for (byte, head) in payload.iter_mut().zip(*b"X:") {
                    *byte = head;
                }
            }
            payload
        })
}

/// What a client does next.
#[derive(Clone, Debug)]
enum Event {
    Byte(u8),
    Send(Vec<u8>),
    Write(Vec<u8>),
    Drain(usize),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        line_byte().prop_map(Event::Byte),
        payload().prop_map(Event::Send),
        prop::collection::vec(line_byte(), 0..20).prop_map(Event::Write),
        (0usize..40).prop_map(Event::Drain),
    ]
}

/// The client's end: takes frames as gdb does, and damages some of what it hears.
#[derive(Default)]
struct Client {
    frame: Vec<u8>,
    got: Vec<Vec<u8>>,
    answers: Vec<u8>,
}

impl Client {
    /// Hears a byte; answers a whole frame.
    fn hear(&mut self, byte: u8) -> Option<u8> {
        if byte == b'$' {
            self.frame = vec![b'$'];
        } else if self.frame.is_empty() {
            self.answers.push(byte);
        } else {
            self.frame.push(byte);
        }
        let mark = self.frame.iter().position(|byte| *byte == b'#')?;
        if self.frame.len() < mark + 3 {
            return None;
        }
        let heard = core::mem::take(&mut self.frame);
        let whole = framed(&heard[1..mark]) == heard;
        if whole {
            self.got.push(heard[1..mark].to_vec());
        }
        Some(if whole { b'+' } else { b'-' })
    }
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn nothing_panics_and_a_good_frame_after_anything_is_received(
        events in prop::collection::vec(event(), 0..60),
        last in payload(),
    ) {
        let mut link = Small::new();
        for event in events {
            match event {
                Event::Byte(byte) => { let _ = link.receive(byte); }
                Event::Send(payload) => link.send(&payload),
                Event::Write(bytes) => link.sink().write_all(&bytes).unwrap(),
                Event::Drain(count) => for _ in 0..count { link.next_byte(); },
            }
        }
        let received = feed(&mut link, &framed(&last));
        prop_assert_eq!(received.last(), Some(&Received::Packet));
        prop_assert_eq!(link.packet(), &last[..]);
        let sent = drain(&mut link);
        prop_assert!(sent.ends_with('+'), "{}", sent);
        prop_assert!(link.is_drained());
    }

    #[test]
    fn what_goes_out_is_frames_and_answers_only(
        events in prop::collection::vec(event(), 0..60),
    ) {
        let mut link = Small::new();
        let mut client = Client::default();
        for event in events {
            match event {
                Event::Byte(byte) => { let _ = link.receive(byte); }
                Event::Send(payload) => link.send(&payload),
                Event::Write(_) => {}
                Event::Drain(count) => for byte in (0..count).map_while(|_| link.next_byte()) {
                    prop_assert_ne!(client.hear(byte), Some(b'-'));
                },
            }
        }
        for byte in core::iter::from_fn(|| link.next_byte()) {
            prop_assert_ne!(client.hear(byte), Some(b'-'));
        }
        prop_assert!(client.frame.is_empty());
        prop_assert!(client.answers.iter().all(|answer| matches!(answer, b'+' | b'-')));
    }

    /// Each request is repeated until it is answered, as gdb does; each reply is damaged a
    /// few times. However it goes, the client reads each reply once and in order.
    #[test]
    fn an_exchange_over_a_damaging_line(
        exchange in prop::collection::vec(
            (payload(), prop::collection::vec(payload(), 1..4), 0usize..4, 0usize..5),
            1..12,
        ),
    ) {
        let mut link = Link::<32, 128>::new();
        let mut client = Client::default();
        for (request, replies, lost, refused) in exchange {
            for _ in 0..lost {
                let mut damaged = framed(&request);
                let last = damaged.len() - 1;
                damaged[last] = if damaged[last] == b'0' { b'1' } else { b'0' };
                prop_assert_eq!(feed(&mut link, &damaged), []);
                prop_assert_eq!(drain(&mut link), "-");
            }
            prop_assert_eq!(feed(&mut link, &framed(&request)), [Received::Packet]);
            prop_assert_eq!(link.packet(), &request[..]);
            for reply in &replies {
                link.send(reply);
            }
            prop_assert_eq!(link.next_byte(), Some(b'+'));
            for reply in &replies {
                for attempt in 0..=refused {
                    let mut heard: Vec<u8> = core::iter::from_fn(|| link.next_byte()).collect();
                    if attempt < refused {
                        let middle = heard.len() - 1;
                        heard[middle] = if heard[middle] == b'0' { b'1' } else { b'0' };
                    }
                    for byte in heard {
                        if let Some(answer) = client.hear(byte) {
                            prop_assert_eq!(link.receive(answer), Received::Nothing);
                        }
                    }
                }
                prop_assert_eq!(client.got.pop(), Some(reply.clone()));
                prop_assert!(client.got.is_empty(), "a reply came twice");
            }
            prop_assert!(link.is_drained());
        }
    }
}
