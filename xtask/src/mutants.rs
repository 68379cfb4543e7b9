//! Breaks rules on purpose, one at a time, and has the simulation find each.
//!
//! A simulation that finds nothing proves nothing until it is seen to find what is there. Each mutant
//! is one change of the reactors or the machine; it is made in a copy of the sources, and the worlds
//! are run in the order of their seeds until one breaks. A mutant that none finds fails the chore,
//! and so does one whose text is not there any more.

mod rules;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use crate::workspace;
use rules::{RULES, Rule};

/// Worlds that are tried for each mutant.
const SEEDS: u64 = 2_000;
/// Worlds of one process.
const CHUNK: u64 = 25;

/// `cargo xtask mutants [--seeds N] [NAME…]`
pub(crate) fn run(args: &[String]) -> Result<ExitCode> {
    let (mut seeds, mut names) = (SEEDS, Vec::new());
    let mut words = args.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--seeds" => {
                let count = words.next().context("--seeds wants a number")?;
                seeds = count.parse().with_context(|| format!("--seeds {count} is no number"))?;
            }
            name => names.push(name),
        }
    }
    let unknown = names.iter().find(|name| RULES.iter().all(|rule| rule.name != **name));
    if let Some(name) = unknown {
        let known: Vec<&str> = RULES.iter().map(|rule| rule.name).collect();
        bail!("there is no mutant `{name}`; there are {}", known.join(", "));
    }
    let root = workspace::root();
    let copy = workspace::target_directory()?.join("mutants");
    let mut survivors = 0;
    println!("{:<28} {:>8} {:>7}  broken", "rule", "seeds", "s");
    for rule in RULES.iter().filter(|rule| names.is_empty() || names.contains(&rule.name)) {
        let began = Instant::now();
        lay_out(&root, &copy)?;
        rule.apply(&copy)?;
        let binary = build(&copy)?;
        let found = hunt(&binary, seeds)?;
        let took = began.elapsed().as_secs();
        match found {
            Some((seed, what)) => println!("{:<28} {seed:>8} {took:>7}  {what}", rule.name),
            None => {
                survivors += 1;
                println!("{:<28} {:>8} {took:>7}  SURVIVED {seeds} seeds", rule.name, "-");
            }
        }
    }
    Ok(if survivors == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Rule {
    fn apply(&self, copy: &Path) -> Result<()> {
        let path = copy.join(self.file);
        let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        ensure!(
            text.matches(self.from).count() == 1,
            "mutant {}: its text is not in {} once; name the place anew in xtask/src/mutants/rules.rs",
            self.name,
            self.file
        );
        let text = text.replace(self.from, self.to);
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))
    }
}

/// Lays the sources out as they are; what did not change keeps its time, so that little is built.
fn lay_out(root: &Path, copy: &Path) -> Result<()> {
    for name in ["Cargo.toml", "Cargo.lock"] {
        lay(&root.join(name), &copy.join(name))?;
    }
    let mut dirs = vec![PathBuf::from("crates"), PathBuf::from("xtask")];
    while let Some(dir) = dirs.pop() {
        let path = root.join(&dir);
        for entry in fs::read_dir(&path).with_context(|| format!("read {}", path.display()))? {
            let entry = entry?;
            let at = dir.join(entry.file_name());
            match entry.file_type()?.is_dir() {
                true => dirs.push(at),
                false => lay(&root.join(&at), &copy.join(&at))?,
            }
        }
    }
    Ok(())
}

fn lay(from: &Path, to: &Path) -> Result<()> {
    let bytes = fs::read(from).with_context(|| format!("read {}", from.display()))?;
    if fs::read(to).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    let dir = to.parent().context("a file lies in a directory")?;
    fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display()))?;
    fs::write(to, bytes).with_context(|| format!("write {}", to.display()))
}

fn build(copy: &Path) -> Result<PathBuf> {
    let target = copy.join("target");
    let status = workspace::cargo()
        .args(["build", "--quiet", "--offline", "--package", "sim", "--target-dir"])
        .arg(&target)
        .current_dir(copy)
        .status()
        .context("run cargo")?;
    ensure!(status.success(), "the mutant does not compile: write it so that it does");
    Ok(target.join("debug/sim"))
}

/// The first seed whose world breaks, and what broke.
fn hunt(binary: &Path, seeds: u64) -> Result<Option<(u64, String)>> {
    for first in (1..=seeds).step_by(CHUNK as usize) {
        let range = format!("{first}-{}", (first + CHUNK - 1).min(seeds));
        let output = Command::new(binary)
            .args(["--seeds", &range, "--once"])
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("run {}", binary.display()))?;
        let text = String::from_utf8_lossy(&output.stderr);
        let failure = text.lines().find_map(|line| {
            let (seed, what) = line.strip_prefix("seed ")?.split_once(": ")?;
            Some((seed.parse().ok()?, what.chars().take(90).collect()))
        });
        if failure.is_some() {
            return Ok(failure);
        }
        ensure!(output.status.success(), "the simulation failed and did not say why: {text}");
    }
    Ok(None)
}
