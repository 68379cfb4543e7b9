//! One short task of a person, while a crowd of lower priority waits and runs.

use std::process::Command;

use anyhow::{Result, bail};

use super::ground::{self, Ground};
use super::pairs::{self, Contender};
use super::run_well;
use super::table::Row;

const CROWD: u64 = 1_000_000;
const RUNS: u64 = 300;
const RUNS_MIN: u64 = 20;
const P50_MAX: f64 = 0.015;

/// Runs one task after the other, in turn with the bare process, beside an array that goes on.
pub(super) fn rows(ground: &Ground) -> Result<Vec<Row>> {
    let node = ground.node("crowd", &[])?;
    let array = format!("1-{}", ground.scaled(CROWD));
    node.run(&["run", "--detach", "--priority", "10", "--array", &array, "--", "/bin/true"])?;
    let mut contenders = [
        Contender::new("windlass", || node.run(&["run", "--priority", "90", "--", "/bin/true"])),
        Contender::new("bare", || run_well(&mut Command::new("/bin/true"), "/bin/true")),
    ];
    // A rehearsal has a smaller crowd, which is gone sooner.
    let runs = ground.scaled(RUNS).max(RUNS_MIN) as usize;
    let seconds = pairs::in_turn(runs, &mut contenders)?;
    drop(contenders);
    let left = ground::look(&node)?;
    if left.queued == 0 {
        bail!("the crowd was gone before {runs} runs beside it were measured");
    }
    ground.end(node)?;
    let row = |name: &str, share| {
        let [ours, bare] = [0, 1].map(|of| pairs::percentile(&seconds[of], share));
        let work = format!("run -- /bin/true beside a queue of {array}, {name} of {runs}");
        let row = Row::new(work, pairs::show(ours));
        (ours, row.beside(format!("{} (/bin/true alone)", pairs::show(bare))))
    };
    let (middle, p50) = row("p50", 0.50);
    let (_, p99) = row("p99", 0.99);
    let target = format!("at most {:.0} ms", P50_MAX * 1e3);
    Ok(vec![p50.target(target, ground.verdict(middle <= P50_MAX)), p99])
}
