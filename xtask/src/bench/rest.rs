//! Lists of runs by REST at a constant rate, with many runs in history, beside a route that does nothing.

use anyhow::Result;

use super::ground::{self, Ground, number};
use super::noop;
use super::table::Row;
use crate::node::Node;

const RUNS: u64 = 100_000;
const RATE: u64 = 2_000;
const SECONDS: u64 = 20;
const P99_MAX_MS: f64 = 20.0;
const TRIVIAL: &str = "/healthz";
const LISTS: &[&str] = &["/v1/runs?all=true&limit=10", "/v1/runs?all=true&limit=100"];

/// Fills history, then asks in turn for a list and for nothing.
pub(super) fn rows(ground: &Ground) -> Result<Vec<Row>> {
    let node = ground.node("rest", noop::UP)?;
    let runs = ground.scaled(RUNS);
    node.load(&["submit", "--runner", "noop", "--clients", "64", "--jobs", &runs.to_string()])?;
    node.run(&["__load", "drain"])?;
    // What is told of late is written late.
    ground::resting_mib(&node)?;
    let mut rows = Vec::new();
    for path in LISTS {
        let ours = ask(&node, path)?;
        let trivial = ask(&node, TRIVIAL)?;
        let work = format!("GET {path} of {runs}, {RATE}/s for {SECONDS} s: p99");
        let row = Row::new(work, show(&ours)).beside(format!("{} ({TRIVIAL})", show(&trivial)));
        let target = format!("at most {P99_MAX_MS} ms");
        rows.push(row.target(target, ground.verdict(ours.p99 <= P99_MAX_MS)));
    }
    ground.end(node)?;
    Ok(rows)
}

struct Found {
    p50: f64,
    p99: f64,
    max: f64,
}

fn show(found: &Found) -> String {
    format!("{:.1} ms (p50 {:.1}, max {:.1})", found.p99, found.p50, found.max)
}

fn ask(node: &Node, path: &str) -> Result<Found> {
    let (rate, seconds) = (RATE.to_string(), SECONDS.to_string());
    let found = node.load(&["http", "--path", path, "--rate", &rate, "--seconds", &seconds])?;
    let [p50, p99, max] = ["p50_ms", "p99_ms", "max_ms"].map(|name| number(&found, name));
    Ok(Found { p50: p50?, p99: p99?, max: max? })
}
