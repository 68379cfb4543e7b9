//! The Python that some tests are played by: strangers' tools and clients, in versions that are pinned.
//!
//! It lives under the target directory, so that nothing is installed into the machine's own Python.
//! It is made anew when the list of packages changes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::workspace;

/// Where a test finds it.
pub(super) const VARIABLE: &str = "WINDLASS_TEST_PYTHON";
/// What it has, each in one version.
const PACKAGES: &str = include_str!("requirements.txt");
/// Beside the packages, once all of them are there.
const INSTALLED: &str = "installed.txt";

/// Installs what is missing; where it is.
pub(super) fn install() -> Result<PathBuf> {
    let directory = workspace::target_directory()?.join("test-python");
    let installed = directory.join(INSTALLED);
    if fs::read_to_string(&installed).is_ok_and(|packages| packages == PACKAGES) {
        return Ok(directory);
    }
    eprintln!("installing the tests' Python packages into {}", directory.display());
    if directory.exists() {
        fs::remove_dir_all(&directory)
            .with_context(|| format!("removing {}", directory.display()))?;
    }
    make(&directory)?;
    let list = directory.join("requirements.txt");
    fs::write(&list, PACKAGES).with_context(|| format!("writing {}", list.display()))?;
    let mut pip = Command::new(directory.join("bin/pip"));
    pip.args(["install", "--quiet", "--disable-pip-version-check", "--requirement"]).arg(&list);
    run(&mut pip).context("installing the packages of xtask/src/test/requirements.txt")?;
    fs::write(&installed, PACKAGES).with_context(|| format!("writing {}", installed.display()))?;
    Ok(directory)
}

/// An environment without packages. Debian has what makes one in a package of its own.
fn make(directory: &Path) -> Result<()> {
    let mut venv = Command::new("python3");
    venv.args(["-m", "venv"]).arg(directory);
    let Err(first) = run(&mut venv) else { return Ok(()) };
    let mut apt = Command::new("apt-get");
    apt.args(["install", "--yes", "--quiet", "python3-venv"]);
    run(&mut apt).with_context(|| format!("{first:#}; installing `python3-venv` for it"))?;
    run(&mut venv)
}

fn run(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command.status().with_context(|| format!("starting `{program}`"))?;
    if !status.success() {
        bail!("`{program}` failed: {status}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_package_is_pinned() {
        let packages: Vec<_> = PACKAGES.lines().filter(|line| !line.starts_with('#')).collect();
        assert!(!packages.is_empty());
        assert!(packages.iter().all(|line| line.contains("==")), "{packages:?}");
    }
}
