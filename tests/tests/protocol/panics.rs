//! Where the library can panic, in the image `minimal` as it is linked: a list that may only
//! shrink.
//!
//! A panic ends in one of `core`'s functions that never return, and those in the image's panic
//! handler. So each call of one of them is a place where something can panic; by the debug
//! information it is named after the innermost function that is not `core`'s, in which it was written,
//! wherever the compiler has inlined that.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs;

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
    /// Where it jumps or calls to, and from where.
    calls: Vec<(u64, u64)>,
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
        let name = format!("{:#}", rustc_demangle::demangle(symbol.name()?));
        let mut function = Function { name, calls: Vec::new(), returns: false };
        for instruction in &mut Decoder::with_ip(64, code, symbol.address(), DecoderOptions::NONE) {
            function.note(&instruction);
        }
        functions.insert(symbol.address(), function);
    }
    Ok(functions)
}

impl Function {
    fn note(&mut self, instruction: &Instruction) {
        match instruction.flow_control() {
            FlowControl::Call
            | FlowControl::UnconditionalBranch
            | FlowControl::ConditionalBranch => {
                self.calls.push((instruction.ip(), instruction.near_branch_target()));
            }
            FlowControl::Return | FlowControl::IndirectBranch => self.returns = true,
            FlowControl::Next
            | FlowControl::IndirectCall
            | FlowControl::Interrupt
            | FlowControl::XbeginXabortXend
            | FlowControl::Exception => {}
        }
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
                    && !function.returns
                    && function.name.starts_with("core::")
                    && function.calls.iter().any(|(_, target)| panicking.contains(target))
            })
            .map(|(address, _)| *address)
            .collect();
        if more.is_empty() {
            return panicking;
        }
        panicking.extend(more);
    }
}

/// Who wrote the call at `address`, by the debug information: the innermost function that is not of
/// the standard library; and whether the image's own code is around it.
fn author(loader: &Loader, address: u64) -> Result<Author> {
    let said = |error| anyhow::anyhow!("{address:#x}: {error}");
    let mut frames = loader.find_frames(address).map_err(said)?;
    let (mut name, mut is_image) = (None, false);
    while let Some(frame) = frames.next()? {
        let function =
            frame.function.context("a frame without a function")?.demangle()?.into_owned();
        let file = frame.location.and_then(|location| location.file).unwrap_or_default();
        is_image |= file.contains("examples/src");
        if !file.starts_with("/rustc/") && name.is_none() {
            name = Some(function);
        }
    }
    Ok(match name {
        _ if is_image => Author::Image,
        Some(name) => Author::Library(name),
        None => Author::Core,
    })
}

enum Author {
    Library(String),
    /// What the image does is its own affair.
    Image,
    /// Not called, or called by who does not know what it does.
    Core,
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
    let mut found = BTreeSet::new();
    for (_, function) in functions.iter().filter(|(address, _)| !panicking.contains(address)) {
        for (from, target) in function.calls.iter().filter(|(_, to)| panicking.contains(to)) {
            let kind = &functions[target].name;
            match author(&loader, *from)? {
                Author::Library(name) => _ = found.insert(format!("{name} — {kind}")),
                Author::Core => _ = found.insert(format!("{} — {kind}", function.name)),
                Author::Image => {}
            }
        }
    }
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
    ensure!(new.is_empty(), "these can panic and did not before: {new:#?}");
    ensure!(gone.is_empty(), "these cannot any more; take them out of the list: {gone:#?}");
    Ok(())
}
