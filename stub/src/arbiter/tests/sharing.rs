//! Parts that were away while the claims changed.

extern crate std;

use std::vec;

use super::*;
use crate::hit::{Change, Rest, Told};

type SharedArbiter = Arbiter<8, 2, 2>;

const OTHER: CpuId = CpuId(1);
const TASK: TaskId = TaskId(7);

fn flexible(address: usize) -> Request {
    Request { tenure: Tenure::Flexible, ..guard(address, 1) }
}

fn armed(registers: &Registers) -> Vec<usize> {
    let windows = Slot::ALL.into_iter().filter_map(|slot| registers.bank.armed(slot));
    windows.map(|window| window.address()).collect()
}

fn claim(arbiter: &mut SharedArbiter, request: Request) -> Handle {
    arbiter.claim(request, carry_on).unwrap()
}

fn lend(arbiter: &mut SharedArbiter) -> Cpu<8, 2> {
    let mut part = None;
    arbiter.lend(CPU, &mut part);
    part.unwrap()
}

/// Nothing is lost on the way, and nobody has it twice.
#[test]
fn a_part_is_lent_once_and_comes_back_as_it_was() {
    let mut arbiter = SharedArbiter::new(Config::DEFAULT);
    claim(&mut arbiter, guard(0x10, 8));
    let before = arbiter.clone();
    let part = lend(&mut arbiter);
    assert!(!arbiter.has_part(CPU) && arbiter.has_part(OTHER));
    for cpu in [CPU, CpuId(2)] {
        let mut none = None;
        arbiter.lend(cpu, &mut none);
        assert!(none.is_none());
    }
    assert_eq!(part.revision(), arbiter.revision());
    arbiter.give_back(CPU, &mut Some(part));
    assert!(arbiter == before);
}

/// Promise 3: armed from its return on, as on a CPU that was here all the time.
#[test]
fn promise_3_a_part_that_was_away_catches_up() {
    let mut arbiter = SharedArbiter::new(Config::DEFAULT);
    let mut registers = Registers::default();
    let gone = claim(&mut arbiter, guard(0x10, 8));
    arbiter.resume(CPU, &mut registers);
    let mut part = lend(&mut arbiter);
    arbiter.release(gone).unwrap();
    claim(&mut arbiter, guard(0x20, 8));
    claim(&mut arbiter, guard(0x30, 8).on(Scope::Task(TASK)));
    claim(&mut arbiter, guard(0x40, 8).on(Scope::Cpu(OTHER)));
    assert_ne!(part.revision(), arbiter.revision());
    part.suspend(&mut registers);
    part.resume(CPU, &mut registers);
    assert_eq!(armed(&registers), [0x10], "it goes on with what it has");
    arbiter.give_back(CPU, &mut Some(part));
    arbiter.resume(CPU, &mut registers);
    assert_eq!(armed(&registers), [0x20]);
    arbiter.switch_to(CPU, arbiter.plan_of(TASK), 0, &mut registers);
    let mut both = armed(&registers);
    both.sort_unstable();
    assert_eq!(both, [0x20, 0x30]);
    let part = lend(&mut arbiter);
    assert_eq!(part.revision(), arbiter.revision());
}

/// A claim that has come and gone meanwhile is never armed, nor a task's that has ended; a number
/// that the task still carries is nobody else's.
#[test]
fn what_came_and_went_meanwhile_is_never_armed() {
    let mut arbiter = SharedArbiter::new(Config::DEFAULT);
    let mut registers = Registers::default();
    let part = lend(&mut arbiter);
    let short = claim(&mut arbiter, guard(0x10, 8));
    claim(&mut arbiter, guard(0x20, 8).on(Scope::Task(TASK)));
    let old = arbiter.plan_of(TASK);
    arbiter.release(short).unwrap();
    arbiter.end_task(TASK);
    claim(&mut arbiter, guard(0x30, 8).on(Scope::Task(TaskId(8))));
    arbiter.give_back(CPU, &mut Some(part));
    for plan in [PlanId::NONE, old, PlanId::NONE] {
        arbiter.switch_to(CPU, plan, 0, &mut registers);
        arbiter.resume(CPU, &mut registers);
    }
    assert_eq!((registers.writes, registers.bank), (0, Bank::RESET));
    arbiter.switch_to(CPU, arbiter.plan_of(TaskId(8)), 0, &mut registers);
    assert_eq!(armed(&registers), [0x30]);
}

