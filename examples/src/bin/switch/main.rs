//! What a context switch costs: the arbiter alone, without the stub and without gdb.
//!
//! For each [case](cases) the image goes the same way many times and reports, in a line of its
//! log, how many debug registers were written at the least and at the most, and the least and
//! the median of what the TSC counted, without what the measurement itself takes. Then it does
//! the same for a stray hit, and ends. `cargo xtask bench` makes a table of the lines.
//!
//! What the TSC counts is for who started the image to know: under `-icount shift=0`
//! instructions, in emulation without it the time that the emulator took, on a processor cycles.
#![no_std]
#![no_main]

mod cases;
mod clock;
mod registers;
mod stray;

use core::panic::PanicInfo;

use examples::arguments::Arguments;
use examples::exit;
use spin::{Mutex, MutexGuard};
use tetrarch::arbiter::{Arbiter, Config, Cpu, CpuId, PlanId, Switching};

use cases::Case;
use registers::Registers;

const CPU: CpuId = CpuId(0);

/// How often each way is gone.
const TIMES: usize = 1001;

type Tasks = Arbiter<20, 1, { cases::TASKS.len() }>;
type Part = Cpu<20, { cases::TASKS.len() }>;

/// All that a kernel would keep for one CPU.
struct Kernel {
    arbiter: Tasks,
    /// The CPU's part, which it switches with by itself.
    part: Option<Part>,
    switching: Switching,
    registers: Registers,
}

impl Kernel {
    /// Works with the arbiter, which has the part meanwhile.
    fn with_arbiter<R>(&mut self, work: impl FnOnce(&mut Tasks) -> R) -> R {
        self.arbiter.give_back(CPU, &mut self.part);
        let result = work(&mut self.arbiter);
        self.arbiter.lend(CPU, &mut self.part);
        result
    }
}

/// The debug exception needs it too.
static KERNEL: Mutex<Kernel> = Mutex::new(Kernel {
    arbiter: Arbiter::new(Config::DEFAULT),
    part: None,
    switching: Switching::Exact,
    registers: Registers::NEW,
});

#[unsafe(no_mangle)]
fn image_main(_arguments: Arguments) {
    stray::set_up();
    defmt::info!("switch: running");
    for switching in [Switching::Exact, Switching::Lazy] {
        set_up(switching);
        for case in cases::CASES.iter().filter(|case| case.switching == switching) {
            report(case.name, measure(case));
        }
    }
    report("stray hit", stray::measure());
    defmt::info!("switch: done");
}

/// Starts anew, with the tasks and their claims.
fn set_up(switching: Switching) {
    let mut kernel = KERNEL.lock();
    kernel.switching = switching;
    kernel.with_arbiter(|arbiter| {
        arbiter.release_all();
        for task in cases::TASKS {
            task.claim(arbiter);
        }
    });
}

/// What was seen when something was done [`TIMES`] times.
struct Seen {
    fewest: u32,
    most: u32,
    ticks: [u64; TIMES],
}

impl Seen {
    const NOTHING: Seen = Seen { fewest: u32::MAX, most: 0, ticks: [0; TIMES] };

    fn add(&mut self, time: usize, writes: u32, ticks: u64) {
        self.fewest = self.fewest.min(writes);
        self.most = self.most.max(writes);
        self.ticks[time] = ticks;
    }
}

fn report(name: &str, mut seen: Seen) {
    seen.ticks.sort_unstable();
    defmt::info!(
        "switch: {=str}: writes {=u32} to {=u32}, ticks {=u64} at least, {=u64} as a rule",
        name,
        seen.fewest,
        seen.most,
        seen.ticks[0],
        seen.ticks[TIMES / 2],
    );
}

fn measure(case: &Case) -> Seen {
    let mut seen = Seen::NOTHING;
    for time in 0..TIMES {
        let mut kernel = KERNEL.lock();
        case.before.iter().for_each(|task| go(&mut kernel, *task));
        let written = kernel.registers.written();
        let mut ticks = 0;
        for task in case.measured {
            let plan = plan_of(&kernel, *task);
            ticks += timed(&mut kernel, plan, switch);
        }
        for _ in case.measured {
            ticks = ticks.saturating_sub(timed(&mut kernel, PlanId::NONE, nothing));
        }
        seen.add(time, kernel.registers.written() - written, ticks);
    }
    seen
}

fn go(kernel: &mut Kernel, task: Option<cases::Task>) {
    let plan = plan_of(kernel, task);
    go_to(kernel, plan);
}

fn go_to(kernel: &mut Kernel, plan: PlanId) {
    let Kernel { part, switching, registers, .. } = kernel;
    switch(part.as_mut().expect(AWAY), plan, *switching, registers);
}

/// A kernel keeps it with its tasks.
fn plan_of(kernel: &Kernel, task: Option<cases::Task>) -> PlanId {
    task.map_or(PlanId::NONE, |task| kernel.arbiter.plan_of(task.id))
}

#[inline(never)]
fn timed(kernel: &mut Kernel, plan: PlanId, act: Act) -> u64 {
    let Kernel { part, switching, registers, .. } = kernel;
    let part = part.as_mut().expect(AWAY);
    let before = clock::now();
    act(part, plan, *switching, registers);
    clock::now() - before
}

/// What is measured.
type Act = fn(&mut Part, PlanId, Switching, &mut Registers);

/// The part of a context switch that is the arbiter's. A function with a name, so that it can be
/// disassembled. No time is counted: no claim here takes turns.
#[unsafe(no_mangle)]
#[inline(never)]
fn switch(part: &mut Part, plan: PlanId, switching: Switching, registers: &mut Registers) {
    part.switch_to(plan, 0, switching, registers);
}

/// What it is compared with: the call and the measurement alone.
#[unsafe(no_mangle)]
#[inline(never)]
fn nothing(_: &mut Part, _: PlanId, _: Switching, _: &mut Registers) {}

/// Nobody works with the arbiter meanwhile.
const AWAY: &str = "the CPU has its part";

/// The kernel, unless whoever was interrupted has it.
fn kernel() -> Option<MutexGuard<'static, Kernel>> {
    KERNEL.try_lock()
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    defmt::error!("switch: panicked: {}", defmt::Display2Format(info));
    exit::failure()
}
