//! Opening: which snapshot the journal starts from.
//!
//! The newest that is whole, fits the log and is not older than what the log was trimmed to.
//! Nothing is changed before one is chosen, so a refusal leaves everything as it was found.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::format::{self, Head};
use super::read::{Chunks, Fault};
use super::write::Pace;
use super::{Kept, Snapshots};
use crate::Index;
use crate::log::{Disk, DiskError, EntryId, OpenError, Unusable};

/// Where the log begins and ends.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Ends {
    /// The last entry that was trimmed.
    pub(crate) purged: Option<EntryId>,
    pub(crate) last: Option<EntryId>,
}

impl Snapshots {
    /// Looks through the directory of an open log. `entry` reads the id of an entry that is in the log.
    pub(crate) fn open(
        disk: Disk,
        dir: PathBuf,
        pace: Pace,
        ends: Ends,
        entry: impl Fn(Index) -> Result<Option<EntryId>, OpenError>,
    ) -> Result<Self, OpenError> {
        let found = indices(&dir)?;
        let mut unusable = Vec::new();
        let mut chosen = None;
        for index in found.iter().rev() {
            let path = dir.join(format::name(*index));
            match check(&path, *index, ends, &entry, true)? {
                Ok(head) => {
                    chosen = Some(Kept { head, path });
                    break;
                }
                Err(found) => unusable.push(Unusable { path, found }),
            }
        }
        let Some(chosen) = chosen else {
            if let Some(purged) = ends.purged {
                return Err(missing(&dir, purged.index, unusable));
            }
            report(&unusable, None);
            clean(&disk, &dir)?;
            return Ok(Self::new(dir, disk, pace, Vec::new()));
        };
        report(&unusable, Some(&chosen.path));
        let mut kept = Vec::new();
        let older = found.iter().rev().find(|index| **index < chosen.head.id.index);
        if let Some(older) = older {
            let path = dir.join(format::name(*older));
            // That it is whole is found out when it is needed.
            if let Ok(head) = check(&path, *older, ends, &entry, false)? {
                kept.push(Arc::new(Kept { head, path }));
            }
        }
        kept.push(Arc::new(chosen));
        clean(&disk, &dir)?;
        Ok(Self::new(dir, disk, pace, kept))
    }

    fn new(dir: PathBuf, disk: Disk, pace: Pace, kept: Vec<Arc<Kept>>) -> Self {
        Self {
            dir,
            disk,
            pace,
            kept: Mutex::new(kept),
            writing: Mutex::new(()),
            cancelled: false.into(),
        }
    }
}

/// Checks one snapshot against itself and the log. The inner error says why it is of no use.
fn check(
    path: &Path,
    index: Index,
    ends: Ends,
    entry: &impl Fn(Index) -> Result<Option<EntryId>, OpenError>,
    whole: bool,
) -> Result<Result<Head, String>, OpenError> {
    if let Some(purged) = ends.purged.filter(|purged| index < purged.index) {
        return Ok(Err(format!(
            "it is older than the log, which begins behind entry {}",
            purged.index
        )));
    }
    let head = match read(path, whole) {
        Ok(head) => head,
        Err(Fault::Damaged { at, found }) => return Ok(Err(format!("byte {at}: {found}"))),
        Err(Fault::Io(error)) => return Ok(Err(format!("it cannot be read: {error}"))),
    };
    if head.id.index != index {
        return Ok(Err(format!("it is of entry {}, and not of its name's", head.id.index)));
    }
    let behind = ends.last.is_none_or(|last| last.index < index);
    let here = match ends.purged.filter(|purged| purged.index == index) {
        Some(purged) => Some(purged),
        None if behind => None,
        None => entry(index)?,
    };
    if here.is_some_and(|here| here.leader.term != head.id.leader.term) {
        return Ok(Err("it is of another journal than the log".to_owned()));
    }
    // Of its own making, a node has only snapshots of what is in its log.
    if behind && !head.installed {
        let last = ends.last.map_or(0, |last| last.index);
        let found = format!(
            "the snapshot holds all entries up to {index}, but the log ends with entry {last}: \
             the log's newest files are missing, or are older than the snapshot"
        );
        return Err(OpenError::damaged(path, 0, found));
    }
    Ok(Ok(head))
}

fn read(path: &Path, whole: bool) -> Result<Head, Fault> {
    let file = fs::File::open(path).map_err(Fault::Io)?;
    let mut chunks = Chunks::new(file)?;
    if whole {
        chunks.verify()?;
    }
    Ok(chunks.head)
}

/// The indices of all snapshots in the directory, in order.
pub(super) fn indices(dir: &Path) -> Result<Vec<Index>, DiskError> {
    let mut indices: Vec<_> =
        names(dir)?.iter().filter_map(|name| format::parse_name(name)).collect();
    indices.sort_unstable();
    Ok(indices)
}

fn names(dir: &Path) -> Result<Vec<String>, DiskError> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).map_err(DiskError::on("list", dir))? {
        let entry = entry.map_err(DiskError::on("list", dir))?;
        names.extend(entry.file_name().into_string());
    }
    Ok(names)
}

/// Removes what was not finished.
fn clean(disk: &Disk, dir: &Path) -> Result<(), DiskError> {
    for name in names(dir)?.iter().filter(|name| format::is_unfinished(name)) {
        disk.remove(&dir.join(name))?;
    }
    Ok(())
}

fn missing(dir: &Path, purged: Index, mut unusable: Vec<Unusable>) -> OpenError {
    let path = dir.join(format::name(purged));
    if !path.exists() {
        unusable.push(Unusable { path, found: "it is missing".to_owned() });
    }
    OpenError::NoSnapshot { dir: dir.to_owned(), purged, unusable }
}

/// Says what was passed over, and that nothing is lost by it.
fn report(unusable: &[Unusable], chosen: Option<&Path>) {
    for Unusable { path, found } in unusable {
        let snapshot = path.display();
        match chosen {
            Some(chosen) => tracing::warn!(
                %snapshot, %found, instead = %chosen.display(),
                "a snapshot of the journal is damaged; the one before it and the log behind that hold \
                 everything, so nothing is lost; check the disk: there is no third one. \
                 The damaged file goes with the next checkpoint"
            ),
            None => tracing::warn!(
                %snapshot, %found,
                "a snapshot of the journal is damaged; the log is whole, so nothing is lost; check the disk. \
                 The damaged file goes with the next checkpoint"
            ),
        }
    }
}
