//! The history of a node: facts in memory, then in parts.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::audit::{Audit, ChangeFilter, Changes, Later, Position};
use crate::cover::Ranges;
use crate::error::failed;
use crate::fact::Fact;
use crate::gone::Gone;
use crate::incoming::adopt_incoming;
use crate::keep::Settings;
use crate::memory::{self, Memory};
use crate::part::{self, Part, Writer};
use crate::tend::Tender;
use crate::{Error, OpenError};

/// Entries of the journal's own that may come before the first with facts.
const OWN_ENTRIES_MAX: u64 = 64;
/// The part in the making by a flush.
const FLUSH: &str = "flush.tmp";

/// Facts of what has ended. Everything may be called by any thread.
pub struct History {
    pub(crate) dir: PathBuf,
    pub(crate) inner: RwLock<Inner>,
    /// Whoever changes files; one at a time.
    pub(crate) tender: Mutex<Tender>,
    pub(crate) audit: Audit,
    /// Files of another node are on their way.
    pub(crate) awaiting: AtomicBool,
}

/// What readers look at.
#[derive(Default)]
pub(crate) struct Inner {
    pub(crate) parts: Arc<Vec<Arc<Part>>>,
    /// What is being written, or is to be written again.
    pub(crate) frozen: Option<Arc<Memory>>,
    pub(crate) active: Memory,
    pub(crate) gone: Arc<Ranges>,
    /// The journal entries whose facts are in parts.
    durable: Ranges,
    /// The journal entry that was given last.
    given: Option<u64>,
}

/// How much waits to be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pending {
    /// Facts.
    pub facts: usize,
    /// Bytes of memory they take, about.
    pub bytes: usize,
}

impl History {
    /// Opens the history in `dir`, or makes an empty one. What is damaged is told in the log and
    /// served as far as it is whole.
    pub fn open(dir: &Path, settings: Settings) -> Result<History, OpenError> {
        let failed = |what, path: &Path| {
            let path = path.to_owned();
            move |source| OpenError::Directory { what, path, source }
        };
        adopt_incoming(dir)?;
        fs::create_dir_all(dir).map_err(failed("create", dir))?;
        let mut names = Vec::new();
        for entry in fs::read_dir(dir).map_err(failed("list", dir))? {
            names.push(entry.map_err(failed("list", dir))?.file_name());
        }
        let names: Vec<String> =
            names.into_iter().filter_map(|name| name.into_string().ok()).collect();
        for interim in names.iter().filter(|name| name.ends_with(".tmp")) {
            let path = dir.join(interim);
            fs::remove_file(&path).map_err(failed("remove", &path))?;
        }
        let mut found: Vec<(u64, u64)> =
            names.iter().filter_map(|name| part::flushes_of(name)).collect();
        // The widest first: what it is a merge of, a crash has left.
        found.sort_by_key(|(first, last)| (*first, std::cmp::Reverse(*last)));
        let mut parts: Vec<Arc<Part>> = Vec::new();
        for flushes in found {
            let path = dir.join(part::name_of(flushes));
            if parts.last().is_some_and(|wide| wide.flushes.1 >= flushes.1) {
                fs::remove_file(&path).map_err(failed("remove", &path))?;
                continue;
            }
            match Part::open(&path, flushes).map_err(failed("open", &path))? {
                Some(part) => {
                    if part.is_damaged() {
                        let path = path.display();
                        tracing::error!(%path, "a file of history is damaged; what is whole of it is served");
                    }
                    parts.push(Arc::new(part));
                }
                None => set_aside(&path).map_err(failed("rename", &path))?,
            }
        }
        let gone = Gone::open(dir).map_err(failed("open", dir))?;
        let audit = Audit::open(dir.join("audit")).map_err(failed("open the audit in", dir))?;
        let durable = durable(&parts);
        if durable.len() > 1 {
            tracing::error!(
                dir = %dir.display(),
                "history misses entries of the journal; they are filled in as far as the journal still has them"
            );
        }
        for part in &parts {
            part.estimate_dead(&gone.runs);
        }
        let runs = Arc::new(gone.runs.clone());
        let inner = Inner { parts: Arc::new(parts), gone: runs, durable, ..Inner::default() };
        Ok(History {
            dir: dir.to_owned(),
            inner: RwLock::new(inner),
            tender: Mutex::new(Tender::new(gone, settings)),
            audit,
            awaiting: AtomicBool::new(false),
        })
    }

    /// The journal entry up to which all facts survive a crash; 0 where there are none. What came
    /// after it is to be given again: not all of it is wanted, where a file in the middle is lost.
    pub fn mark(&self) -> u64 {
        self.read()
            .durable
            .iter()
            .next()
            .filter(|(first, _)| *first <= 1)
            .map_or(0, |(_, last)| last)
    }

    /// The last journal entry that was given, or is on disk.
    pub(crate) fn last(&self) -> u64 {
        let inner = self.read();
        inner.given.unwrap_or_default().max(inner.durable.last().unwrap_or_default())
    }

    /// Whether the facts of a journal entry are still wanted: not if they are on disk. So an entry
    /// that is replayed is not written twice, and one whose facts were lost is filled in.
    pub fn wants(&self, index: u64) -> bool {
        self.read().wants(index)
    }

