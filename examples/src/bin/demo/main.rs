//! A control loop to debug: something to watch, something to break on, two guards of its own.
//!
//! Attach a gdb, or do not: the image runs on its own. What the command line changes:
//!
//! | word | effect |
//! | --- | --- |
//! | `reserve=S,D` | debug registers promised to the system and to the debugger (1,2) |
//! | `no-null-guard`, `no-config-guard` | that guard is not claimed at boot |
//! | `wait` | stops for the debugger before the first turn |
//! | `provoke=N` | the first value of [`provoke`] |
//! | `turns=N` | ends after N turns |
//!
//! The variables are plain and not volatile: an access is then an instruction of *this*
//! file, where a debugger stops on the line that it names; `write_volatile` would have it
//! stop inside `core::ptr`. [`others_may_look`] says where memory must be up to date.
#![no_std]
#![no_main]
#![allow(non_upper_case_globals, reason = "gdb users type these names")]

mod guards;
mod provocation;

use core::arch::asm;
use core::panic::PanicInfo;

use examples::arguments::Arguments;
use examples::interrupts;
use guards::Guards;

/// Counts the turns.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".page.ticks")]
static mut ticks: u64 = 0;

/// Read in each turn, never written by the image.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".page.setpoint")]
static mut setpoint: u32 = 40;

/// Stored in each turn, always [`RUNNING`].
#[unsafe(no_mangle)]
#[unsafe(link_section = ".page.status")]
static mut status: u32 = 0;

/// One byte is written in each turn, round and round.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".page.frame")]
static mut frame: [u8; 32] = [0; 32];

/// Set from gdb: what shall go wrong in the next turn (see [`provocation`]).
#[unsafe(no_mangle)]
#[unsafe(link_section = ".page.provoke")]
static mut provoke: u32 = 0;

/// Set from gdb: 1 claims the config guard, 2 releases it.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".page.claim")]
static mut claim: u32 = 0;

/// Bytes to read and write at will: byte *i* is [`pattern`]`(i)`.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".page.scratch")]
static mut scratch: [u8; 65536] = [0; 65536];

/// What a running loop reports in [`status`].
const RUNNING: u32 = 0x600D;

#[unsafe(no_mangle)]
fn image_main(arguments: Arguments) {
    let mut guards = guards::start(&arguments);
    fill_scratch();
    // SAFETY: plain data; nothing else runs that could hold a reference to it.
    unsafe { provoke = arguments.number("provoke").unwrap_or(0) as u32 };
    interrupts::enable();
    defmt::info!("demo: running");
    if arguments.has("wait") {
        tetrarch_x86::breakpoint();
    }
    control_loop(arguments.number("turns"), &mut guards);
    // SAFETY: as above.
    defmt::info!("demo: done after {=u64} turns", unsafe { ticks });
}

/// Turns until `turns` are done, or for ever.
#[unsafe(no_mangle)]
#[inline(never)]
fn control_loop(turns: Option<u64>, guards: &mut Guards) {
    let mut turn = 0;
    while turns != Some(turn) {
        step_once();
        provocation::obey(take(&raw mut provoke));
        guards.obey(take(&raw mut claim));
        turn += 1;
    }
}

/// One turn.
#[unsafe(no_mangle)]
#[inline(never)]
fn step_once() {
    let wanted = read_setpoint();
    // SAFETY: one CPU, and no interrupt handler touches these; only a debugger does.
    unsafe {
        ticks += 1;
        others_may_look();
        frame[ticks as usize % 32] = wanted as u8;
        others_may_look();
        status = RUNNING;
        others_may_look();
    }
}

/// Reads the setpoint, once.
#[unsafe(no_mangle)]
#[inline(never)]
fn read_setpoint() -> u32 {
    // SAFETY: only a debugger writes it, while this CPU is stopped.
    let wanted = unsafe { setpoint };
    others_may_look();
    wanted
}

/// Takes an order that gdb left in a variable, and leaves 0 there.
fn take(order: *mut u32) -> u32 {
    others_may_look();
    // SAFETY: the callers pass the address of a static that only a debugger touches otherwise.
    let taken = unsafe { *order };
    if taken != 0 {
        // SAFETY: as above.
        unsafe { *order = 0 };
    }
    taken
}

/// Tells the compiler that somebody else reads and writes memory: a debugger does.
fn others_may_look() {
    // SAFETY: no instruction at all; without `nomem`, that is the point.
    unsafe { asm!("", options(nostack, preserves_flags)) };
}

fn fill_scratch() {
    for index in 0..65536 {
        // SAFETY: nothing else runs yet.
        unsafe { scratch[index] = pattern(index) };
    }
}

/// The top byte of `index` times 2654435761 (Knuth's multiplicative hash).
fn pattern(index: usize) -> u8 {
    ((index as u32).wrapping_mul(2_654_435_761) >> 24) as u8
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    defmt::error!("demo: {}", defmt::Display2Format(info));
    tetrarch_x86::panic(info)
}
