//! Many different requests for resources, beside as many tasks that all ask for the same.

use std::time::Instant;

use anyhow::Result;

use super::ground::Ground;
use super::pairs::{self, Contender};
use super::table::Row;

const TASKS: u64 = 100_000;
const SHAPES: u64 = 1_000;
const ROUNDS: usize = 3;
const RATIO_MIN: f64 = 0.5;

/// Runs arrays of different shapes in turn with arrays of one shape, on 128 slots.
pub(super) fn rows(ground: &Ground) -> Result<Vec<Row>> {
    let node = ground.node("shapes", &["--noop-workers", "2", "--noop-slots", "64"])?;
    let array = format!("1-{}", ground.scaled(TASKS / SHAPES));
    let arrays = SHAPES.to_string();
    let run = |shapes: &str| {
        let submit = ["submit", "--clients", "16", "--jobs", &arrays, "--shapes", shapes];
        node.load(&[&submit[..], &["--runner", "noop", "--array", &array]].concat())?;
        node.load(&["drain"]).map(drop)
    };
    // The first round of all pays for memory that later ones find ready.
    run("1")?;
    let start = Instant::now();
    let mut contenders =
        [Contender::new("many shapes", || run(&arrays)), Contender::new("one shape", || run("1"))];
    let seconds = pairs::in_turn(ROUNDS, &mut contenders)?;
    drop(contenders);
    eprintln!("  {ROUNDS} rounds took {}", pairs::show(start.elapsed().as_secs_f64()));
    ground.end(node)?;
    let tasks = (SHAPES * ground.scaled(TASKS / SHAPES)) as f64;
    let [many, one] = [0, 1].map(|of| tasks / pairs::median(&seconds[of]));
    let ratio = pairs::ratio(&seconds[0], &seconds[1]);
    let mut row =
        Row::new(format!("{tasks} × noop in {SHAPES} shapes, 128 slots"), format!("{many:.0}/s"));
    row.ratio = Some(ratio);
    let row = row.beside(format!("{one:.0}/s (one shape)"));
    Ok(vec![row.target(format!("at least {RATIO_MIN}"), ground.verdict(ratio >= RATIO_MIN))])
}