/// Promise 8: what a CPU has counted for a claim that stayed is still there, and for one that began
/// anew in the same place it is not.
#[test]
fn promise_8_only_counts_that_were_begun_anew_are_lost() {
    let mut arbiter = SharedArbiter::new(Config::DEFAULT);
    let stays = claim(&mut arbiter, flexible(0x10).on(Scope::Cpu(CPU)));
    let goes = claim(&mut arbiter, flexible(0x20).on(Scope::Cpu(CPU)));
    let pinned = claim(&mut arbiter, flexible(0x30).on(Scope::Cpu(CPU)));
    arbiter.accrue(CPU, 0);
    arbiter.accrue(CPU, 10);
    let mut part = lend(&mut arbiter);
    arbiter.release(goes).unwrap();
    let new = claim(&mut arbiter, flexible(0x20).on(Scope::Cpu(CPU)));
    assert_eq!(new.index, goes.index, "the place is taken again");
    for tenure in [Tenure::Pinned, Tenure::Flexible] {
        arbiter.modify(pinned, |request| Request { tenure, ..request }).unwrap();
    }
    part.accrue(15);
    arbiter.give_back(CPU, &mut Some(part));
    let times = |arbiter: &SharedArbiter| {
        [stays, new, pinned].map(|handle| {
            let count = arbiter.count(handle).unwrap();
            (count.enabled, count.running)
        })
    };
    assert_eq!(times(&arbiter), [(15, 15), (0, 0), (0, 0)]);
    arbiter.accrue(CPU, 18);
    assert_eq!(times(&arbiter), [(18, 18), (3, 3), (3, 3)]);
}

/// Promise 8: who waits keeps its place, and who is new goes behind.
#[test]
fn promise_8_the_order_of_turns_survives() {
    let mut arbiter = SharedArbiter::new(Config::DEFAULT);
    let mut registers = Registers::default();
    claim(&mut arbiter, guard(0x100, 24));
    let first = claim(&mut arbiter, flexible(0x10));
    for address in [0x20, 0x30] {
        claim(&mut arbiter, flexible(address));
    }
    let turn = |arbiter: &mut SharedArbiter, registers: &mut Registers, now| {
        arbiter.tick(CPU, now, registers);
        armed(registers).into_iter().find(|address| *address < 0x100)
    };
    arbiter.resume(CPU, &mut registers);
    assert_eq!(turn(&mut arbiter, &mut registers, 1), Some(0x20));
    let mut part = lend(&mut arbiter);
    claim(&mut arbiter, flexible(0x40));
    arbiter.release(first).unwrap();
    part.tick(2, &mut registers);
    assert!(armed(&registers).contains(&0x30), "the turns go on without the others");
    arbiter.give_back(CPU, &mut Some(part));
    let turns = [3, 4, 5, 6].map(|now| turn(&mut arbiter, &mut registers, now));
    assert_eq!(turns, [0x20, 0x40, 0x30, 0x20].map(Some));
}

