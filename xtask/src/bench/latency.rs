//! One short task, as a person at a prompt feels it: the whole client process.

use std::process::Command;

use anyhow::Result;

use super::pairs::{self, Contender};
use super::run_well;
use super::table::Row;
use crate::node::Node;

const RUNS: usize = 300;
const P50_MAX: f64 = 0.010;
const P99_MAX: f64 = 0.025;

/// Runs one task after the other, in turn with the bare process.
pub(super) fn rows(node: &Node) -> Result<Vec<Row>> {
    let seconds = pairs::in_turn(
        RUNS,
        &mut [
            Contender::new("windlass", || node.run(&["run", "--", "/bin/true"])),
            Contender::new("bare", || run_well(&mut Command::new("/bin/true"), "/bin/true")),
        ],
    )?;
    let row = |name, share, most| {
        row(
            name,
            pairs::percentile(&seconds[0], share),
            pairs::percentile(&seconds[1], share),
            most,
        )
    };
    Ok(vec![row("p50", 0.50, P50_MAX), row("p99", 0.99, P99_MAX)])
}

fn row(name: &str, ours: f64, bare: f64, most: f64) -> Row {
    Row::new(format!("windlass run -- /bin/true, {name} of {RUNS}"), pairs::show(ours))
        .beside(format!("{} (/bin/true alone)", pairs::show(bare)))
        .target(format!("at most {:.0} ms", most * 1e3), Some(ours <= most))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_holds_the_time_against_its_limit() {
        let slow = row("p50", 0.0101, 0.0005, P50_MAX);
        assert_eq!(
            (slow.windlass.as_str(), slow.target.as_str(), slow.met),
            ("10.10 ms", "at most 10 ms", Some(false))
        );
        assert_eq!(row("p50", 0.010, 0.0005, P50_MAX).met, Some(true));
    }
}
