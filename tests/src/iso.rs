//! A disc from which GRUB boots an image: what Bochs, which loads no ELF files, starts from.
//!
//! Only the modules that this takes go onto it, and only GRUB for a PC's BIOS: for EFI,
//! `grub-mkrescue` would want more programs.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::image::Image;

/// The program that makes the disc; it runs xorriso.
pub const PROGRAM: &str = "grub-mkrescue";

/// Where Debian puts GRUB for a PC's BIOS.
pub const PLATFORM: &str = "/usr/lib/grub/i386-pc";

/// Writes a disc with the image and its command line into `directory`.
pub fn write(directory: &Path, image: &Image, arguments: &[String]) -> Result<PathBuf> {
    let content = directory.join("disc");
    let grub = content.join("boot/grub");
    fs::create_dir_all(&grub)?;
    fs::copy(image.path(), content.join("image"))?;
    let words = arguments.join(" ");
    fs::write(grub.join("grub.cfg"), format!("set timeout=0\nmultiboot2 /image {words}\nboot\n"))?;

    let disc = directory.join("disc.iso");
    let said = directory.join("disc.log");
    let log = File::create(&said)?;
    let status = Command::new(PROGRAM)
        .arg(format!("--directory={PLATFORM}"))
        .args(["--install-modules=multiboot2 normal iso9660 biosdisk"])
        .args(["--fonts=", "--themes=", "--locales="])
        .arg("-o")
        .arg(&disc)
        .arg(&content)
        .env("TMPDIR", directory)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .status()
        .with_context(|| format!("cannot run {PROGRAM}"))?;
    if !status.success() {
        bail!("{PROGRAM} failed ({status}):\n{}", fs::read_to_string(&said)?);
    }
    Ok(disc)
}
