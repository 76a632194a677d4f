//! Where the library can panic, in the image `minimal` as it is linked: a list that may only
//! shrink.
//!
//! A panic ends in one of `core`'s functions that never return, and those in the image's panic
//! handler. So each call of one of them is a place where something can panic; by the debug
//! information it is named after the innermost function that is not `core`'s, in which it was written,
//! wherever the compiler has inlined that. That function also says whose it is: much of the library
//! is inlined in what the image calls it from, and what the image wrote is its own affair.
//!
//! Where the compiler has made one call out of several, the debug information tells of one of them, or
//! of none. But each panic brings along the file in which it was written, and those are constants of the
//! image: a file of the library's that no call accounts for is listed, too.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs;
use std::ops::Range;

use addr2line::Loader;
use anyhow::{Context, Result, ensure};
use iced_x86::{Decoder, DecoderOptions, FlowControl, Instruction};
use object::{Object, ObjectSection, ObjectSymbol, SymbolKind};
use tetrarch_tests::Image;

/// The list: what it is named after, the kind of panic, and why it does not happen.
const LIST: &str = include_str!("panics.txt");

/// What every panic ends in.
const HANDLER: &str = "rust_begin_unwind";

/// One function of the image.
struct Function {
    name: String,
    range: Range<u64>,
    /// What could be the address of a function, and the instruction in which it is: what is called
    /// or jumped to, and constants, for calls through a register.
    mentions: Vec<(u64, u64)>,
    /// Where it jumps to for good. What is there returns in its place.
    ends_in: Vec<u64>,
    returns: bool,
}

/// All of them, by address.
fn functions(elf: &object::File) -> Result<HashMap<u64, Function>> {
    let text = elf.section_by_name(".text").context("no .text")?;
    let (start, bytes) = (text.address(), text.data()?);
    let mut functions = HashMap::new();
    for symbol in elf.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text) {
        let offset = symbol.address().wrapping_sub(start) as usize;
        let Some(code) = bytes.get(offset..).and_then(|rest| rest.get(..symbol.size() as usize))
        else {
            continue;
        };
        let mut function = Function {
            name: format!("{:#}", rustc_demangle::demangle(symbol.name()?)),
            range: symbol.address()..symbol.address() + symbol.size(),
            mentions: Vec::new(),
            ends_in: Vec::new(),
            returns: false,
        };
        for instruction in &mut Decoder::with_ip(64, code, symbol.address(), DecoderOptions::NONE) {
            function.note(&instruction);
        }
        functions.insert(symbol.address(), function);
    }
    Ok(functions)
}

impl Function {
    fn note(&mut self, instruction: &Instruction) {
        let target = instruction.near_branch_target();
        let constants =
            (0..instruction.op_count()).filter_map(|n| instruction.try_immediate(n).ok());
        let addresses = constants.chain([target, instruction.memory_displacement64()]);
        self.mentions.extend(addresses.map(|address| (instruction.ip(), address)));
        match instruction.flow_control() {
            FlowControl::UnconditionalBranch | FlowControl::ConditionalBranch => {
                self.ends_in.extend(Some(target).filter(|target| !self.range.contains(target)));
            }
            FlowControl::Return | FlowControl::IndirectBranch => self.returns = true,
            FlowControl::Next
            | FlowControl::Call
            | FlowControl::IndirectCall
            | FlowControl::Interrupt
            | FlowControl::XbeginXabortXend
            | FlowControl::Exception => {}
        }
    }

    fn can_return(&self, panicking: &HashSet<u64>) -> bool {
        self.returns || self.ends_in.iter().any(|target| !panicking.contains(target))
    }

    /// Where it comes to one of `panicking`, and to which.
    fn panics(&self, panicking: &HashSet<u64>) -> impl Iterator<Item = (u64, u64)> {
        self.mentions.iter().copied().filter(|(_, target)| panicking.contains(target))
    }
}

/// The functions of `core` that never return because they panic.
fn panicking(functions: &HashMap<u64, Function>) -> HashSet<u64> {
    let named = |function: &Function, name: &str| function.name.ends_with(name);
    let mut panicking: HashSet<u64> = functions
        .iter()
        .filter(|(_, function)| named(function, HANDLER))
        .map(|(address, _)| *address)
        .collect();
    loop {
        let more: Vec<u64> = functions
            .iter()
            .filter(|(address, function)| {
                !panicking.contains(address)
                    && !function.can_return(&panicking)
                    && function.name.starts_with("core::")
                    && function.panics(&panicking).next().is_some()
            })
            .map(|(address, _)| *address)
            .collect();
        if more.is_empty() {
            return panicking;
        }
        panicking.extend(more);
    }
}

