//! A checkpoint: a snapshot is written, openraft hears of it, and the log is trimmed.
//!
//! It is a task of its own that the caller only waits for, so it is never left half done by a caller who went.
//! What if it fails: before the snapshot is on disk nothing has changed, behind that only room is not given back yet.
//! What if the journal stops: the writing breaks off, and the stop waits for that.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, OwnedMutexGuard};

use super::applied;
use super::shared::{Metrics, Shared};
use super::types::Types;
use crate::follow::Batch;
use crate::log::{EntryId, Log};
use crate::snapshot::{Head, Snapshots};
use crate::{Index, JournalError, Snapshot};

/// How long openraft gets for what it does at once, unless a slow peer still reads what is to be trimmed.
const TRIMS_WITHIN: Duration = Duration::from_secs(10);

/// Who makes checkpoints.
#[derive(Clone)]
pub(crate) struct Checkpoints {
    pub(crate) raft: openraft::Raft<Types>,
    pub(crate) log: Arc<Log>,
    pub(crate) snapshots: Arc<Snapshots>,
    pub(crate) shared: Arc<Shared>,
    /// Held while one is under way.
    pub(crate) gate: Arc<Mutex<()>>,
}

impl Checkpoints {
    pub(crate) async fn make(&self, upto: Index, snapshot: Snapshot) -> Result<(), JournalError> {
        self.alive()?;
        let gate = self.gate.clone().try_lock_owned();
        let gate = gate.map_err(|_| JournalError::CheckpointUnderWay)?;
        let newest = self.snapshots.newest_index();
        let committed = self.shared.extent.borrow().committed;
        if upto <= newest || upto > committed {
            return Err(JournalError::CheckpointOutside { asked: upto, newest, committed });
        }
        let made = tokio::spawn(self.clone().run(upto, snapshot, gate)).await;
        let made = made.map_err(|error| failed(upto, error.to_string()))?;
        if let Err(error @ JournalError::Checkpoint { .. }) = &made {
            self.alive()?;
            tracing::warn!(%error, "a checkpoint has failed");
        }
        made
    }

    async fn run(
        self,
        upto: Index,
        snapshot: Snapshot,
        _gate: OwnedMutexGuard<()>,
    ) -> Result<(), JournalError> {
        let (this, blocking) = (self.clone(), self.log.blocking());
        let written = blocking.run(move || this.write(upto, snapshot)).await;
        written
            .map_err(|error| failed(upto, format!("what writes it has failed: {error}")))?
            .map_err(|reason| failed(upto, reason))?;
        tokio::select! {
            biased;
            reason = self.shared.dead() => return Err(JournalError::Dead { reason }),
            trimmed = tokio::time::timeout(TRIMS_WITHIN, self.trim(upto)) => if trimmed.is_err() {
                tracing::info!("the journal's log is still in use and will be trimmed later");
            },
        }
        let Self { snapshots, log, shared, .. } = self;
        shared.forget_memberships_before(upto);
        let sweep = move || {
            snapshots.retire();
            log.sweep();
        };
        blocking.run(sweep).await.map_err(|error| failed(upto, error.to_string()))
    }

    /// Blocks.
    fn write(&self, upto: Index, snapshot: Snapshot) -> Result<(), String> {
        let id = entry_id(&self.log, upto).map_err(|error| error.to_string())?;
        let id = id.ok_or("the entry is not in the log")?;
        let membership = applied::encode(&self.shared.membership_at(upto));
        let head = Head { id, membership, installed: false };
        let written = self.snapshots.write(head, snapshot);
        written.map_err(|error| error.reason(self.snapshots.dir()))
    }

    /// Lets openraft trim the log; returns when it has, or is dead.
    async fn trim(&self, upto: Index) {
        let at_least =
            |id: Option<openraft::LogId<u64>>, index| id.is_some_and(|id| id.index >= index);
        if self.raft.trigger().snapshot().await.is_err() {
            return;
        }
        self.wait(|metrics| at_least(metrics.snapshot, upto)).await;
        let Some(trims) = self.snapshots.trims() else { return };
        if self.raft.trigger().purge_log(trims).await.is_ok() {
            self.wait(|metrics| at_least(metrics.purged, trims)).await;
        }
    }

    async fn wait(&self, until: impl FnMut(&Metrics) -> bool) {
        // It fails when openraft has ended, which the watcher tells.
        let _ = self.raft.metrics().wait_for(until).await;
    }

    fn alive(&self) -> Result<(), JournalError> {
        match self.shared.leadership.borrow().dead() {
            Some(reason) => Err(JournalError::Dead { reason }),
            None => Ok(()),
        }
    }
}

/// The id of an entry, if it is in the log. May block.
pub(crate) fn entry_id(
    log: &Log,
    index: Index,
) -> Result<Option<EntryId>, crate::log::segment::ReadError> {
    let entries = log.read(index..index + 1, Batch { entries: 1, bytes: usize::MAX })?;
    Ok(entries.first().map(|entry| entry.id).filter(|id| id.index == index))
}

fn failed(asked: Index, reason: String) -> JournalError {
    JournalError::Checkpoint { asked, reason: reason.into() }
}