    /// Adds the facts of journal entries, each with its index, in their order. From here on readers
    /// see them. Entries that are here already are passed over; numbers that are left out are of
    /// entries without facts.
    pub fn add(&self, entries: impl IntoIterator<Item = (u64, Vec<Fact>)>) {
        let mut inner = self.write();
        for (index, facts) in entries {
            // Before the first there is what was flushed before the journal was trimmed.
            let first = match (inner.given, inner.durable.last().unwrap_or(0)) {
                (Some(given), _) => given + 1,
                (None, durable) => {
                    self.note_lack(durable, index);
                    index.min(durable + 1)
                }
            };
            inner.given = Some(index);
            if inner.wants(index) {
                inner.active.cover.insert_range(first, index);
                let mut changes = Vec::new();
                for fact in facts {
                    match fact {
                        Fact::Change(change) => changes.push(*change),
                        fact => inner.active.add(fact),
                    }
                }
                if !changes.is_empty() {
                    self.audit.add(index, changes);
                }
            }
        }
    }

    /// Says it where the journal begins behind what is here: what was between is lost.
    fn note_lack(&self, durable: u64, first: u64) {
        if first > durable.saturating_add(OWN_ENTRIES_MAX) {
            tracing::error!(
                dir = %self.dir.display(),
                "history lacks what ended from entry {durable} of the journal to {first}: its files are gone, and so are the entries; a copy of its directory would have them"
            );
        }
    }

    /// What waits to be written.
    pub fn pending(&self) -> Pending {
        let inner = self.read();
        let frozen = inner.frozen.as_deref();
        Pending {
            facts: inner.active.facts + frozen.map_or(0, |memory| memory.facts),
            bytes: inner.active.bytes
                + frozen.map_or(0, |memory| memory.bytes)
                + self.audit.pending(),
        }
    }

    /// Writes all facts there are, durably, and so raises the mark. An error loses nothing: the
    /// facts stay in memory and can be written again.
    pub fn flush(&self) -> Result<(), Error> {
        let _one = self.tender();
        // What an earlier flush could not write comes first, and before the facts of an entry its
        // changes: the part says that all of the entry is on disk.
        self.audit.flush().map_err(failed(&self.dir))?;
        self.flush_frozen().map_err(failed(&self.dir))?;
        {
            let mut inner = self.write();
            if inner.active.cover.is_empty() {
                return Ok(());
            }
            inner.frozen = Some(Arc::new(std::mem::take(&mut inner.active)));
        }
        self.audit.flush().map_err(failed(&self.dir))?;
        self.flush_frozen().map_err(failed(&self.dir))
    }

    fn flush_frozen(&self) -> io::Result<()> {
        let (frozen, number) = {
            let inner = self.read();
            let Some(frozen) = inner.frozen.clone() else { return Ok(()) };
            (frozen, inner.parts.last().map_or(0, |part| part.flushes.1) + 1)
        };
        let mut writer = Writer::begin(&self.dir, FLUSH, frozen.cover.clone())?;
        memory::write_all(&frozen, &mut writer)?;
        let part = Arc::new(writer.finish((number, number))?);
        let mut inner = self.write();
        inner.durable.extend(&part.cover);
        Arc::make_mut(&mut inner.parts).push(part);
        inner.frozen = None;
        Ok(())
    }

    /// At most `limit` changes that the filter wants before this place, the latest first.
    pub fn changes(
        &self,
        filter: &ChangeFilter,
        before: Option<Position>,
        limit: usize,
    ) -> Changes {
        self.audit.changes(filter, before, limit)
    }

    /// Changes behind `after`, the earliest first, entry by entry until there are `limit`. An error
    /// where what came right after it is gone: the lowest index there is to go on after.
    pub fn changes_after(
        &self,
        filter: &ChangeFilter,
        after: u64,
        limit: usize,
    ) -> Result<Later, u64> {
        self.audit.later(filter, after, limit)
    }

    /// Bytes on disk, about.
    pub fn disk_bytes(&self) -> u64 {
        self.read().parts.iter().map(|part| part.bytes).sum()
    }

    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn tender(&self) -> MutexGuard<'_, Tender> {
        self.tender.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn wants(&self, index: u64) -> bool {
        let frozen = self.frozen.as_ref();
        !self.durable.contains(index)
            && !self.active.cover.contains(index)
            && frozen.is_none_or(|memory| !memory.cover.contains(index))
    }

    /// The memories there are.
    pub(crate) fn memories(&self) -> impl Iterator<Item = &Memory> {
        self.frozen.as_deref().into_iter().chain([&self.active])
    }
}

fn durable(parts: &[Arc<Part>]) -> Ranges {
    let mut durable = Ranges::default();
    parts.iter().for_each(|part| durable.extend(&part.cover));
    durable
}

/// Nothing of the file can be trusted: it is kept for whoever wants to look, and makes way.
fn set_aside(path: &Path) -> io::Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let mut aside = path.as_os_str().to_owned();
    aside.push(format!(".damaged-{now}"));
    tracing::error!(
        path = %path.display(),
        aside = %Path::new(&aside).display(),
        "a file of history is damaged beyond reading and set aside; its facts are filled in again as far as the journal still has them"
    );
    fs::rename(path, aside)
}
