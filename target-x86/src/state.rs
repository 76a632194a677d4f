//! What all CPUs share, and whoever leads works on: arbiter, session and port.

use heapless::Deque;
use tetrarch::arbiter::{self, Arbiter, CpuId};
use tetrarch::session::{Overheard, Session};

use crate::cpus;
use crate::uart::{Arrival, Backlog, Uart};

/// The longest packet, in bytes. On a line that damages one byte in a thousand, 60 % of replies of this
/// length arrive whole, and gdb asks three times; of 2048 bytes only 13 % would. What that costs on a
/// good line is one turnaround for each 256 bytes of memory.
const PACKET: usize = 512;
/// Room for replies that wait to be acknowledged, in bytes.
const QUEUE: usize = 8192;

/// How many bytes can arrive while something is sent: as many as that has.
const EARLY: usize = PACKET;

/// How many bytes are taken at a time while the target runs.
const BURST: usize = 4096;

/// What the session gets to hear.
pub(crate) enum Input {
    Byte(u8),
    /// Whoever was at the other end has gone.
    HangUp,
}

/// Everything that changes.
pub(crate) struct State<const CLAIMS: usize, const TASKS: usize, const CPUS: usize> {
    pub arbiter: Arbiter<CLAIMS, CPUS, TASKS>,
    pub session: Session<PACKET, QUEUE, CPUS>,
    pub uart: Option<Uart>,
    /// What has arrived while something was sent.
    early: Deque<Arrival, EARLY>,
    /// How soon a client repeats itself at the earliest, in ticks of the TSC.
    pub client_patience: u64,
    /// Whether the port interrupts.
    pub interrupts: bool,
    /// Which CPUs the debugger has told to wait while others run.
    pub held: [bool; CPUS],
}

impl<const CLAIMS: usize, const TASKS: usize, const CPUS: usize> State<CLAIMS, TASKS, CPUS> {
    /// Before the installation.
    pub const fn new() -> Self {
        Self {
            arbiter: Arbiter::new(arbiter::Config::DEFAULT),
            session: Session::new(),
            uart: None,
            early: Deque::new(),
            client_patience: 0,
            interrupts: false,
            held: [false; CPUS],
        }
    }

    /// Whether the debugger has told `cpu` to wait.
    pub fn is_held(&self, cpu: CpuId) -> bool {
        self.held.get(usize::from(cpu.0)).copied().unwrap_or(false)
    }

    /// Notes whether `cpu` waits while others run.
    pub fn set_held(&mut self, cpu: CpuId, held: bool) {
        if let Some(place) = self.held.get_mut(usize::from(cpu.0)) {
            *place = held;
        }
    }

    /// Takes what has arrived while the target runs, until a client wants something: a
    /// bounded number of bytes, so that a line that never falls silent does not stop it.
    pub fn overhear(&mut self) -> Overheard {
        self.session.keep_time(cpus::time_stamp(), self.client_patience);
        let mut overheard = Overheard::Nothing;
        for _ in 0..BURST {
            if overheard != Overheard::Nothing {
                break;
            }
            overheard = match self.receive() {
                Some(Input::Byte(byte)) => self.session.overhear(byte),
                Some(Input::HangUp) => self.session.overhear_hang_up(),
                None => {
                    self.drain();
                    if self.early.is_empty() {
                        return overheard;
                    }
                    continue;
                }
            };
        }
        // There may be more, and an interrupt controller that looks for edges would see none.
        if let (Some(uart), true) = (&mut self.uart, self.interrupts) {
            uart.stay_silent();
            uart.interrupt_on_receive();
        }
        self.drain();
        overheard
    }

    /// What has come over the line next, undamaged.
    pub fn receive(&mut self) -> Option<Input> {
        loop {
            let arrival = match self.early.pop_front() {
                Some(early) => early,
                None => self.uart.as_mut()?.receive()?,
            };
            match arrival {
                Arrival::Byte(byte) => return Some(Input::Byte(byte)),
                Arrival::NearLoss(byte) => {
                    self.session.damage();
                    return Some(Input::Byte(byte));
                }
                Arrival::Damage => self.session.damage(),
                Arrival::HangUp => return Some(Input::HangUp),
            }
        }
    }

    /// Sends what there is to send now. An answer that waits for the client's
    /// acknowledgement of another does not count.
    pub fn drain(&mut self) {
        while self.transmit() == Backlog::Waiting {
            self.listen();
        }
    }

    /// Sends this, past the session.
    pub fn send(&mut self, bytes: &[u8]) {
        let mut left = bytes.iter().copied();
        while let Some(uart) = &mut self.uart
            && uart.transmit(&mut || left.next()) == Backlog::Waiting
        {
            self.listen();
        }
    }

    /// Takes a byte out of the port's way, for later: its FIFO holds fewer than come while a frame is sent.
    fn listen(&mut self) {
        core::hint::spin_loop();
        if let (Some(uart), false) = (&mut self.uart, self.early.is_full())
            && let Some(arrival) = uart.receive()
        {
            // There is room.
            let _ = self.early.push_back(arrival);
        }
    }

    /// Sends some of what there is to send.
    pub fn transmit(&mut self) -> Backlog {
        match &mut self.uart {
            Some(uart) => uart.transmit(&mut || self.session.next_byte()),
            None => Backlog::Empty,
        }
    }
}
