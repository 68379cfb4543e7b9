//! Python environments for tests that speak to a node from Python: pinned packages under the
//! target directory, installed once for each list of them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::workspace;

/// The environments, each with the file that lists its packages. A test finds its own as
/// `target/python/NAME/bin/python`.
const ENVIRONMENTS: [(&str, &str); 1] = [("client", "docs/examples/python/requirements.txt")];

/// Makes every environment that is not there yet as its list says.
pub(crate) fn make_all() -> Result<()> {
    for (name, list) in ENVIRONMENTS {
        make(
            &workspace::target_directory()?.join("python").join(name),
            &workspace::root().join(list),
        )?;
    }
    Ok(())
}

fn make(dir: &Path, list: &Path) -> Result<()> {
    let wanted = std::fs::read_to_string(list)
        .with_context(|| format!("reading the packages in `{}`", list.display()))?;
    let installed = dir.join("installed.txt");
    if std::fs::read_to_string(&installed).is_ok_and(|text| text == wanted) {
        return Ok(());
    }
    // What is half made, or of an older list, goes.
    if dir.exists() {
        std::fs::remove_dir_all(dir).with_context(|| format!("removing `{}`", dir.display()))?;
    }
    run(Command::new("python3").args(["-m", "venv"]).arg(dir)).context(
        "making a Python environment; on Debian `apt-get install python3 python3-venv` brings what it needs",
    )?;
    let pip: PathBuf = dir.join("bin/pip");
    run(Command::new(pip)
        .args(["install", "--quiet", "--disable-pip-version-check", "-r"])
        .arg(list))
    .with_context(|| format!("installing the packages in `{}`", list.display()))?;
    std::fs::write(&installed, wanted).with_context(|| format!("writing `{}`", installed.display()))
}

fn run(command: &mut Command) -> Result<()> {
    let status = command.stdin(Stdio::null()).status().context("starting it")?;
    if !status.success() {
        bail!("it ended with {status}");
    }
    Ok(())
}
