//! What a snapshot costs those who commit beside it.
//!
//! A client keeps a beat of small commits. Meanwhile the journal is filled in short bursts, until the node takes a
//! snapshot, which is seen as a file of the journal; then only the beat goes on.
//! A commit counts for a snapshot when it falls between the first sight of the file and its being whole.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::ground::Ground;
use super::table::Row;
use crate::node::Node;
use crate::proc;

const BEATING: Duration = Duration::from_secs(60);
/// The first beats are the calm to compare with.
const CALM: Duration = Duration::from_secs(8);
/// After each burst: a node looks once a second whether it is time for a snapshot.
const PAUSE: Duration = Duration::from_millis(1_200);
const LOOK_AGAIN: Duration = Duration::from_millis(2);
const SLOWEST_MS_MAX: f64 = 20.0;
/// Large jobs that come and go: they fill the journal and nothing else.
const BURST: [&str; 5] = ["pulse", "--payload", "900KiB", "--for", "300ms"];

/// From its first sight until it was whole, Unix milliseconds.
type Taken = (u64, u64);

/// Beats, and has snapshots taken meanwhile.
pub(super) fn row(ground: &Ground, node: &Node, work: &str) -> Result<Row> {
    let duration = format!("{}s", BEATING.as_secs());
    let mut beats = node.client(&["__load", "pulse", "--all", "--for", &duration]);
    let beats = beats.stdout(Stdio::piped()).spawn().context("starting the beat")?;
    let end = Instant::now() + BEATING;
    std::thread::sleep(CALM);
    let calm_until = now_ms();
    let mut taken = Vec::new();
    while let Some(one) = take(node, end)? {
        taken.push(one);
    }
    let beats = beats.wait_with_output().context("waiting for the beat")?;
    let beats: Value = serde_json::from_slice(&beats.stdout).context("understanding the beat")?;
    if taken.is_empty() {
        bail!("no snapshot appeared in the journal within {BEATING:?}");
    }
    let inside = slowest(&beats, &taken)?;
    let calm = slowest(&beats, &[(0, calm_until)])?;
    let longest = taken.iter().map(|(from, to)| to - from).max().unwrap_or_default();
    let count = taken.len();
    Ok(Row::new(work, format!("{inside:.1} ms ({count} snapshots, the longest {longest} ms)"))
        .beside(format!("{calm:.1} ms (slowest in {} s without one)", CALM.as_secs()))
        .target(format!("at most {SLOWEST_MS_MAX} ms"), ground.verdict(inside <= SLOWEST_MS_MAX)))
}

/// Fills the journal until a snapshot is taken. `None`: the time is over.
fn take(node: &Node, end: Instant) -> Result<Option<Taken>> {
    let before = snapshots(node);
    while Instant::now() < end {
        let burst_ms = now_ms();
        node.load(&BURST)?;
        let patience = Instant::now() + PAUSE;
        let mut seen = None;
        // One that has begun is waited for as long as there is time.
        while Instant::now() < if seen.is_some() { end } else { patience } {
            let now = snapshots(node);
            let writing = now.keys().any(|path| path.extension().is_some_and(|e| e == "new"));
            if writing {
                seen.get_or_insert_with(now_ms);
            } else if now != before {
                // One that came and was whole between two looks began after the burst did.
                return Ok(Some((seen.unwrap_or(burst_ms), now_ms())));
            }
            std::thread::sleep(LOOK_AGAIN);
        }
    }
    Ok(None)
}

/// The snapshots, and one that is being written, with the time of their last change.
fn snapshots(node: &Node) -> BTreeMap<PathBuf, Option<SystemTime>> {
    let mut found = BTreeMap::new();
    proc::each_file(&node.data().join("journal"), 1, &mut |path, file| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let interim = name.ends_with(".snapshot.new");
        if interim || name.ends_with(".snapshot") {
            found.insert(path.to_owned(), file.modified().ok().filter(|_| !interim));
        }
    });
    found
}

/// The slowest commit that overlaps with any of the times, in milliseconds.
fn slowest(beats: &Value, times: &[Taken]) -> Result<f64> {
    let commits = beats["commits"].as_array().context("the fast client tells of no commits")?;
    let mut slowest = 0.0_f64;
    for commit in commits {
        let figure = |at: usize| commit[at].as_f64().context("a commit without its two figures");
        let (start, took) = (figure(0)?, figure(1)?);
        let overlaps = |(from, to): &Taken| start <= *to as f64 && start + took >= *from as f64;
        if times.iter().any(overlaps) {
            slowest = slowest.max(took);
        }
    }
    Ok(slowest)
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_millis() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_counts_for_the_snapshot_it_overlaps() {
        let beats = serde_json::json!({ "commits": [[90, 15.0], [100, 4.0], [300, 30.0]] });
        assert_eq!(slowest(&beats, &[(100, 200)]).unwrap(), 15.0);
        assert_eq!(slowest(&beats, &[(250, 310)]).unwrap(), 30.0);
        assert_eq!(slowest(&beats, &[(400, 500)]).unwrap(), 0.0);
    }
}
