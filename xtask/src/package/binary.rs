//! The static binary.
//!
//! With musl where the toolchain has it, else with the machine's own C library linked in. The latter is as static: the
//! users of a machine are read from its files, never through a library that would be loaded at run time.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::{install, version};
use crate::workspace;

/// Builds it and puts it into `out`.
pub(super) fn build(profile: &str, out: &Path) -> Result<PathBuf> {
    let target = target()?;
    let mut cargo = workspace::cargo();
    // Of the library there is no need at run time, whichever it is, and nothing is moved at each start
    // (docs/adr/0026-fixed-addresses.md); a target that is named keeps the flags away from the build's
    // own programs.
    cargo.env("RUSTFLAGS", "-C target-feature=+crt-static -C relocation-model=static");
    cargo.args(["build", "--locked", "--package", "windlass", "--target", &target]);
    cargo.args(["--profile", profile, "--config", &format!("profile.{profile}.strip=\"symbols\"")]);
    cargo.args(["--config", &format!("profile.{profile}.debug=false")]);
    let built = cargo.status().context("starting `cargo build`")?;
    ensure!(built.success(), "the static binary does not build");
    let dir = if profile == "dev" { "debug" } else { profile };
    let binary = workspace::target_directory()?.join(&target).join(dir).join("windlass");
    let arch = std::env::consts::ARCH;
    let to = out.join(format!("windlass-{}-{arch}-linux", version()));
    install(&binary, &to, 0o755)?;
    Ok(to)
}

/// musl, if the toolchain has its standard library.
fn target() -> Result<String> {
    let arch = std::env::consts::ARCH;
    let musl = format!("{arch}-unknown-linux-musl");
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc)
        .args(["--print", "target-libdir", "--target", &musl])
        .output()
        .context("starting `rustc`")?;
    let libdir = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    let has_musl = output.status.success() && libdir.is_dir();
    Ok(if has_musl { musl } else { format!("{arch}-unknown-linux-gnu") })
}
