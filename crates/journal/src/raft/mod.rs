//! The journal kept by a Raft group of 1, 3 or 5 voters, and those who learn.
//!
//! ```text
//!              Journal: propose, follow, barrier, checkpoint
//!                 │
//!   barrier ── Raft ── membership        receive ◄── Peers (the node's): bytes of other members
//!                 │                         │
//!   election ── openraft (decides) ◄────────┘ ── network ──► Peers ── wire: messages as bytes
//!                 │
//!              store, applied ── crate::log, crate::snapshot (keep)
//! ```
//!
//! Openraft decides, `crate::log` keeps, and this module joins the two and speaks the [`Journal`] trait.
//! Snapshots are made from above, by a checkpoint; openraft hears of them and then lets the log be trimmed.
//! It knows no address, no certificate and no protocol: see [`Peers`].
//!
//! It never hangs on a dead Raft core and never answers for one: whatever ends it, disk or panic, becomes
//! [`Leadership::Dead`].

mod applied;
mod barrier;
mod checkpoint;
mod config;
mod election;
mod membership;
mod network;
mod offline;
mod peers;
mod receive;
mod shared;
mod simulated;
mod source;
mod store;
mod types;
mod wire;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use openraft::error::{ClientWriteError, Fatal, RaftError};
use openraft::{BasicNode, SnapshotPolicy};
use tokio::sync::{Mutex, Semaphore, mpsc, oneshot, watch};

use crate::follow::Batch;
use crate::log::{Disk, Entry, Log, Options};
use crate::room::Room;
use crate::snapshot::{Ends, Pace, Snapshots};
use crate::{
    Follow, Index, Journal, JournalError, LeaderId, Leadership, Member, OpenError, ProposeError,
    RECORD_BYTES_MAX, Snapshot,
};
use applied::Applied;
use barrier::{Barriers, Unconfirmed};
use checkpoint::Checkpoints;
pub use config::{Cluster, Config, Start, Timing};
use election::{Contact, Elections};
pub use membership::{ChangeError, Membership, Progress, Role};
use network::Network;
pub use offline::{Recovered, recover_alone, restore, set_aside};
pub use peers::{Answer, MESSAGE_BYTES_MAX, Peers, Unreachable};
use peers::{Link, Nobody};
use receive::Receiver;
use shared::{LAST_WORDS, Shared, Watcher};
use source::Files;
use store::Store;
use types::{Record, StoredMembership, Types};

/// A journal kept by Raft. End it with `shutdown`.
pub struct Raft {
    /// Of this member.
    number: u64,
    raft: openraft::Raft<Types>,
    log: Arc<Log>,
    shared: Arc<Shared>,
    link: Arc<Link>,
    files: Arc<Files>,
    checkpoints: Checkpoints,
    barriers: Barriers,
    elections: Elections,
    receiver: Receiver,
    room: Room,
    /// A permit for each KiB of a proposal.
    in_flight: Semaphore,
    in_flight_max: u32,
    ended: AtomicBool,
}

impl Raft {
    /// Opens the journal in the directory, for a group of one.
    ///
    /// It leads soon after, which `leadership` tells.
    pub async fn open(config: Config) -> Result<Self, OpenError> {
        Self::open_among(config, Arc::new(Nobody)).await
    }

    /// Opens the journal in the directory, as a member of a group that `peers` leads to.
    ///
    /// What an empty directory becomes is `config.start`'s to say. From here on the journal takes part;
    /// messages of others are handed to it with `receive`.
    pub async fn open_among(config: Config, peers: Arc<dyn Peers>) -> Result<Self, OpenError> {
        Self::open_on(Disk::default(), config, peers).await
    }

