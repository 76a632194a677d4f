//! A gdbstub target that does nothing, but checks all that it is asked.

use super::std::{cell::RefCell, marker::PhantomData, rc::Rc, sync::Mutex, vec, vec::Vec};

use core::num::NonZeroUsize;

use gdbstub::{
    arch::{Arch, RegId, Registers},
    common::{Signal, Tid},
    conn::Connection,
    outputln,
    stub::{GdbStub, state_machine::GdbStubStateMachine},
    target::{
        Target, TargetError, TargetResult,
        ext::{
            base::{
                BaseOps,
                multithread::{
                    MultiThreadBase, MultiThreadRangeStepping, MultiThreadRangeSteppingOps,
                    MultiThreadResume, MultiThreadResumeOps, MultiThreadSchedulerLocking,
                    MultiThreadSchedulerLockingOps, MultiThreadSingleStep,
                    MultiThreadSingleStepOps,
                },
                single_register_access::{SingleRegisterAccess, SingleRegisterAccessOps},
            },
            breakpoints::{
                Breakpoints, BreakpointsOps, HwBreakpoint, HwBreakpointOps, HwWatchpoint,
                HwWatchpointOps, SwBreakpoint, SwBreakpointOps, WatchKind,
            },
            memory_map::{MemoryMap, MemoryMapOps},
            monitor_cmd::{ConsoleOutput, MonitorCmd, MonitorCmdOps},
            target_description_xml_override::{
                TargetDescriptionXmlOverride, TargetDescriptionXmlOverrideOps,
            },
            thread_extra_info::{ThreadExtraInfo, ThreadExtraInfoOps},
        },
    },
};
use num_traits::{CheckedAdd, NumCast, One, Zero};

use super::super::Limits;
use crate::link::frame;

/// How gdbstub took a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    Idle,
    Running,
    Disconnected,
    /// The state machine returned an error: it is gone.
    Fatal,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Resumed {
    Continue(usize),
    Step(usize),
    Lock,
    Go,
}

/// What one packet led to.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) outcome: Outcome,
    pub(super) output: Vec<u8>,
    pub(super) resumed: Vec<Resumed>,
}

#[derive(Clone, Default)]
struct Output(Rc<RefCell<Vec<u8>>>);

impl Connection for Output {
    type Error = core::convert::Infallible;

    fn write(&mut self, byte: u8) -> Result<(), Self::Error> {
        self.0.borrow_mut().push(byte);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
}

/// Gives a packet to a fresh state machine, after `qSupported` and `Hg`.
pub(super) fn run<A: Arch>(payload: &[u8], limits: &Limits) -> Run {
    let mut target = Fake::<A> { limits: *limits, resumed: Vec::new(), arch: PhantomData };
    let output = Output::default();
    let mut buffer = vec![0; limits.packet];
    let machine = GdbStub::<Fake<A>, Output>::builder(output.clone())
        .with_packet_buffer(&mut buffer)
        .build()
        .expect("there is a buffer");
    let mut machine = machine.run_state_machine(&mut target).expect("swbreak is supported");
    let mut outcome = Outcome::Idle;
    for packet in [b"qSupported:multiprocess+", &b"Hgp1.1"[..], payload] {
        output.0.borrow_mut().clear();
        for byte in frame(packet) {
            let GdbStubStateMachine::Idle(idle) = machine else { panic!("stopped listening") };
            machine = match idle.incoming_data(&mut target, byte) {
                Ok(machine) => machine,
                Err(_) => {
                    let output = output.0.borrow().clone();
                    return Run { outcome: Outcome::Fatal, output, resumed: target.resumed };
                }
            };
        }
        outcome = match &machine {
            GdbStubStateMachine::Idle(_) => Outcome::Idle,
            GdbStubStateMachine::Running(_) => Outcome::Running,
            GdbStubStateMachine::Disconnected(_) => Outcome::Disconnected,
            GdbStubStateMachine::CtrlCInterrupt(_) => panic!("nobody interrupts"),
        };
    }
    let output = output.0.borrow().clone();
    Run { outcome, output, resumed: target.resumed }
}

struct Fake<A> {
    limits: Limits,
    resumed: Vec<Resumed>,
    arch: PhantomData<A>,
}

impl<A: Arch> Fake<A> {
    fn thread(&self, tid: Tid) {
        assert!(tid <= self.limits.threads, "thread {tid} does not exist");
    }

    fn region(&self, start: A::Usize, length: usize) {
        let length = <A::Usize as NumCast>::from(length).expect("length fits the word");
        if length > A::Usize::zero() {
            start.checked_add(&(length - A::Usize::one())).expect("the region does not wrap");
        }
    }
}

impl<A: Arch> Target for Fake<A> {
    type Arch = A;
    type Error = &'static str;

