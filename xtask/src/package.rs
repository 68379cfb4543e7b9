//! What people install: one static binary, a Debian package, a container image.
//!
//! All three hold the same binary. It must never depend on a library of the machine it was built on, or it would not
//! run elsewhere.

mod binary;
mod deb;
mod image;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, bail, ensure};

use crate::workspace;

/// What to make, and where.
struct Options {
    out: PathBuf,
    profile: String,
    kinds: Vec<Kind>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Binary,
    Deb,
    Image,
}

/// Builds what `args` name, by default everything, and prints where it is.
pub(crate) fn run(args: &[String]) -> Result<ExitCode> {
    let options = Options::read(args)?;
    std::fs::create_dir_all(&options.out)
        .with_context(|| format!("creating `{}`", options.out.display()))?;
    let binary = binary::build(&options.profile, &options.out)?;
    println!("{}", binary.display());
    if options.kinds.contains(&Kind::Deb) {
        println!("{}", deb::build(&binary, &options.out)?.display());
    }
    if options.kinds.contains(&Kind::Image) {
        println!("{}", image::build(&binary, &options.out)?.display());
    }
    Ok(ExitCode::SUCCESS)
}

impl Options {
    fn read(args: &[String]) -> Result<Options> {
        let mut options = Options {
            out: workspace::target_directory()?.join("package"),
            profile: "release".to_owned(),
            kinds: Vec::new(),
        };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let mut value = || args.next().with_context(|| format!("`{arg}` needs a value"));
            match arg.as_str() {
                "--out" => options.out = std::path::absolute(value()?)?,
                "--profile" => options.profile = value()?.clone(),
                "binary" => options.kinds.push(Kind::Binary),
                "deb" => options.kinds.push(Kind::Deb),
                "image" => options.kinds.push(Kind::Image),
                other => bail!("`{other}` is not understood: name binary, deb or image"),
            }
        }
        if options.kinds.is_empty() {
            options.kinds = vec![Kind::Binary, Kind::Deb, Kind::Image];
        }
        Ok(options)
    }
}

/// The version of the workspace.
fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// Runs a program to its end, and fails with what it said.
fn run_program(command: &mut Command, hint: &str) -> Result<()> {
    let shown = format!("`{}`", command.get_program().display());
    let output = command.output().with_context(|| format!("starting {shown}: {hint}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{shown} failed, {}: {}", output.status, said.trim());
    Ok(())
}

/// Copies a file, with the mode it is to have.
fn install(from: &Path, to: &Path, mode: u32) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let what = || format!("copying `{}` to `{}`", from.display(), to.display());
    let dir = to.parent().expect("a file lies in a directory");
    std::fs::create_dir_all(dir).with_context(what)?;
    std::fs::copy(from, to).with_context(what)?;
    std::fs::set_permissions(to, std::fs::Permissions::from_mode(mode)).with_context(what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_made_unless_some_are_named() {
        let read = |words: &[&str]| {
            Options::read(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(read(&[]).unwrap().kinds, [Kind::Binary, Kind::Deb, Kind::Image]);
        let some = read(&["deb", "--profile", "dev", "--out", "/x"]).unwrap();
        assert_eq!((some.kinds, some.profile.as_str()), (vec![Kind::Deb], "dev"));
        assert!(read(&["rpm"]).is_err() && read(&["--out"]).is_err());
    }
}
