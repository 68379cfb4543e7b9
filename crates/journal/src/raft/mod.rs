//! The journal kept by a Raft group: today a group of one, on disk.
//!
//! Openraft decides, `crate::log` keeps, and this module joins the two and speaks the [`Journal`] trait.
//! Snapshots are made from above, by a checkpoint; openraft hears of them and then lets the log be trimmed.
//! It has no timer that matters either: openraft ticks every 1.5 s, and the election at the start is asked for.
//!
//! It never hangs on a dead Raft core and never answers for one: whatever ends it, disk or panic, becomes
//! [`Leadership::Dead`].

mod applied;
mod checkpoint;
mod network;
mod shared;
mod source;
mod store;
mod types;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use openraft::error::{CheckIsLeaderError, ClientWriteError, Fatal, RaftError};
use openraft::{BasicNode, SnapshotPolicy};
use tokio::sync::{Semaphore, oneshot, watch};

use crate::follow::Batch;
use crate::log::{Disk, Entry, Log, Options};
use crate::room::Room;
use crate::snapshot::{Ends, Pace, Snapshots};
use crate::{
    Follow, Index, Journal, JournalError, LeaderId, Leadership, OpenError, ProposeError,
    RECORD_BYTES_MAX, Snapshot, Syncs,
};
use applied::Applied;
use checkpoint::Checkpoints;
use network::NoPeers;
use shared::{LAST_WORDS, Shared, Watcher};
use source::Files;
use store::Store;
use types::{Membership, Record, Types};

/// How a Raft journal is kept.
#[derive(Debug, Clone)]
pub struct Config {
    /// Its directory; it is created, and belongs to the journal alone.
    pub dir: PathBuf,
    /// This node, the same for the life of the directory.
    pub node: u64,
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
            segment_bytes: 64 << 20,
            cache_bytes: 16 << 20,
            in_flight_bytes: 64 << 20,
            syncs: Syncs::default(),
        }
    }
}

/// A journal kept by Raft. End it with `shutdown`.
pub struct Raft {
    node: u64,
    raft: openraft::Raft<Types>,
    log: Arc<Log>,
    shared: Arc<Shared>,
    files: Arc<Files>,
    checkpoints: Checkpoints,
    room: Room,
    /// A permit for each KiB of a proposal.
    in_flight: Semaphore,
    in_flight_max: u32,
    ended: AtomicBool,
}

impl Raft {
    /// Opens the journal in the directory. The first time this makes a group of one.
    ///
    /// It leads soon after, which `leadership` tells.
    pub async fn open(config: Config) -> Result<Self, OpenError> {
        Self::open_on(Disk::default(), config, settings()).await
    }

    async fn open_on(
        disk: Disk,
        config: Config,
        settings: openraft::Config,
    ) -> Result<Self, OpenError> {
        let settings = settings.validate().map(Arc::new).map_err(|error| refused(&error))?;
        let node = config.node;
        let room = Room::new(config.dir.clone());
        let options = Options {
            dir: config.dir,
            node,
            segment_bytes: config.segment_bytes,
            cache_bytes: config.cache_bytes,
            disk,
            syncs: config.syncs,
        };
        let opening = tokio::task::spawn_blocking(move || open_files(options)).await;
        let Start { log, snapshots, committed, memberships } =
            opening.map_err(|error| refused(&error))??;
        let (log, snapshots) = (Arc::new(log), Arc::new(snapshots));

        let shared = Arc::new(Shared::new(committed.map_or(0, |id| id.index), memberships));
        let (alive, applied) = oneshot::channel();
        let store = Store::new(log.clone(), snapshots.clone(), node);
        let machine = Applied::new(
            shared.clone(),
            log.clone(),
            snapshots.clone(),
            store.clone(),
            committed,
            alive,
        );
        let raft = openraft::Raft::new(node, settings, NoPeers, store, machine).await;
        let raft = raft.map_err(|error| refused(&error))?;
        let watcher = Watcher {
            node,
            shared: shared.clone(),
            metrics: raft.metrics(),
            failure: log.failure(),
            applied,
        };
        tokio::spawn(watcher.run());

        let in_flight_max = (config.in_flight_bytes.max(RECORD_BYTES_MAX) >> 10) as u32 + 1;
        let in_flight = Semaphore::new(in_flight_max as usize);
        let checkpoints = Checkpoints {
            raft: raft.clone(),
            log: log.clone(),
            snapshots: snapshots.clone(),
            shared: shared.clone(),
            gate: Arc::default(),
        };
        let files = Arc::new(Files { log: log.clone(), snapshots });
        let ended = AtomicBool::new(false);
        let journal = Self {
            node,
            raft,
            log,
            shared,
            files,
            checkpoints,
            room,
            in_flight,
            in_flight_max,
            ended,
        };
        journal.stand().await?;
        Ok(journal)
    }

