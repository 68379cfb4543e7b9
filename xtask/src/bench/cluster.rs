//! Three control nodes as processes on one machine: what agreeing costs, and what a hop costs.

use std::process::Command;
use std::time::Instant;

use anyhow::Result;

use super::ground::Ground;
use super::noop;
use super::pairs::{self, Contender};
use super::run_well;
use super::table::Row;
use crate::node::Node;

const ELEMENTS: u64 = 1_000_000;
const ROUNDS: usize = 3;
const PER_SECOND_MIN: f64 = 50_000.0;
const RUNS: u64 = 300;
const P50_MAX: f64 = 0.015;

/// The array through the leader, and single tasks through one that follows.
pub(super) fn rows(ground: &Ground) -> Result<Vec<Row>> {
    let nodes = ground.cluster("cluster", noop::UP)?;
    let elements = ground.scaled(ELEMENTS);
    let paces = (0..ROUNDS).map(|_| array(&nodes[0], elements)).collect::<Result<Vec<f64>>>()?;
    let pace = pairs::median(&paces);
    let work = format!("{elements} × noop, three control nodes");
    let mut rows =
        vec![Row::new(work, format!("{pace:.0}/s (middle of {ROUNDS})")).target(
            format!("at least {PER_SECOND_MIN:.0}/s"),
            ground.verdict(pace >= PER_SECOND_MIN),
        )];
    nodes.into_iter().rev().try_for_each(|node| ground.end(node))?;
    // Without workers that would take the tasks of others.
    let nodes = ground.cluster("hop", &[])?;
    rows.extend(latency(ground, &nodes)?);
    nodes.into_iter().rev().try_for_each(|node| ground.end(node))?;
    Ok(rows)
}

/// How many elements a second.
fn array(leader: &Node, elements: u64) -> Result<f64> {
    let array = format!("1-{elements}");
    let start = Instant::now();
    let noop = ["run", "--detach", "--runner", "noop", "--array", &array, "--", "noop"];
    let run = leader.ask(&noop)?;
    leader.load(&["drain"])?;
    let seconds = start.elapsed().as_secs_f64();
    // All that has ended must have ended well.
    leader.run(&["wait", run.trim()])?;
    Ok(elements as f64 / seconds)
}

fn latency(ground: &Ground, nodes: &[Node]) -> Result<Vec<Row>> {
    let runs = ground.scaled(RUNS).max(20) as usize;
    let seconds = pairs::in_turn(
        runs,
        &mut [
            Contender::new("follower", || nodes[1].run(&["run", "--", "/bin/true"])),
            Contender::new("leader", || nodes[0].run(&["run", "--", "/bin/true"])),
            Contender::new("bare", || run_well(&mut Command::new("/bin/true"), "/bin/true")),
        ],
    )?;
    let row = |name: &str, share| {
        let [follower, leader, bare] = [0, 1, 2].map(|of| pairs::percentile(&seconds[of], share));
        let work = format!("run -- /bin/true through a follower of three, {name} of {runs}");
        let beside = format!("{} (the leader), {} (bare)", pairs::show(leader), pairs::show(bare));
        (follower, Row::new(work, pairs::show(follower)).beside(beside))
    };
    let (middle, p50) = row("p50", 0.50);
    let (_, p99) = row("p99", 0.99);
    let target = format!("at most {:.0} ms", P50_MAX * 1e3);
    Ok(vec![p50.target(target, ground.verdict(middle <= P50_MAX)), p99])
}
