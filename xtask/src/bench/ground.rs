//! Where the works run: the binary, a directory for nodes, and how much of each work is asked for.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::node::Node;
use crate::proc;

/// How often the memory of a node is looked at until it rests.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// Memory rests when so many looks in a row differ by no more than `REST_MIB`.
const RESTING_LOOKS: usize = 8;
const REST_MIB: f64 = 0.5;
const REST_MAX: Duration = Duration::from_secs(40);
const HOLD_MAX: Duration = Duration::from_secs(10);

/// What every work is given.
pub(super) struct Ground {
    pub(super) binary: PathBuf,
    pub(super) directory: PathBuf,
    /// How often what runs in turn is run.
    pub(super) pairs: usize,
    /// The share of the real counts; 1 unless this is a rehearsal.
    pub(super) scale: f64,
}

impl Ground {
    /// A fresh node for the work of this name.
    pub(super) fn node(&self, name: &str, args: &[&str]) -> Result<Node> {
        Node::start(&self.binary, &self.directory.join(name), args)
    }

    /// Three fresh nodes that all vote; the first of them leads. `args` are more for the first.
    pub(super) fn cluster(&self, name: &str, args: &[&str]) -> Result<Vec<Node>> {
        let names: [String; 3] = [1, 2, 3].map(|number| format!("{name}-{number}"));
        let up = |name| ["--peer", "127.0.0.1:0", "--lease", "10s", "--name", name];
        let mut nodes = vec![self.node(&names[0], &[&up(&names[0]), args].concat())?];
        for name in &names[1..] {
            nodes.push(Node::join(&nodes[0], &self.directory.join(name), &up(name))?);
        }
        wait_for_voters(&nodes[0])?;
        Ok(nodes)
    }

    /// A fresh node with one processor, which a task of the highest priority keeps for itself:
    /// whatever else comes stays in the queue. `args` are more for `up`.
    pub(super) fn held_node(&self, name: &str, args: &[&str]) -> Result<Node> {
        let node = self.node(name, &[&["--cpus", "1"], args].concat())?;
        let sleep = ["run", "--detach", "--priority", "100", "--", "sleep", "1000000"];
        node.run(&sleep)?;
        let deadline = Instant::now() + HOLD_MAX;
        while look(&node)?.running == 0 {
            if Instant::now() > deadline {
                bail!("the task that keeps the processor for itself does not start");
            }
            std::thread::sleep(LOOK_AGAIN);
        }
        Ok(node)
    }

    /// Ends the node, and takes its data away so that the next work has the disk.
    pub(super) fn end(&self, mut node: Node) -> Result<()> {
        node.stop()?;
        let data = node.data();
        std::fs::remove_dir_all(&data).with_context(|| format!("removing {}", data.display()))
    }

    /// That many, or their share in a rehearsal.
    pub(super) fn scaled(&self, count: u64) -> u64 {
        ((count as f64 * self.scale) as u64).max(1)
    }

    /// A rehearsal proves nothing.
    pub(super) fn verdict(&self, met: bool) -> Option<bool> {
        (self.scale == 1.0).then_some(met)
    }
}

/// Waits until three nodes vote and answer the leader; the name of that.
pub(super) fn wait_for_voters(node: &Node) -> Result<String> {
    let deadline = Instant::now() + HOLD_MAX * 6;
    loop {
        let said = node.ask(&["cluster", "status", "--json"]).unwrap_or_default();
        let status: Value = serde_json::from_str(&said).unwrap_or_default();
        let members = status["members"].as_array().cloned().unwrap_or_default();
        let is_well = |member: &&Value| {
            let is_near = member["behind"].as_u64().is_none_or(|behind| behind < 100);
            let answers = matches!(member["state"].as_str(), Some("leads" | "follows"));
            member["vote"] == "voter" && answers && is_near
        };
        let leader = members.iter().find(|member| member["id"] == status["leader"]);
        let leader = leader.and_then(|leader| leader["name"].as_str());
        if let (3, Some(leader)) = (members.iter().filter(is_well).count(), leader) {
            return Ok(leader.to_owned());
        }
        if Instant::now() > deadline {
            bail!("the three nodes do not come to vote: {said}");
        }
        std::thread::sleep(LOOK_AGAIN);
    }
}

