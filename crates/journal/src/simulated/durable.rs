//! What a machine that loses its power is sure to keep.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use super::Operation;

/// What comes through a loss of power is in sectors of so many bytes.
const SECTOR_BYTES: usize = 512;

/// The content of files when they were last synced, and the names in their directory when that was.
#[derive(Debug, Default)]
pub struct Durable {
    synced: BTreeMap<Inode, Synced>,
    names: BTreeMap<String, Inode>,
}

/// A file as it was when it was last synced.
#[derive(Debug)]
struct Synced {
    content: Vec<u8>,
    /// Held open, so that no other file gets its number.
    file: File,
}

impl Durable {
    /// What is in the directory now has come through.
    pub fn of(dir: &Path) -> io::Result<Self> {
        let mut durable = Self { synced: BTreeMap::new(), names: names(dir)? };
        for name in durable.names.keys() {
            let synced = Synced::of(&File::open(dir.join(name))?)?;
            durable.synced.insert(inode(&synced.file)?, synced);
        }
        Ok(durable)
    }

    /// Notes what the operation makes durable, if anything.
    pub fn note(&mut self, operation: Operation<'_>) -> io::Result<()> {
        match operation {
            Operation::Sync(file) => {
                self.synced.insert(inode(file)?, Synced::of(file)?);
            }
            Operation::SyncDir(dir) => {
                self.names = names(dir)?;
                let named: BTreeSet<Inode> = self.names.values().copied().collect();
                self.synced.retain(|inode, synced| named.contains(inode) || !synced.is_gone());
            }
            Operation::Create | Operation::Write | Operation::Remove | Operation::Allocate => {}
        }
        Ok(())
    }

    /// Puts into `to` what is left of `from` after a loss of power.
    /// `keeps` says for each sector that was written but not synced, and for the names, whether it came through.
    pub fn lose_power(
        &self,
        from: &Path,
        to: &Path,
        mut keeps: impl FnMut() -> bool,
    ) -> io::Result<()> {
        let now = names(from)?;
        let names = if keeps() { &now } else { &self.names };
        for (name, inode) in names {
            let synced = self.synced.get(inode).map(|synced| synced.content.clone());
            let synced = synced.unwrap_or_default();
            let current = now.iter().find(|(_, now)| *now == inode);
            let current = current.and_then(|(name, _)| fs::read(from.join(name)).ok());
            let current = current.unwrap_or_else(|| synced.clone());
            let mut content = if keeps() { current.clone() } else { synced.clone() };
            for (at, sector) in content.chunks_mut(SECTOR_BYTES).enumerate() {
                let source = if keeps() { &current } else { &synced };
                let begin = at * SECTOR_BYTES;
                match source.get(begin..begin + sector.len()) {
                    Some(bytes) => sector.copy_from_slice(bytes),
                    None => sector.fill(0),
                }
            }
            fs::write(to.join(name), content)?;
        }
        Ok(())
    }
}

impl Synced {
    fn of(file: &File) -> io::Result<Self> {
        let mut content = vec![0; file.metadata()?.len() as usize];
        file.read_exact_at(&mut content, 0)?;
        Ok(Self { content, file: file.try_clone()? })
    }

    /// Whether no name leads to it any more.
    fn is_gone(&self) -> bool {
        self.file.metadata().is_ok_and(|metadata| metadata.nlink() == 0)
    }
}

/// A file, whatever its name.
type Inode = u64;

fn inode(file: &File) -> io::Result<Inode> {
    Ok(file.metadata()?.ino())
}

fn names(dir: &Path) -> io::Result<BTreeMap<String, Inode>> {
    let named = |file: io::Result<fs::DirEntry>| {
        let file = file?;
        Ok((file.file_name().to_string_lossy().into_owned(), file.metadata()?.ino()))
    };
    fs::read_dir(dir)?.map(named).collect()
}
