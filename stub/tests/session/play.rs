//! Anything at all on the line, at any time, and what must hold whatever it was.
//!
//! Shared with the fuzz targets in `stub/fuzz/`; `replay` plays their corpus. After each byte:
//! nothing has panicked, the firmware's claims are what they were, nobody has written what is
//! protected, the target goes on only because it was told to, and what the session says is made of
//! whole frames. And at the end a new client finds a session that knows nothing of all that.

use arbitrary::{Arbitrary, Unstructured};
use tetrarch::arbiter::{
    Against, Claim, Condition, CpuId, Handle, Owner, Protected, Region, Request, Scope, Verdict,
};
use tetrarch::link::{Transport, frame};
use tetrarch::patch::INT3;
use tetrarch::policy::{Access, Grant, Lock, Policy, Range, Rights};
use tetrarch::session::{Cause, Motion, Next, Overheard};
use tetrarch::target::{CpuState, Machine};
use tetrarch::x86_64::X86_64Registers;

use crate::bench::{BenchOf, STEP, WRITABLE};
use crate::machine::{BASE, PATIENCE};
use crate::script::{Event, Happening};

const CPUS: usize = 2;
/// The first half of the memory cannot be written but for breakpoints; of the other, this much.
const PROTECTED: usize = 0x100;
const LOCK: Lock = Lock {
    check: |word| (word == b"sesame").then_some(Grant::ReadOnly),
    delay: PATIENCE,
    patience: 8 * PATIENCE,
};

/// Where nobody may look or write, whatever else it may.
const DEVICE: (usize, usize) = (WRITABLE + 0x200, 0x40);

/// The word of the lock, as it comes over the line: `unlock sesame`.
const WORD: &[u8] = b"756e6c6f636b20736573616d65";

fn policy(access: Access) -> Policy {
    const RANGES: [Range; 1] = [Range {
        region: match Region::new(DEVICE.0, DEVICE.1) {
            Ok(region) => region,
            Err(_) => panic!("it does not wrap"),
        },
        name: "a device",
        rights: Rights::None,
    }];
    Policy { access, ranges: &RANGES }
}

/// A range is stepped through as often as this; then the CPU is found outside of it.
const STEPS: usize = 4;

/// What the firmware lets the client do.
#[derive(Arbitrary, Clone, Copy, PartialEq, Eq, Debug)]
enum House {
    Open,
    /// Without acknowledgements, if the client wants that.
    Reliable,
    ReadOnly,
    /// The word is `sesame`, and then it may look.
    Locked,
}

/// A machine with a client that says anything.
pub struct Play {
    house: House,
    bench: BenchOf<CPUS>,
    /// The firmware's claims.
    guards: Vec<(Handle, Request)>,
    /// The memory as it was.
    before: Vec<u8>,
    /// All that the client has said.
    heard: Vec<u8>,
    /// What the session has said, from the beginning of the last frame on.
    said: Vec<u8>,
    has_ended: bool,
}

/// Plays bytes as they are.
pub fn bytes(data: &[u8]) {
    let mut play = Play::new(House::Open);
    data.iter().for_each(|byte| play.byte(*byte));
    play.end();
}

/// Plays events, among them packets that are nearly right.
pub fn events(data: &[u8]) {
    let mut data = Unstructured::new(data);
    let mut play = Play::new(House::arbitrary(&mut data).unwrap_or(House::Open));
    while let (false, Ok(event)) = (data.is_empty(), Event::arbitrary(&mut data)) {
        play.event(&event);
    }
    play.end();
}

