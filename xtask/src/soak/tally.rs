//! What was asked of the node, and what it answered.

use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::node::Caller;

/// Runs that are looked up one by one at the end.
const LOOKED_UP_MAX: usize = 1_000;
/// Different complaints that are kept in words.
const COMPLAINTS_MAX: usize = 20;

/// Counts, shared by all threads.
#[derive(Default)]
pub(super) struct Tally {
    /// Runs whose submit was acknowledged.
    acknowledged: Mutex<Vec<u64>>,
    pub(super) refused: AtomicU64,
    pub(super) reads: AtomicU64,
    pub(super) kills: AtomicU64,
    /// The last words of each daemon that ended without being killed.
    deaths: Mutex<Vec<String>>,
    /// What clients said that nobody expected, by how often.
    complaints: Mutex<Vec<(String, u64)>>,
}

impl Tally {
    pub(super) fn acknowledge(&self, run: u64) {
        self.acknowledged.lock().expect("no thread panics with the lock").push(run);
    }

    pub(super) fn submitted(&self) -> usize {
        self.acknowledged.lock().expect("no thread panics with the lock").len()
    }

    pub(super) fn bury(&self, last_words: String) {
        self.deaths.lock().expect("no thread panics with the lock").push(last_words);
    }

    /// Whether no daemon ended but those that were killed.
    pub(super) fn nobody_died(&self) -> Result<String> {
        let deaths = self.deaths.lock().expect("no thread panics with the lock");
        match deaths.last() {
            None => Ok("it ended only when it was killed".to_owned()),
            Some(last) => {
                bail!("it ended {} times by itself, the last time with: {last}", deaths.len())
            }
        }
    }

    /// Takes the failure of a client: a refusal for want of room is part of the game,
    /// and so is a daemon that was just killed.
    pub(super) fn complain(&self, error: &anyhow::Error) {
        let text = format!("{error:#}");
        let said = text.lines().find(|line| line.starts_with("error: ")).unwrap_or(&text);
        if said.contains("no node answers") {
            return;
        }
        if is_refusal(said) {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let said: String = said.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        let mut complaints = self.complaints.lock().expect("no thread panics with the lock");
        if let Some((_, count)) = complaints.iter_mut().find(|(other, _)| *other == said) {
            *count += 1;
        } else if complaints.len() < COMPLAINTS_MAX {
            complaints.push((said, 1));
        }
    }

    /// Looks up what was acknowledged, or an even part of it: each run has ended, or was purged.
    pub(super) fn look_up(&self, caller: &Caller) -> Result<String> {
        let runs = self.acknowledged.lock().expect("no thread panics with the lock").clone();
        let step = runs.len().div_ceil(LOOKED_UP_MAX).max(1);
        let (mut ended, mut purged) = (0, 0);
        for run in runs.iter().step_by(step) {
            match caller.ask(&["status", &run.to_string(), "--json"]) {
                Ok(shown) => {
                    let shown: Value =
                        serde_json::from_str(&shown).context("understanding `status`")?;
                    if !has_ended(&shown) {
                        bail!("run {run} was acknowledged and has not ended: {shown}");
                    }
                    ended += 1;
                }
                Err(error) if format!("{error:#}").contains("purged") => purged += 1,
                Err(error) => bail!("run {run} was acknowledged and is not known: {error:#}"),
            }
        }
        Ok(format!("of {} runs {ended} have ended and {purged} were purged", ended + purged))
    }
}

fn is_refusal(said: &str) -> bool {
    ["room", "full", "too many", "queue"].iter().any(|word| said.contains(word))
}

/// Whether a run as `status --json` shows it has ended.
fn has_ended(shown: &Value) -> bool {
    let run = shown.get("run").filter(|run| run.is_object()).unwrap_or(shown);
    run["ended_at"].is_string()
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |of: &AtomicU64| of.load(Ordering::Relaxed);
        writeln!(
            f,
            "{} runs acknowledged, {} refused for want of room, {} reads, {} kills",
            self.submitted(),
            count(&self.refused),
            count(&self.reads),
            count(&self.kills)
        )?;
        let complaints = self.complaints.lock().expect("no thread panics with the lock");
        complaints.iter().try_for_each(|(said, count)| writeln!(f, "  {count} × {said}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_are_counted_and_refusals_are_none() {
        let tally = Tally::default();
        for text in ["x failed\nerror: run 7 is gone", "error: run 8 is gone", "error: no room"] {
            tally.complain(&anyhow::anyhow!(text.to_owned()));
        }
        let shown = tally.to_string();
        assert!(
            shown.contains("1 refused") && shown.contains("2 × error: run 0 is gone"),
            "{shown}"
        );
    }

    #[test]
    fn an_end_has_a_time() {
        let shown = |text| serde_json::from_str(text).unwrap();
        assert!(has_ended(&shown(r#"{"run": {"ended_at": "2026-01-01T00:00:00Z"}}"#)));
        assert!(has_ended(&shown(r#"{"run": 7, "ended_at": "2026-01-01T00:00:00Z"}"#)));
        assert!(!has_ended(&shown(r#"{"run": 7, "ended_at": null}"#)));
    }
}
