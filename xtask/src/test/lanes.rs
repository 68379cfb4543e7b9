//! The built tests, and in which order they run.
//!
//! What plays with real processes, sockets and time runs one after the other and has the machine for itself, but for
//! what only computes: that runs beside it, at the lowest priority, while the others wait for something. Nothing is
//! left out for it: what is not known to be of one kind has the machine for itself.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::summary::Summary;
use super::{fuzz, run_streamed};
use crate::workspace;

/// Packages whose tests only compute: how long those take means nothing.
const COMPUTE: [&str; 7] = ["history", "machine", "model", "proto", "reactor", "sim", "storm"];

/// A test binary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Binary {
    package: String,
    /// As cargo names it: `tests/cli/main.rs`.
    source: String,
    executable: PathBuf,
    /// Where it runs: the directory of its package.
    directory: PathBuf,
}

/// Builds all tests, and the programs that they start; what does not build is told by cargo itself.
pub(super) fn build() -> Result<Vec<Binary>> {
    let mut command = workspace::cargo();
    command.args([
        "test",
        "--workspace",
        "--no-run",
        "--message-format",
        "json-render-diagnostics",
    ]);
    let mut child = command.stdout(Stdio::piped()).spawn().context("starting `cargo test`")?;
    let messages = child.stdout.take().context("reading what cargo builds")?;
    let mut all = Vec::new();
    for line in BufReader::new(messages).lines() {
        let message = serde_json::from_str(&line?).context("understanding what cargo builds")?;
        all.extend(binary(&message));
    }
    if !child.wait().context("waiting for `cargo test`")?.success() {
        bail!("the tests do not build, so none was run");
    }
    Ok(all)
}

/// The test binary that a message of cargo is about.
fn binary(message: &Value) -> Option<Binary> {
    if message["reason"] != "compiler-artifact" || message["profile"]["test"] != true {
        return None;
    }
    let executable = PathBuf::from(message["executable"].as_str()?);
    let manifest = PathBuf::from(message["manifest_path"].as_str()?);
    let directory = manifest.parent()?.to_owned();
    let source = PathBuf::from(message["target"]["src_path"].as_str()?);
    let source = source.strip_prefix(&directory).ok()?.display().to_string();
    let package = directory.file_name()?.to_str()?.to_owned();
    Some(Binary { package, source, executable, directory })
}

impl Binary {
    fn only_computes(&self) -> bool {
        COMPUTE.contains(&self.package.as_str())
    }

    fn command(&self, filter: &[String]) -> Command {
        let mut command = Command::new(&self.executable);
        command.args(filter).current_dir(&self.directory).stdin(Stdio::null());
        command.env("CARGO_MANIFEST_DIR", &self.directory);
        if self.only_computes() { lowest(&command) } else { command }
    }

    /// As cargo says it, which is what the summary reads.
    fn title(&self) -> String {
        format!("     Running {} ({})", self.source, self.executable.display())
    }
}

/// The same command, which takes only the time that nobody else wants.
pub(super) fn lowest(of: &Command) -> Command {
    let mut command = Command::new("nice");
    command.args(["-n", "19"]).arg(of.get_program()).args(of.get_args());
    if let Some(directory) = of.get_current_dir() {
        command.current_dir(directory);
    }
    command.envs(of.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.stdin(Stdio::null());
    command
}

/// Runs them all, with those arguments.
pub(super) fn run(all: &[Binary], filter: &[String]) -> Result<Summary> {
    let (computing, playing): (Vec<_>, Vec<_>) =
        all.iter().partition(|binary| binary.only_computes());
    std::thread::scope(|scope| {
        let beside = scope.spawn(|| {
            let mut summary = Summary::default();
            for binary in computing {
                // Told as one, for the others tell of themselves meanwhile.
                let mut lines = vec![binary.title()];
                one(binary, filter, &mut summary, |line| lines.push(line.to_owned()))?;
                println!("{}", lines.join("\n"));
            }
            // What is looked for by its name alone is not in there.
            if filter.is_empty() {
                summary.also(fuzz::check());
            }
            Ok(summary)
        });
        let mut summary = Summary::default();
        for binary in playing {
            println!("{}", binary.title());
            one(binary, filter, &mut summary, |line| println!("{line}"))?;
        }
        let beside: Result<Summary> = match beside.join() {
            Ok(beside) => beside,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        summary.add(beside?);
        Ok(summary)
    })
}

fn one(
    binary: &Binary,
    filter: &[String],
    summary: &mut Summary,
    mut tell: impl FnMut(&str),
) -> Result<()> {
    summary.read(&binary.title());
    let status = run_streamed(binary.command(filter), |line| {
        tell(line);
        summary.read(line);
    });
    let status = status.with_context(|| binary.title())?;
    summary.ended(status);
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn message(package: &str, test: bool) -> Value {
        json!({
            "reason": "compiler-artifact",
            "profile": { "test": test },
            "executable": "/t/debug/deps/all-0a1b",
            "manifest_path": format!("/w/crates/{package}/Cargo.toml"),
            "target": { "src_path": format!("/w/crates/{package}/tests/all/main.rs") },
        })
    }

    #[test]
    fn a_test_binary_is_known_by_what_cargo_says() {
        let found = binary(&message("sim", true)).unwrap();
        assert_eq!(found.title(), "     Running tests/all/main.rs (/t/debug/deps/all-0a1b)");
        assert_eq!(found.directory, PathBuf::from("/w/crates/sim"));
        assert!(
            found.only_computes() && !binary(&message("runner", true)).unwrap().only_computes()
        );
        assert_eq!(binary(&message("sim", false)), None);
        assert_eq!(binary(&json!({ "reason": "build-finished", "success": true })), None);
    }

    #[test]
    fn one_that_fails_or_dies_is_counted() {
        let dir = tempfile::tempdir().unwrap();
        let of = |package: &str, script: &str| {
            let executable = dir.path().join(format!("{package}-0"));
            std::fs::write(&executable, format!("#!/bin/sh\n{script}\n")).unwrap();
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            std::fs::set_permissions(&executable, mode).unwrap();
            let directory = dir.path().to_owned();
            Binary { package: package.into(), source: "src/lib.rs".into(), executable, directory }
        };
        let good = "echo \"test result: ok. 2 passed; 0 failed; 0 ignored; $1\"";
        let all = [of("sim", good), of("node", good), of("api", "kill -9 $$")];
        let summary = run(&all, &["name".to_owned()]).unwrap();
        assert!(!summary.is_good());
        assert!(summary.to_string().contains("4 passed, 1 failed"), "{summary}");
        assert!(run(&all[..2], &["name".to_owned()]).unwrap().is_good());
    }
}
