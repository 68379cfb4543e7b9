//! A data directory whose journal begins with a snapshot of the cluster.
//!
//! ```text
//! read all of the snapshot ─> note it ─> make the journal in `restoring` ─> commit `Recover`
//!   ─> set aside what is there ─> move the journal to its place ─> strike the note
//! ```
//!
//! Broken off anywhere, no node starts on the directory, and the restore is done again from the
//! beginning, to another incarnation.

use std::fs;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use journal::raft;
use machine::State;
use model::{ClusterId, ItemsKind, NodeId};

use super::alone::Alone;
use super::notes::{Incarnations, Pending, sync};
use super::recover::commit;
use super::{By, Error, Steps, failed};
use crate::blobs::{Blobs, Upload};
use crate::cluster_snapshot::{self, Checked, Lists};
use crate::data_dir::{DataDir, Identity};
use crate::supervisor;

/// Where the journal is made.
const RESTORING: &str = "restoring";
/// What tells of runs: their numbers, their elements and their places in the journal.
const OF_RUNS: [&str; 3] = ["journal", "history", "output"];
/// The journal goes on so far behind the snapshot that nothing which was told of its index before,
/// but was written behind the snapshot, is taken for anything that comes now.
const LEAP: u64 = 1_000_000_000;

/// What is to be restored.
#[derive(Clone, Debug)]
pub struct Restore {
    /// The snapshot.
    pub file: PathBuf,
    /// Where to.
    pub data_dir: PathBuf,
    /// Set a journal that is there aside.
    pub replace: bool,
    /// The incarnation, where the one behind all that this directory and the snapshot know is not
    /// high enough.
    pub incarnation: Option<u16>,
    /// Who wants it.
    pub by: By,
}

/// What a restore has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// What the snapshot holds.
    pub snapshot: Checked,
    /// The cluster.
    pub cluster: ClusterId,
    /// The node.
    pub node: NodeId,
    /// The incarnation from now on.
    pub incarnation: u16,
    /// Runs up to this number may have been given out.
    pub last_run: u64,
    /// Where what was there before lies, if there was something.
    pub aside: Option<PathBuf>,
    /// There is a key that opens the secrets of jobs; it may still be another cluster's.
    pub has_secrets_key: bool,
}

/// Restores a snapshot into a data directory, for a node that goes on alone. None may hold it.
pub async fn restore(restore: Restore) -> Result<Restored, Error> {
    restore_in(restore, &|_| Ok(())).await
}

pub(super) async fn restore_in(restore: Restore, before: Steps<'_>) -> Result<Restored, Error> {
    let Restore { file, data_dir, replace, incarnation, by } = restore;
    // Before anything is made: a snapshot that is damaged leaves no trace.
    let source = file.clone();
    let checked = blocking(move || Ok(cluster_snapshot::check(open(&source)?)?)).await?;
    let has_journal = data_dir.join("journal").exists();
    let data_dir = DataDir::open(&data_dir)?;
    let dir = data_dir.path.clone();
    match Pending::read(&dir)? {
        Some(Pending::Restore) => {}
        Some(Pending::Recover { .. }) if !replace => super::check_finished(&dir)?,
        _ if has_journal && !replace => return Err(Error::HasJournal(dir)),
        _ => {}
    }
    before("be a node")?;
    let identity = data_dir.identity_in(checked.head.cluster_id)?;
    if identity.cluster_id != checked.head.cluster_id {
        let (there, snapshot) = (identity.cluster_id, checked.head.cluster_id);
        return Err(Error::OtherCluster { path: dir, there, snapshot });
    }
    before("begin the incarnation")?;
    let incarnation = Incarnations::begin(&dir, checked.head.incarnation, incarnation)?;
    before("note it")?;
    Pending::Restore.write(&dir)?;
    before("end the supervisor")?;
    supervisor::end_former(&dir).await?;

    before("take the lists in")?;
    let (into, source) = (dir.clone(), file);
    let (snapshot, state) = blocking(move || take_in(&source, &into)).await?;
    before("make the journal")?;
    let last_run = make_journal(&dir, &identity, incarnation, state, &by).await?;
    before("set the old aside")?;
    let aside = set_aside(&dir, incarnation, &OF_RUNS)?;
    before("move the journal")?;
    let (made, journal) = (dir.join(RESTORING).join("journal"), dir.join("journal"));
    fs::rename(&made, &journal).map_err(failed("move", &made))?;
    sync(&dir)?;
    before("tidy up")?;
    let restoring = dir.join(RESTORING);
    fs::remove_dir_all(&restoring).map_err(failed("remove", &restoring))?;
    before("strike the note")?;
    Pending::clear(&dir)?;
    Ok(Restored {
        cluster: identity.cluster(),
        node: identity.node(),
        incarnation,
        last_run,
        aside,
        has_secrets_key: dir.join("secrets.key").exists(),
        snapshot,
    })
}

