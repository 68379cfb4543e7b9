//! Takes a list in, piece by piece.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Arc;

use model::{Items, ItemsKind};
use tokio::sync::OwnedSemaphorePermit;
use uuid::Uuid;

use super::list::{Indexer, List};
use super::{Blobs, Fault};

/// A list that is being taken in. Dropped before its end it leaves nothing.
pub(crate) struct Upload {
    blobs: Arc<Blobs>,
    kind: ItemsKind,
    room: u64,
    file: File,
    path: PathBuf,
    indexer: Indexer,
    _permit: Option<OwnedSemaphorePermit>,
}

/// A list that is on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// What a job names it by.
    pub items: Items,
    /// How many bytes it has.
    pub bytes: u64,
    /// How many items.
    pub count: u32,
}

impl Upload {
    /// Begins; `None` where too many are under way. Waits for the disk, as all of this does.
    pub(crate) fn begin(blobs: Arc<Blobs>, kind: ItemsKind) -> Result<Option<Upload>, Fault> {
        let Ok(permit) = blobs.uploads.clone().try_acquire_owned() else { return Ok(None) };
        Upload::new(blobs, kind, Some(permit)).map(Some)
    }

    /// Begins with one that another node gives, beside those of clients.
    pub(crate) fn fetch(blobs: Arc<Blobs>, kind: ItemsKind) -> Result<Upload, Fault> {
        Upload::new(blobs, kind, None)
    }

    fn new(
        blobs: Arc<Blobs>,
        kind: ItemsKind,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Result<Upload, Fault> {
        let files = blobs.files().map_err(|error| Fault::io("find room for", error))?;
        let taken: u64 = files.iter().map(|(_, meta)| meta.len()).sum();
        let room = blobs.total_bytes_max.saturating_sub(taken);
        let path = blobs.dir.join(format!("{}.new", Uuid::new_v4()));
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create_new(true).mode(0o600);
        let file = options.open(&path).map_err(|error| Fault::io("create", error))?;
        let indexer = Indexer::new(kind);
        Ok(Upload { blobs, kind, room, file, path, indexer, _permit: permit })
    }

    /// Takes the next piece.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let total = self.indexer.bytes() + bytes.len() as u64;
        let size = model::text::size;
        if total > self.blobs.list_bytes_max {
            let most = size(self.blobs.list_bytes_max);
            return Err(Fault::Unfit(format!("it is larger than {most}: make several runs of it")));
        }
        if total > self.room {
            let most = size(self.blobs.total_bytes_max);
            return Err(Fault::NoRoom(format!(
                "the lists of other runs take nearly {most}, which is the most; those that nobody uses go after a week"
            )));
        }
        self.indexer.take(bytes)?;
        self.file.write_all(bytes).map_err(|error| Fault::io("write", error))
    }

    /// Puts the list in its place, durably.
    pub(crate) fn finish(mut self) -> Result<Stored, Fault> {
        let io = |error| Fault::io("keep", error);
        let indexer = std::mem::replace(&mut self.indexer, Indexer::new(self.kind));
        let index = indexer.finish()?;
        let (items, bytes) = (Items { blob: index.hash, kind: self.kind }, index.bytes);
        self.file.sync_all().map_err(io)?;
        // Where the same list is there already it is as good, or better where that is damaged.
        fs::rename(&self.path, self.blobs.path(&items.blob)).map_err(io)?;
        File::open(&self.blobs.dir).and_then(|dir| dir.sync_all()).map_err(io)?;
        let count = index.count;
        let file = self.file.try_clone().map_err(io)?;
        self.blobs.keep_open(items, Arc::new(List::new(file, index)));
        Ok(Stored { items, bytes, count })
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        // After the end it has another name.
        let _ = fs::remove_file(&self.path);
    }
}
