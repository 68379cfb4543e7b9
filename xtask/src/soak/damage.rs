//! What is done to the node: the daemon is killed and started again, and now and then its supervisor too.
//!
//! Nothing is done in the middle third of the time.

use std::process::Command;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::samples::supervisor;
use super::tally::Tally;
use crate::node::Node;

/// Between two kills; less where the whole time is short.
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// Every so many kills it is the supervisor.
const SUPERVISOR_EVERY: u32 = 4;

pub(super) struct Damage {
    length: Duration,
    next: Duration,
    kills: u32,
}

impl Damage {
    pub(super) fn new(length: Duration) -> Damage {
        Damage { length, next: pause(length), kills: 0 }
    }

    /// Does what is due, and starts a daemon again that is gone.
    pub(super) fn step(&mut self, node: &mut Node, at: Duration, tally: &Tally) -> Result<()> {
        if !node.is_alive()? {
            tally.bury(node.last_words());
            node.start_again().context("starting a daemon that ended by itself")?;
        }
        if at < self.next {
            return Ok(());
        }
        self.next = at + pause(self.length);
        if is_calm(at, self.length) {
            return Ok(());
        }
        self.kills += 1;
        tally.kills.fetch_add(1, Ordering::Relaxed);
        if self.kills.is_multiple_of(SUPERVISOR_EVERY) {
            return kill_supervisor(node);
        }
        node.kill()?;
        node.start_again().context("starting a daemon that was killed").map(drop)
    }
}

/// Whether this is the middle third.
pub(super) fn is_calm(at: Duration, length: Duration) -> bool {
    (length / 3..length * 2 / 3).contains(&at)
}

fn pause(length: Duration) -> Duration {
    PAUSE_MAX.min(length / 8)
}

fn kill_supervisor(node: &Node) -> Result<()> {
    let Some(pid) = supervisor(node) else { return Ok(()) };
    // It may be gone by itself meanwhile.
    Command::new("kill").arg("-9").arg(pid.to_string()).status().context("starting `kill`")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_is_calm() {
        let at = |seconds| is_calm(Duration::from_secs(seconds), Duration::from_secs(90));
        assert_eq!([0, 29, 30, 59, 60].map(at), [false, false, true, true, false]);
        assert_eq!(pause(Duration::from_secs(1800)), PAUSE_MAX);
        assert_eq!(pause(Duration::from_secs(120)), Duration::from_secs(15));
    }
}