/// What a node has to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Work {
    pub(super) running: u64,
    pub(super) queued: u64,
}

/// Asks the node what it has to do.
pub(super) fn look(node: &Node) -> Result<Work> {
    let found = node.load(&["drain", "--limit", "0s"])?;
    Ok(Work {
        running: number(&found, "running")? as u64,
        queued: number(&found, "queued")? as u64,
    })
}

/// Everything that waits: in the queue, and on the node itself for room.
pub(super) fn waiting(node: &Node) -> Result<u64> {
    let nodes = node.ask(&["node", "ls", "--json"])?;
    let nodes: Value = serde_json::from_str(&nodes).context("understanding `node ls`")?;
    let ahead = nodes["nodes"][0]["waiting"].as_u64().context("`node ls` tells of no waiting")?;
    Ok(look(node)?.queued + ahead)
}

/// A figure of what the fast client says.
pub(super) fn number(found: &Value, name: &str) -> Result<f64> {
    found[name].as_f64().with_context(|| format!("the fast client says no `{name}`: {found}"))
}

/// The memory of daemon and supervisor once it rests, in MiB; at the latest after a while.
pub(super) fn resting_mib(node: &Node) -> Result<f64> {
    let deadline = Instant::now() + REST_MAX;
    let mut seen: Vec<f64> = Vec::new();
    loop {
        std::thread::sleep(LOOK_AGAIN);
        seen.push(proc::resident_mib(&node.pids())?);
        if rests(&seen) || Instant::now() > deadline {
            return Ok(seen[seen.len() - 1]);
        }
    }
}

fn rests(seen: &[f64]) -> bool {
    let Some(last) = seen.len().checked_sub(RESTING_LOOKS).map(|from| &seen[from..]) else {
        return false;
    };
    let most = last.iter().copied().fold(f64::MIN, f64::max);
    let least = last.iter().copied().fold(f64::MAX, f64::min);
    most - least <= REST_MIB
}

/// Kills the daemon and starts it again, some times; the seconds until it served.
pub(super) fn restarts(node: &mut Node, times: usize) -> Result<Vec<f64>> {
    let restart = |_| {
        node.kill()?;
        Ok(node.start_again()?.as_secs_f64())
    };
    (0..times).map(restart).collect()
}

/// Bytes that the directory of the node's data takes of the disk: what was just written may have no blocks yet.
pub(super) fn disk_bytes(node: &Node, part: &str) -> f64 {
    let (long, taken) = proc::file_bytes(&node.data().join(part));
    long.max(taken) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_rests_when_it_no_longer_moves() {
        let falling: Vec<f64> = (0..20).map(|n| 100.0 - f64::from(n)).collect();
        assert!(!rests(&falling) && !rests(&falling[..3]));
        let calm = [&falling[..], &[80.3; RESTING_LOOKS]].concat();
        assert!(rests(&calm));
    }

    #[test]
    fn a_rehearsal_has_no_verdict() {
        let ground = |scale| Ground { binary: "".into(), directory: "".into(), pairs: 1, scale };
        assert_eq!((ground(1.0).verdict(false), ground(0.1).verdict(false)), (Some(false), None));
        assert_eq!((ground(0.01).scaled(1_000), ground(0.01).scaled(3)), (10, 1));
    }

    #[test]
    fn a_figure_that_is_not_said_is_named() {
        let found = serde_json::json!({ "p50_ms": 1.5, "max_ms": null });
        assert_eq!(number(&found, "p50_ms").unwrap(), 1.5);
        assert!(number(&found, "max_ms").unwrap_err().to_string().contains("no `max_ms`"));
    }
}