/// Promise 10: by the CPU itself, of the claims as they were when it got its part; what it has
/// counted comes back with it.
#[test]
fn promise_10_a_cpu_tells_owners_by_itself() {
    let mut arbiter = SharedArbiter::new(Config::DEFAULT);
    let mut registers = Registers::default();
    let requests = [guard(0x10, 8), flexible(0x20), guard(0x30, 8).on(Scope::Cpu(OTHER))];
    let [pinned, counting, elsewhere] = requests.map(|request| claim(&mut arbiter, request));
    arbiter.claim(guard(0x10, 8), stop).unwrap();
    let watch = Request { owner: Owner::Debugger, ..guard(0x40, 8) };
    let watch = arbiter.claim(watch, stop).unwrap();
    for cpu in [CPU, OTHER] {
        arbiter.resume(cpu, &mut registers);
    }
    let mut part = lend(&mut arbiter);
    let hit = |part: &Cpu<8, 2>, address| {
        let hits = |slot: &Slot| part.bank.armed(*slot).is_some_and(|one| one.address() == address);
        let bits = Slot::ALL.iter().filter(|slot| hits(slot)).map(|slot| 1 << slot.index());
        let status = Dr6::from_bits(bits.fold(Dr6::RESET.bits(), |all, bit: u32| all | bit));
        part.exception(status, part.bank.control(), 0x4242)
    };
    let hits = |arbiter: &SharedArbiter, claims: &[Handle]| -> Vec<u64> {
        claims.iter().map(|claim| arbiter.get(*claim).unwrap().hits()).collect()
    };
    let stops = |told: &Told| told.stops.iter().map(|stop| stop.handle.index).collect::<Vec<_>>();

    let exception = hit(&part, 0x20);
    let told = part.tell(CPU, &[exception, exception], &mut NoMemory);
    assert!(told.is_settled() && told.windows.len() == 2);
    let told = part.tell(CPU, &[hit(&part, 0x10)], &mut NoMemory);
    assert_eq!((stops(&told), told.rest, told.is_settled()), (vec![3], Rest::Nobody, false));
    let exception = hit(&part, 0x40);
    let told = part.tell(CPU, &[exception], &mut NoMemory);
    assert_eq!((stops(&told), told.rest, told.is_settled()), (vec![], Rest::Debugger, false));
    let all = [pinned, counting, elsewhere, watch];
    assert_eq!(hits(&arbiter, &all), [0; 4], "nobody else has looked at it");

    // The claim goes, and another comes in its place, while this CPU runs on.
    let late = hit(&part, 0x10);
    arbiter.release(pinned).unwrap();
    let newcomer = claim(&mut arbiter, guard(0x10, 8));
    assert_eq!(newcomer.index, pinned.index, "the place is taken again");
    let told = part.tell(CPU, &[late], &mut NoMemory);
    assert_eq!(stops(&told), [3], "it knows nothing of that");
    arbiter.give_back(CPU, &mut Some(part));
    assert_eq!(hits(&arbiter, &[newcomer, counting, elsewhere, watch]), [0, 2, 0, 0]);
    let delivery = arbiter.conclude(CPU, &[exception], &told, &mut NoMemory);
    assert_eq!(delivery.debugger.iter().map(|hit| hit.handle).collect::<Vec<_>>(), [watch]);
    assert_eq!(hits(&arbiter, &[newcomer, counting, elsewhere, watch]), [0, 2, 0, 1]);
    assert_eq!(arbiter.count(counting).map(|count| count.hits), Some(2));
    arbiter.resume(CPU, &mut registers);
    let told = arbiter.deliver(CPU, &[hit(arbiter.cpu(CPU).unwrap(), 0x10)], &mut NoMemory);
    assert_eq!(told.stops.len(), 1);
    assert_eq!(hits(&arbiter, &[newcomer, counting, elsewhere, watch]), [1, 2, 0, 1]);
}

/// Memory that is the same everywhere.
struct Byte(u8);

impl Memory for Byte {
    fn read(&mut self, _: usize, into: &mut [u8]) -> usize {
        into.fill(self.0);
        into.len()
    }

    fn write(&mut self, _: usize, _: &[u8]) -> usize {
        0
    }

    fn patch(&mut self, _: usize, _: &[u8]) -> usize {
        0
    }
}

/// Promise 10: what a hit was is found when it comes. Until the debugger is told, the regions may have
/// been looked at again, and a write would be taken for a read.
#[test]
fn promise_10_a_write_that_is_told_later_is_a_write() {
    for is_looked_at in [false, true] {
        for (value, change) in [(0, Change::Unchanged), (1, Change::Changed)] {
            let mut arbiter = SharedArbiter::new(Config::DEFAULT);
            let mut registers = Registers::default();
            let mut memory = Byte(0);
            let watch = claim(&mut arbiter, debugger(0x40, 8));
            arbiter.remember(watch, &mut memory);
            arbiter.resume(CPU, &mut registers);
            let mut part = Some(lend(&mut arbiter));
            memory.0 = value;
            let status = Dr6::from_bits(Dr6::RESET.bits() | 1);
            let own = part.as_mut().unwrap();
            let exception = own.exception(status, own.bank.control(), 0);
            let told = own.tell(CPU, &[exception], &mut memory);
            assert_eq!(told.rest, Rest::Debugger);
            arbiter.give_back(CPU, &mut part);
            if is_looked_at {
                arbiter.refresh_snapshots(&mut memory);
            }
            let delivery = arbiter.conclude(CPU, &[exception], &told, &mut memory);
            let told: Vec<_> =
                delivery.debugger.iter().map(|hit| (hit.handle, hit.change)).collect();
            assert_eq!(told, [(watch, change)]);
        }
    }
}

/// Promise 8: a CPU that begins with nothing counts for the claims that there are, and goes on with
/// that when it has missed a change.
#[test]
fn promise_8_a_part_that_was_renewed_counts_on() {
    let mut arbiter = SharedArbiter::new(Config::DEFAULT);
    let other = claim(&mut arbiter, guard(0x20, 8));
    let counted = claim(&mut arbiter, flexible(0x10));
    arbiter.forget_counts(counted);
    // It is gone, with what it had.
    lend(&mut arbiter);
    arbiter.renew_part(CPU);
    let mut part = lend(&mut arbiter);
    part.accrue(0);
    part.accrue(1000);
    arbiter.release(other).unwrap();
    arbiter.give_back(CPU, &mut Some(part));
    assert_eq!(arbiter.count(counted).unwrap().enabled, 1000);
}
