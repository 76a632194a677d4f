//! An IDT, the 8259 interrupt controllers and a periodic timer.
//!
//! The vectors 0 to 31 are the processor's; the controllers are moved to 32 and up. Of
//! their lines two are let through: the timer (IRQ 0) and the first serial port (IRQ 4).

use core::arch::{asm, naked_asm};
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU64, Ordering};

use crate::port;

/// Vector of the timer's interrupt, for an image that handles it itself ([`set_handler`]) and
/// calls [`timer_handled`] then.
pub const TIMER_VECTOR: u8 = FIRST_VECTOR;
/// Vector of the first serial port's interrupt, for tetrarch.
pub const SERIAL_VECTOR: u8 = FIRST_VECTOR + 4;
/// Vector that a local APIC delivers when an interrupt went away. Its low four bits are ones in
/// the oldest of them, whatever is written.
pub(crate) const APIC_SPURIOUS_VECTOR: u8 = 0xFF;

const FIRST_VECTOR: u8 = 32;
const SPURIOUS_VECTOR: u8 = FIRST_VECTOR + 7;
const CODE_SELECTOR: u16 = 0x08;

const MASTER: u16 = 0x20;
const SLAVE: u16 = 0xA0;
const END_OF_INTERRUPT: u8 = 0x20;
/// Everything but IRQ 0 and IRQ 4.
const MASTER_MASK: u8 = !(1 << 0 | 1 << 4);

const TIMER_CHANNEL_0: u16 = 0x40;
const TIMER_COMMAND: u16 = 0x43;
/// Of 1,193,182 Hz, for 1 kHz.
const TIMER_DIVISOR: u16 = 1193;

/// Counts the timer's interrupts; on a page of its own, so that it can be watched.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".page.timer_ticks")]
#[allow(non_upper_case_globals, reason = "gdb users type this name")]
pub static timer_ticks: AtomicU64 = AtomicU64::new(0);

/// Time since the timer was started, in milliseconds.
pub fn milliseconds() -> u64 {
    timer_ticks.load(Ordering::Relaxed)
}

/// One gate of the IDT (Intel SDM vol. 3, 6.14.1).
#[derive(Clone, Copy)]
#[repr(C, align(16))]
struct Gate {
    offset_low: u16,
    selector: u16,
    stack: u8,
    kind: u8,
    offset_middle: u16,
    offset_high: u32,
}

impl Gate {
    const MISSING: Self =
        Self { offset_low: 0, selector: 0, stack: 0, kind: 0, offset_middle: 0, offset_high: 0 };
    /// Present, ring 0, clears IF.
    const INTERRUPT: u8 = 0x8E;

    fn new(handler: usize) -> Self {
        Self {
            offset_low: handler as u16,
            selector: CODE_SELECTOR,
            stack: 0,
            kind: Self::INTERRUPT,
            offset_middle: (handler >> 16) as u16,
            offset_high: (handler >> 32) as u32,
        }
    }
}

/// What IDTR holds.
#[repr(C, packed)]
pub struct TablePointer {
    /// Offset of the table's last byte.
    pub limit: u16,
    /// Linear address of its first.
    pub base: u64,
}

struct Table(UnsafeCell<[Gate; 256]>);

// SAFETY: the table is written by `set_gate` only, which the processor that booted calls; the
// others read it, when an exception is delivered.
unsafe impl Sync for Table {}

static TABLE: Table = Table(UnsafeCell::new([Gate::MISSING; 256]));

/// Loads the IDT and sets the controllers and the timer up. Interrupts stay off until
/// [`enable`].
pub(crate) fn start() {
    set_handler(TIMER_VECTOR, timer_interrupt);
    set_handler(SPURIOUS_VECTOR, spurious_interrupt);
    set_handler(APIC_SPURIOUS_VECTOR, spurious_interrupt);
    let limit = size_of::<[Gate; 256]>() as u16 - 1;
    load_table(TablePointer { limit, base: TABLE.0.get() as u64 });

    let [low, high] = TIMER_DIVISOR.to_le_bytes();
    for (device, value) in [
        (MASTER, 0x11), // ICW1: cascaded, edge-triggered, ICW4 follows
        (SLAVE, 0x11),
        (MASTER + 1, FIRST_VECTOR), // ICW2
        (SLAVE + 1, FIRST_VECTOR + 8),
        (MASTER + 1, 1 << 2), // ICW3: the slave is on line 2
        (SLAVE + 1, 2),
        (MASTER + 1, 1), // ICW4: 8086 mode
        (SLAVE + 1, 1),
        (MASTER + 1, MASTER_MASK),
        (SLAVE + 1, 0xFF),
        (TIMER_COMMAND, 0x34), // channel 0, both bytes, mode 2
        (TIMER_CHANNEL_0, low),
        (TIMER_CHANNEL_0, high),
    ] {
        // SAFETY: the interrupt controllers and the timer are this module's own.
        unsafe { port::write(device, value) };
    }
}

