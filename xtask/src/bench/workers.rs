//! A thousand workers, each with a session, a lease and heartbeats of its own, in the leader's process.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::ground::Ground;
use super::table::Row;
use crate::node::Node;
use crate::proc;

const WORKERS: u64 = 1_000;
const ELEMENTS: u64 = 100_000;
const CONNECTED_SECONDS_MAX: f64 = 10.0;
const IDLE_PERCENT_MAX: f64 = 10.0;
const SETTLE: Duration = Duration::from_secs(5);
const WATCH: Duration = Duration::from_secs(20);
const CONNECT_MAX: Duration = Duration::from_secs(120);

/// Connects them, watches them do nothing, and spreads an array over them.
pub(super) fn rows(ground: &Ground) -> Result<Vec<Row>> {
    let workers = ground.scaled(WORKERS).max(10);
    let begun = Instant::now();
    let count = workers.to_string();
    let up = ["--peer", "127.0.0.1:0", "--noop-workers", &count, "--noop-slots", "4"];
    let node = ground.node("workers", &up)?;
    while ready(&node)? < workers {
        if begun.elapsed() > CONNECT_MAX {
            bail!("only {} of {workers} workers are ready", ready(&node)?);
        }
    }
    let connected = begun.elapsed().as_secs_f64();
    std::thread::sleep(SETTLE);
    let [daemon, _] = node.pids();
    let before = proc::cpu_seconds(&[daemon])?;
    std::thread::sleep(WATCH);
    let percent = (proc::cpu_seconds(&[daemon])? - before) / WATCH.as_secs_f64() * 100.0;
    let elements = ground.scaled(ELEMENTS);
    let array = format!("1-{elements}");
    let start = Instant::now();
    let noop = ["run", "--detach", "--runner", "noop", "--array", &array, "--", "noop"];
    let run = node.ask(&noop)?;
    node.load(&["drain"])?;
    let pace = elements as f64 / start.elapsed().as_secs_f64();
    node.run(&["wait", run.trim()])?;
    ground.end(node)?;
    let name = format!("{workers} worker sessions");
    Ok(vec![
        Row::new(format!("{name}: from nothing to all connected"), format!("{connected:.1} s"))
            .target(
                format!("at most {CONNECTED_SECONDS_MAX} s"),
                ground.verdict(connected <= CONNECTED_SECONDS_MAX),
            ),
        Row::new(format!("{name}: idle"), format!("{percent:.1} % of a core")).target(
            format!("under {IDLE_PERCENT_MAX} %"),
            ground.verdict(percent < IDLE_PERCENT_MAX),
        ),
        Row::new(format!("{name}: {elements} × noop spread over them"), format!("{pace:.0}/s")),
    ])
}

/// How many workers take work, the node's own left out.
fn ready(node: &Node) -> Result<u64> {
    let nodes = node.ask(&["node", "ls", "--json"])?;
    let nodes: Value = serde_json::from_str(&nodes).context("understanding `node ls`")?;
    let nodes = nodes["nodes"].as_array().context("`node ls` lists no nodes")?;
    let ready = nodes.iter().filter(|node| node["state"] == "ready");
    Ok(ready.filter(|node| node["name"].as_str().is_some_and(|n| n.starts_with("noop"))).count()
        as u64)
}
