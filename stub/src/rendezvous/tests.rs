//! The rules that need no second CPU at the same time. What happens when two do something at once
//! is in `tests/rendezvous`.

use super::*;

const FIRST: CpuId = CpuId(0);
const SECOND: CpuId = CpuId(1);
/// There is no place for it.
const NOBODY: CpuId = CpuId(2);

/// Both run, and the first leads.
fn led() -> Rendezvous<2> {
    let meeting = Rendezvous::new();
    meeting.start(FIRST);
    meeting.start(SECOND);
    assert!(meeting.lead(FIRST));
    meeting
}

/// The first leads, and the second is collected.
fn stopped() -> Rendezvous<2> {
    let meeting = led();
    meeting.park(SECOND);
    assert!(meeting.collect(SECOND));
    meeting
}

fn standings(meeting: &Rendezvous<2>) -> [Standing; 2] {
    [FIRST, SECOND].map(|cpu| meeting.standing(cpu))
}

#[test]
fn at_first_everybody_is_offline_and_nobody_leads() {
    let meeting = Rendezvous::<2>::new();
    assert_eq!(standings(&meeting), [Standing::Offline; 2]);
    assert_eq!((meeting.leader(), meeting.is_called(FIRST)), (None, false));
}

#[test]
fn there_is_one_leader() {
    let meeting = led();
    assert_eq!(meeting.leader(), Some(FIRST));
    assert!(!meeting.lead(SECOND) && !meeting.lead(FIRST));
    meeting.finish(FIRST);
    assert_eq!((meeting.leader(), standings(&meeting)), (None, [Standing::Running; 2]));
    assert!(meeting.lead(SECOND));
}

#[test]
fn a_call_is_taken_once_and_wakes_once() {
    let meeting = led();
    assert!(meeting.call(SECOND));
    assert!(!meeting.call(SECOND), "the NMI is on its way");
    assert!(meeting.is_called(SECOND) && !meeting.is_called(FIRST));
    assert!(meeting.take_call(SECOND));
    assert!(!meeting.take_call(SECOND) && !meeting.is_called(SECOND), "any other NMI");
    assert!(meeting.call(SECOND));
}

#[test]
fn who_is_offline_or_waits_is_not_called() {
    let meeting = led();
    meeting.stop(SECOND);
    assert!(!meeting.call(SECOND) && !meeting.call(NOBODY));
    meeting.start(SECOND);
    meeting.park(SECOND);
    assert!(!meeting.call(SECOND));
    assert!(meeting.collect(SECOND) && !meeting.call(SECOND));
    assert!(!meeting.is_called(SECOND));
}

#[test]
fn a_cpu_that_is_started_again_forgets_the_call() {
    let meeting = led();
    assert!(meeting.call(SECOND));
    meeting.start(SECOND);
    assert!(!meeting.take_call(SECOND));
}

#[test]
fn only_who_waits_is_collected() {
    let meeting = led();
    assert!(!meeting.collect(SECOND));
    meeting.stop(SECOND);
    assert!(!meeting.collect(SECOND) && !meeting.collect(NOBODY));
    assert_eq!(standings(&meeting), [Standing::Running, Standing::Offline]);
    meeting.start(SECOND);
    meeting.park(SECOND);
    assert!(meeting.collect(SECOND) && meeting.collect(SECOND));
    assert_eq!(standings(&meeting), [Standing::Running, Standing::Collected]);
}

#[test]
fn who_is_collected_waits_until_it_is_let_go() {
    let meeting = stopped();
    assert_eq!(meeting.look(SECOND), Turn::Wait);
    meeting.let_go(SECOND);
    assert_eq!(meeting.look(SECOND), Turn::LetGo);
    assert_eq!(standings(&meeting), [Standing::Running; 2]);
}

#[test]
fn who_is_parked_leaves_when_nobody_leads() {
    let meeting = led();
    meeting.park(SECOND);
    assert_eq!(meeting.look(SECOND), Turn::Wait);
    meeting.finish(FIRST);
    assert_eq!(meeting.look(SECOND), Turn::Leave);
    assert_eq!(standings(&meeting), [Standing::Running; 2]);
}