/// Loads a table in which the NMI alone has a handler, and gives the one that was loaded.
pub fn load_table_for_nmi(handler: unsafe extern "C" fn()) -> TablePointer {
    const NMI: usize = 2;
    static TABLE: Table = Table(UnsafeCell::new([Gate::MISSING; 256]));
    let gate = TABLE.0.get().cast::<Gate>().wrapping_add(NMI);
    // SAFETY: the index is inside the table, and nothing holds a reference.
    unsafe { gate.write_volatile(Gate::new(handler as usize)) };
    let mut before = TablePointer { limit: 0, base: 0 };
    // SAFETY: SIDT writes the ten bytes that it is given.
    unsafe { asm!("sidt [{}]", in(reg) &raw mut before, options(nostack, preserves_flags)) };
    load_table(TablePointer { limit: 16 * (NMI as u16 + 1) - 1, base: TABLE.0.get() as u64 });
    before
}

/// Loads a table, on the processor that executes the call.
pub fn load_table(pointer: TablePointer) {
    // SAFETY: the table lives for ever and its gates are valid or marked missing.
    unsafe { asm!("lidt [{}]", in(reg) &raw const pointer, options(nostack, preserves_flags)) };
}

/// Has `vector` handled by `handler`, which ends with IRET and saves what it uses.
pub fn set_handler(vector: u8, handler: unsafe extern "C" fn()) {
    set_gate(vector, handler as usize);
}

/// Has `vector` handled by the code at `address`, likewise.
pub fn set_gate(vector: u8, address: usize) {
    let gate = TABLE.0.get().cast::<Gate>().wrapping_add(usize::from(vector));
    // SAFETY: the index is a u8 and the table has 256 gates; nothing holds a reference.
    unsafe { gate.write_volatile(Gate::new(address)) };
}

/// Lets the serial port's interrupt through no more.
pub fn mask_serial() {
    // SAFETY: the controller is this module's own.
    unsafe { port::write(MASTER + 1, MASTER_MASK | 1 << (SERIAL_VECTOR - FIRST_VECTOR)) };
}

/// Lets interrupts in.
pub fn enable() {
    // SAFETY: every line that is let through has its handler: the timer's here, the serial
    // port's is silent until whoever installs one tells the port to interrupt.
    unsafe { asm!("sti", options(nostack)) };
}

/// Sleeps until the next interrupt.
pub fn wait() {
    // SAFETY: HLT only waits; with interrupts on, the timer ends it.
    unsafe { asm!("hlt", options(nostack)) };
}

/// Tells the controller that an interrupt of its lines 0 to 7 has been handled.
pub fn end_of_interrupt() {
    // SAFETY: the controller is this module's own.
    unsafe { port::write(MASTER, END_OF_INTERRUPT) };
}

/// What `timer_interrupt` does, for an image that handles the interrupt itself.
pub fn timer_handled() {
    // In the interrupt, which no other comes between: one CPU, interrupts off.
    timer_ticks.store(milliseconds() + 1, Ordering::Relaxed);
    end_of_interrupt();
}

/// Counts.
#[unsafe(naked)]
unsafe extern "C" fn timer_interrupt() {
    naked_asm!(
        "push rax",
        "inc qword ptr [{ticks}]",
        "mov al, {end}",
        "out {master}, al",
        "pop rax",
        "iretq",
        ticks = sym timer_ticks,
        end = const END_OF_INTERRUPT,
        master = const MASTER,
    )
}

/// Line 7 of the controller, and a vector of each local APIC, fires when a request went away:
/// nothing to do or acknowledge.
#[unsafe(naked)]
unsafe extern "C" fn spurious_interrupt() {
    naked_asm!("iretq")
}
