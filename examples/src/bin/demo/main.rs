//! A control loop to debug: something to watch, something to break on, two guards of its own.
//!
//! Attach a gdb, or do not: the image runs on its own. What the command line changes:
//!
//! | word | effect |
//! | --- | --- |
//! | `reserve=S,D` | debug registers promised to the system and to the debugger (1,2) |
//! | `no-null-guard`, `no-config-guard` | that guard is not claimed at boot |
//! | `read-only` | a debugger may look, and change nothing |
//! | `locked=N` | it may do nothing before `monitor unlock sesame`, for which it has N million ticks |
//! | `reliable` | the line loses nothing: gdb may do without acknowledgements |
//! | `hook` | the image keeps its own IDT and leads exceptions to the stub |
//! | `wait` | stops for the debugger before the first turn |
//! | `provoke=N` | the first value of [`provoke`] |
//! | `turns=N` | ends after N turns |
//!
//! The variables are plain and not volatile: an access is then an instruction of *this*
//! file, where a debugger stops on the line that it names; `write_volatile` would have it
//! stop inside `core::ptr`. [`others_may_look`] says where memory must be up to date. All
//! that gdb stops in is in this file, because gdb looks a plain name up where it stopped:
//! elsewhere `ticks` must be spelled `demo::ticks`.
#![no_std]
#![no_main]
#![allow(non_upper_case_globals, reason = "gdb users type these names")]

mod console;
mod faulty;
mod guards;
mod policy;

use core::arch::asm;
use core::panic::PanicInfo;

use console::Console;
use examples::arguments::Arguments;
use examples::{interrupts, paging};
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

/// Set from gdb: what shall go wrong in the next turn ([`do_wrong`]).
#[unsafe(no_mangle)]
#[unsafe(link_section = ".page.provoke")]
static mut provoke: u32 = 0;

/// Set from gdb: says how many turns there were, so many times.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".page.say")]
static mut say: u32 = 0;

/// Set by the console when a line has been typed.
static mut typed: u32 = 0;

/// Set from gdb: 1 claims the config guard, 2 releases it, 3 ends the stub, 4 claims it with a handler
/// that goes wrong, 5 to 7 make calls of the stub's that go wrong, 8 has the console's reader go wrong.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".page.claim")]
static mut claim: u32 = 0;

/// A table that the config guard watches: one aligned window of 8 bytes.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".page.config")]
static mut config: u64 = 0x0123_4567_89AB_CDEF;

/// Counts the writes that the config guard saw.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".page.config_writes")]
static mut config_writes: u32 = 0;

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
        tetrarch_x86::breakpoint!();
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
    let mut console = Console::new();
    while turns != Some(turn) {
        step_once();
        do_wrong(take(&raw mut provoke));
        guards.obey(take(&raw mut claim));
        match take(&raw mut say) {
            0 => {}
            times => console::say(times, turn),
        }
        if take(&raw mut typed) != 0 {
            console.serve();
        }
        turn += 1;
    }
}

/// One turn.
#[unsafe(no_mangle)]
#[inline(never)]
#[expect(
    clippy::multiple_unsafe_ops_per_block,
    reason = "one reason holds for all of them, and the code is shown by gdb"
)]
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

/// Obeys an order from `provoke`: 1 writes through a null pointer, 2 writes the guarded
/// table, 3 panics, 4 touches a page that is not mapped, 5 has the line hung up. 0 is no order.
fn do_wrong(order: u32) {
    match order {
        0 => {}
        1 => write_through_null(),
        2 => write_config(),
        3 => panic!("provoked"),
        4 => touch_unmapped_page(),
        5 => console::hang_up(),
        other => defmt::warn!("provoke: no such order: {=u32}", other),
    }
}

#[unsafe(no_mangle)]
#[inline(never)]
fn write_through_null() {
    // SAFETY: wrong on purpose. Page 0 is mapped and nothing lives there; in assembly,
    // because the compiler may replace a null write by a trap.
    unsafe {
        asm!("mov dword ptr [{}], 0x0BAD", in(reg) 0_usize, options(nostack, preserves_flags))
    };
}

#[unsafe(no_mangle)]
#[inline(never)]
fn write_config() {
    // SAFETY: one CPU; nobody holds a reference to the table.
    unsafe { config += 1 };
}

#[unsafe(no_mangle)]
#[inline(never)]
fn touch_unmapped_page() {
    // SAFETY: wrong on purpose: the page fault is the effect that was asked for.
    unsafe {
        asm!("mov {0}, qword ptr [{0}]", inout(reg) paging::unmapped() => _, options(nostack, preserves_flags));
    }
}

/// Takes an order that gdb left in a variable, and leaves 0 there.
fn take(order: *mut u32) -> u32 {
    others_may_look();
    // SAFETY: the callers pass the address of a static that only a debugger touches otherwise, or the
    // serial port's interrupt, which one instruction does not race with on the one CPU there is.
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
    let bytes = (&raw mut scratch).cast::<u8>();
    for index in 0..65536 {
        // SAFETY: inside the array, which nothing else touches yet.
        unsafe { bytes.wrapping_add(index).write(pattern(index)) };
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