    async fn open_on(disk: Disk, config: Config, peers: Arc<dyn Peers>) -> Result<Self, OpenError> {
        let Config { timing, cluster, start, .. } = config;
        let settings = settings(&timing).validate().map_err(|error| refused(&error))?;
        let room = Room::new(config.dir.clone());
        let options = options(&config, disk);
        let blocking = options.disk.blocking();
        let opening = blocking.run(move || open_files(options)).await;
        let Opened { log, snapshots, committed, memberships } =
            opening.map_err(|error| refused(&error))??;
        let (log, snapshots) = (Arc::new(log), Arc::new(snapshots));
        let me = log.member();
        let number = me.number();
        let link = Link::new(me, cluster, timing, peers, blocking);

        let shared = Arc::new(Shared::new(committed.map_or(0, |id| id.index), memberships));
        let (alive, applied) = oneshot::channel();
        let store = Store::new(log.clone(), snapshots.clone(), number);
        let machine = Applied::new(
            shared.clone(),
            log.clone(),
            snapshots.clone(),
            store.clone(),
            committed,
            alive,
        );
        let network = Network(link.clone());
        let raft = openraft::Raft::new(number, Arc::new(settings), network, store, machine).await;
        let raft = raft.map_err(|error| refused(&error))?;
        let watcher = Watcher {
            node: number,
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
        let contact = Contact::new(timing.election_min);
        let elections = Elections {
            raft: raft.clone(),
            link: link.clone(),
            log: log.clone(),
            shared: shared.clone(),
            contact: contact.clone(),
        };
        let receiver = Receiver {
            raft: raft.clone(),
            link: link.clone(),
            log: log.clone(),
            shared: shared.clone(),
            contact,
            gate: Arc::new(Mutex::new(())),
        };
        let files = Arc::new(Files { log: log.clone(), snapshots });
        let journal = Self {
            number,
            raft,
            log,
            shared,
            link,
            files,
            checkpoints,
            barriers: Barriers::default(),
            elections,
            receiver,
            room,
            in_flight,
            in_flight_max,
            ended: AtomicBool::new(false),
        };
        if start == Start::Found {
            journal.found().await?;
        }
        // Asks the core for something, so that it runs before anybody looks for who votes.
        journal.raft.is_initialized().await.map_err(|error| refused(&error))?;
        tokio::spawn(journal.elections.clone().run());
        Ok(journal)
    }

    /// Makes a group of one, where there is none.
    async fn found(&self) -> Result<(), OpenError> {
        if self.raft.is_initialized().await.map_err(|error| refused(&error))? {
            return Ok(());
        }
        let alone = BTreeMap::from([(self.number, BasicNode::new(self.link.me.encode()))]);
        self.raft.initialize(alone).await.map_err(|error| refused(&error))
    }

    /// Which member of its group this journal is.
    pub fn member(&self) -> Member {
        self.link.me
    }

    /// Who takes part, as far as this member knows.
    pub fn membership(&self) -> watch::Receiver<Membership> {
        self.shared.membership.subscribe()
    }

    /// Whether this member is the one that votes, and needs no other to go on.
    pub fn is_only_voter(&self) -> bool {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow();
        metrics.membership_config.voter_ids().eq([self.number])
    }

    /// Takes a message of another member, and gives the answer. `from` is the node that the sender's certificate names.
    ///
    /// Whatever is wrong with the message is said in the answer, for the other side to read.
    pub async fn receive(&self, from: u64, message: Bytes) -> Bytes {
        self.receiver.receive(from, message).await
    }

    /// Takes a snapshot of another member: its head, and the chunks until the channel ends. Answers once it is installed.
    pub async fn receive_snapshot(
        &self,
        from: u64,
        head: Bytes,
        chunks: mpsc::Receiver<Bytes>,
    ) -> Bytes {
        self.receiver.receive_snapshot(from, head, chunks).await
    }

    /// Gives the leadership up, and lets others go first. Nothing happens where another one leads.
    ///
    /// What is in flight may or may not be committed by the next leader. In a group of one it leads again at once.
    pub async fn resign(&self) {
        self.elections.resign().await;
    }

    /// How old what is applied here may be: how long ago this member heard of a leader, or where it leads itself, of a
    /// majority.
    pub fn age(&self) -> Duration {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow();
        match metrics.current_leader == Some(self.number) {
            true => Duration::from_millis(metrics.millis_since_quorum_ack.unwrap_or_default()),
            false => self.elections.silence(),
        }
    }

    /// Leaves elections to others for so long: this member only votes.
    pub fn stay_quiet(&self, longer: Duration) {
        self.elections.stay_quiet(longer);
    }

    /// Speaks of another incarnation of the cluster from here on, and listens to no other.
    pub fn set_incarnation(&self, incarnation: u64) {
        self.link.set_incarnation(incarnation);
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
                let refused_at_once = to.leader_id.is_none_or(|leader| leader == self.number);
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
        let patience = self.link.timing.election_min;
        match self.barriers.confirm(&self.raft, patience).await {
            Ok(index) => Ok(index),
            Err(Unconfirmed::NotLeader) => {
                let current = self.shared.leadership.borrow().leader();
                Err(JournalError::NotLeader { current })
            }
            Err(Unconfirmed::NoMajority) => Err(JournalError::NoMajority),
            Err(Unconfirmed::Fatal(fatal)) => {
                Err(JournalError::Dead { reason: self.reason(&fatal).await })
            }
        }
    }

    /// Returns when `leader` has not led for so long that what it wrote is decided elsewhere, if at all.
    ///
    /// Not at once: mostly the next leader tells soon what has become of it.
    async fn deposed(&self, leader: LeaderId) {
        let mut leadership = self.shared.leadership.subscribe();
        let other = leadership.wait_for(|now| *now != Leadership::Leader(leader)).await.is_ok();
        if !other {
            return std::future::pending().await;
        }
        tokio::time::sleep(self.link.timing.election_max).await;
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
            () = self.deposed(leader) => Err(ProposeError::Unknown),
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
    if let Err(error) = log.blocking().run(move || log.close()).await {
        tracing::error!(%error, "the journal's files were not closed in order");
    }
}

fn options(config: &Config, disk: Disk) -> Options {
    Options {
        dir: config.dir.clone(),
        node: config.node,
        life: match config.start {
            Start::Found => 0,
            Start::Join => crate::member::draw_life(),
        },
        segment_bytes: config.segment_bytes,
        cache_bytes: config.cache_bytes,
        disk,
        syncs: config.syncs.clone(),
    }
}

/// What a journal starts from.
struct Opened {
    log: Log,
    snapshots: Snapshots,
    committed: Option<openraft::LogId<u64>>,
    memberships: Vec<StoredMembership>,
}

/// Opens the log and the snapshots, and reads what is known to be committed of them. Blocks.
fn open_files(options: Options) -> Result<Opened, OpenError> {
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
        Opened { committed: noted.map(types::log_id), memberships: Vec::new(), snapshots, log };
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

fn read_membership(log: &Log, index: Index) -> Result<Option<StoredMembership>, OpenError> {
    let one = Batch { entries: 1, bytes: usize::MAX };
    let entries = log.read(index..index + 1, one).map_err(|error| refused(&error))?;
    let Some(Entry { id, body, .. }) = entries.into_iter().next() else { return Ok(None) };
    let voters = serde_json::from_slice(&body).map_err(|error| refused(&error))?;
    Ok(Some(StoredMembership::new(Some(types::log_id(id)), voters)))
}

fn settings(timing: &Timing) -> openraft::Config {
    let millis = |duration: Duration| duration.as_millis() as u64;
    let lease = millis(timing.election_min);
    openraft::Config {
        cluster_name: "windlass".to_owned(),
        heartbeat_interval: millis(timing.heartbeat),
        // Nobody votes for another leader as long as the larger of the two; who stands when, `election` says.
        election_timeout_min: lease.saturating_sub(1),
        election_timeout_max: lease,
        enable_elect: false,
        // What fits into a message is bounded by its bytes.
        max_payload_entries: 4096,
        // Checkpoints say when, and how much of the log is trimmed.
        snapshot_policy: SnapshotPolicy::Never,
        max_in_snapshot_log_to_keep: u64::MAX,
        ..openraft::Config::default()
    }
}

fn refused(error: &dyn std::error::Error) -> OpenError {
    OpenError::Raft { reason: error.to_string() }
}