    fn base_ops(&mut self) -> BaseOps<'_, A, Self::Error> {
        BaseOps::MultiThread(self)
    }

    fn support_breakpoints(&mut self) -> Option<BreakpointsOps<'_, Self>> {
        Some(self)
    }

    fn support_monitor_cmd(&mut self) -> Option<MonitorCmdOps<'_, Self>> {
        Some(self)
    }

    fn support_memory_map(&mut self) -> Option<MemoryMapOps<'_, Self>> {
        Some(self)
    }

    fn support_target_description_xml_override(
        &mut self,
    ) -> Option<TargetDescriptionXmlOverrideOps<'_, Self>> {
        Some(self)
    }

    fn use_no_ack_mode(&self) -> bool {
        false
    }

    fn use_rle(&self) -> bool {
        false
    }
}

impl<A: Arch> MultiThreadBase for Fake<A> {
    fn read_registers(&mut self, _: &mut A::Registers, tid: Tid) -> TargetResult<(), Self> {
        self.thread(tid);
        Ok(())
    }

    fn write_registers(&mut self, _: &A::Registers, tid: Tid) -> TargetResult<(), Self> {
        self.thread(tid);
        Ok(())
    }

    fn read_addrs(
        &mut self,
        start: A::Usize,
        data: &mut [u8],
        tid: Tid,
    ) -> TargetResult<usize, Self> {
        self.thread(tid);
        self.region(start, data.len());
        data.fill(0x5A);
        Ok(data.len())
    }

    fn write_addrs(&mut self, start: A::Usize, data: &[u8], tid: Tid) -> TargetResult<(), Self> {
        self.thread(tid);
        self.region(start, data.len());
        Ok(())
    }

    fn list_active_threads(&mut self, is_active: &mut dyn FnMut(Tid)) -> Result<(), Self::Error> {
        (1..=self.limits.threads.get()).filter_map(NonZeroUsize::new).for_each(is_active);
        Ok(())
    }

    fn support_resume(&mut self) -> Option<MultiThreadResumeOps<'_, Self>> {
        Some(self)
    }

    fn support_single_register_access(&mut self) -> Option<SingleRegisterAccessOps<'_, Tid, Self>> {
        Some(self)
    }

    fn support_thread_extra_info(&mut self) -> Option<ThreadExtraInfoOps<'_, Self>> {
        Some(self)
    }
}

impl<A: Arch> MultiThreadResume for Fake<A> {
    fn resume(&mut self) -> Result<(), Self::Error> {
        self.resumed.push(Resumed::Go);
        Ok(())
    }

    fn clear_resume_actions(&mut self) -> Result<(), Self::Error> {
        self.resumed.clear();
        Ok(())
    }

    fn set_resume_action_continue(
        &mut self,
        tid: Tid,
        _: Option<Signal>,
    ) -> Result<(), Self::Error> {
        self.thread(tid);
        self.resumed.push(Resumed::Continue(tid.get()));
        Ok(())
    }

    fn support_single_step(&mut self) -> Option<MultiThreadSingleStepOps<'_, Self>> {
        Some(self)
    }

    fn support_range_step(&mut self) -> Option<MultiThreadRangeSteppingOps<'_, Self>> {
        Some(self)
    }

    fn support_scheduler_locking(&mut self) -> Option<MultiThreadSchedulerLockingOps<'_, Self>> {
        Some(self)
    }
}

impl<A: Arch> MultiThreadSingleStep for Fake<A> {
    fn set_resume_action_step(&mut self, tid: Tid, _: Option<Signal>) -> Result<(), Self::Error> {
        self.thread(tid);
        self.resumed.push(Resumed::Step(tid.get()));
        Ok(())
    }
}

impl<A: Arch> MultiThreadRangeStepping for Fake<A> {
    fn set_resume_action_range_step(
        &mut self,
        tid: Tid,
        _: A::Usize,
        _: A::Usize,
    ) -> Result<(), Self::Error> {
        self.thread(tid);
        self.resumed.push(Resumed::Step(tid.get()));
        Ok(())
    }
}

impl<A: Arch> MultiThreadSchedulerLocking for Fake<A> {
    fn set_resume_action_scheduler_lock(&mut self) -> Result<(), Self::Error> {
        self.resumed.push(Resumed::Lock);
        Ok(())
    }
}

impl<A: Arch> SingleRegisterAccess<Tid> for Fake<A> {
    fn read_register(
        &mut self,
        tid: Tid,
        _: A::RegId,
        buf: &mut [u8],
    ) -> TargetResult<usize, Self> {
        self.thread(tid);
        Ok(buf.len())
    }

    fn write_register(
        &mut self,
        tid: Tid,
        register: A::RegId,
        value: &[u8],
    ) -> TargetResult<(), Self> {
        self.thread(tid);
        let sizes = self.limits.register_sizes;
        assert!(
            sizes.iter().any(|size| <usize as From<u8>>::from(*size) == value.len()),
            "{register:?}"
        );
        Ok(())
    }
}

