//! What followers read: the log, and a snapshot where the log does not reach back far enough.

use std::io;
use std::sync::Arc;

use bytes::Bytes;

use crate::blocking::Blocking;
use crate::follow::{BATCH, Loaded, Source};
use crate::log::{self, Kind, Log};
use crate::snapshot::Snapshots;
use crate::{Delivery, Index, SnapshotReader};

/// The journal's files, to be read.
pub(crate) struct Files {
    pub(crate) log: Arc<Log>,
    pub(crate) snapshots: Arc<Snapshots>,
}

impl Source for Files {
    fn recent(&self, from: Index, to: Index) -> Option<Vec<Delivery>> {
        deliver(self.log.recent(from..to + 1, BATCH)?, from)
    }

    fn load(&self, from: Index, to: Index) -> Option<Loaded> {
        let loaded = match self.log.read(from..to + 1, BATCH) {
            Ok(entries) => match deliver(entries, from) {
                Some(entries) => Ok(Loaded::Entries(entries)),
                None => self.snapshot(from).map_err(|error| error.to_string()),
            },
            Err(error) => Err(error.to_string()),
        };
        loaded.map_err(|reason| self.log.fail(reason.into())).ok()
    }

    fn newest(&self) -> Option<Option<Loaded>> {
        if self.snapshots.newest_index() == 0 {
            return Some(None);
        }
        let newest = self.snapshot(0).map_err(|error| self.log.fail(error.to_string().into()));
        newest.ok().map(Some)
    }

    fn blocking(&self) -> Blocking {
        self.log.blocking()
    }
}

impl Files {
    /// The snapshot that stands for the entry that is gone.
    fn snapshot(&self, gone: Index) -> io::Result<Loaded> {
        let newest = self.snapshots.open_newest()?;
        let Some(content) = newest.filter(|content| content.head().id.index >= gone) else {
            let text = format!("entry {gone} is not in the journal's log, and no snapshot has it");
            return Err(io::Error::new(io::ErrorKind::NotFound, text));
        };
        let id = content.head().id;
        let reader = SnapshotReader::new(content);
        Ok(Loaded::Snapshot { index: id.index, leader: id.leader, reader })
    }
}

/// The entries as followers get them; nothing if the first is not the one that was asked for.
fn deliver(entries: Vec<log::Entry>, from: Index) -> Option<Vec<Delivery>> {
    let there = entries.first().is_some_and(|entry| entry.id.index == from);
    there.then(|| entries.into_iter().map(delivery).collect())
}

fn delivery(entry: log::Entry) -> Delivery {
    let record = match entry.kind {
        Kind::Record => entry.body,
        Kind::Blank | Kind::Membership => Bytes::new(),
    };
    Delivery { index: entry.id.index, leader: entry.id.leader, record }
}
