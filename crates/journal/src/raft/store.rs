//! The log as openraft's log storage.

use std::fmt::Debug;
use std::io;
use std::ops::{Bound, Range, RangeBounds};
use std::sync::Arc;

use openraft::storage::{LogFlushed, RaftLogStorage};
use openraft::{
    AnyError, ErrorSubject, ErrorVerb, LogId, LogState, RaftLogReader, StorageError,
    StorageIOError, Vote,
};
use tokio::sync::oneshot;

use super::types::{Entry, Types, entry_id, log_id, vote_from_log, vote_to_log};
use crate::Index;
use crate::follow::Batch;
use crate::log::{self, Log};
use crate::snapshot::Snapshots;

/// Openraft asks for a range and wants all of it.
const ALL: Batch = Batch { entries: usize::MAX, bytes: usize::MAX };
/// What goes into one message to another member; a larger record goes alone.
const MESSAGE: Batch = Batch { entries: usize::MAX, bytes: 4 << 20 };

/// The log, for openraft. Clones are the same log.
#[derive(Clone)]
pub(crate) struct Store {
    log: Arc<Log>,
    snapshots: Arc<Snapshots>,
    node: u64,
}

impl Store {
    pub(crate) fn new(log: Arc<Log>, snapshots: Arc<Snapshots>, node: u64) -> Self {
        Self { log, snapshots, node }
    }

    /// Trims the log, whatever stands for what goes.
    pub(crate) async fn trim(&self, upto: LogId<u64>) -> Result<(), StorageError<u64>> {
        self.wait(ErrorSubject::Logs, |done| self.log.purge(entry_id(&upto), done)).await
    }
}

impl RaftLogReader<Types> for Store {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + Send>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry>, StorageError<u64>> {
        self.entries(half_open(&range), ALL).await
    }

    /// For other members.
    async fn limited_get_log_entries(
        &mut self,
        start: u64,
        end: u64,
    ) -> Result<Vec<Entry>, StorageError<u64>> {
        self.entries(start..end, MESSAGE).await
    }
}

impl RaftLogStorage<Types> for Store {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<Types>, StorageError<u64>> {
        let positions = self.log.positions();
        Ok(LogState {
            last_purged_log_id: positions.purged.map(log_id),
            last_log_id: positions.last.map(log_id),
        })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote<u64>) -> Result<(), StorageError<u64>> {
        let vote = vote_to_log(vote);
        self.wait(ErrorSubject::Vote, |done| self.log.save_vote(vote, done)).await
    }

    /// A vote that this node won in an earlier life is handed back as not won:
    /// openraft would go on as the same leader in the same term, but a [`crate::LeaderId`] never spans two processes.
    async fn read_vote(&mut self) -> Result<Option<Vote<u64>>, StorageError<u64>> {
        let vote = self.log.positions().vote;
        Ok(vote.map(|vote| {
            vote_from_log(log::Vote { won: vote.won && vote.leader.node != self.node, ..vote })
        }))
    }

    /// Kept in memory only; the next record carries it to the disk.
    async fn save_committed(
        &mut self,
        committed: Option<LogId<u64>>,
    ) -> Result<(), StorageError<u64>> {
        if let Some(committed) = committed {
            self.log.note_committed(committed.index);
        }
        Ok(())
    }

    async fn append<I>(
        &mut self,
        entries: I,
        flushed: LogFlushed<Types>,
    ) -> Result<(), StorageError<u64>>
    where
        I: IntoIterator<Item = Entry> + Send,
        I::IntoIter: Send,
    {
        let vote = self.log.positions().vote;
        let entries = entries.into_iter().map(|entry| entry.into_log(vote)).collect();
        let done = move |result: Result<(), Arc<str>>| {
            flushed.log_io_completed(result.map_err(|reason| io::Error::other(&*reason)));
        };
        self.log.append(entries, Box::new(done));
        Ok(())
    }

    async fn truncate(&mut self, from: LogId<u64>) -> Result<(), StorageError<u64>> {
        self.wait(ErrorSubject::Logs, |done| self.log.truncate(from.index, done)).await
    }

    /// Openraft asks for this while it installs a snapshot, and does not wait for that to be done.
    /// The log is never trimmed before a snapshot stands for what goes; the installation trims it then.
    async fn purge(&mut self, upto: LogId<u64>) -> Result<(), StorageError<u64>> {
        match self.snapshots.newest_index() < upto.index {
            true => Ok(()),
            false => self.trim(upto).await,
        }
    }
}

impl Store {
    async fn entries(
        &self,
        range: Range<Index>,
        batch: Batch,
    ) -> Result<Vec<Entry>, StorageError<u64>> {
        let entries = match self.log.recent(range.clone(), batch) {
            Some(entries) => entries,
            None => read(self.log.clone(), range, batch).await?,
        };
        entries
            .into_iter()
            .map(Entry::from_log)
            .collect::<Result<_, _>>()
            .map_err(|error| StorageIOError::read_logs(AnyError::new(&error)).into())
    }

    async fn wait(
        &self,
        subject: ErrorSubject<u64>,
        start: impl FnOnce(Box<dyn FnOnce(Result<(), Arc<str>>) + Send>),
    ) -> Result<(), StorageError<u64>> {
        let (tell, told) = oneshot::channel();
        // Nobody listens any more only when the Raft core is gone.
        start(Box::new(move |result| drop(tell.send(result))));
        let ended = || "the journal's writer has ended".into();
        let result = told.await.unwrap_or_else(|_| Err(ended()));
        result.map_err(|reason| {
            let reason = AnyError::error(reason);
            StorageIOError::new(subject, ErrorVerb::Write, reason).into()
        })
    }
}

async fn read(
    log: Arc<Log>,
    range: Range<Index>,
    batch: Batch,
) -> Result<Vec<log::Entry>, StorageError<u64>> {
    let read = log.blocking().run(move || log.read(range, batch));
    let lost = |error: &dyn std::error::Error| StorageIOError::read_logs(AnyError::error(error));
    match read.await {
        Ok(Ok(entries)) => Ok(entries),
        Ok(Err(error)) => Err(lost(&error).into()),
        Err(error) => Err(lost(&error).into()),
    }
}

fn half_open(range: &impl RangeBounds<u64>) -> Range<Index> {
    let start = match range.start_bound() {
        Bound::Included(start) => *start,
        Bound::Excluded(start) => start.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(end) => end.saturating_add(1),
        Bound::Excluded(end) => *end,
        Bound::Unbounded => Index::MAX,
    };
    start..end
}
