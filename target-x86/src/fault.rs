//! Exceptions as a person and as gdb name them.
//!
//! Source: Intel SDM vol. 3, table 7-1; AMD APM vol. 2, 8.2. The signals are those that Unix
//! systems send for them.

use gdbstub::common::Signal;
use tetrarch::session::Fault;

use crate::frame::{Frame, vector};

/// What the exception in `frame` is called, as it reads after "a".
pub(crate) fn describe(frame: &Frame) -> Fault<'static> {
    let (name, signal) = name_and_signal(frame.vector);
    Fault { name, signal, address: address(frame) }
}

/// What the exception with this vector is called, likewise.
pub(crate) fn name(vector: u64) -> &'static str {
    name_and_signal(vector).0
}

fn name_and_signal(vector: u64) -> (&'static str, Signal) {
    match vector {
        vector::DIVIDE => ("divide error", Signal::SIGFPE),
        vector::DEBUG => ("debug exception", Signal::SIGTRAP),
        vector::BREAKPOINT => ("breakpoint", Signal::SIGTRAP),
        4 => ("signed overflow", Signal::SIGSEGV),
        5 => ("bound range fault", Signal::SIGSEGV),
        vector::INVALID_OPCODE => ("bad opcode", Signal::SIGILL),
        7 => ("device-not-available fault", Signal::SIGFPE),
        vector::DOUBLE_FAULT => ("double fault", Signal::SIGBUS),
        10 => ("bad-TSS fault", Signal::SIGSEGV),
        11 => ("segment-not-present fault", Signal::SIGBUS),
        vector::STACK => ("stack fault", Signal::SIGBUS),
        vector::PROTECTION => ("general protection fault", Signal::SIGSEGV),
        vector::PAGE => ("page fault", Signal::SIGSEGV),
        16 => ("floating-point error (x87)", Signal::SIGFPE),
        17 => ("misalignment fault", Signal::SIGBUS),
        18 => ("machine check", Signal::SIGBUS),
        19 => ("floating-point error (SSE)", Signal::SIGFPE),
        20 => ("virtualization exception", Signal::SIGSEGV),
        21 => ("control-protection fault", Signal::SIGSEGV),
        vector::PANIC => ("panic", Signal::SIGABRT),
        28..=30 => ("hypervisor exception", Signal::SIGTRAP),
        _ => ("reserved exception", Signal::SIGTRAP),
    }
}

/// Where a page fault wanted to go.
fn address(frame: &Frame) -> Option<usize> {
    (frame.vector == vector::PAGE).then(|| {
        // SAFETY: reading CR2 has no effect; #GP outside ring 0, where no exception handler is.
        unsafe { x86::controlregs::cr2() }
    })
}
