//! What a CPU can be ordered to do from gdb, and what each is said to be doing.
//!
//! **A CPU that does not respond** is one that takes no NMI: it is in an NMI handler, and has not
//! returned. So the image sends itself an NMI, which finds a handler of its own that does nothing,
//! for as long as the order stands.

use core::arch::{asm, naked_asm};
use core::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};

use examples::apic;
use examples::interrupts::{self, TablePointer};
use tetrarch::arbiter::CpuId;

use crate::CPUS;
use crate::guards::{self, STUB};
use crate::nmi;

/// Set from gdb, for each CPU; 0 for nothing.
#[unsafe(no_mangle)]
pub static mut orders: [usize; CPUS] = [0; CPUS];

const WRITE_OWN_WORD: usize = 1;
const WRITE_THROUGH_NULL: usize = 2;
const SPIN: usize = 3;
const DO_NOT_RESPOND: usize = 4;
const SLEEP: usize = 5;
const GO_OFFLINE: usize = 6;
const CHANGE_CLAIMS: usize = 7;
const SEND_ITSELF_NMIS: usize = 8;

/// What each CPU is doing.
static ACTIVITIES: [AtomicU8; CPUS] = [const { AtomicU8::new(0) }; CPUS];
const TEXTS: [&str; 6] = [
    "counting",
    "spinning with interrupts off",
    "deaf to NMIs",
    "halted in idle",
    "claiming and releasing",
    "offline",
];
pub const COUNTING: u8 = 0;
const SPINNING: u8 = 1;
const DEAF: u8 = 2;
const HALTED: u8 = 3;
pub const CLAIMING: u8 = 4;
const OFFLINE: u8 = 5;

/// What `info threads` says of a CPU.
pub fn activity(cpu: CpuId) -> &'static str {
    let number =
        ACTIVITIES.get(usize::from(cpu.0)).map_or(COUNTING, |text| text.load(Ordering::Relaxed));
    TEXTS[usize::from(number)]
}

/// Says what `cpu` is doing.
pub fn say(cpu: usize, activity: u8) {
    ACTIVITIES[cpu].store(activity, Ordering::Relaxed);
}

fn ordered(cpu: usize) -> usize {
    let order = (&raw const orders).cast::<usize>().wrapping_add(cpu);
    // SAFETY: aligned, and inside the array; gdb writes it while the image is stopped.
    unsafe { order.read_volatile() }
}

fn done(cpu: usize) {
    let order = (&raw mut orders).cast::<usize>().wrapping_add(cpu);
    // SAFETY: as above.
    unsafe { order.write_volatile(0) };
}

/// Does what `cpu`, which executes the call, is ordered.
pub fn obey(cpu: usize) {
    match ordered(cpu) {
        WRITE_OWN_WORD => {
            done(cpu);
            guards::write(cpu);
        }
        WRITE_THROUGH_NULL => {
            done(cpu);
            write_through_null();
        }
        SPIN => {
            say(cpu, SPINNING);
            without_interrupts(|| while_ordered(cpu));
            say(cpu, COUNTING);
        }
        DO_NOT_RESPOND => {
            say(cpu, DEAF);
            without_interrupts(|| be_deaf(cpu));
            say(cpu, COUNTING);
        }
        SLEEP => {
            done(cpu);
            say(cpu, HALTED);
            sleep();
            say(cpu, COUNTING);
        }
        GO_OFFLINE => {
            done(cpu);
            say(cpu, OFFLINE);
            go_offline();
        }
        CHANGE_CLAIMS => {
            say(cpu, CLAIMING);
            while ordered(cpu) != 0 {
                guards::switch_null_guard_off_and_on();
            }
            say(cpu, COUNTING);
        }
        SEND_ITSELF_NMIS => {
            nmi::provoke(cpu);
            done(cpu);
        }
        _ => {}
    }
}

#[unsafe(no_mangle)]
#[inline(never)]
fn while_ordered(cpu: usize) {
    while ordered(cpu) != 0 {
        core::hint::spin_loop();
    }
}

/// Waits for an interrupt or an NMI; with interrupts off, for an NMI.
#[inline(never)]
pub fn sleep() {
    // SAFETY: HLT only waits.
    unsafe { asm!("hlt", options(nostack)) };
}

/// Until it is started again.
fn go_offline() -> ! {
    without_interrupts(|| {
        STUB.stop_cpu().expect("it is none that cannot go");
        loop {
            sleep();
        }
    })
}

#[unsafe(no_mangle)]
#[inline(never)]
fn write_through_null() {
    // SAFETY: wrong on purpose. Page 0 is mapped and nothing lives there; in assembly, because
    // the compiler may replace a null write by a trap.
    unsafe {
        asm!("mov dword ptr [{}], 0x0BAD", in(reg) 0_usize, options(nostack, preserves_flags))
    };
}

/// Executes `section` with maskable interrupts off.
pub fn without_interrupts<R>(section: impl FnOnce() -> R) -> R {
    let flags: u64;
    // SAFETY: reads the flags and turns interrupts off, for the time of the section.
    unsafe { asm!("pushfq", "pop {}", "cli", out(reg) flags) };
    let result = section();
    if flags & 1 << 9 != 0 {
        interrupts::enable();
    }
    result
}

/// Whose order the handler below waits for, and what it puts back.
static DEAF_CPU: AtomicUsize = AtomicUsize::new(0);
static TABLE: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];

/// Takes an NMI and does not return from it, as long as that is ordered.
fn be_deaf(cpu: usize) {
    DEAF_CPU.store(cpu, Ordering::Relaxed);
    let before = interrupts::load_table_for_nmi(deaf_nmi);
    TABLE[0].store(before.base, Ordering::Relaxed);
    TABLE[1].store(before.limit.into(), Ordering::Relaxed);
    // SAFETY: the table that was just loaded has a handler for it.
    unsafe { apic::send_nmi(cpu as u32) };
    // It comes at once, or a little later.
    while_ordered(cpu);
}

/// The NMI handler of a CPU that is deaf: as long as it has not returned, no NMI comes.
#[unsafe(naked)]
unsafe extern "C" fn deaf_nmi() {
    naked_asm!(
        "push rax", "push rcx", "push rdx", "push rsi", "push rdi",
        "push r8", "push r9", "push r10", "push r11",
        "cld",
        "call {wait}",
        "pop r11", "pop r10", "pop r9", "pop r8",
        "pop rdi", "pop rsi", "pop rdx", "pop rcx", "pop rax",
        "iretq",
        wait = sym wait_deaf,
    )
}

extern "C" fn wait_deaf() {
    while_ordered(DEAF_CPU.load(Ordering::Relaxed));
    let [base, limit] = TABLE.each_ref().map(|half| half.load(Ordering::Relaxed));
    // Before the next NMI comes, which is for the stub.
    interrupts::load_table(TablePointer { base, limit: limit as u16 });
}