#[test]
fn who_is_held_waits_though_nobody_leads() {
    let meeting = stopped();
    meeting.finish_and_wait(FIRST);
    assert_eq!((meeting.leader(), standings(&meeting)), (None, [Standing::Collected; 2]));
    assert_eq!([FIRST, SECOND].map(|cpu| meeting.look(cpu)), [Turn::Wait; 2]);
}

#[test]
fn who_is_held_may_lead_and_runs_when_it_has_finished() {
    let meeting = stopped();
    assert!(!meeting.lead_if_held(SECOND), "another leads");
    meeting.finish_and_wait(FIRST);
    assert!(meeting.lead_if_held(SECOND));
    assert_eq!((meeting.leader(), standings(&meeting)), (Some(SECOND), [Standing::Collected; 2]));
    meeting.finish(SECOND);
    assert_eq!(standings(&meeting), [Standing::Collected, Standing::Running]);
}

#[test]
fn who_is_not_held_does_not_lead_as_if_it_were() {
    let meeting = led();
    meeting.park(SECOND);
    meeting.finish(FIRST);
    assert!(!meeting.lead_if_held(SECOND), "it may leave");
    assert_eq!((meeting.leader(), meeting.look(SECOND)), (None, Turn::Leave));
    assert!(!meeting.lead_if_held(SECOND) && !meeting.lead_if_held(NOBODY));
}

#[test]
fn the_lead_is_handed_to_one_and_the_one_before_waits() {
    let meeting = stopped();
    meeting.hand_over(FIRST, SECOND);
    assert_eq!(meeting.leader(), Some(SECOND));
    assert_eq!([FIRST, SECOND].map(|cpu| meeting.look(cpu)), [Turn::Wait, Turn::Lead]);
    assert!(meeting.collect(FIRST));
    meeting.let_go(FIRST);
    meeting.finish(SECOND);
    assert_eq!((meeting.look(FIRST), standings(&meeting)), (Turn::LetGo, [Standing::Running; 2]));
}

/// It is gone, and nobody has to wait for it.
#[test]
fn who_goes_offline_while_it_waits_does_not_wait_any_more() {
    let meeting = stopped();
    meeting.stop(SECOND);
    assert_eq!((meeting.look(SECOND), meeting.look(NOBODY)), (Turn::Leave, Turn::Leave));
    meeting.park(SECOND);
    assert_eq!(meeting.standing(SECOND), Standing::Offline);
    assert!(!meeting.collect(SECOND));
}

#[test]
fn who_has_led_lets_the_others_precede_it_in_their_order() {
    const CPUS: [CpuId; 4] = [CpuId(0), CpuId(1), CpuId(2), CpuId(3)];
    let meeting = Rendezvous::<4>::new();
    for cpu in CPUS {
        meeting.start(cpu);
    }
    let preceding = || CPUS.map(|cpu| meeting.precedes(cpu).map(|other| other.0));
    assert_eq!(preceding(), [None; 4]);
    for cpu in CPUS {
        meeting.ask(cpu);
    }
    meeting.answered(CpuId(1));
    assert_eq!(preceding(), [Some(2), Some(2), None, Some(2)]);
    meeting.ask(CpuId(1));
    meeting.answered(CpuId(2));
    assert_eq!(preceding(), [Some(3), Some(3), Some(3), None]);
    meeting.answered(CpuId(3));
    assert_eq!(preceding(), [None, Some(0), Some(0), Some(0)]);
    // It leads for another reason.
    assert!(meeting.lead(CpuId(0)));
    assert_eq!(preceding(), [None, None, Some(1), Some(1)]);
    meeting.finish(CpuId(0));
    // Waited for in vain, gone, and held.
    meeting.pass_over(CpuId(0));
    assert_eq!(preceding(), [None, None, Some(1), Some(1)]);
    meeting.park(CpuId(1));
    assert_eq!(preceding(), [None, None, Some(1), Some(1)]);
    assert!(meeting.collect(CpuId(1)));
    assert_eq!(preceding(), [None; 4]);
    meeting.let_go(CpuId(1));
    assert_eq!(preceding(), [None, None, Some(1), Some(1)]);
    meeting.stop(CpuId(1));
    assert_eq!(preceding(), [None; 4]);
}
