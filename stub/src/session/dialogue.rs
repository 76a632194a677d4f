//! gdbstub's state machine, for the length of one packet.
//!
//! A fresh one is told what the session remembers — how thread ids are written, which thread is
//! looked at — by the packets in which the client once said so, with the replies thrown away.
//! A stop reply needs a machine that is *running*; it gets there by a `vCont;c` that resumes
//! nothing, because [`Debuggee`] only writes orders down.

use core::fmt::Write;

use gdbstub::arch::Arch;
use gdbstub::common::Tid;
use gdbstub::conn::Connection;
use gdbstub::stub::state_machine::GdbStubStateMachine;
use gdbstub::stub::{DisconnectReason, GdbStubBuilder, MultiThreadStopReason};
use gdbstub::target::Target;
use heapless::String;

use super::client::Client;
use crate::link::{FrameSink, frame};
use crate::target::{Debuggee, Machine};

/// What became of a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    /// It has its reply.
    Answered,
    /// The target shall run; its reply is the next stop.
    Resume,
    /// The client has said goodbye.
    Detached,
    /// gdbstub gave up on it, without a reply.
    Died,
}

type StateMachine<
    'b,
    's,
    'd,
    M,
    const QUEUE: usize,
    const CLAIMS: usize,
    const CPUS: usize,
    const TASKS: usize,
> = GdbStubStateMachine<'b, Debuggee<'d, M, CLAIMS, CPUS, TASKS>, FrameSink<'s, QUEUE>>;

/// Lets gdbstub answer one packet.
pub(super) fn answer<
    M: Machine,
    const QUEUE: usize,
    const CLAIMS: usize,
    const CPUS: usize,
    const TASKS: usize,
>(
    target: &mut Debuggee<'_, M, CLAIMS, CPUS, TASKS>,
    scratch: &mut [u8],
    client: &Client,
    payload: &[u8],
    sink: FrameSink<'_, QUEUE>,
) -> Outcome {
    let Some(state) = introduce(target, scratch, client) else {
        return Outcome::Died;
    };
    let Some(state) = redirect(state, sink) else {
        return Outcome::Died;
    };
    match feed(state, target, payload) {
        Some(GdbStubStateMachine::Idle(_)) => Outcome::Answered,
        Some(GdbStubStateMachine::Running(_)) => Outcome::Resume,
        Some(GdbStubStateMachine::Disconnected(state)) => match state.get_reason() {
            DisconnectReason::Disconnect => Outcome::Detached,
            DisconnectReason::Kill
            | DisconnectReason::TargetExited(_)
            | DisconnectReason::TargetTerminated(_) => Outcome::Died,
        },
        Some(GdbStubStateMachine::CtrlCInterrupt(_)) | None => Outcome::Died,
    }
}

/// Sends a stop reply.
pub(super) fn report_stop<
    M: Machine,
    const QUEUE: usize,
    const CLAIMS: usize,
    const CPUS: usize,
    const TASKS: usize,
>(
    target: &mut Debuggee<'_, M, CLAIMS, CPUS, TASKS>,
    scratch: &mut [u8],
    client: &Client,
    reason: MultiThreadStopReason<<M::Arch as Arch>::Usize>,
    sink: FrameSink<'_, QUEUE>,
) -> Outcome {
    let running = introduce(target, scratch, client)
        .and_then(|state| feed(state, target, b"vCont;c"))
        .and_then(|state| redirect(state, sink));
    match running {
        Some(GdbStubStateMachine::Running(state)) => match state.report_stop(target, reason) {
            Ok(_) => Outcome::Answered,
            Err(_) => Outcome::Died,
        },
        Some(
            GdbStubStateMachine::Idle(_)
            | GdbStubStateMachine::CtrlCInterrupt(_)
            | GdbStubStateMachine::Disconnected(_),
        )
        | None => Outcome::Died,
    }
}

/// A state machine that knows what its predecessors were told.
fn introduce<
    'b,
    's,
    'd,
    M: Machine,
    const QUEUE: usize,
    const CLAIMS: usize,
    const CPUS: usize,
    const TASKS: usize,
>(
    target: &mut Debuggee<'d, M, CLAIMS, CPUS, TASKS>,
    scratch: &'b mut [u8],
    client: &Client,
) -> Option<StateMachine<'b, 's, 'd, M, QUEUE, CLAIMS, CPUS, TASKS>> {
    let stub =
        GdbStubBuilder::new(FrameSink::discard()).with_packet_buffer(scratch).build().ok()?;
    let state = stub.run_state_machine(target).ok()?;
    let state = feed(state, target, client.thread_ids.replay())?;
    let state = feed(state, target, select('g', client.access).as_bytes())?;
    feed(state, target, select('c', client.stepping).as_bytes())
}

/// `Hg` or `Hc` for one thread.
fn select(operation: char, thread: Tid) -> String<20> {
    let mut packet = String::new();
    // Two letters and at most sixteen digits.
    let _ = write!(packet, "H{operation}{thread:x}");
    packet
}

fn redirect<'b, T: Target, C: Connection>(
    mut state: GdbStubStateMachine<'b, T, C>,
    to: C,
) -> Option<GdbStubStateMachine<'b, T, C>> {
    match &mut state {
        GdbStubStateMachine::Idle(inner) => *inner.borrow_conn() = to,
        GdbStubStateMachine::Running(inner) => *inner.borrow_conn() = to,
        GdbStubStateMachine::CtrlCInterrupt(_) | GdbStubStateMachine::Disconnected(_) => {
            return None;
        }
    }
    Some(state)
}

fn feed<'b, T: Target, C: Connection>(
    state: GdbStubStateMachine<'b, T, C>,
    target: &mut T,
    payload: &[u8],
) -> Option<GdbStubStateMachine<'b, T, C>> {
    frame(payload).try_fold(state, |state, byte| match state {
        GdbStubStateMachine::Idle(state) => state.incoming_data(target, byte).ok(),
        GdbStubStateMachine::Running(state) => state.incoming_data(target, byte).ok(),
        GdbStubStateMachine::CtrlCInterrupt(_) | GdbStubStateMachine::Disconnected(_) => None,
    })
}
