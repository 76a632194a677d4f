//! What the example images share: a boot path, a timer, a log and a way out.
//!
//! An image is one file in `bin/` with a function `image_main`, and reads in this order:
//!
//! | file | what it does |
//! | --- | --- |
//! | `image.ld` | lays the image out, one page for each watched variable |
//! | [`boot`] | from the loader's 32-bit entry point to 64-bit Rust code |
//! | [`paging`] | makes code read-only and one page unmapped; maps devices |
//! | [`arguments`] | the command line (`-append`) |
//! | [`interrupts`] | an IDT, the 8259 and a periodic timer |
//! | [`apic`] | the local APIC: messages between processors |
//! | [`processors`] | starts the other processors |
//! | [`serial`] | a serial port, polled |
//! | [`log`] | defmt over the second serial port |
//! | [`processors`] | starts the other processors |
//! | [`exit`] | ends QEMU with a verdict |
//!
//! Nothing here belongs to tetrarch. It stands for the firmware that one already has.
#![no_std]

pub mod apic;
pub mod arguments;
pub mod boot;
pub mod exit;
pub mod interrupts;
pub mod log;
pub mod paging;
pub mod port;
pub mod processors;
pub mod serial;