/// Who wrote the call at `address`, by the debug information.
fn author(loader: &Loader, address: u64) -> Result<Author> {
    let said = |error| anyhow::anyhow!("{address:#x}: {error}");
    let mut frames = loader.find_frames(address).map_err(said)?;
    while let Some(frame) = frames.next()? {
        let file = frame.location.and_then(|location| location.file).unwrap_or_default();
        if is_of_the_standard_library(file) {
            continue;
        }
        let function = frame.function.context("a frame without a function")?;
        return Ok(if is_of_the_image(file) {
            Author::Image
        } else {
            Author::Library { name: function.demangle()?.into_owned(), file: file.to_owned() }
        });
    }
    Ok(Author::Core)
}

/// It is called `/rustc/…` where its sources are not installed.
fn is_of_the_standard_library(file: &str) -> bool {
    file.starts_with("/rustc/") || file.contains("/rustlib/src/rust/library/")
}

fn is_of_the_image(file: &str) -> bool {
    file.contains("examples/src/")
}

enum Author {
    Library {
        name: String,
        file: String,
    },
    Image,
    /// It is in none but functions of `core`: whoever calls them cannot be told from here.
    Core,
}

/// The files that panics bring along: of each `core::panic::Location`, which is the address and the
/// length of a file's name, a line and a column.
fn files(elf: &object::File) -> Result<BTreeSet<String>> {
    let constants = elf.section_by_name(".rodata").context("no .rodata")?;
    let (start, bytes) = (constants.address(), constants.data()?);
    let text = |place: &[u8; 16]| {
        let (address, length) = place.split_at(8);
        let offset = u64::from_le_bytes(address.try_into().ok()?).checked_sub(start)? as usize;
        let length = u64::from_le_bytes(length.try_into().ok()?) as usize;
        let text = bytes.get(offset..)?.get(..length)?;
        std::str::from_utf8(text).ok().filter(|text| text.ends_with(".rs")).map(str::to_owned)
    };
    let words = bytes.get(start.next_multiple_of(8).abs_diff(start) as usize..).unwrap_or_default();
    let places = (0..words.len()).step_by(8).filter_map(|at| words.get(at..)?.first_chunk());
    Ok(places.filter_map(text).collect())
}

/// Where the library can panic, and how.
fn found() -> Result<BTreeSet<String>> {
    let image = Image::build("minimal")?;
    let bytes = fs::read(image.path())?;
    let elf = object::File::parse(&*bytes)?;
    let functions = functions(&elf)?;
    let panicking = panicking(&functions);
    ensure!(panicking.len() > 3, "these never return: {panicking:?}");
    let loader = Loader::new(image.path()).map_err(|error| anyhow::anyhow!("{error}"))?;
    let mut unaccounted = files(&elf)?;
    ensure!(unaccounted.iter().any(|file| is_of_the_image(file)), "no panic has a file");
    unaccounted.retain(|file| !is_of_the_image(file) && !is_of_the_standard_library(file));
    let mut found = BTreeSet::new();
    for (_, function) in functions.iter().filter(|(address, _)| !panicking.contains(address)) {
        for (from, target) in function.panics(&panicking) {
            let kind = &functions[&target].name;
            match author(&loader, from)? {
                Author::Library { name, file } => {
                    found.insert(format!("{name} — {kind}"));
                    // The panics of a package of the workspace have its path there.
                    unaccounted.retain(|other| !file.ends_with(other.as_str()));
                }
                Author::Core => _ = found.insert(format!("{} — {kind}", function.name)),
                Author::Image => {}
            }
        }
    }
    let merged = unaccounted.iter().map(|file| {
        // From the package's name on, without whose machine it is.
        let package = file.split_once("/registry/src/").and_then(|(_, rest)| rest.split_once('/'));
        let file = package.map_or(file.as_str(), |(_, file)| file);
        format!("{file} — a call that stands for several")
    });
    found.extend(merged);
    Ok(found)
}

#[test]
fn what_can_panic_in_the_library_is_known_and_grows_no_more() -> Result<()> {
    let found = found()?;
    let entries = LIST.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let entries = entries.map(|line| line.rsplit_once(" — ").context(line));
    let listed: BTreeMap<&str, &str> = entries.collect::<Result<_>>()?;
    ensure!(listed.values().all(|reason| !reason.is_empty()), "each has a reason: {listed:#?}");
    let new: Vec<_> = found.iter().filter(|one| !listed.contains_key(one.as_str())).collect();
    let gone: Vec<_> = listed.keys().filter(|one| !found.contains(**one)).collect();
    ensure!(
        new.is_empty() && gone.is_empty(),
        "these can panic and did not before: {new:#?}\n\
         these cannot any more; take them out of the list: {gone:#?}"
    );
    Ok(())
}
