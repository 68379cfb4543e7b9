//! Openraft's state machine: how far the log is committed, who votes, and which snapshots there are.
//!
//! The real state is applied above, by whoever follows the journal, and so are snapshots made there:
//! a checkpoint writes one and then lets openraft know of it. What openraft takes for building a snapshot is
//! to hand out the newest; it is never asked to before there is one.

use std::fs::File;
use std::io::{self, Seek};
use std::path::Path;
use std::sync::Arc;

use openraft::entry::RaftPayload;
use openraft::storage::RaftStateMachine;
use openraft::{
    AnyError, LogId, RaftLogId, RaftSnapshotBuilder, SnapshotMeta, StorageError, StorageIOError,
};
use tokio::sync::oneshot;

use super::shared::Shared;
use super::store::Store;
use super::types::{self, Entry, Node, StoredMembership, Types};
use crate::log::Log;
use crate::snapshot::{Content, Head, Kept, Snapshots};

pub(crate) type Meta = SnapshotMeta<u64, Node>;
type Snapshot = openraft::Snapshot<Types>;

/// A snapshot as openraft passes it on: the whole file, header and checksums included.
#[derive(Debug)]
pub(crate) struct SnapshotFile {
    pub(crate) file: File,
    /// Keeps a file of ours from being shortened while it is read.
    _kept: Option<Arc<Kept>>,
}

impl From<File> for SnapshotFile {
    fn from(file: File) -> Self {
        Self { file, _kept: None }
    }
}

/// Announces what is committed.
pub(crate) struct Applied {
    shared: Arc<Shared>,
    log: Arc<Log>,
    snapshots: Arc<Snapshots>,
    store: Store,
    last: Option<LogId<u64>>,
    /// Dropped with this: openraft's core does not notice by itself when its worker is gone.
    _alive: oneshot::Sender<()>,
}

impl Applied {
    pub(crate) fn new(
        shared: Arc<Shared>,
        log: Arc<Log>,
        snapshots: Arc<Snapshots>,
        store: Store,
        committed: Option<LogId<u64>>,
        alive: oneshot::Sender<()>,
    ) -> Self {
        Self { shared, log, snapshots, store, last: committed, _alive: alive }
    }
}

impl RaftStateMachine<Types> for Applied {
    type SnapshotBuilder = Newest;

    async fn applied_state(
        &mut self,
    ) -> Result<(Option<LogId<u64>>, StoredMembership), StorageError<u64>> {
        Ok((self.last, self.shared.membership_at(u64::MAX)))
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
                self.shared.note_membership(StoredMembership::new(Some(id), membership.clone()));
            }
            self.last = Some(id);
            answers.push(());
        }
        if let Some(last) = self.last {
            self.shared.committed(last.index);
        }
        Ok(answers)
    }

    async fn get_snapshot_builder(&mut self) -> Newest {
        Newest(self.snapshots.clone())
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<SnapshotFile>, StorageError<u64>> {
        let file = self.snapshots.receive().map_err(|error| failed(&error))?;
        Ok(Box::new(file.into()))
    }

    /// First the snapshot is safe, then the log is trimmed to it, and only then followers hear of it:
    /// what the log holds up to there may never have been committed.
    async fn install_snapshot(
        &mut self,
        meta: &Meta,
        snapshot: Box<SnapshotFile>,
    ) -> Result<(), StorageError<u64>> {
        let Some(last) = meta.last_log_id else { return Ok(()) };
        let membership = encode(&meta.last_membership);
        let snapshots = self.snapshots.clone();
        let keep = move || keep(&snapshots, last, membership, *snapshot);
        let kept = self.log.blocking().run(keep).await.map_err(|error| failed(&error))?;
        kept.map_err(|error| failed(&error))?;
        self.store.trim(last).await?;
        if self.log.positions().purged.is_none_or(|purged| purged.index < last.index) {
            return Err(failed(&io::Error::from(io::ErrorKind::StorageFull)));
        }
        self.shared.note_membership(meta.last_membership.clone());
        self.last = Some(last);
        self.shared.committed(last.index);
        let (log, snapshots) = (self.log.clone(), self.snapshots.clone());
        let sweep = move || {
            snapshots.retire();
            log.sweep();
        };
        self.log.blocking().run(sweep).await.map_err(|error| failed(&error))
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot>, StorageError<u64>> {
        newest(&self.snapshots).map_err(|error| failed(&error))
    }
}

/// Builds nothing: the newest snapshot is there already.
pub(crate) struct Newest(Arc<Snapshots>);

impl RaftSnapshotBuilder<Types> for Newest {
    async fn build_snapshot(&mut self) -> Result<Snapshot, StorageError<u64>> {
        let none = || io::Error::other("the journal has no snapshot yet");
        let newest = newest(&self.0).and_then(|newest| newest.ok_or_else(none));
        newest.map_err(|error| failed(&error))
    }
}

/// A membership as it stands in the header of a snapshot.
pub(crate) fn encode(membership: &StoredMembership) -> Vec<u8> {
    serde_json::to_vec(membership).expect("a membership is plain data")
}

/// Reads the membership from the header of a snapshot.
pub(crate) fn decode(head: &Head) -> Result<StoredMembership, serde_json::Error> {
    serde_json::from_slice(&head.membership)
}

fn newest(snapshots: &Snapshots) -> io::Result<Option<Snapshot>> {
    let Some(kept) = snapshots.newest() else { return Ok(None) };
    let file = File::open(&kept.path)?;
    let id = kept.head.id;
    let last_membership = decode(&kept.head)?;
    let meta = Meta {
        last_log_id: Some(types::log_id(id)),
        last_membership,
        snapshot_id: format!("{}-{}", id.leader.term, id.index),
    };
    let snapshot = Box::new(SnapshotFile { file, _kept: Some(kept) });
    Ok(Some(Snapshot { meta, snapshot }))
}

/// Makes what came from another node a snapshot of this one. Blocks.
fn keep(
    snapshots: &Snapshots,
    last: LogId<u64>,
    membership: Vec<u8>,
    snapshot: SnapshotFile,
) -> io::Result<()> {
    let mut file = snapshot.file;
    file.rewind()?;
    let mut content = Content::of(file, Path::new("(received)"), None)?;
    let id = content.head().id;
    if types::log_id(id) != last {
        return Err(io::Error::other(format!(
            "a snapshot of entry {last} was announced, and one of entry {} came",
            id.index
        )));
    }
    let head = Head { id, membership, installed: true };
    let copy = Box::new(move |out: &mut dyn io::Write| io::copy(&mut content, out).map(drop));
    snapshots.write(head, copy).map_err(io::Error::other)
}

fn failed(error: &dyn std::error::Error) -> StorageError<u64> {
    StorageIOError::read_snapshot(None, AnyError::error(error)).into()
}
