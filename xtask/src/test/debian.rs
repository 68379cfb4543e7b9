//! What the tests need of the machine itself, from Debian's packages where it is missing.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

/// The programs, and the package of each: the page of REST is tried with `curl`, machines that lose
/// each other are made with `ip` and `nft`, and `faketime` gives a node a wrong clock.
const PROGRAMS: [(&str, &str); 4] =
    [("curl", "curl"), ("ip", "iproute2"), ("nft", "nftables"), ("faketime", "faketime")];

/// Installs the packages whose programs are missing.
pub(crate) fn install_missing() -> Result<()> {
    let missing = PROGRAMS.iter().filter(|(program, _)| !is_there(program));
    missing.map(|(_, package)| *package).try_for_each(install)
}

/// Installs a package.
pub(super) fn install(package: &str) -> Result<()> {
    let mut apt = Command::new("apt-get");
    apt.args(["install", "--yes", "--quiet", package]).env("DEBIAN_FRONTEND", "noninteractive");
    run(&mut apt).with_context(|| format!("installing the Debian package `{package}`"))
}

/// Runs a command to its end, which has to be a good one.
pub(super) fn run(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command.stdin(Stdio::null()).status();
    let status = status.with_context(|| format!("starting `{program}`"))?;
    if !status.success() {
        bail!("`{program}` failed: {status}");
    }
    Ok(())
}

/// Whether the program can be started; not all of them know how they are asked for their version.
fn is_there(program: &str) -> bool {
    let mut command = Command::new(program);
    command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).stdin(Stdio::null());
    command.status().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_and_a_failure_are_told() {
        assert!(is_there("sh") || is_there("cargo"));
        assert!(!is_there("no-such-program-of-windlass"));
        let error = run(&mut Command::new("false")).unwrap_err();
        assert!(error.to_string().starts_with("`false` failed: "), "{error}");
    }
}
