//! The price of an array is one submit, however many elements it has.

use anyhow::Result;

use super::ground::{self, Ground, number};
use super::table::Row;
use crate::node::Node;

const SUBMITS: &str = "9";
const SUBMIT_MS_MAX: f64 = 20.0;
const ARRAY_MIB_MAX: f64 = 10.0;

/// Submits large arrays to a node that cannot start them.
pub(super) fn rows(ground: &Ground) -> Result<Vec<Row>> {
    let node = ground.held_node("submit", &[])?;
    let ping = number(&node.load(&["ping", "--calls", "300"])?, "p50_ms")?;
    let mut rows = Vec::new();
    for (size, what, most) in [(1_000_000, "1 M", Some(ARRAY_MIB_MAX)), (10_000_000, "10 M", None)]
    {
        let array = format!("1-{}", ground.scaled(size));
        match measure(&node, &array) {
            Ok(found) => rows.extend(found.rows(ground, what, ping, most)),
            Err(error) => rows.push(Row::failed(format!("submit of a {what} array"), &error)),
        }
    }
    ground.end(node)?;
    Ok(rows)
}

struct Found {
    middle_ms: f64,
    most_ms: f64,
    grown_mib: f64,
}

fn measure(node: &Node, array: &str) -> Result<Found> {
    let before = ground::resting_mib(node)?;
    // Memory is that of one array alone: what several share would flatter it.
    node.load(&["submit", "--array", array])?;
    let grown_mib = ground::resting_mib(node)? - before;
    let found = node.load(&["submit", "--jobs", SUBMITS, "--array", array])?;
    let [middle_ms, most_ms] = [number(&found, "p50_ms")?, number(&found, "max_ms")?];
    Ok(Found { middle_ms, most_ms, grown_mib })
}

impl Found {
    /// `mib_max`: the target for the memory, where the size has one.
    fn rows(&self, ground: &Ground, what: &str, ping: f64, mib_max: Option<f64>) -> [Row; 2] {
        let submit = Row::new(
            format!("submit of a {what} array, p50 of {SUBMITS}"),
            format!("{:.2} ms (at most {:.2} ms)", self.middle_ms, self.most_ms),
        );
        let memory = Row::new(
            format!("{what} array queued: memory over idle"),
            format!("{:.1} MiB", self.grown_mib),
        );
        let target = mib_max.map(|most| format!("at most {most} MiB")).unwrap_or_default();
        let met = mib_max.and_then(|most| ground.verdict(self.grown_mib <= most));
        let submit = submit.beside(format!("{ping:.2} ms (a call that does nothing)")).target(
            format!("at most {SUBMIT_MS_MAX} ms"),
            ground.verdict(self.middle_ms <= SUBMIT_MS_MAX),
        );
        [submit, memory.target(target, met)]
    }
}
