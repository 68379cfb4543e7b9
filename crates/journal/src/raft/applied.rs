//! Openraft's state machine: how far the log is committed, and nothing else.
//!
//! The real state is applied above, by whoever follows the journal. So there is nothing to snapshot here,
//! and the snapshot methods say so: a group of one has nobody to send one to, and nothing asks for one
//! (`SnapshotPolicy::Never`, no purge).

use std::io::Cursor;
use std::sync::Arc;

use openraft::entry::RaftPayload;
use openraft::storage::RaftStateMachine;
use openraft::{
    AnyError, BasicNode, LogId, RaftLogId, RaftSnapshotBuilder, Snapshot, SnapshotMeta,
    StorageError, StorageIOError, StoredMembership,
};
use tokio::sync::oneshot;

use super::shared::Shared;
use super::types::{Entry, Membership, Types};

/// Where the log stands, as known when it was opened.
#[derive(Debug, Default)]
pub(crate) struct Start {
    pub(crate) committed: Option<LogId<u64>>,
    pub(crate) membership: Option<(LogId<u64>, Membership)>,
}

/// Announces what is committed.
pub(crate) struct Applied {
    shared: Arc<Shared>,
    last: Option<LogId<u64>>,
    membership: StoredMembership<u64, BasicNode>,
    /// Dropped with this: openraft's core does not notice by itself when its worker is gone.
    _alive: oneshot::Sender<()>,
}

impl Applied {
    pub(crate) fn new(shared: Arc<Shared>, start: Start, alive: oneshot::Sender<()>) -> Self {
        let membership =
            start.membership.map_or_else(StoredMembership::default, |(id, membership)| {
                StoredMembership::new(Some(id), membership)
            });
        Self { shared, last: start.committed, membership, _alive: alive }
    }
}

impl RaftStateMachine<Types> for Applied {
    type SnapshotBuilder = NoSnapshots;

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
            let id = *entry.get_log_id();
            if let Some(membership) = entry.get_membership() {
                self.membership = StoredMembership::new(Some(id), membership.clone());
            }
            self.last = Some(id);
            answers.push(());
        }
        if let Some(last) = self.last {
            self.shared.committed(last.index);
        }
        Ok(answers)
    }

    async fn get_snapshot_builder(&mut self) -> NoSnapshots {
        NoSnapshots
    }

    async fn begin_receiving_snapshot(
        &mut self,
    ) -> Result<Box<Cursor<Vec<u8>>>, StorageError<u64>> {
        Err(refused())
    }

    async fn install_snapshot(
        &mut self,
        _meta: &SnapshotMeta<u64, BasicNode>,
        _snapshot: Box<Cursor<Vec<u8>>>,
    ) -> Result<(), StorageError<u64>> {
        Err(refused())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<Types>>, StorageError<u64>> {
        Ok(None)
    }
}

/// Builds none.
pub(crate) struct NoSnapshots;

impl RaftSnapshotBuilder<Types> for NoSnapshots {
    async fn build_snapshot(&mut self) -> Result<Snapshot<Types>, StorageError<u64>> {
        Err(refused())
    }
}

fn refused() -> StorageError<u64> {
    let why = "a journal of one node keeps its whole log and makes no snapshots";
    StorageIOError::read_snapshot(None, AnyError::error(why)).into()
}
