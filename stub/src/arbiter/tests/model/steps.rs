//! What may happen to an arbiter, in the right proportions: few places, so that windows
//! coincide, and now and then something that must be refused.

extern crate std;

use std::vec;

use proptest::prelude::*;

use super::{CLAIMS, CPUS, region};
use crate::arbiter::*;
use crate::dr::Condition;

#[derive(Clone, Debug)]
pub enum Step {
    Claim(Request),
    Release(usize),
    /// All of it is changed but the owner, or only what comes first.
    Modify(usize, Request, Part),
    Enable(usize),
    Disable(usize),
    Hold(usize),
    EndDeferrals,
    ReleaseClass(Class),
    EndTask(TaskId),
    /// Stops the CPU and lets it go on.
    Run(CpuId),
    /// The number tells after which of the writes there is a hit.
    Switch(CpuId, TaskId, usize),
    Tick(CpuId),
    /// All slots that are on hit at once.
    Hit(CpuId),
}

#[derive(Clone, Copy, Debug)]
pub enum Part {
    Region,
    Scope,
    Tenure,
    All,
}

fn class() -> impl Strategy<Value = Class> {
    prop_oneof![Just(Class::Debugger), Just(Class::System)]
}

fn any_region() -> impl Strategy<Value = (Region, Condition)> {
    let condition = prop_oneof![4 => Just(Condition::Write), 1 => Just(Condition::ReadWrite)];
    let place = prop_oneof![
        6 => (0..5usize, Just(4usize)),
        2 => (0..5usize, Just(1usize)),
        2 => (0..4usize, 1..22usize),
    ];
    prop_oneof![
        12 => (place, condition)
            .prop_map(|((place, length), condition)| (region(place * 4, length), condition)),
        // An execute breakpoint is one byte, and there are no i/o breakpoints here.
        1 => (0..2usize, 1..3usize)
            .prop_map(|(place, length)| (region(place, length), Condition::Execute)),
        1 => prop_oneof![
            Just((region(0x60, 1), Condition::Io)),
            // Protected; and too long by far.
            (0xffe..0x1001usize).prop_map(|address| (region(address, 2), Condition::Write)),
            Just((region(0, usize::MAX), Condition::Write)),
        ],
    ]
}

fn cpu() -> impl Strategy<Value = CpuId> {
    (0..CPUS as u16).prop_map(CpuId)
}

/// One more than there may be.
fn task() -> impl Strategy<Value = TaskId> {
    prop_oneof![4 => (0..2u32).prop_map(TaskId), 1 => Just(TaskId(2))]
}

fn any_request() -> impl Strategy<Value = Request> {
    let owner =
        prop_oneof![Just(Owner::Debugger), Just(Owner::System("a")), Just(Owner::System("b"))];
    // CPU 2 does not exist.
    let scope = prop_oneof![
        10 => Just(Scope::AllCpus),
        6 => cpu().prop_map(Scope::Cpu),
        7 => task().prop_map(Scope::Task),
        6 => (task(), cpu()).prop_map(|(task, cpu)| Scope::TaskOnCpu(task, cpu)),
        1 => Just(Scope::Cpu(CpuId(2))),
    ];
    (owner, scope, any_region(), 0..3u8).prop_map(
        |(owner, scope, (region, condition), flexible)| Request {
            tenure: if flexible == 0 { Tenure::Flexible } else { Tenure::Pinned },
            ..Request::pinned(owner, region, condition).on(scope)
        },
    )
}

pub fn any_step() -> impl Strategy<Value = Step> {
    let part =
        prop_oneof![Just(Part::Region), Just(Part::Scope), Just(Part::Tenure), Just(Part::All)];
    prop_oneof![
        14 => any_request().prop_map(Step::Claim),
        3 => (0..CLAIMS).prop_map(Step::Release),
        3 => (0..CLAIMS, any_request(), part)
            .prop_map(|(index, request, part)| Step::Modify(index, request, part)),
        1 => (0..CLAIMS).prop_map(Step::Enable),
        2 => (0..CLAIMS).prop_map(Step::Disable),
        3 => (0..CLAIMS).prop_map(Step::Hold),
        1 => Just(Step::EndDeferrals),
        1 => class().prop_map(Step::ReleaseClass),
        1 => task().prop_map(Step::EndTask),
        2 => cpu().prop_map(Step::Run),
        6 => (cpu(), task(), 0..5usize)
            .prop_map(|(cpu, task, write)| Step::Switch(cpu, task, write)),
        4 => cpu().prop_map(Step::Tick),
        2 => cpu().prop_map(Step::Hit),
    ]
}
