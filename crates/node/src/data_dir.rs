//! The data directory: held by one node at a time, and the place of its identity.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use model::{ClusterId, NodeId};
use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::StartError;

/// What a node wants free at its start: two segments of the journal, and some room to work.
const FREE_BYTES_MIN: u64 = 192 << 20;
const IDENTITY: &str = "node.json";
const LIFE: &str = "life";
/// What is kept in here tells of jobs and leaves its files' modes to the umask, and the data
/// directory itself may have been there before, open to all.
const PRIVATE: [&str; 2] = ["history", "blobs"];
/// How long the lock is waited for while its holder is there, and once it is gone.
const DYING: Duration = Duration::from_millis(300);
const DEAD: Duration = Duration::from_secs(30);
const LOCK_AGAIN: Duration = Duration::from_millis(10);

/// A data directory that is ours until this is dropped.
#[derive(Debug)]
pub(crate) struct DataDir {
    pub(crate) path: PathBuf,
    /// Holds the lock; the kernel frees it with the process, however that ends.
    _lock: File,
}

/// Who the node is, whatever its address.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) node_id: Uuid,
    /// The cluster it belongs to.
    pub(crate) cluster_id: Uuid,
    /// There are other members: where its journal is empty it waits for them, and founds nothing.
    #[serde(default)]
    pub(crate) joined: bool,
}

impl Identity {
    pub(crate) fn node(&self) -> NodeId {
        NodeId(self.node_id)
    }

    pub(crate) fn cluster(&self) -> ClusterId {
        ClusterId(self.cluster_id)
    }

    /// The node's number in the journal.
    pub(crate) fn journal_node(&self) -> u64 {
        peer::journal_number(self.node())
    }
}

impl DataDir {
    /// Makes the directory where it is missing and takes hold of it.
    pub(crate) fn open(path: &Path) -> Result<DataDir, StartError> {
        let fault = |what| {
            let path = path.to_owned();
            move |source| StartError::DataDir { path, what, source }
        };
        let path = std::path::absolute(path).map_err(fault("cannot find it"))?;
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)
            .map_err(fault("cannot create it"))?;
        let lock = lock(&path, fault("cannot write in it"))?;
        check_space(&path)?;
        for name in PRIVATE {
            make_private(&path.join(name)).map_err(fault("cannot keep others out of it"))?;
        }
        Ok(DataDir { path, _lock: lock })
    }

    /// A number that is greater with each start of the daemon: what a former life said can be told
    /// from what this one says. It goes by the clock as well, so that a lost file does no harm.
    pub(crate) fn next_life(&self) -> Result<u32, StartError> {
        let path = self.path.join(LIFE);
        let fault = |what| {
            let path = path.clone();
            move |source| StartError::DataDir { path, what, source }
        };
        let before: u32 = match fs::read_to_string(&path) {
            Ok(text) => text.trim().parse().unwrap_or(0),
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(fault("cannot read it")(error)),
        };
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = u32::try_from(since.as_secs()).unwrap_or_default();
        let life = seconds.max(before.saturating_add(1));
        write_durably(&self.path, LIFE, life.to_string().as_bytes())
            .map_err(fault("cannot write it"))?;
        Ok(life)
    }

    /// Reads who the node is; `None` in a directory that is no node's yet.
    pub(crate) fn identity(&self) -> Result<Option<Identity>, StartError> {
        let path = self.path.join(IDENTITY);
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|error| StartError::Identity { path, why: error.to_string() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if self.path.join("journal").exists() {
                    let why = "the file is missing and the directory has a journal".to_owned();
                    return Err(StartError::Identity { path, why });
                }
                Ok(None)
            }
            Err(source) => Err(StartError::DataDir { path, what: "cannot read it", source }),
        }
    }

    /// The same; a directory that is no node's yet becomes that of a new node of this cluster.
    pub(crate) fn identity_in(&self, cluster_id: Uuid) -> Result<Identity, StartError> {
        if let Some(identity) = self.identity()? {
            return Ok(identity);
        }
        let identity = Identity { node_id: Uuid::new_v4(), cluster_id, joined: false };
        self.keep_identity(&identity)?;
        Ok(identity)
    }

    /// Writes who the node is.
    pub(crate) fn keep_identity(&self, identity: &Identity) -> Result<(), StartError> {
        keep_identity(&self.path, identity)
    }
}

