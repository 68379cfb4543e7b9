//! How a Raft journal is kept, and how patient its group is.

use std::path::PathBuf;
use std::time::Duration;

use crate::Syncs;

/// How a Raft journal is kept.
#[derive(Debug, Clone)]
pub struct Config {
    /// Its directory; it is created, and belongs to the journal alone.
    pub dir: PathBuf,
    /// This node, the same for the life of the directory.
    pub node: u64,
    /// What an empty directory becomes.
    pub start: Start,
    /// The cluster, of which every message speaks.
    pub cluster: Cluster,
    /// How patient the group is.
    pub timing: Timing,
    /// The size of a segment file. Space for the next one is always allocated ahead.
    pub segment_bytes: u64,
    /// How much of the end of the log stays in memory, for those who follow closely.
    pub cache_bytes: usize,
    /// How many bytes of proposals can be in flight; more of them wait.
    pub in_flight_bytes: usize,
    /// Is told how long each sync took that proposals wait for.
    pub syncs: Syncs,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            dir: PathBuf::from("journal"),
            node: 0,
            start: Start::Found,
            cluster: Cluster::default(),
            timing: Timing::default(),
            segment_bytes: 64 << 20,
            cache_bytes: 16 << 20,
            in_flight_bytes: 64 << 20,
            syncs: Syncs::default(),
        }
    }
}

/// What an empty directory becomes. It says nothing of one that holds a journal already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// A group of one, which leads at once.
    Found,
    /// A member that waits until the leader of a group adds it. It never votes before that.
    Join,
}

/// Which cluster a message is of; one of another is refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cluster {
    /// Drawn when the cluster was made.
    pub id: u128,
    /// Raised by a restore or a recovery, so that nothing from before can pass for something after.
    pub incarnation: u64,
}

/// How patient a group is. All members should have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// A leader lets its followers know of it at least every one and a half times this.
    pub heartbeat: Duration,
    /// So long nobody who has heard of a leader votes for another one.
    pub election_min: Duration,
    /// After this at the latest somebody who has heard of none asks for votes.
    pub election_max: Duration,
    /// How long one message with entries may take.
    pub append: Duration,
    /// How long the sending of a snapshot may stand still.
    pub stall: Duration,
    /// What the chance in elections is drawn from, together with the member's number.
    pub seed: u64,
}

impl Default for Timing {
    /// A new leader is found about 0.6 to 1.3 s after the death of the old one.
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_millis(100),
            election_min: Duration::from_millis(600),
            election_max: Duration::from_millis(1200),
            append: Duration::from_secs(10),
            stall: Duration::from_secs(30),
            seed: crate::member::draw_life(),
        }
    }
}
