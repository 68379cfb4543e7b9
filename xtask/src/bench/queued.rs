//! A million different jobs in the queue: their memory, a snapshot of them, and the start-up with them.

use anyhow::{Result, bail};

use super::ground::{self, Ground, number};
use super::table::Row;
use super::{pairs, snapshot};
use crate::node::Node;

const JOBS: u64 = 1_000_000;
/// As a node has it by itself; a rehearsal would never come to its first snapshot.
const CHECKPOINT_BYTES: u64 = 64 << 20;
const QUEUED_MIB_MAX: f64 = 400.0;
const START_SECONDS_MAX: f64 = 3.0;
const RESTARTS: usize = 3;

/// Submits the jobs to a node that cannot start them.
pub(super) fn rows(ground: &Ground) -> Result<Vec<Row>> {
    let checkpoint = ground.scaled(CHECKPOINT_BYTES).to_string();
    let mut node = ground.held_node("queued", &["--checkpoint-size", &checkpoint])?;
    let idle = ground::resting_mib(&node)?;
    let jobs = ground.scaled(JOBS);
    let found = node.load(&["submit", "--clients", "64", "--jobs", &jobs.to_string()])?;
    let refused = number(&found, "refused")?;
    let grown = ground::resting_mib(&node)? - idle;
    let work = format!("{jobs} different jobs queued");
    let mut rows = vec![
        Row::new(format!("{work}: memory over idle"), format!("{grown:.1} MiB"))
            .beside(format!("{idle:.1} MiB (idle), {refused} calls put off"))
            .target(
                format!("at most {QUEUED_MIB_MAX} MiB"),
                ground.verdict(grown <= QUEUED_MIB_MAX),
            ),
    ];
    let what = format!("{work}: slowest commit beside a snapshot");
    let row = snapshot::row(ground, &node, &what);
    rows.push(row.unwrap_or_else(|error| Row::failed(&what, &error)));

    let what = format!("{work}: start-up after a kill");
    let row = start_up(ground, &mut node, &what, jobs);
    rows.push(row.unwrap_or_else(|error| Row::failed(&what, &error)));
    ground.end(node)?;
    Ok(rows)
}

fn start_up(ground: &Ground, node: &mut Node, what: &str, jobs: u64) -> Result<Row> {
    let seconds = ground::restarts(node, RESTARTS)?;
    let found = ground::waiting(node)?;
    if found < jobs {
        bail!("{found} of {jobs} jobs wait after a start: some are lost");
    }
    let start = pairs::median(&seconds);
    let target = format!("at most {START_SECONDS_MAX} s");
    let met = ground.verdict(start <= START_SECONDS_MAX);
    Ok(Row::new(what, pairs::show(start)).target(target, met))
}
