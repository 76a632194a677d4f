//! The packets that gdbstub knows, from its own sources: for each somebody has decided whether it
//! gets there at all.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tetrarch::packet::Name;
use tetrarch_tests::image::workspace;

/// What is not in the fence: nobody gets through with it. A name that gdbstub has learnt has to go in
/// here, or into the fence, where `policy/names.rs` does not compile without it.
const WITHHELD: [(&str, &[&str]); 11] = [
    (
        "there are no programs to start",
        &[
            "QDisableRandomization",
            "QEnvironmentHexEncoded",
            "QEnvironmentReset",
            "QEnvironmentUnset",
            "QSetWorkingDir",
            "QStartupWithShell",
            "vAttach",
            "vRun",
        ],
    ),
    ("the image is where its symbols say", &["qOffsets"]),
    ("time does not go backwards", &["bc", "bs"]),
    ("flash is written by whoever knows how", &["vFlashErase", "vFlashWrite", "vFlashDone"]),
    (
        "there is no operating system",
        &["qXfer:auxv:read", "qXfer:exec-file:read", "QCatchSyscalls"],
    ),
    (
        "there are no files",
        &[
            "vFile:open",
            "vFile:close",
            "vFile:pread",
            "vFile:pwrite",
            "vFile:fstat",
            "vFile:unlink",
            "vFile:readlink",
            "vFile:setfs",
        ],
    ),
    ("there is a target description instead", &["qRegisterInfo"]),
    ("nothing is loaded", &["qXfer:libraries-svr4:read", "qXfer:libraries:read"]),
    (
        "there are no tracepoints",
        &[
            "QTDPsrc", "QTDP", "QTinit", "QTBuffer", "QTStart", "QTStop", "QTFrame", "qTBuffer",
            "qTStatus", "qTP", "qTfP", "qTsP", "qTfV", "qTsV",
        ],
    ),
    ("lldb asks for these, and does without", &["qHostInfo", "qProcessInfo"]),
    ("this is no WebAssembly", &["qWasmCallStack", "qWasmLocal", "qWasmGlobal", "qWasmStackValue"]),
];

#[test]
fn every_packet_that_gdbstub_knows_was_decided_about() -> Result<()> {
    let list = fs::read_to_string(gdbstub()?.join("src/protocol/commands.rs"))?;
    let (_, list) = list.split_once("\ncommands! {").context("the list has another form now")?;
    let names = list.lines().filter_map(|line| {
        let (name, _) = line.trim().strip_prefix('"')?.split_once("\" =>")?;
        Some(name)
    });
    // These two are parsed elsewhere.
    let names: BTreeSet<&str> = names.chain(["Z", "z"]).collect();
    ensure!(names.contains("m") && names.len() > 60, "the list has another form now: {names:?}");
    let is_known = |name: &&str| Name::of(name.as_bytes()).is_some();
    let (known, withheld): (BTreeSet<_>, BTreeSet<_>) = names.into_iter().partition(is_known);
    let expected: BTreeSet<_> = WITHHELD.iter().flat_map(|(_, names)| *names).copied().collect();
    ensure!(withheld == expected, "{:?}", withheld.symmetric_difference(&expected));
    ensure!(known.contains("X"), "{known:?}");
    Ok(())
}

/// Where the sources of the pinned gdbstub are.
fn gdbstub() -> Result<PathBuf> {
    let metadata = Command::new(env!("CARGO"))
        // What was fetched to build this test, and no more.
        .args(["metadata", "--format-version", "1", "--offline", "--locked"])
        .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
        .current_dir(workspace())
        .output()?;
    ensure!(metadata.status.success(), "{}", String::from_utf8_lossy(&metadata.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout)?;
    let packages = metadata["packages"].as_array().context("packages")?;
    let gdbstub = packages.iter().find(|package| package["name"] == "gdbstub");
    let manifest = gdbstub.and_then(|package| package["manifest_path"].as_str());
    let manifest = PathBuf::from(manifest.context("gdbstub is a dependency")?);
    Ok(manifest.parent().context("a manifest is in a folder")?.to_owned())
}
