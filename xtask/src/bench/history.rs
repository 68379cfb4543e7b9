//! What an ended element costs on disk, when each has facts of its own: times, processor, memory, output.
//!
//! The elements of `noop` say little and are alike, so they would flatter the figure.

use anyhow::Result;

use super::ground::{self, Ground};
use super::table::Row;

const ELEMENTS: u64 = 30_000;
const BYTES_MAX: f64 = 64.0;

/// Runs an array of processes that each write a line, and weighs what history has of it.
pub(super) fn rows(ground: &Ground) -> Result<Vec<Row>> {
    let node = ground.node("history", &[])?;
    let elements = ground.scaled(ELEMENTS);
    let before = ground::disk_bytes(&node, "history");
    let array = format!("1-{elements}");
    let run = node.ask(&["run", "--detach", "--array", &array, "--", "echo", "hello"])?;
    node.run(&["wait", run.trim()])?;
    // What is told of late is written late.
    ground::resting_mib(&node)?;
    let bytes = (ground::disk_bytes(&node, "history") - before) / elements as f64;
    ground.end(node)?;
    let row = Row::new(
        format!("{elements} × echo ended: history on disk, output aside"),
        format!("{bytes:.1} bytes each"),
    );
    let target = format!("at most {BYTES_MAX} bytes");
    Ok(vec![row.target(target, ground.verdict(bytes <= BYTES_MAX))])
}
