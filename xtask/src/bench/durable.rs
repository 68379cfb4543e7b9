//! Separate jobs from many clients, each acknowledged once it is on disk.

use anyhow::Result;

use super::ground::{Ground, number};
use super::table::Row;

const JOBS: u64 = 100_000;
const CLIENTS: &str = "64";
const PER_SECOND_MIN: f64 = 20_000.0;

/// Submits to a node that cannot start anything, beside as many calls that do nothing.
pub(super) fn rows(ground: &Ground) -> Result<Vec<Row>> {
    let node = ground.held_node("durable", &[])?;
    let jobs = ground.scaled(JOBS).to_string();
    let bare = node.load(&["ping", "--clients", CLIENTS, "--calls", &jobs])?;
    let found = node.load(&["submit", "--clients", CLIENTS, "--jobs", &jobs])?;
    let [pace, limit] = [number(&found, "per_second")?, number(&bare, "per_second")?];
    let p99 = number(&found, "p99_ms")?;
    ground.end(node)?;
    let work = format!("{jobs} jobs from {CLIENTS} clients, each durable");
    let mut row = Row::new(work, format!("{pace:.0}/s (p99 {p99:.1} ms)"))
        .beside(format!("{limit:.0}/s (calls that do nothing)"))
        .target(format!("at least {PER_SECOND_MIN:.0}/s"), ground.verdict(pace >= PER_SECOND_MIN));
    row.ratio = Some(pace / limit);
    Ok(vec![row])
}
