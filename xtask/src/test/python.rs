//! The Python that some tests are played by: strangers' tools and clients, in versions that are pinned.
//!
//! Each environment lives under the target directory, so that nothing is installed into the machine's
//! own Python, and is made anew when its list of packages changes.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};

use super::debian;
use crate::workspace;

/// The environments, each with the list of its packages. A test finds its own as
/// `target/python/NAME/bin/python`.
const ENVIRONMENTS: [(&str, &str); 2] = [
    ("client", "docs/examples/python/requirements.txt"),
    ("strangers", "xtask/src/test/requirements.txt"),
];
/// Beside the packages, once all of them are there.
const INSTALLED: &str = "installed.txt";

/// Makes every environment that is not there yet as its list says.
pub(super) fn install() -> Result<()> {
    let all = workspace::target_directory()?.join("python");
    ENVIRONMENTS.iter().try_for_each(|(name, list)| {
        make(&all.join(name), &workspace::root().join(list))
            .with_context(|| format!("the tests' Python environment `{name}`"))
    })
}

fn make(directory: &Path, list: &Path) -> Result<()> {
    let wanted =
        fs::read_to_string(list).with_context(|| format!("reading `{}`", list.display()))?;
    let installed = directory.join(INSTALLED);
    if fs::read_to_string(&installed).is_ok_and(|packages| packages == wanted) {
        return Ok(());
    }
    eprintln!("installing the packages of {} into {}", list.display(), directory.display());
    // What is half made, or of an older list, goes.
    if directory.exists() {
        fs::remove_dir_all(directory)
            .with_context(|| format!("removing `{}`", directory.display()))?;
    }
    venv(directory)?;
    let mut pip = Command::new(directory.join("bin/pip"));
    pip.args(["install", "--quiet", "--disable-pip-version-check", "--requirement"]).arg(list);
    debian::run(&mut pip)
        .with_context(|| format!("installing the packages of `{}`", list.display()))?;
    fs::write(&installed, wanted).with_context(|| format!("writing `{}`", installed.display()))
}

/// An environment without packages. Debian has what makes one in a package of its own.
fn venv(directory: &Path) -> Result<()> {
    let mut venv = Command::new("python3");
    venv.args(["-m", "venv"]).arg(directory).stdin(Stdio::null());
    let Err(first) = debian::run(&mut venv) else { return Ok(()) };
    debian::install("python3-venv").with_context(|| format!("{first:#}"))?;
    debian::run(&mut venv)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_package_is_pinned() {
        for (_, list) in ENVIRONMENTS {
            let packages = fs::read_to_string(workspace::root().join(list)).unwrap();
            let named = |line: &&str| !line.starts_with('#') && !line.is_empty();
            let packages: Vec<_> = packages.lines().filter(named).collect();
            assert!(!packages.is_empty());
            assert!(packages.iter().all(|line| line.contains("==")), "{list}: {packages:?}");
        }
    }
}