impl<A: Arch> ThreadExtraInfo for Fake<A> {
    fn thread_extra_info(&self, tid: Tid, buf: &mut [u8]) -> Result<usize, Self::Error> {
        self.thread(tid);
        buf.iter_mut().zip(b"CPU").for_each(|(to, from)| *to = *from);
        Ok(3)
    }
}

impl<A: Arch> Breakpoints for Fake<A> {
    fn support_sw_breakpoint(&mut self) -> Option<SwBreakpointOps<'_, Self>> {
        Some(self)
    }

    fn support_hw_breakpoint(&mut self) -> Option<HwBreakpointOps<'_, Self>> {
        Some(self)
    }

    fn support_hw_watchpoint(&mut self) -> Option<HwWatchpointOps<'_, Self>> {
        Some(self)
    }
}

impl<A: Arch> SwBreakpoint for Fake<A> {
    fn add_sw_breakpoint(&mut self, _: A::Usize, _: A::BreakpointKind) -> TargetResult<bool, Self> {
        Ok(true)
    }

    fn remove_sw_breakpoint(
        &mut self,
        _: A::Usize,
        _: A::BreakpointKind,
    ) -> TargetResult<bool, Self> {
        Ok(false)
    }
}

impl<A: Arch> HwBreakpoint for Fake<A> {
    fn add_hw_breakpoint(&mut self, _: A::Usize, _: A::BreakpointKind) -> TargetResult<bool, Self> {
        Err(TargetError::Errno(16))
    }

    fn remove_hw_breakpoint(
        &mut self,
        _: A::Usize,
        _: A::BreakpointKind,
    ) -> TargetResult<bool, Self> {
        Ok(true)
    }
}

impl<A: Arch> HwWatchpoint for Fake<A> {
    fn add_hw_watchpoint(
        &mut self,
        address: A::Usize,
        length: A::Usize,
        _: WatchKind,
    ) -> TargetResult<bool, Self> {
        assert!(length > A::Usize::zero());
        self.region(address, NumCast::from(length).expect("length fits usize"));
        Ok(true)
    }

    fn remove_hw_watchpoint(
        &mut self,
        address: A::Usize,
        length: A::Usize,
        kind: WatchKind,
    ) -> TargetResult<bool, Self> {
        self.add_hw_watchpoint(address, length, kind)
    }
}

impl<A: Arch> MonitorCmd for Fake<A> {
    fn handle_monitor_cmd(
        &mut self,
        command: &[u8],
        mut output: ConsoleOutput<'_>,
    ) -> Result<(), Self::Error> {
        outputln!(output, "{} bytes", command.len());
        Ok(())
    }
}

/// The part of `object` that was asked for.
fn part(object: &[u8], offset: u64, length: usize, buf: &mut [u8]) -> usize {
    let from = usize::try_from(offset).expect("offset fits usize").min(object.len());
    let part = &object[from..];
    let count = part.len().min(length).min(buf.len());
    buf[..count].copy_from_slice(&part[..count]);
    count
}

impl<A: Arch> MemoryMap for Fake<A> {
    fn memory_map_xml(
        &self,
        offset: u64,
        length: usize,
        buf: &mut [u8],
    ) -> TargetResult<usize, Self> {
        Ok(part(b"<memory-map></memory-map>", offset, length, buf))
    }
}

impl<A: Arch> TargetDescriptionXmlOverride for Fake<A> {
    fn target_description_xml(
        &self,
        annex: &[u8],
        offset: u64,
        length: usize,
        buf: &mut [u8],
    ) -> TargetResult<usize, Self> {
        assert_eq!(annex, b"target.xml");
        Ok(part(b"<target></target>", offset, length, buf))
    }
}

/// What is made once and stays: in a list, so that nothing takes it for lost.
static KEPT: Mutex<Vec<&'static [u8]>> = Mutex::new(Vec::new());

/// The sizes of an architecture's registers.
pub(super) fn register_sizes<A: Arch>() -> &'static [u8] {
    let sizes: Vec<u8> = (0..)
        .map_while(A::RegId::from_raw_id)
        .map(|(_, size)| size.expect("sizes are fixed").get() as u8)
        .collect();
    let mut length = 0;
    A::Registers::default().gdb_serialize(|_| length += 1);
    assert_eq!(sizes.iter().map(|size| <usize as From<u8>>::from(*size)).sum::<usize>(), length);
    let mut kept = KEPT.lock().unwrap();
    if let Some(known) = kept.iter().find(|known| **known == sizes) {
        return known;
    }
    let sizes = sizes.leak();
    kept.push(sizes);
    sizes
}
