//! The leader of three is killed under load: how long until the next submit is committed, and until
//! the next task has started.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::ground::{self, Ground};
use super::pairs;
use super::table::Row;
use crate::node::Node;

const ROUNDS: u64 = 20;
const SUBMIT_P50_MAX: f64 = 1.2;
const SUBMIT_P95_MAX: f64 = 2.0;
const START_P95_MAX: f64 = 2.5;
/// One that takes longer is a failure, not a figure.
const BACK_MAX: Duration = Duration::from_secs(30);
/// What runs meanwhile, on all nodes.
const LOAD: [&str; 8] =
    ["run", "--detach", "--priority", "10", "--array", "1-1000000", "--", "true"];

/// Kills the leader again and again; whoever was killed comes back before the next one.
pub(super) fn rows(ground: &Ground) -> Result<Vec<Row>> {
    let mut nodes = ground.cluster("failover", &[])?;
    nodes[0].run(&LOAD)?;
    let rounds = ground.scaled(ROUNDS).max(2) as usize;
    let (mut submits, mut starts) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let leader = leader_of(&nodes)?;
        let asked = (leader + 1 + round % 2) % nodes.len();
        nodes[leader].kill()?;
        let killed = Instant::now();
        again(killed, || nodes[asked].ask(&["run", "--detach", "--", "true"]))?;
        submits.push(killed.elapsed().as_secs_f64());
        // The command answers when the task has ended, a moment after it has started.
        again(killed, || nodes[asked].ask(&["run", "--priority", "90", "--", "true"]))?;
        starts.push(killed.elapsed().as_secs_f64());
        nodes[leader].start_again()?;
        ground::wait_for_voters(&nodes[asked])?;
    }
    nodes.into_iter().rev().try_for_each(|node| ground.end(node))?;
    let row = |what: &str, seconds: &[f64], share, name: &str, most: f64| {
        let figure = pairs::percentile(seconds, share);
        let work = format!("the leader of three is killed: to the next {what}, {name} of {rounds}");
        let met = ground.verdict(figure <= most);
        Row::new(work, pairs::show(figure)).target(format!("at most {most} s"), met)
    };
    Ok(vec![
        row("committed submit", &submits, 0.50, "p50", SUBMIT_P50_MAX),
        row("committed submit", &submits, 0.95, "p95", SUBMIT_P95_MAX),
        row("task that ran", &starts, 0.95, "p95", START_P95_MAX),
    ])
}

/// Which of the nodes leads.
fn leader_of(nodes: &[Node]) -> Result<usize> {
    let leader = ground::wait_for_voters(&nodes[0])?;
    for (place, node) in nodes.iter().enumerate() {
        let version = node.ask(&["version", "--json"])?;
        let version: Value = serde_json::from_str(&version).context("understanding `version`")?;
        if version["server"]["node"].as_str() == Some(&leader) {
            return Ok(place);
        }
    }
    bail!("none of the nodes is the one that leads: {leader}")
}

fn again(since: Instant, mut ask: impl FnMut() -> Result<String>) -> Result<()> {
    loop {
        match ask() {
            Ok(_) => return Ok(()),
            Err(error) if since.elapsed() > BACK_MAX => return Err(error),
            Err(_) => {}
        }
    }
}
