//! The fuzz targets are a workspace of their own, which nothing else builds: they are checked here, so
//! that they do not rot between two looks for more.

use anyhow::{Context as _, Result, bail};

use super::lanes;
use crate::workspace;

/// Checks that all targets compile. Their dependencies are checked once, under the target directory;
/// the fuzzer itself is not run.
pub(super) fn check() -> Result<()> {
    let mut cargo = workspace::cargo();
    cargo.args(["check", "--quiet", "--all-targets", "--manifest-path"]);
    cargo.arg(workspace::root().join("fuzz/Cargo.toml"));
    cargo.arg("--target-dir").arg(workspace::target_directory()?.join("fuzz-check"));
    // Nothing is linked, so that libFuzzer need not be built, which takes a C++ compiler.
    cargo.env("CUSTOM_LIBFUZZER_PATH", "/nonexistent/libfuzzer.a");
    let status =
        lanes::lowest(&cargo).status().context("starting `cargo check` of the fuzz targets")?;
    if !status.success() {
        bail!("the fuzz targets do not compile");
    }
    Ok(())
}
