//! Breaks rules on purpose, one at a time, and has the simulations find each.
//!
//! A simulation that finds nothing proves nothing until it is seen to find what is there. Each mutant
//! is one change of the reactors or the machine; it is made in a copy of the sources, and the worlds
//! are run in the order of their seeds until one breaks. A mutant that none finds fails the chore,
//! and so does one whose text is not there any more.

mod rules;
mod storm;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use crate::workspace;
use rules::{RULES, Rule};

/// What hunts mutants.
struct Hunter {
    /// The crate, and its program.
    package: &'static str,
    rules: &'static [Rule],
    /// Worlds that are tried for each.
    seeds: u64,
    /// Worlds of one process.
    chunk: u64,
    /// What the program is told beside the seeds.
    more: &'static [&'static str],
}

const HUNTERS: &[Hunter] = &[
    Hunter { package: "sim", rules: RULES, seeds: 2_000, chunk: 25, more: &["--once"] },
    Hunter { package: "storm", rules: storm::RULES, seeds: 120, chunk: 4, more: &[] },
];

/// `cargo xtask mutants [--seeds N] [NAME…]`
pub(crate) fn run(args: &[String]) -> Result<ExitCode> {
    let (mut seeds, mut names) = (None, Vec::new());
    let mut words = args.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--seeds" => {
                let count = words.next().context("--seeds wants a number")?;
                let count = count.parse().with_context(|| format!("--seeds {count} is no number"));
                seeds = Some(count?);
            }
            name => names.push(name),
        }
    }
    let known: Vec<&str> =
        HUNTERS.iter().flat_map(|hunter| hunter.rules).map(|rule| rule.name).collect();
    if let Some(name) = names.iter().find(|name| !known.contains(name)) {
        bail!("there is no mutant `{name}`; there are {}", known.join(", "));
    }
    let root = workspace::root();
    for rule in HUNTERS.iter().flat_map(|hunter| hunter.rules) {
        rule.stands(&root)?;
    }
    let copy = workspace::target_directory()?.join("mutants");
    let mut survivors = 0;
    println!("{:<28} {:>8} {:>7}  broken", "rule", "seeds", "s");
    let wanted = |rule: &&Rule| names.is_empty() || names.contains(&rule.name);
    let both = |hunter| move |rule| (hunter, rule);
    let all =
        HUNTERS.iter().flat_map(|hunter| hunter.rules.iter().filter(wanted).map(both(hunter)));
    for (hunter, rule) in all {
        let began = Instant::now();
        lay_out(&root, &copy)?;
        rule.apply(&copy)?;
        let seeds = seeds.unwrap_or(hunter.seeds);
        let binary = build(&copy, hunter.package)?;
        let found = hunt(hunter, &binary, seeds)?;
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
    /// The file it breaks, in which its text stands once.
    fn stands(&self, root: &Path) -> Result<String> {
        let path = root.join(self.file);
        let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        ensure!(
            text.matches(self.from).count() == 1,
            "mutant {}: its text is not in {} once; name the place anew under xtask/src/mutants",
            self.name,
            self.file
        );
        Ok(text)
    }

    fn apply(&self, copy: &Path) -> Result<()> {
        let text = self.stands(copy)?;
        let path = copy.join(self.file);
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

fn build(copy: &Path, package: &str) -> Result<PathBuf> {
    let target = copy.join("target");
    let status = workspace::cargo()
        .args(["build", "--quiet", "--offline", "--package", package, "--target-dir"])
        .arg(&target)
        .current_dir(copy)
        .status()
        .context("run cargo")?;
    ensure!(status.success(), "the mutant does not compile: write it so that it does");
    Ok(target.join("debug").join(package))
}

/// The first seed whose world breaks, and what broke.
fn hunt(hunter: &Hunter, binary: &Path, seeds: u64) -> Result<Option<(u64, String)>> {
    for first in (1..=seeds).step_by(hunter.chunk as usize) {
        let range = format!("{first}-{}", (first + hunter.chunk - 1).min(seeds));
        let output = Command::new(binary)
            .args(["--seeds", &range])
            .args(hunter.more)
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("run {}", binary.display()))?;
        let text = String::from_utf8_lossy(&output.stderr);
        let failures = text.lines().filter_map(|line| {
            let (seed, what) = line.strip_prefix("seed ")?.split_once(": ")?;
            Some((seed.parse().ok()?, what.chars().take(90).collect()))
        });
        // Where several run at once, the first to break is not the first that does.
        let failure: Option<(u64, String)> = failures.min();
        if failure.is_some() {
            return Ok(failure);
        }
        ensure!(output.status.success(), "the simulation failed and did not say why: {text}");
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_each_rule_breaks_is_there() {
        for rule in HUNTERS.iter().flat_map(|hunter| hunter.rules) {
            rule.stands(&workspace::root()).unwrap();
        }
    }
}
