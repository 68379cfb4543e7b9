//! The price of an array is one submit, however many elements it has.

use anyhow::Result;

use super::ground::{self, Ground, number};
use super::table::Row;

const SUBMITS: &str = "9";
const SUBMIT_MS_MAX: f64 = 20.0;
const ARRAY_MIB_MAX: f64 = 10.0;

/// Submits large arrays to a node that cannot start them.
pub(super) fn rows(ground: &Ground) -> Result<Vec<Row>> {
    let node = ground.held_node("submit")?;
    let ping = number(&node.load(&["ping", "--calls", "300"])?, "p50_ms")?;
    let mut rows = Vec::new();
    for (size, what) in [(1_000_000, "1 M"), (10_000_000, "10 M")] {
        let array = format!("1-{}", ground.scaled(size));
        let before = ground::resting_mib(&node)?;
        // Memory is that of one array alone: what several share would flatter it.
        node.load(&["submit", "--array", &array])?;
        let grown = ground::resting_mib(&node)? - before;
        let found = node.load(&["submit", "--jobs", SUBMITS, "--array", &array])?;
        let [middle, most] = [number(&found, "p50_ms")?, number(&found, "max_ms")?];
        rows.push(
            Row::new(
                format!("submit of a {what} array, p50 of {SUBMITS}"),
                format!("{middle:.2} ms (at most {most:.2} ms)"),
            )
            .beside(format!("{ping:.2} ms (a call that does nothing)"))
            .target(format!("at most {SUBMIT_MS_MAX} ms"), ground.verdict(middle <= SUBMIT_MS_MAX)),
        );
        // The larger array has no target of its own for memory.
        let target =
            if size == 1_000_000 { format!("at most {ARRAY_MIB_MAX} MiB") } else { String::new() };
        let met = ground.verdict(grown <= ARRAY_MIB_MAX).filter(|_| !target.is_empty());
        rows.push(
            Row::new(format!("{what} array queued: memory over idle"), format!("{grown:.1} MiB"))
                .target(target, met),
        );
    }
    ground.end(node)?;
    Ok(rows)
}
