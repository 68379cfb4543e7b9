//! What a snapshot costs those who commit beside it.
//!
//! A client keeps a beat of small commits; snapshots are asked for meanwhile, and seen as files of the journal.
//! A beat counts for a snapshot when it falls between the request and the moment the file stood there.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::ground::Ground;
use super::run_well;
use super::table::Row;
use crate::node::Node;
use crate::proc;

const BEATING: Duration = Duration::from_secs(40);
/// The first beats are the calm to compare with.
const CALM: Duration = Duration::from_secs(8);
/// Between two snapshots.
const PAUSE: Duration = Duration::from_secs(2);
const LOOK_AGAIN: Duration = Duration::from_millis(10);
const SLOWEST_MS_MAX: f64 = 20.0;
/// The signal by which a node is asked for a snapshot.
const SIGUSR2: u32 = 12;
/// Submitted at once where a snapshot cannot be asked for, until the node takes one by itself.
const TRAFFIC: [&str; 5] = ["submit", "--clients", "8", "--jobs", "20000"];

/// Beats, and asks for snapshots meanwhile.
pub(super) fn row(ground: &Ground, node: &Node, work: &str) -> Result<Row> {
    let duration = format!("{}s", BEATING.as_secs());
    let mut beats = node.client(&["__load", "pulse", "--all", "--for", &duration]);
    let beats = beats.stdout(Stdio::piped()).spawn().context("starting the beat")?;
    let end = Instant::now() + BEATING;
    std::thread::sleep(CALM);
    let mut taken = Vec::new();
    while let Some(one) = take(node, end)? {
        taken.push(one);
        std::thread::sleep(PAUSE);
    }
    let beats = beats.wait_with_output().context("waiting for the beat")?;
    let beats: Value = serde_json::from_slice(&beats.stdout).context("understanding the beat")?;
    if taken.is_empty() {
        bail!("no snapshot appeared in the journal within {BEATING:?}");
    }
    let (inside, outside) = slowest(&beats, &taken)?;
    let longest = taken.iter().map(|(from, to)| to - from).max().unwrap_or_default();
    let count = taken.len();
    Ok(Row::new(work, format!("{inside:.1} ms ({count} snapshots, the longest {longest} ms)"))
        .beside(format!("{outside:.1} ms (slowest without one)"))
        .target(format!("at most {SLOWEST_MS_MAX} ms"), ground.verdict(inside <= SLOWEST_MS_MAX)))
}

/// Has one snapshot taken: when it was asked for and when it was there. `None`: the time is over.
fn take(node: &Node, end: Instant) -> Result<Option<(u64, u64)>> {
    let before = snapshots(node);
    let [daemon, _] = node.pids();
    let asked = proc::handles_signal(daemon, SIGUSR2)?;
    let from = now_ms();
    if asked {
        let mut kill = Command::new("kill");
        run_well(kill.arg("-USR2").arg(daemon.to_string()), "kill")?;
    }
    while Instant::now() < end {
        if snapshots(node) != before {
            return Ok(Some((from, now_ms())));
        }
        if !asked {
            node.load(&TRAFFIC)?;
        }
        std::thread::sleep(LOOK_AGAIN);
    }
    Ok(None)
}

/// The snapshots that are whole, with the time of their last change.
fn snapshots(node: &Node) -> BTreeMap<PathBuf, Option<SystemTime>> {
    let mut found = BTreeMap::new();
    proc::each_file(&node.data().join("journal"), 1, &mut |path, file| {
        if path.extension().is_some_and(|extension| extension == "snapshot") {
            found.insert(path.to_owned(), file.modified().ok());
        }
    });
    found
}

/// The slowest commit during any of the snapshots, and the slowest of the others, in milliseconds.
fn slowest(beats: &Value, taken: &[(u64, u64)]) -> Result<(f64, f64)> {
    let commits = beats["commits"].as_array().context("the fast client tells of no commits")?;
    let (mut inside, mut outside) = (0.0_f64, 0.0_f64);
    for commit in commits {
        let figure = |at: usize| commit[at].as_f64().context("a commit without its two figures");
        let (start, took) = (figure(0)?, figure(1)?);
        let overlaps =
            |(from, to): &(u64, u64)| start <= *to as f64 && start + took >= *from as f64;
        let side = if taken.iter().any(overlaps) { &mut inside } else { &mut outside };
        *side = side.max(took);
    }
    Ok((inside, outside))
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_millis() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beat_counts_for_the_snapshot_it_overlaps() {
        let beats = serde_json::json!({ "commits": [[90, 15.0], [100, 4.0], [300, 30.0]] });
        assert_eq!(slowest(&beats, &[(100, 200)]).unwrap(), (15.0, 30.0));
    }
}