    /// Makes this node the leader of its group of one.
    async fn stand(&self) -> Result<(), OpenError> {
        if self.raft.is_initialized().await.map_err(|error| refused(&error))? {
            return self.raft.trigger().elect().await.map_err(|error| refused(&error));
        }
        let alone = BTreeMap::from([(self.node, BasicNode::default())]);
        self.raft.initialize(alone).await.map_err(|error| refused(&error))
    }

    async fn write(&self, leader: LeaderId, record: Bytes) -> Result<Index, ProposeError> {
        let permits = (record.len() as u32 >> 10) + 1;
        let room = self.in_flight.acquire_many(permits.min(self.in_flight_max)).await;
        let _room = room.expect("the semaphore is never closed");
        let leads = self.shared.leadership.borrow().clone();
        leads.admit(leader)?;
        match self.raft.client_write(Record(record)).await {
            Ok(written) if written.log_id.leader_id.term == leader.term => Ok(written.log_id.index),
            // Written by a leader that the record does not name, so nobody will take it for valid.
            Ok(_) => {
                let current = self.shared.leadership.borrow().leader();
                Err(ProposeError::NotLeader { asked: leader, current })
            }
            Err(RaftError::APIError(ClientWriteError::ForwardToLeader(to))) => {
                // Another leader may also have cut the entry here while it lives on elsewhere.
                let refused_at_once = to.leader_id.is_none_or(|leader| leader == self.node);
                Err(if refused_at_once { ProposeError::Retry } else { ProposeError::Unknown })
            }
            Err(RaftError::APIError(ClientWriteError::ChangeMembershipError(_))) => {
                Err(ProposeError::Unknown)
            }
            Err(RaftError::Fatal(fatal)) => {
                Err(ProposeError::Dead { reason: self.reason(&fatal).await })
            }
        }
    }

    async fn confirm(&self) -> Result<Index, JournalError> {
        match self.raft.get_read_log_id().await {
            Ok((read, _)) => Ok(read.map_or(0, |id| id.index)),
            Err(RaftError::APIError(CheckIsLeaderError::ForwardToLeader(_))) => {
                let current = self.shared.leadership.borrow().leader();
                Err(JournalError::NotLeader { current })
            }
            Err(RaftError::APIError(CheckIsLeaderError::QuorumNotEnough(_))) => {
                Err(JournalError::NoMajority)
            }
            Err(RaftError::Fatal(fatal)) => {
                Err(JournalError::Dead { reason: self.reason(&fatal).await })
            }
        }
    }

    /// Why the journal is dead: the watcher knows best, and soon.
    async fn reason(&self, fatal: &Fatal<u64>) -> Arc<str> {
        let known = tokio::time::timeout(LAST_WORDS * 2, self.shared.dead()).await;
        known.unwrap_or_else(|_| fatal.to_string().into())
    }
}

impl Journal for Raft {
    async fn propose(&self, leader: LeaderId, record: Bytes) -> Result<Index, ProposeError> {
        if record.len() > RECORD_BYTES_MAX {
            return Err(ProposeError::TooLarge { bytes: record.len() });
        }
        tokio::select! {
            biased;
            written = self.write(leader, record) => written,
            reason = self.shared.dead() => Err(ProposeError::Dead { reason }),
        }
    }

    fn follow(&self, after: Index) -> Follow {
        Follow::new(self.files.clone(), self.shared.extent.subscribe(), after)
    }

    fn follow_newest(&self) -> Follow {
        Follow::from_newest(self.files.clone(), self.shared.extent.subscribe())
    }

    fn newest_snapshot(&self) -> Index {
        self.files.snapshots.newest_index()
    }

    fn leadership(&self) -> watch::Receiver<Leadership> {
        self.shared.leadership.subscribe()
    }

    async fn barrier(&self) -> Result<Index, JournalError> {
        let leads = self.shared.leadership.borrow().clone();
        if let Some(reason) = leads.dead() {
            return Err(JournalError::Dead { reason });
        }
        tokio::select! {
            biased;
            confirmed = self.confirm() => confirmed,
            reason = self.shared.dead() => Err(JournalError::Dead { reason }),
        }
    }

