//! How fast Windlass is, beside what it can be compared with.
//!
//! Every figure stands next to that of a bare loop or a peer, which ran in turn with it on the same machine:
//! a figure alone says more of the machine than of the program.
//! What is timed is a whole process, from its start to its end, on either side.

mod array;
mod bare;
mod idle;
mod latency;
mod node;
mod pairs;
mod table;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, bail};

use crate::workspace;
use node::Node;
use table::Table;

/// The works in the order they run: what is idle is measured on a fresh node first.
const WORKS: &[&str] = &["idle", "array", "latency"];

/// Builds in release, runs the works that `args` name, and prints the table.
pub(crate) fn run(args: &[String]) -> Result<ExitCode> {
    let options = Options::parse(args)?;
    let binary = build(&["--package", "windlass"], "windlass")?;
    let bare_loop = bare::build_contained()?;
    let directory = scratch_directory()?;
    let mut node = Node::start(&binary, &directory.join("node"))?;

    let mut table = Table::default();
    for work in WORKS.iter().filter(|work| options.wants(work)) {
        eprintln!("{work}:");
        match *work {
            "idle" => table.add(idle::rows("just started", &node)?),
            "array" => table.add(array::rows(&node, bare_loop.as_deref(), options.pairs)?),
            _ => table.add(latency::rows(&node)?),
        }
    }
    if options.wants("idle") && options.works.len() != 1 {
        table.add(idle::rows("after all that", &node)?);
    }

    node.stop()?;
    fs::remove_dir_all(&directory).with_context(|| format!("removing {}", directory.display()))?;
    println!("{}\n\n{table}", machine());
    Ok(if table.is_met() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The plain loop, in a process of its own.
pub(crate) use bare::child as bare_spawn_child;

struct Options {
    pairs: usize,
    works: Vec<String>,
}

impl Options {
    fn parse(args: &[String]) -> Result<Self> {
        let mut options = Self { pairs: 9, works: Vec::new() };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            if arg == "--pairs" {
                let number = args.next().context("`--pairs` wants a number behind it")?;
                options.pairs =
                    number.parse().with_context(|| format!("reading `--pairs {number}`"))?;
            } else if WORKS.contains(&arg.as_str()) {
                options.works.push(arg.clone());
            } else {
                bail!("`{arg}` is no work of the benchmark; there are {}", WORKS.join(", "));
            }
        }
        if options.pairs == 0 {
            bail!("no pair, no median: `--pairs` must be at least 1");
        }
        Ok(options)
    }

    fn wants(&self, work: &str) -> bool {
        self.works.is_empty() || self.works.iter().any(|wanted| wanted == work)
    }
}

/// Builds in release and gives the path of the program, relative to the directory of release builds.
fn build(what: &[&str], program: &str) -> Result<PathBuf> {
    let built = workspace::cargo()
        .args(["build", "--release"])
        .args(what)
        .status()
        .context("starting `cargo build`")?;
    if !built.success() {
        bail!("`cargo build --release {}` failed", what.join(" "));
    }
    Ok(workspace::target_directory()?.join("release").join(program))
}

/// An empty directory on the disk that holds the builds: what lies in memory would make durable cost nothing.
fn scratch_directory() -> Result<PathBuf> {
    let directory = workspace::target_directory()?.join(format!("bench-{}", std::process::id()));
    fs::create_dir_all(&directory).with_context(|| format!("making {}", directory.display()))?;
    Ok(directory)
}

/// Where the figures come from, in one line.
fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let read = |path: &str| fs::read_to_string(Path::new(path)).unwrap_or_default();
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or("?");
    format!(
        "{cores} cores, Linux {}, load {load} at the end",
        read("/proc/sys/kernel/osrelease").trim()
    )
}

/// Runs a command to its end and fails unless it ends well.
fn run_well(command: &mut Command, what: &str) -> Result<()> {
    let status = command.status().with_context(|| format!("starting {what}"))?;
    if !status.success() {
        bail!("{what} failed: {status}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Options> {
        Options::parse(&args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn all_works_run_nine_pairs_unless_told_otherwise() {
        let options = parse(&[]).unwrap();
        assert!(options.pairs == 9 && options.wants("array") && options.wants("idle"));
        let options = parse(&["--pairs", "3", "array"]).unwrap();
        assert!(options.pairs == 3 && options.wants("array") && !options.wants("idle"));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for args in [&["--pairs"][..], &["--pairs", "x"], &["--pairs", "0"], &["sprint"]] {
            assert!(parse(args).is_err(), "{args:?}");
        }
    }
}
