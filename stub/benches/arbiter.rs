//! What the arbiter costs on the host, without a register: `cargo xtask bench`.
//!
//! Every debug register write is a store to memory here, so that what is measured is the
//! deciding. What the writes cost is measured in an image (`examples/src/bin/switch/`).

use divan::{Bencher, black_box};
use tetrarch::arbiter::{
    Arbiter, Condition, Config, CpuId, Owner, PlanId, Region, Request, Scope, Switching, TaskId,
    carry_on,
};
use tetrarch::dr::{Dr6, Dr7, Slot};
use tetrarch::machine::{DebugRegisters, Memory};

type TestArbiter = Arbiter<16, 1, 4>;

const CPU: CpuId = CpuId(0);
const OWNER: Owner = Owner::System("bench");

fn main() {
    divan::main();
}

/// Registers that are memory.
#[derive(Default)]
struct Registers([usize; 5]);

impl DebugRegisters for Registers {
    fn write_address(&mut self, slot: Slot, address: usize) {
        self.0[slot.index()] = black_box(address);
    }

    fn write_control(&mut self, control: Dr7) {
        self.0[4] = black_box(control.bits() as usize);
    }
}

/// Memory that holds zeros everywhere.
struct Zeros;

impl Memory for Zeros {
    fn read(&mut self, _: usize, into: &mut [u8]) -> usize {
        into.fill(0);
        into.len()
    }

    fn write(&mut self, _: usize, bytes: &[u8]) -> usize {
        bytes.len()
    }

    fn patch(&mut self, _: usize, bytes: &[u8]) -> usize {
        bytes.len()
    }
}

fn write_of(address: usize, length: usize) -> Request {
    let region = Region::new(address, length).expect("a region");
    Request::pinned(OWNER, region, Condition::Write)
}

fn with(requests: &[Request], switching: Switching) -> TestArbiter {
    let mut arbiter = TestArbiter::new(Config { switching, ..Config::DEFAULT });
    for request in requests {
        arbiter.claim(*request, carry_on).expect("it fits");
    }
    arbiter
}

/// A claim of `windows` windows, and its release.
#[divan::bench(args = [1, 4])]
fn claim_and_release(bencher: Bencher, windows: usize) {
    let mut arbiter = with(&[], Switching::Exact);
    bencher.bench_local(|| {
        let handle = arbiter.claim(black_box(write_of(0x1000, 8 * windows)), carry_on);
        arbiter.release(handle.expect("it fits"))
    });
}

/// A request for the fifth register, with its figures.
#[divan::bench]
fn refused_claim(bencher: Bencher) {
    let mut arbiter = with(&[write_of(0x1000, 32)], Switching::Exact);
    bencher.bench_local(|| arbiter.claim(black_box(write_of(0x2000, 8)), carry_on).is_err());
}

/// From one task to another and back: the claims of both.
#[derive(Clone, Copy, Debug)]
enum Pair {
    NoneNone,
    SameSame,
    Disjoint,
    SharingTwo,
    FourNone,
    FourNoneLazily,
}

fn arbiter_for(pair: Pair) -> (TestArbiter, [PlanId; 2]) {
    let task = |task: u32, address| write_of(address, 16).on(Scope::Task(TaskId(task)));
    let four = |number, first, second| [task(number, first), task(number, second)];
    let first = four(1, 0x1000, 0x1010);
    let requests: &[Request] = match pair {
        Pair::NoneNone => &[],
        Pair::SameSame | Pair::FourNone | Pair::FourNoneLazily => &first,
        Pair::Disjoint => &[first, four(2, 0x2000, 0x2010)].concat(),
        Pair::SharingTwo => &[first, four(2, 0x1000, 0x2010)].concat(),
    };
    let switching = match pair {
        Pair::FourNoneLazily => Switching::Lazy,
        Pair::NoneNone | Pair::SameSame | Pair::Disjoint | Pair::SharingTwo | Pair::FourNone => {
            Switching::Exact
        }
    };
    let arbiter = with(requests, switching);
    let [first, second] = [1, 2].map(|task| arbiter.plan_of(TaskId(task)));
    let plans = match pair {
        Pair::SameSame => [first, first],
        Pair::NoneNone
        | Pair::Disjoint
        | Pair::SharingTwo
        | Pair::FourNone
        | Pair::FourNoneLazily => [first, second],
    };
    (arbiter, plans)
}

/// Two switches: there and back.
#[divan::bench(args = [
    Pair::NoneNone, Pair::SameSame, Pair::Disjoint, Pair::SharingTwo, Pair::FourNone,
    Pair::FourNoneLazily,
])]
fn switch_there_and_back(bencher: Bencher, pair: Pair) {
    let (mut arbiter, plans) = arbiter_for(pair);
    let mut registers = Registers::default();
    let mut now = 0;
    bencher.bench_local(|| {
        for plan in plans {
            now += 1;
            arbiter.switch_to(CPU, black_box(plan), now, &mut registers);
        }
    });
}

/// A turn of six claims in one slot.
#[divan::bench]
fn tick(bencher: Bencher) {
    let mut arbiter = with(&[write_of(0x1000, 24)], Switching::Exact);
    for number in 0..6 {
        let region = Region::new(0x2000 + 8 * number, 8).expect("a region");
        let counter = Request::flexible(OWNER, region, Condition::Write);
        arbiter.claim(counter, carry_on).expect("it fits");
    }
    let mut registers = Registers::default();
    let mut now = 0;
    bencher.bench_local(|| {
        now += 1;
        arbiter.tick(CPU, now, &mut registers);
    });
}

/// From DR6 to the handlers of so many owners that share a window.
#[divan::bench(args = [1, 4])]
fn deliver_a_hit(bencher: Bencher, owners: usize) {
    let mut arbiter = with(&vec![write_of(0x1000, 8); owners], Switching::Exact);
    let mut registers = Registers::default();
    bencher.bench_local(|| {
        let live = arbiter.suspend(CPU, &mut registers);
        let status = Dr6::from_bits(Dr6::RESET.bits() | 1);
        let exception = arbiter.exception(CPU, black_box(status), live, 0);
        let delivery = arbiter.deliver(CPU, &[exception], &mut Zeros);
        arbiter.resume(CPU, &mut registers);
        delivery.windows.len()
    });
}