/// Writes who the node of this data directory is; its holder alone may.
pub(crate) fn keep_identity(data_dir: &Path, identity: &Identity) -> Result<(), StartError> {
    let path = data_dir.join(IDENTITY);
    write_durably(data_dir, IDENTITY, &to_json(identity)).map_err(|source| StartError::DataDir {
        path,
        what: "cannot write it",
        source,
    })
}

/// Makes a directory that its owner alone can look into, also where it is there already.
fn make_private(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    let mut permissions = fs::metadata(path)?.permissions();
    if permissions.mode() & 0o077 != 0 {
        permissions.set_mode(0o700);
        fs::set_permissions(path, permissions)?;
    }
    Ok(())
}

fn lock(path: &Path, fault: impl FnOnce(io::Error) -> StartError) -> Result<File, StartError> {
    let open = || {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        options.open(path.join("lock"))
    };
    let mut file = match open() {
        Ok(file) => file,
        Err(source) => return Err(fault(source)),
    };
    let begun = Instant::now();
    loop {
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => break,
            Err(rustix::io::Errno::WOULDBLOCK) => {}
            Err(error) => return Err(fault(error.into())),
        }
        // A node that was killed may take a moment to be gone, and so may a supervisor that it
        // was just about to start, which holds its files until it is one.
        let pid = holder(&mut file);
        let patience = if is_alive(pid) { DYING } else { DEAD };
        if begun.elapsed() >= patience {
            return Err(StartError::InUse { path: path.to_owned(), pid });
        }
        std::thread::sleep(LOCK_AGAIN);
    }
    let write = |file: &mut File| {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())
    };
    match write(&mut file) {
        Ok(()) => Ok(file),
        Err(error) if error.kind() == io::ErrorKind::StorageFull => Err(StartError::DiskFull {
            path: path.to_owned(),
            free_bytes: 0,
            needed_bytes: FREE_BYTES_MIN,
        }),
        Err(error) => Err(fault(error)),
    }
}

/// The process that says it holds the lock; 0 where none does.
fn holder(lock: &mut File) -> u32 {
    let mut text = String::new();
    let read = lock.rewind().and_then(|()| lock.read_to_string(&mut text));
    read.ok().and_then(|_| text.trim().parse().ok()).unwrap_or(0)
}

fn is_alive(pid: u32) -> bool {
    pid > 0 && Path::new(&format!("/proc/{pid}")).exists()
}

/// A directory that has its journal needs no more than it has taken already.
fn check_space(path: &Path) -> Result<(), StartError> {
    let Ok(stat) = rustix::fs::statvfs(path) else { return Ok(()) };
    let free_bytes = stat.f_bavail.saturating_mul(stat.f_frsize);
    let needed_bytes = if path.join("journal").exists() { 16 << 20 } else { FREE_BYTES_MIN };
    if free_bytes < needed_bytes {
        return Err(StartError::DiskFull { path: path.to_owned(), free_bytes, needed_bytes });
    }
    Ok(())
}

fn to_json(identity: &Identity) -> Vec<u8> {
    let mut text = serde_json::to_vec_pretty(identity).expect("two ids are valid JSON");
    text.push(b'\n');
    text
}

/// Writes a small file so that it is there whole or not at all, whatever happens.
pub(crate) fn write_durably(dir: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let temporary = dir.join(format!("{name}.new"));
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, dir.join(name))?;
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_belongs_to_one_node_at_a_time_and_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let held = DataDir::open(dir.path()).unwrap();
        match DataDir::open(dir.path()) {
            Err(StartError::InUse { pid, .. }) => assert_eq!(pid, std::process::id()),
            other => panic!("{other:?}"),
        }
        drop(held);
        DataDir::open(dir.path()).unwrap();
    }

    #[test]
    fn a_node_keeps_its_identity_and_never_invents_one_beside_a_journal() {
        let dir = tempfile::tempdir().unwrap();
        let held = DataDir::open(dir.path()).unwrap();
        assert!(held.identity().unwrap().is_none());
        let first = Identity { node_id: Uuid::new_v4(), cluster_id: Uuid::new_v4(), joined: false };
        held.keep_identity(&first).unwrap();
        assert_eq!(held.identity().unwrap().unwrap().node_id, first.node_id);
        fs::create_dir(dir.path().join("journal")).unwrap();
        fs::remove_file(dir.path().join(IDENTITY)).unwrap();
        let error = held.identity().unwrap_err().to_string();
        assert!(error.contains("hint: restore it"), "{error}");
    }

    #[test]
    fn a_path_through_a_file_is_refused_with_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        let error = DataDir::open(&file.join("data")).unwrap_err().to_string();
        assert!(error.contains("hint: make it writable"), "{error}");
    }
}
