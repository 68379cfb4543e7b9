//! The disk of one host: slow by chance, and with a power that can go in the middle of anything.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use anyhow::{Context as _, Result};
use journal::simulated::{self, Durable, Operation};
use tempfile::{Builder, TempDir};

use crate::chance::Chance;

/// What a host keeps through a crash.
#[derive(Debug)]
pub(crate) struct Storage {
    /// Where all of it lies.
    home: PathBuf,
    /// Of the journal.
    dir: PathBuf,
    /// Of all else, which comes through whole: history and the like.
    kept: PathBuf,
    disk: Arc<Disk>,
    seed: u64,
    /// How often its power was lost.
    lives: u64,
}

impl Storage {
    /// Lies in the directory that the process works in, which is its own: what things are called is seen in errors,
    /// and has to be the same each time.
    pub(crate) fn new(host: &str, seed: u64) -> Result<Self> {
        let home = PathBuf::from(host);
        let (dir, kept) = (directory(home.join("journal-0"))?, directory(home.join("kept"))?);
        let disk = Disk::new(Durable::default(), Chance::new(seed, 0));
        Ok(Self { disk, home, dir, kept, seed, lives: 0 })
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn kept(&self) -> &Path {
        &self.kept
    }

    pub(crate) fn disk(&self) -> &Arc<Disk> {
        &self.disk
    }

    /// The machine loses its power: what was not synced is there or not, a sector at a time.
    pub(crate) fn lose_power(&mut self, chance: &mut Chance) -> Result<()> {
        self.lives += 1;
        let left = directory(self.home.join(format!("journal-{}", self.lives)))?;
        // Mostly nothing comes through that was not synced, which is what a promise must not count on.
        let percent = chance.pick(&[0, 0, 0, 50, 90]).unwrap_or_default();
        let inner = self.disk.inner();
        let lost = inner.durable.lose_power(&self.dir, &left, || chance.percent(percent));
        drop(inner);
        lost.context("laying out what a disk has kept")?;
        let durable = Durable::of(&left).context("reading what a disk has kept")?;
        self.disk = Disk::new(durable, Chance::new(self.seed, self.lives));
        let gone = std::mem::replace(&mut self.dir, left);
        fs::remove_dir_all(gone).context("removing what a disk has lost")
    }
}

fn directory(path: PathBuf) -> Result<PathBuf> {
    fs::create_dir_all(&path).with_context(|| format!("making {} for a host", path.display()))?;
    Ok(path)
}

/// Has the process work in a directory of its own, which goes with what is returned. It is in memory, where that can
/// be: nothing here has to outlive the process.
pub(crate) fn enter_own_directory() -> Result<TempDir> {
    // Other worlds draw the same names, for they have the same chance: the number of the process is no chance.
    let prefix = format!("storm-{}-", std::process::id());
    let made = Builder::new().prefix(&prefix).tempdir_in("/dev/shm");
    let made = made.or_else(|_| Builder::new().prefix(&prefix).tempdir());
    let made = made.context("making a directory for a world")?;
    std::env::set_current_dir(made.path()).context("entering the directory of a world")?;
    Ok(made)
}

/// The disk, as the journal sees it.
#[derive(Debug)]
pub(crate) struct Disk(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    durable: Durable,
    chance: Chance,
    powered: bool,
    /// After so many operations the power goes.
    cut_after: Option<u64>,
    operations: u64,
}

impl Disk {
    fn new(durable: Durable, chance: Chance) -> Arc<Self> {
        let inner = Inner { durable, chance, powered: true, cut_after: None, operations: 0 };
        Arc::new(Self(Mutex::new(inner)))
    }

    /// The power goes at that operation from now on.
    pub(crate) fn cut_after(&self, operations: u64) {
        self.inner().cut_after = Some(operations);
    }

    /// Nothing gets to the disk any more.
    pub(crate) fn cut(&self) {
        self.inner().powered = false;
    }

    pub(crate) fn is_powered(&self) -> bool {
        self.inner().powered
    }

    pub(crate) fn operations(&self) -> u64 {
        self.inner().operations
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().expect("no holder of the lock panics")
    }
}

impl simulated::Disk for Disk {
    fn about_to(&self, operation: Operation<'_>) -> io::Result<()> {
        let mut inner = self.inner();
        inner.operations += 1;
        match &mut inner.cut_after {
            Some(0) => inner.powered = false,
            Some(left) => *left -= 1,
            None => {}
        }
        if !inner.powered {
            return Err(io::Error::other("the power is gone"));
        }
        inner.durable.note(operation)
    }

    /// Mostly a few milliseconds, seldom a third of a second.
    fn delay(&self) -> Duration {
        let chance = &mut self.inner().chance;
        Duration::from_millis(match chance.below(100) {
            0..80 => chance.below(4),
            80..98 => chance.below(30),
            _ => chance.below(300),
        })
    }
}