/// Puts the lists in their place, and returns the state.
fn take_in(file: &Path, dir: &Path) -> Result<(Checked, State), Error> {
    let path = dir.join("blobs");
    let blobs = Blobs::open(&path).map_err(failed("open", &path))?;
    let mut lists = Into { blobs: Arc::new(blobs), upload: None };
    Ok(cluster_snapshot::read(open(file)?, &mut lists)?)
}

/// Makes the journal beside its place; the last number of a run that may have been given out.
async fn make_journal(
    dir: &Path,
    identity: &Identity,
    incarnation: u16,
    state: State,
    by: &By,
) -> Result<u64, Error> {
    let restoring = dir.join(RESTORING);
    match fs::remove_dir_all(&restoring) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(failed("remove", &restoring)(error));
        }
        _ => {}
    }
    fs::create_dir(&restoring).map_err(failed("create", &restoring))?;
    let config = raft::Config {
        dir: restoring.join("journal"),
        node: identity.journal_node(),
        ..raft::Config::default()
    };
    // Of another restore of the same snapshot nothing is known but its incarnation.
    let leaps = (state.applied() / LEAP + 2).max(2 * u64::from(incarnation.saturating_sub(1)));
    let upto = leaps * LEAP;
    // Whoever remembers a leader's term from before hears of none that is lower.
    let term = u64::from(incarnation) << 32;
    let made = config.clone();
    blocking(move || {
        let content: journal::Snapshot = Box::new(move |out| {
            machine::snapshot::encode(&state).try_for_each(|piece| out.write_all(&piece))
        });
        Ok(raft::restore(&made, upto, term, content)?)
    })
    .await?;
    let mut journal = Alone::open(config).await?;
    let committed = commit(&mut journal, "restore", incarnation, by).await;
    let last_run = journal.state.last_run().0;
    journal.close().await;
    committed.map(|()| last_run)
}

/// Moves what is there of these to a directory of their own, which is returned.
pub(super) fn set_aside(
    dir: &Path,
    incarnation: u16,
    names: &[&str],
) -> Result<Option<PathBuf>, Error> {
    let aside = dir.join(format!("before-{incarnation}"));
    for name in names {
        let path = dir.join(name);
        let is_empty = fs::read_dir(&path).map_or(true, |mut files| files.next().is_none());
        if is_empty || aside.join(name).exists() {
            continue;
        }
        if !aside.exists() {
            fs::create_dir(&aside).map_err(failed("create", &aside))?;
        }
        fs::rename(&path, aside.join(name)).map_err(failed("move", &path))?;
        sync(&aside)?;
    }
    sync(dir)?;
    Ok(aside.exists().then_some(aside))
}

/// Lists on their way to their place.
struct Into {
    blobs: Arc<Blobs>,
    upload: Option<Upload>,
}

impl Into {
    fn upload(&mut self) -> io::Result<&mut Upload> {
        self.upload.as_mut().ok_or_else(|| io::Error::other("no list has begun"))
    }
}

impl Lists for Into {
    fn begin(&mut self, kind: ItemsKind) -> io::Result<()> {
        self.upload = Upload::begin(self.blobs.clone(), kind).map_err(io::Error::other)?;
        Ok(())
    }

    fn take(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.upload()?.write(bytes).map_err(io::Error::other)
    }

    fn end(&mut self) -> io::Result<()> {
        let upload = self.upload.take().ok_or_else(|| io::Error::other("no list has begun"))?;
        upload.finish().map(drop).map_err(io::Error::other)
    }
}

fn open(file: &Path) -> Result<io::BufReader<File>, Error> {
    let opened = File::open(file).map_err(failed("open", file))?;
    Ok(io::BufReader::with_capacity(1 << 20, opened))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Error::Unusable(error.to_string()))?
}
