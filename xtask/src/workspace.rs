//! Where the workspace is, and what cargo says of it.
//!
//! The one place that starts cargo, so that every chore uses the cargo it was started by.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

/// The root of the workspace: the parent of this package.
pub(crate) fn root() -> PathBuf {
    // Asked at run time first: a target directory may be shared by two copies of the repository.
    let package = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    package.parent().map(PathBuf::from).unwrap_or(package)
}

/// A cargo command in the root of the workspace.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root()).stdin(Stdio::null());
    command
}

/// What `cargo metadata` says, with more arguments such as `--no-deps`.
pub(crate) fn metadata(args: &[&str]) -> Result<Value> {
    let output = cargo()
        .args(["metadata", "--format-version", "1"])
        .args(args)
        .stderr(Stdio::inherit())
        .output()
        .context("starting `cargo metadata`")?;
    if !output.status.success() {
        bail!("`cargo metadata {}` failed: {}", args.join(" "), output.status);
    }
    serde_json::from_slice(&output.stdout).context("reading the answer of `cargo metadata`")
}

/// The directory that cargo builds into.
pub(crate) fn target_directory() -> Result<PathBuf> {
    let metadata = metadata(&["--no-deps"])?;
    let path = metadata["target_directory"].as_str();
    Ok(PathBuf::from(path.context("`cargo metadata` names no target directory")?))
}