    async fn checkpoint(&self, upto: Index, snapshot: Snapshot) -> Result<(), JournalError> {
        self.checkpoints.make(upto, snapshot).await
    }

    fn log_bytes(&self) -> u64 {
        self.log.bytes_behind(self.files.snapshots.newest_index())
    }

    fn free_bytes(&self) -> u64 {
        self.room.free_bytes()
    }

    async fn shutdown(&self) {
        self.shared.publish(Leadership::Dead("the journal was shut down".into()));
        self.ended.store(true, Ordering::Relaxed);
        end(self.checkpoints.clone()).await;
    }
}

impl Drop for Raft {
    /// Openraft's core keeps itself alive; without this a journal that was not shut down would never end.
    fn drop(&mut self) {
        self.shared.publish(Leadership::Dead("the journal was dropped".into()));
        if !self.ended.load(Ordering::Relaxed)
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(end(self.checkpoints.clone()));
        }
    }
}

/// How long a checkpoint gets to break off.
const BREAKS_OFF_WITHIN: Duration = Duration::from_secs(5);

/// Ends a checkpoint that is under way, the Raft core, and then what they write to.
async fn end(Checkpoints { raft, log, snapshots, gate, .. }: Checkpoints) {
    snapshots.cancel();
    if tokio::time::timeout(BREAKS_OFF_WITHIN, gate.lock()).await.is_err() {
        tracing::warn!("what makes a snapshot does not end; the snapshot will not be kept");
    }
    if let Err(error) = raft.shutdown().await {
        tracing::error!(%error, "the raft core did not end in order");
    }
    if let Err(error) = tokio::task::spawn_blocking(move || log.close()).await {
        tracing::error!(%error, "the journal's files were not closed in order");
    }
}

/// What a journal starts from.
struct Start {
    log: Log,
    snapshots: Snapshots,
    committed: Option<openraft::LogId<u64>>,
    memberships: Vec<Membership>,
}

/// Opens the log and the snapshots, and reads what is known to be committed of them. Blocks.
fn open_files(options: Options) -> Result<Start, OpenError> {
    let (disk, dir) = (options.disk.clone(), options.dir.clone());
    let log = Log::open(options)?;
    let positions = log.positions();
    let ends = Ends { purged: positions.purged, last: positions.last };
    let entry = |index| checkpoint::entry_id(&log, index).map_err(|error| refused(&error));
    let snapshots = Snapshots::open(disk, dir, Pace::default(), ends, entry);
    // The lock goes with the log's thread, and whoever tries again at once must find it gone.
    let snapshots = snapshots.inspect_err(|_| log.close())?;
    let noted = positions.committed.map(entry).transpose()?.flatten().or(positions.purged);
    let mut start =
        Start { committed: noted.map(types::log_id), memberships: Vec::new(), snapshots, log };
    let mut since = None;
    if let Some(newest) = start.snapshots.newest() {
        let membership = applied::decode(&newest.head).map_err(|error| refused(&error))?;
        since = membership.log_id().map(|id| id.index);
        start.memberships.push(membership);
        start.committed = start.committed.max(Some(types::log_id(newest.head.id)));
    }
    for index in positions.memberships.iter().filter(|index| Some(**index) > since) {
        start.memberships.extend(read_membership(&start.log, *index)?);
    }
    Ok(start)
}

fn read_membership(log: &Log, index: Index) -> Result<Option<Membership>, OpenError> {
    let one = Batch { entries: 1, bytes: usize::MAX };
    let entries = log.read(index..index + 1, one).map_err(|error| refused(&error))?;
    let Some(Entry { id, body, .. }) = entries.into_iter().next() else { return Ok(None) };
    let voters = serde_json::from_slice(&body).map_err(|error| refused(&error))?;
    Ok(Some(Membership::new(Some(types::log_id(id)), voters)))
}

fn settings() -> openraft::Config {
    openraft::Config {
        cluster_name: "windlass".to_owned(),
        // openraft ticks every 1.5 heartbeats. With nobody to send one to, the tick is only a safety net.
        heartbeat_interval: 1000,
        election_timeout_min: 2000,
        election_timeout_max: 4000,
        // Checkpoints say when, and how much of the log is trimmed.
        snapshot_policy: SnapshotPolicy::Never,
        max_in_snapshot_log_to_keep: u64::MAX,
        ..openraft::Config::default()
    }
}

fn refused(error: &dyn std::error::Error) -> OpenError {
    OpenError::Raft { reason: error.to_string() }
}
