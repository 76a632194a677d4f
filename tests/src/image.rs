//! Builds the example images, and knows where they are.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail};

/// The target that the images are built for.
pub const TARGET: &str = "x86_64-unknown-none";

/// The images built by this process, by name.
static BUILT: Mutex<Option<HashMap<String, Image>>> = Mutex::new(None);

/// An image that has been built.
#[derive(Clone, Debug)]
pub struct Image {
    name: String,
    path: PathBuf,
}

impl Image {
    /// Builds an image in release mode, at most once a process. Cargo's messages go to the
    /// terminal if it fails.
    pub fn build(name: &str) -> Result<Self> {
        // A build that panicked leaves the map as it was.
        let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
        let built = built.get_or_insert_default();
        if let Some(image) = built.get(name) {
            return Ok(image.clone());
        }
        let image = Self { name: name.to_owned(), path: build(name)? };
        built.insert(name.to_owned(), image.clone());
        Ok(image)
    }

    /// The name of its file in `examples/src/bin`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The ELF file, with debug information.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// The workspace's directory.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("this package is a folder of the workspace")
}

fn build(name: &str) -> Result<PathBuf> {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .current_dir(workspace())
        .args(["build", "--package", "examples", "--bin", name, "--release", "--target", TARGET])
        .arg("--message-format=json-render-diagnostics")
        // The environment's flags would replace those of .cargo/config.toml.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .stdin(Stdio::null())
        .output()
        .context("cannot run cargo")?;
    if !output.status.success() {
        bail!("the image {name} does not build:\n{}", String::from_utf8_lossy(&output.stderr));
    }
    output
        .stdout
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice::<serde_json::Value>(line).ok())
        .filter(|message| message["target"]["name"] == name)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .with_context(|| format!("cargo built {name} and did not say where"))
}
