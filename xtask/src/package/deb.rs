//! The Debian package: the binary, a systemd unit, a default configuration, manual pages and completions.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::{install, run_program, version};
use crate::workspace;

/// Each line begins with a space, as control files have it.
const DESCRIPTION: &str = concat!(
    " Windlass turns Linux machines into one place to run work, and loses none of it:\n",
    " commands and arrays of them, with limits, retries, timeouts, live output and a\n",
    " history of every attempt.",
);

/// Builds it and puts it into `out`.
pub(super) fn build(binary: &Path, out: &Path) -> Result<PathBuf> {
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let name = format!("windlass_{}_{arch}", version());
    let tree = out.join(&name);
    if tree.exists() {
        fs::remove_dir_all(&tree).with_context(|| format!("clearing `{}`", tree.display()))?;
    }
    fill(binary, &tree)?;
    let size = size_of(&tree)?.div_ceil(1024);
    let control = format!(
        "Package: windlass\nVersion: {}\nArchitecture: {arch}\nMaintainer: The Windlass authors <windlass@localhost>\n\
         Installed-Size: {size}\nSection: admin\nPriority: optional\n\
         Description: distributed job scheduler\n{DESCRIPTION}\n",
        version()
    );
    let write = |name: &str, text: &str| {
        let path = tree.join("DEBIAN").join(name);
        fs::write(&path, text).with_context(|| format!("writing `{}`", path.display()))
    };
    fs::create_dir_all(tree.join("DEBIAN")).context("making the package's control files")?;
    write("control", &control)?;
    write("conffiles", "/etc/windlass/windlass.yaml\n")?;
    for script in ["postinst", "prerm", "postrm"] {
        let from = workspace::root().join("packaging/deb").join(script);
        install(&from, &tree.join("DEBIAN").join(script), 0o755)?;
    }
    let deb = out.join(format!("{name}.deb"));
    let mut dpkg = Command::new("dpkg-deb");
    dpkg.args(["--build", "--root-owner-group", "-Zgzip"]).arg(&tree).arg(&deb);
    run_program(&mut dpkg, "it comes with Debian's `dpkg`, which makes the package")?;
    Ok(deb)
}

/// Everything that is installed, in its place below `tree`.
fn fill(binary: &Path, tree: &Path) -> Result<()> {
    let root = workspace::root();
    install(binary, &tree.join("usr/bin/windlass"), 0o755)?;
    let unit = "lib/systemd/system/windlass.service";
    install(&root.join("packaging/windlass.service"), &tree.join(unit), 0o644)?;
    let config = tree.join("etc/windlass/windlass.yaml");
    install(&root.join("contrib/windlass.yaml"), &config, 0o644)?;
    let doc = tree.join("usr/share/doc/windlass");
    install(&root.join("CHANGELOG.md"), &doc.join("CHANGELOG.md"), 0o644)?;
    let mut copyright = "Windlass\n\n".to_owned();
    let license = fs::read_to_string(root.join("LICENSE")).context("reading `LICENSE`")?;
    write!(copyright, "{license}")?;
    fs::write(doc.join("copyright"), copyright).context("writing the copyright file")?;
    made_by(binary, &["man"], &tree.join("usr/share/man/man1"))?;
    for (shell, path) in [
        ("bash", "usr/share/bash-completion/completions/windlass"),
        ("zsh", "usr/share/zsh/vendor-completions/_windlass"),
        ("fish", "usr/share/fish/vendor_completions.d/windlass.fish"),
    ] {
        let output = Command::new(binary).args(["completions", shell]).output();
        let output = output.context("starting the binary for its completions")?;
        ensure!(output.status.success(), "`windlass completions {shell}` failed");
        let path = tree.join(path);
        fs::create_dir_all(path.parent().expect("it lies in a directory"))?;
        fs::write(&path, output.stdout).with_context(|| format!("writing `{}`", path.display()))?;
    }
    Ok(())
}

/// Lets the binary write files into a directory, which is its last argument.
fn made_by(binary: &Path, args: &[&str], dir: &Path) -> Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("creating `{}`", dir.display()))?;
    run_program(Command::new(binary).args(args).arg(dir), "it was built just now")
}

/// Bytes of all files below `dir`.
fn size_of(dir: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let meta = entry.metadata()?;
        bytes += if meta.is_dir() { size_of(&entry.path())? } else { meta.len() };
    }
    Ok(bytes)
}
