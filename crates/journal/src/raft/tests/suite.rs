//! Openraft's own tests of a store, run on ours.
//!
//! Some of those tests append with holes, or behind a purge, which the contract they test forbids
//! and our log refuses. [`Bridged`] closes the holes before they get there; it also trims without a snapshot.
//! [`Machine`] makes snapshots without a checkpoint from above.

use std::fmt::Debug;
use std::ops::RangeBounds;

use openraft::entry::RaftEntry;
use openraft::storage::{LogFlushed, RaftLogStorage, RaftStateMachine};
use openraft::testing::{StoreBuilder, Suite};
use openraft::{
    BasicNode, LogId, LogState, RaftLogId, RaftLogReader, RaftSnapshotBuilder, SnapshotMeta,
    StorageError, Vote,
};

use super::*;
use crate::raft::applied::SnapshotFile;
use crate::raft::types::Entry;
use crate::snapshot::Head;

type Snapshot = openraft::Snapshot<Types>;

struct Builder;

impl StoreBuilder<Types, Bridged, Machine, TempDir> for Builder {
    async fn build(&self) -> Result<(TempDir, Bridged, Machine), StorageError<u64>> {
        let dir = TempDir::new().unwrap();
        let options = Options {
            dir: dir.path().to_owned(),
            life: 0,
            node: 0,
            segment_bytes: 16 << 10,
            // Nothing stays in memory, so everything is read from disk.
            cache_bytes: 0,
            disk: Disk::default(),
            syncs: Default::default(),
        };
        let (disk, path) = (options.disk.clone(), options.dir.clone());
        let log = Arc::new(Log::open(options).unwrap());
        let ends = Ends::default();
        let snapshots = Snapshots::open(disk, path, Pace::default(), ends, |_| Ok(None)).unwrap();
        let snapshots = Arc::new(snapshots);
        let store = Store::new(log.clone(), snapshots.clone(), 0);
        let shared = Arc::new(Shared::new(0, Vec::new()));
        let (alive, told) = oneshot::channel();
        let applied = Applied::new(shared, log, snapshots.clone(), store.clone(), None, alive);
        Ok((dir, Bridged(store), Machine { applied, snapshots, _told: told }))
    }
}

#[test]
fn the_store_passes_openrafts_suite() {
    Suite::test_all(Builder).unwrap();
}

/// The store under test, behind a filter that makes appended entries follow each other.
struct Bridged(Store);

impl RaftLogReader<Types> for Bridged {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + Send>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry>, StorageError<u64>> {
        self.0.try_get_log_entries(range).await
    }
}

impl RaftLogStorage<Types> for Bridged {
    type LogReader = Store;

    async fn append<I>(
        &mut self,
        entries: I,
        flushed: LogFlushed<Types>,
    ) -> Result<(), StorageError<u64>>
    where
        I: IntoIterator<Item = Entry> + Send,
        I::IntoIter: Send,
    {
        let last = self.0.get_log_state().await?.last_log_id;
        let mut next = last.map(|last| last.index + 1);
        let mut bridged = Vec::new();
        for entry in entries {
            let id = *entry.get_log_id();
            let missing = next.unwrap_or(id.index)..id.index;
            bridged.extend(missing.map(|at| Entry::new_blank(LogId::new(id.leader_id, at))));
            if next.is_none_or(|next| next <= id.index) {
                next = Some(id.index + 1);
                bridged.push(entry);
            }
        }
        self.0.append(bridged, flushed).await
    }

    async fn get_log_state(&mut self) -> Result<LogState<Types>, StorageError<u64>> {
        self.0.get_log_state().await
    }

    async fn get_log_reader(&mut self) -> Store {
        self.0.get_log_reader().await
    }

    async fn save_vote(&mut self, vote: &Vote<u64>) -> Result<(), StorageError<u64>> {
        self.0.save_vote(vote).await
    }

    async fn read_vote(&mut self) -> Result<Option<Vote<u64>>, StorageError<u64>> {
        self.0.read_vote().await
    }

    async fn truncate(&mut self, from: LogId<u64>) -> Result<(), StorageError<u64>> {
        self.0.truncate(from).await
    }

    async fn purge(&mut self, upto: LogId<u64>) -> Result<(), StorageError<u64>> {
        self.0.trim(upto).await
    }
}

/// The state machine under test. Ours takes its snapshots from checkpoints; this writes one when it is asked to.
struct Machine {
    applied: Applied,
    snapshots: Arc<Snapshots>,
    _told: oneshot::Receiver<()>,
}

/// Writes a snapshot of what was applied, and then lets the machine's own builder find it.
struct Build<B> {
    /// Nothing, where nothing was applied yet.
    head: Option<Head>,
    snapshots: Arc<Snapshots>,
    builder: B,
}

impl<B: RaftSnapshotBuilder<Types>> RaftSnapshotBuilder<Types> for Build<B> {
    async fn build_snapshot(&mut self) -> Result<Snapshot, StorageError<u64>> {
        let Some(head) = self.head.clone() else {
            let file = self.snapshots.receive().unwrap();
            let snapshot = Box::new(SnapshotFile::from(file));
            return Ok(Snapshot { meta: SnapshotMeta::default(), snapshot });
        };
        let content: crate::Snapshot = Box::new(|out| out.write_all(b"all that was applied"));
        self.snapshots.write(head, content).unwrap();
        self.builder.build_snapshot().await
    }
}

impl RaftStateMachine<Types> for Machine {
    type SnapshotBuilder = Build<<Applied as RaftStateMachine<Types>>::SnapshotBuilder>;

    async fn applied_state(
        &mut self,
    ) -> Result<(Option<LogId<u64>>, StoredMembership), StorageError<u64>> {
        self.applied.applied_state().await
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<()>, StorageError<u64>>
    where
        I: IntoIterator<Item = Entry> + Send,
        I::IntoIter: Send,
    {
        self.applied.apply(entries).await
    }

    async fn get_snapshot_builder(&mut self) -> Self::SnapshotBuilder {
        let (last, membership) = self.applied_state().await.unwrap();
        let membership = applied::encode(&membership);
        let head = last.map(|last| {
            let id = types::entry_id(&last);
            Head { id, membership: membership.clone(), installed: false }
        });
        let builder = self.applied.get_snapshot_builder().await;
        Build { head, snapshots: self.snapshots.clone(), builder }
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<SnapshotFile>, StorageError<u64>> {
        self.applied.begin_receiving_snapshot().await
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta<u64, BasicNode>,
        snapshot: Box<SnapshotFile>,
    ) -> Result<(), StorageError<u64>> {
        self.applied.install_snapshot(meta, snapshot).await
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot>, StorageError<u64>> {
        self.applied.get_current_snapshot().await
    }
}
