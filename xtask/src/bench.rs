//! How fast Windlass is, beside what it can be compared with.
//!
//! Every figure stands next to that of a bare loop or a peer, which ran in turn with it on the same machine:
//! a figure alone says more of the machine than of the program.
//! What is timed is a whole process, from its start to its end, on either side.

mod array;
mod bare;
mod chain;
mod cluster;
mod crowd;
mod durable;
mod failover;
mod ground;
mod history;
mod idle;
mod latency;
mod noop;
mod options;
mod pairs;
mod queued;
mod rest;
mod scale;
mod shapes;
mod snapshot;
mod submit;
mod table;
mod workers;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, bail};

use crate::workspace;
use ground::Ground;
use options::Options;
use table::{Row, Table};

/// A work with a node of its own.
struct Work {
    name: &'static str,
    rows: fn(&Ground) -> Result<Vec<Row>>,
}

/// Those that share a node, in the order they run: what is idle is measured on a fresh node first.
const EVERYDAY: &[&str] = &["idle", "array", "latency"];

/// Those of scale, which leave much behind.
const SCALE: &[Work] = &[
    Work { name: "submit", rows: submit::rows },
    Work { name: "durable", rows: durable::rows },
    Work { name: "crowd", rows: crowd::rows },
    Work { name: "chain", rows: chain::rows },
    Work { name: "noop", rows: noop::rows },
    Work { name: "history", rows: history::rows },
    Work { name: "rest", rows: rest::rows },
    Work { name: "shapes", rows: shapes::rows },
    Work { name: "queued", rows: queued::rows },
    Work { name: "scale", rows: scale::rows },
    Work { name: "cluster", rows: cluster::rows },
    Work { name: "workers", rows: workers::rows },
    Work { name: "failover", rows: failover::rows },
];

/// Builds in release, runs the works that `args` name, and prints the table.
pub(crate) fn run(args: &[String]) -> Result<ExitCode> {
    let works: Vec<&str> =
        EVERYDAY.iter().copied().chain(SCALE.iter().map(|work| work.name)).collect();
    let options = Options::parse(args, &works)?;
    let binary = match &options.binary {
        Some(binary) => binary.clone(),
        None => build(&["--package", "windlass"], "windlass")?,
    };
    let directory = scratch_directory()?;
    let (pairs, scale) = (options.pairs, options.scale);
    let ground = Ground { binary, directory: directory.clone(), pairs, scale };

    let mut table = Table::default();
    if EVERYDAY.iter().any(|work| options.wants(work)) {
        table.add(everyday(&ground, &options)?);
    }
    for work in SCALE.iter().filter(|work| options.wants(work.name)) {
        eprintln!("{}:", work.name);
        // One that cannot be measured must not cost the figures of the others.
        let rows = (work.rows)(&ground);
        table.add(rows.unwrap_or_else(|error| vec![Row::failed(work.name, &error)]));
    }
    fs::remove_dir_all(&directory).with_context(|| format!("removing {}", directory.display()))?;
    println!("{}\n\n{table}", machine());
    if scale != 1.0 {
        println!("a rehearsal with {scale} of the counts: what scales with them is not judged");
    }
    Ok(if table.is_met() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The works that share a node.
fn everyday(ground: &Ground, options: &Options) -> Result<Vec<Row>> {
    let bare_loop = match options.wants("array") {
        true => bare::build_contained()?,
        false => None,
    };
    let mut node = ground.node("node", &[])?;
    let mut rows = Vec::new();
    for work in EVERYDAY.iter().filter(|work| options.wants(work)) {
        eprintln!("{work}:");
        match *work {
            "idle" => rows.extend(idle::rows("just started", &node)?),
            "array" => rows.extend(array::rows(&node, bare_loop.as_deref(), ground.pairs)?),
            _ => rows.extend(latency::rows(&node)?),
        }
    }
    if options.wants("idle") && (options.wants("array") || options.wants("latency")) {
        rows.extend(idle::rows("after all that", &node)?);
    }
    node.stop()?;
    Ok(rows)
}

/// The plain loop, in a process of its own.
pub(crate) use bare::child as bare_spawn_child;

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
