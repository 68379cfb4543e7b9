//! A million elements that do nothing: what the scheduler itself costs, and what it leaves behind.
//!
//! Each element is assigned on its own, held to its slot, and has its own record in history.

use std::time::Instant;

use anyhow::Result;

use super::ground::{self, Ground};
use super::pairs;
use super::table::Row;
use crate::node::Node;
use crate::proc;

const ELEMENTS: u64 = 1_000_000;
const ROUNDS: usize = 3;
const PER_SECOND_MIN: f64 = 100_000.0;
const HISTORY_BYTES_MAX: f64 = 64.0;
const ENDED_MIB_MAX: f64 = 30.0;
const START_SECONDS_MAX: f64 = 0.5;

/// How a node gets workers inside its own process, 16 of 64 slots.
pub(super) const UP: &[&str] = &["--noop-workers", "16", "--noop-slots", "64"];

/// Runs the array in rounds; what it leaves behind is looked at after the first.
pub(super) fn rows(ground: &Ground) -> Result<Vec<Row>> {
    let mut node = ground.node("noop", UP)?;
    let elements = ground.scaled(ELEMENTS) as f64;
    let empty_start = pairs::median(&ground::restarts(&mut node, ROUNDS)?);
    let idle = ground::resting_mib(&node)?;
    let history = ground::disk_bytes(&node, "history");

    let first = Round::run(&node, elements)?;
    let ended = ground::resting_mib(&node)? - idle;
    let history = (ground::disk_bytes(&node, "history") - history) / elements;
    let start = pairs::median(&ground::restarts(&mut node, ROUNDS)?);
    let mut paces = vec![first.pace];
    for _ in 1..ROUNDS {
        paces.push(Round::run(&node, elements)?.pace);
    }
    ground.end(node)?;

    let pace = pairs::median(&paces);
    let work = format!("{elements} × noop, 16 workers × 64 slots");
    let left = format!("{elements} ended");
    Ok(vec![
        Row::new(&work, format!("{pace:.0}/s (middle of {ROUNDS})"))
            .beside("27000/s (HyperQueue, not run here)")
            .target(
                format!("at least {PER_SECOND_MIN:.0}/s"),
                ground.verdict(pace >= PER_SECOND_MIN),
            ),
        Row::new(format!("{work}: processor"), format!("{:.1} µs a task", first.cpu_us)),
        Row::new(format!("{work}: memory at its peak"), format!("{:.0} MiB", first.peak_mib)),
        Row::new(format!("{work}: written to disk"), format!("{:.0} bytes a task", first.written)),
        Row::new(format!("{left}: history on disk"), format!("{history:.1} bytes each")).target(
            format!("at most {HISTORY_BYTES_MAX} bytes"),
            ground.verdict(history <= HISTORY_BYTES_MAX),
        ),
        Row::new(format!("{left}: memory over idle"), format!("{ended:.1} MiB"))
            .beside(format!("{idle:.1} MiB (idle)"))
            .target(format!("at most {ENDED_MIB_MAX} MiB"), ground.verdict(ended <= ENDED_MIB_MAX)),
        Row::new(format!("{left}: start-up after a kill"), pairs::show(start))
            .beside(format!("{} (empty)", pairs::show(empty_start)))
            .target(
                format!("at most {START_SECONDS_MAX} s"),
                ground.verdict(start <= START_SECONDS_MAX),
            ),
    ])
}

/// One run of the array.
struct Round {
    pace: f64,
    cpu_us: f64,
    peak_mib: f64,
    written: f64,
}

impl Round {
    fn run(node: &Node, elements: f64) -> Result<Round> {
        let [daemon, _] = node.pids();
        let (cpu, written) = (proc::cpu_seconds(&[daemon])?, proc::written_bytes(daemon)?);
        let array = format!("1-{elements}");
        let start = Instant::now();
        let run =
            node.ask(&["run", "--detach", "--runner", "noop", "--array", &array, "--", "noop"])?;
        node.load(&["drain"])?;
        let seconds = start.elapsed().as_secs_f64();
        // All that has ended must have ended well.
        node.run(&["wait", run.trim()])?;
        Ok(Round {
            pace: elements / seconds,
            cpu_us: (proc::cpu_seconds(&[daemon])? - cpu) * 1e6 / elements,
            peak_mib: proc::peak_mib(daemon)?,
            written: (proc::written_bytes(daemon)? - written) / elements,
        })
    }
}