impl Play {
    fn new(house: House) -> Self {
        let mut bench = BenchOf::new(1, 1);
        bench.session.set_policy(policy(match house {
            House::Open | House::Reliable => Access::Open,
            House::ReadOnly => Access::ReadOnly,
            House::Locked => Access::Locked(LOCK),
        }));
        if house == House::Reliable {
            bench.session.set_transport(Transport::Reliable);
        }
        let region = |address, length| Region::new(address, length).expect("it does not wrap");
        let guard = |address, scope| {
            Request::pinned(Owner::System("guard"), region(address, 8), Condition::Write).on(scope)
        };
        let requests = [guard(WRITABLE + 0x800, Scope::AllCpus), guard(0x20, Scope::Cpu(CpuId(1)))];
        let guards = requests.map(|request| {
            let stop_at_some = |hit: &tetrarch::arbiter::Hit<'_>| {
                if hit.hits.is_multiple_of(2) { Verdict::Stop } else { Verdict::Continue }
            };
            (bench.arbiter.claim(request, stop_at_some).expect("there is room"), request)
        });
        let protected = region(WRITABLE, PROTECTED);
        let protected = Protected { region: protected, name: "stub", against: Against::Everything };
        bench.arbiter.protect(protected).expect("there is room");
        let before = bench.machine.bytes.clone();
        Self {
            house,
            bench,
            guards: guards.into(),
            before,
            heard: Vec::new(),
            said: Vec::new(),
            has_ended: false,
        }
    }

    fn event(&mut self, event: &Event) {
        match event {
            Event::Packet(packet) => {
                frame(&packet.payload()).for_each(|byte| self.byte(byte));
            }
            Event::Byte(byte) => self.byte(*byte),
            Event::Acknowledge => self.byte(b'+'),
            Event::Wait => {
                let now = self.bench.machine.now.unwrap_or_default();
                self.bench.machine.now = Some(now + PATIENCE);
                if self.is_staying() {
                    let next = self.bench.pass_time();
                    match (next, self.house) {
                        // It is sent away.
                        (Next::Run(_), House::Locked) => self.bench.let_go(),
                        _ => assert_eq!(next, Next::Stay),
                    }
                } else {
                    self.bench.session.pass_time_running(now + PATIENCE, PATIENCE);
                }
            }
            Event::Say(text) => {
                if !self.is_staying() {
                    let _ = self.bench.session.say(text);
                }
            }
            Event::HangUp => self.hang_up(),
            Event::Happens { cpu, what } => self.happen(CpuId(u16::from(cpu & 1)), *what),
        }
        self.listen();
    }

    /// Whoever is there goes, and nothing of its own stays.
    fn hang_up(&mut self) {
        if self.has_ended {
            return;
        }
        self.bench.hang_up();
        self.said.clear();
        self.check();
        let Self { bench, guards, .. } = self;
        assert!(!bench.session.has_client());
        assert_eq!(bench.arbiter.claims().count(), guards.len());
    }

    /// Something stops the machine, if it runs.
    fn happen(&mut self, cpu: CpuId, what: Happening) {
        if self.has_ended || self.is_stopped(cpu) {
            return;
        }
        self.bench.on(cpu);
        match what {
            Happening::Hit(slots) => self.came(u32::from(slots & 0b1111)),
            Happening::Breakpoint => {
                *self.bench.rip(cpu) += 1;
                self.stopped(Cause::Breakpoint);
            }
            Happening::Nmi => self.stopped(Cause::Nmi),
            Happening::Panic => self.stopped(Cause::Panic("oh")),
        }
        self.carry_on();
    }

    /// A #DB with these bits set in DR6.
    fn came(&mut self, bits: u32) {
        self.bench.debug_exceptions_unheard(&[bits]);
        self.check();
    }

    fn stopped(&mut self, cause: Cause<'_>) {
        self.bench.stop_unheard(cause);
        self.check();
    }

    fn is_stopped(&self, cpu: CpuId) -> bool {
        self.bench.machine.state(cpu) == CpuState::Stopped
    }

    /// Whether the machine is stopped.
    fn is_staying(&self) -> bool {
        self.bench.next == Some(Next::Stay)
    }

    fn byte(&mut self, byte: u8) {
        if self.has_ended {
            return;
        }
        self.heard.push(byte);
        if self.is_staying() {
            if matches!(self.bench.receive(byte), Next::Run(_)) {
                self.was_told_to_go_on();
                self.bench.let_go();
            }
        } else {
            match self.bench.session.overhear(byte) {
                Overheard::Nothing => {}
                Overheard::HangUp => unreachable!("no byte says so"),
                Overheard::Interrupt => {
                    assert_eq!(byte, 3, "only Ctrl-C interrupts");
                    self.bench.stop_unheard(Cause::Interrupt);
                }
                Overheard::Packet => {
                    self.bench.stop_unheard(Cause::Packet);
                    if matches!(self.bench.next, Some(Next::Run(_))) {
                        self.was_told_to_go_on();
                    }
                }
            }
        }
        self.carry_on();
        self.check();
        self.listen();
    }

    /// A step is taken at once; a CPU that is to continue does so until something happens.
    fn carry_on(&mut self) {
        for step in 0..=STEPS {
            self.has_ended |= self.bench.next == Some(Next::Reset);
            let steps = |order: &Option<_>| {
                order.is_some_and(|order: tetrarch::session::Go| order.motion == Motion::Step)
            };
            let is_running = matches!(self.bench.next, Some(Next::Run(_)));
            let Some(cpu) = self.bench.orders.iter().position(steps).filter(|_| is_running) else {
                return;
            };
            let cpu = CpuId(cpu as u16);
            let rip = self.bench.on(cpu).rip(cpu);
            // At the end of the range or of all there is, in one step.
            *rip = if step < STEPS { rip.wrapping_add(1) } else { rip.wrapping_sub(0x1234_5678) };
            self.came(STEP);
        }
    }

    /// The last thing that the client said is a packet that lets the target go; or it was sent away.
    fn was_told_to_go_on(&self) {
        if self.house == House::Locked && !self.bench.session.has_client() {
            return;
        }
        let start = self.heard.iter().rposition(|byte| *byte == b'$').expect("a packet");
        let text = &self.heard[start + 1..];
        let payload = text.split(|byte| *byte == b'#').next().expect("at least one part");
        // A `k` of who may not end the target is a goodbye.
        let leaves = payload == b"k" && matches!(self.house, House::ReadOnly | House::Locked);
        let may_resume = self.house != House::Locked
            || self.heard.windows(WORD.len()).any(|heard| heard == WORD);
        let resumes = matches!(payload.first(), Some(b'c' | b'C' | b's' | b'S'))
            || payload.starts_with(b"vCont;");
        let resumes = resumes && may_resume || payload.first() == Some(&b'D') || leaves;
        // The digits of the sum may be of either case.
        let lowercase = |byte: u8| byte.to_ascii_lowercase();
        let is_whole =
            frame(payload).skip(1).map(lowercase).eq(text.iter().copied().map(lowercase));
        let text = String::from_utf8_lossy(text);
        assert!(resumes && is_whole, "the target goes on after {text:?}");
    }

    /// What must hold at any time.
    fn check(&self) {
        let Self { bench, guards, before, .. } = self;
        for (handle, request) in guards {
            let claim = bench.arbiter.get(*handle).expect("nobody releases a guard");
            assert!(claim.request() == request && claim.is_live(), "{claim:?}");
        }
        let is_guard =
            |(_, claim): &(Handle, &Claim)| matches!(claim.request().owner, Owner::System(_));
        assert_eq!(bench.arbiter.claims().filter(is_guard).count(), guards.len());
        match self.house {
            House::Open | House::Reliable => {}
            House::ReadOnly | House::Locked => {
                assert!(bench.machine.bytes == *before);
                for now in &bench.machine.registers {
                    let mut untouched = X86_64Registers::default();
                    untouched.core.rip = now.core.rip;
                    assert!(*now == untouched, "{now:?}");
                }
            }
        }
        let device = DEVICE.0 - BASE..DEVICE.0 - BASE + DEVICE.1;
        assert_eq!(bench.machine.bytes[device.clone()], before[device]);
        let (code, data) = bench.machine.bytes.split_at(WRITABLE - BASE);
        let (code_before, data_before) = before.split_at(WRITABLE - BASE);
        let changed = |(now, before): (&u8, &u8)| now != before && *now != INT3;
        // Most of the time nothing has, and that is soon seen.
        assert!(code == code_before || !code.iter().zip(code_before).any(changed));
        assert_eq!(data[..PROTECTED], data_before[..PROTECTED]);
    }

    /// Takes what the session says.
    fn listen(&mut self) {
        while let Some(byte) = self.bench.session.next_byte() {
            self.said.push(byte);
            match self.said.as_slice() {
                [b'+' | b'-'] => self.said.clear(),
                [b'$', .., b'#', _, _] => {
                    let payload = &self.said[1..self.said.len() - 3];
                    assert!(frame(payload).eq(self.said.iter().copied()), "{:?}", self.said);
                    self.said.clear();
                }
                [b'$', ..] => {}
                other => panic!("this is no frame: {other:?}"),
            }
        }
    }

    /// The next client finds everything as if nobody had been there.
    fn end(mut self) {
        if self.has_ended {
            return;
        }
        let hello = "qSupported:multiprocess+;swbreak+";
        // What every client says first.
        self.byte(b'+');
        // What was asked before it came is not its business.
        self.said.clear();
        let mut answers = if self.is_staying() {
            self.bench.send(hello)
        } else {
            self.bench.running_packet(hello)
        };
        let answer = answers.pop().unwrap_or_default();
        assert!(answer.starts_with("PacketSize="), "{answer:?}");
        self.check();
        let Self { mut bench, before, guards, .. } = self;
        assert_eq!(bench.arbiter.claims().count(), guards.len(), "what the last one had set");
        assert_eq!(bench.next, Some(Next::Stay), "a client that comes finds a stopped target");
        let half = WRITABLE - BASE;
        assert_eq!(bench.machine.bytes[..half], before[..half], "breakpoints of the last one");
        assert!(bench.ask("?").starts_with('T'));
    }
}
