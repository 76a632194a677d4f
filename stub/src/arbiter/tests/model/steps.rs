//! What may happen to an arbiter, in the right proportions: few places, so that windows
//! coincide, and now and then something that must be refused.

use proptest::prelude::*;

use super::{CLAIMS, CPUS, region};
use crate::arbiter::*;
use crate::dr::Condition;

#[derive(Clone, Debug)]
pub enum Step {
    Claim(Request),
    Release(usize),
    Modify(usize, Region, Condition),
    Hold(usize),
    EndDeferrals,
    ReleaseClass(Class),
    Run(CpuId),
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
        9 => (place, condition)
            .prop_map(|((place, length), condition)| (region(place * 4, length), condition)),
        // An execute breakpoint is one byte, and there are no i/o breakpoints here.
        1 => (0..2usize, 1..3usize)
            .prop_map(|(place, length)| (region(place, length), Condition::Execute)),
        1 => Just((region(0x60, 1), Condition::Io)),
        // Protected; and too long by far.
        1 => (0xffe..0x1001usize).prop_map(|address| (region(address, 2), Condition::Write)),
        1 => Just((region(0, usize::MAX), Condition::Write)),
    ]
}

fn any_request() -> impl Strategy<Value = Request> {
    let owner =
        prop_oneof![Just(Owner::Debugger), Just(Owner::System("a")), Just(Owner::System("b"))];
    // CPU 2 does not exist.
    let scope = prop_oneof![
        20 => Just(Scope::AllCpus),
        10 => (0..CPUS as u16).prop_map(|cpu| Scope::Cpu(CpuId(cpu))),
        1 => Just(Scope::Cpu(CpuId(2))),
        1 => Just(Scope::Task(TaskId(0))),
    ];
    (owner, scope, any_region(), 0..40u8).prop_map(
        |(owner, scope, (region, condition), flexible)| Request {
            tenure: if flexible == 0 { Tenure::Flexible } else { Tenure::Pinned },
            ..Request::pinned(owner, region, condition).on(scope)
        },
    )
}

pub fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => any_request().prop_map(Step::Claim),
        3 => (0..CLAIMS).prop_map(Step::Release),
        3 => (0..CLAIMS, any_region())
            .prop_map(|(index, (region, condition))| Step::Modify(index, region, condition)),
        4 => (0..CLAIMS).prop_map(Step::Hold),
        1 => Just(Step::EndDeferrals),
        1 => class().prop_map(Step::ReleaseClass),
        3 => (0..CPUS as u16).prop_map(|cpu| Step::Run(CpuId(cpu))),
    ]
}
