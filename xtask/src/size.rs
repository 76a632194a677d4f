//! `cargo xtask size`: what the images need, and the library's share of it.
//!
//! Code and data are counted by symbol: a function or static belongs to the crate that its
//! name begins with, and a static `STUB` to the library, whoever makes it. What the compiler
//! inlined counts where it ended up; `core` is there mostly because the library formats
//! text; constants without a symbol (strings, tables) belong to nobody by name.
//!
//! The stacks are measured, see [`stack`].

use std::fs;

use anyhow::{Context, Result};
use object::{Object, ObjectSection, ObjectSymbol, SymbolKind};
use tetrarch_tests::Image;

use crate::stack::{self, Use};
use crate::tools;

/// Crates that come with the library.
const LIBRARY: [&str; 9] = [
    "tetrarch",
    "tetrarch_x86",
    "gdbstub",
    "gdbstub_arch",
    "heapless",
    "managed",
    "spin",
    "uart_16550",
    "x86",
];

/// Who a symbol belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Share {
    Library,
    Core,
    Image,
}

/// Bytes of one kind of memory.
#[derive(Default)]
struct Memory {
    total: u64,
    library: u64,
    core: u64,
    image: u64,
}

pub fn size() -> Result<()> {
    tools::for_debugging()?;
    for name in ["minimal", "demo"] {
        let image = tools::with_progress(&format!("building {name}"), || Image::build(name))?;
        let elf = fs::read(image.path())?;
        let elf = object::File::parse(&*elf)?;
        let code = Memory::of(&elf, &[".text", ".note", ".rodata"]);
        let data = Memory::of(&elf, &[".data", ".page", ".bss"]);
        let stacks = tools::with_progress("measuring the stacks", || stack::measure(&image, &elf))?;
        println!("{name}, release profile, in bytes");
        code.print(".text + .rodata", "constants without a name, padding");
        data.print(".data + .bss", "the image's stack, page tables, padding");
        print_stack("worst stack, stub", stacks.stub);
        print_stack("worst stack, image", stacks.image);
        println!();
    }
    Ok(())
}

impl Memory {
    fn of(elf: &object::File, names: &[&str]) -> Self {
        let mut memory = Self::default();
        for section in elf.sections() {
            if !section.name().is_ok_and(|name| names.contains(&name)) {
                continue;
            }
            memory.total += section.size();
            let symbols =
                elf.symbols().filter(|symbol| symbol.section_index() == Some(section.index()));
            for symbol in symbols.filter(|symbol| is_sized(symbol.kind())) {
                let share = Share::of(&format!(
                    "{:#}",
                    rustc_demangle::demangle(symbol.name().unwrap_or(""))
                ));
                *memory.share(share) += symbol.size();
            }
        }
        memory
    }

    fn share(&mut self, share: Share) -> &mut u64 {
        match share {
            Share::Library => &mut self.library,
            Share::Core => &mut self.core,
            Share::Image => &mut self.image,
        }
    }

    fn print(&self, title: &str, rest_title: &str) {
        let rest = self.total.saturating_sub(self.library + self.core + self.image);
        println!("  {title:20} {:>8}", self.total);
        for (part, bytes) in [
            ("library", self.library),
            ("core", self.core),
            ("image", self.image),
            (rest_title, rest),
        ] {
            println!("  {:20} {bytes:>8}  {part}", "");
        }
    }
}

impl Share {
    /// By the crate that comes first in a name such as `<tetrarch::bank::Bank as ...>::fmt`.
    fn of(name: &str) -> Self {
        let path = name.trim_start_matches(|character: char| !character.is_ascii_alphabetic());
        let path =
            path.trim_start_matches("mut ").trim_start_matches("const ").trim_start_matches("dyn ");
        let first = path.split("::").next().unwrap_or(path);
        // A blanket implementation starts with a type parameter: `<T as core::any::Any>`.
        let is_parameter = first.contains(' ');
        if LIBRARY.contains(&first) || path.ends_with("::STUB") {
            Self::Library
        } else if is_parameter || ["core", "alloc", "compiler_builtins"].contains(&first) {
            Self::Core
        } else {
            Self::Image
        }
    }
}

fn is_sized(kind: SymbolKind) -> bool {
    kind == SymbolKind::Text || kind == SymbolKind::Data
}

fn print_stack(title: &str, stack: Use) {
    println!("  {title:20} {:>8}  of {}", stack.used, stack.size);
}

/// Finds a symbol by its demangled name.
pub fn symbol<'data, 'file>(
    elf: &'file object::File<'data>,
    name: &str,
) -> Result<object::Symbol<'data, 'file>> {
    elf.symbols()
        .find(|symbol| {
            format!("{:#}", rustc_demangle::demangle(symbol.name().unwrap_or(""))) == name
        })
        .with_context(|| format!("the image has no symbol {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_whose_it_is() {
        for (name, share) in [
            ("tetrarch::bank::transition", Share::Library),
            ("<tetrarch_x86::stub::Stub<_> as Trait>::handle", Share::Library),
            ("<&mut gdbstub::X as core::fmt::Write>::write_str", Share::Library),
            ("demo::guards::STUB", Share::Library),
            ("<&T as core::fmt::Debug>::fmt", Share::Core),
            ("core::fmt::write", Share::Core),
            ("examples::interrupts::TABLE", Share::Image),
            ("image_main", Share::Image),
        ] {
            assert!(Share::of(name) == share, "{name}");
        }
    }
}
