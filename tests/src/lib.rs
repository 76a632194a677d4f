//! The machinery under the tests and `cargo xtask`: images, emulators, gdb, the raw protocol.
//!
//! | module | what it drives |
//! | --- | --- |
//! | [`image`] | cargo, to build one of the example images |
//! | [`qemu`] | QEMU with an image in it, gdb's serial port as a socket, killed on drop |
//! | [`bochs`] | Bochs with an image in it, booted by GRUB |
//! | [`iso`] | GRUB, to make the disc that Bochs starts from |
//! | [`monitor`] | QEMU's own monitor: the independent witness of the debug registers |
//! | [`log`] | the image's defmt log |
//! | [`gdb`] | a stock gdb, as a person would type |
//! | [`mi`] | the same gdb, as a development environment would |
//! | [`proxy`] | a line that loses bytes, between a client and QEMU |
//! | [`rendezvous`] | the image that measures what it costs to stop all CPUs |
//! | [`rsp`] | the serial protocol by hand, well-formed or not |
//! | [`report`] | an image that says on its serial port what it found, in either emulator |
//! | [`costs`] | the image that measures what a context switch costs |
//! | [`session`] | an image and a gdb attached to it, for one test |
//!
//! Nothing here sleeps for something to be ready: [`poll`] asks until it is, and the
//! drivers wait for the answer itself. Everything has a time limit, and what was said on
//! either side is in the error.

pub mod bochs;
mod child;
pub mod conversation;
pub mod costs;
pub mod gdb;
pub mod image;
pub mod iso;
mod line;
pub mod log;
pub mod mi;
pub mod monitor;
pub mod noise;
pub mod poll;
pub mod proxy;
pub mod qemu;
pub mod rendezvous;
pub mod report;
pub mod rsp;
pub mod serial;
pub mod session;

pub use bochs::Bochs;
pub use gdb::Gdb;
pub use image::Image;
pub use mi::Mi;
pub use qemu::{Boot, Qemu};
pub use rsp::Rsp;
pub use session::{Session, under_gdb};

#[cfg(test)]
mod tests {
    #[test]
    fn the_readme_embeds_the_minimal_image_word_for_word() {
        let readme = include_str!("../../README.md");
        let image = include_str!("../../examples/src/bin/minimal.rs");
        let (_, embedding) =
            image.split_once("interrupts};\n").expect("the image imports its surroundings");
        assert!(readme.contains(&format!("```rust,ignore\n{embedding}```")));
    }
}
