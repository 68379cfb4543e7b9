//! What the data directory remembers of incarnations, beside the journal: it has to outlive that.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Error, failed};
use crate::data_dir::write_durably;
use crate::error::StartError;

const INCARNATIONS: &str = "incarnation.json";
const PENDING: &str = "recovery.json";

/// Which incarnations this directory has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Incarnations {
    /// The last in which a node served here; 0: none has.
    pub(crate) served: u16,
    /// The highest that was begun here, or served.
    pub(crate) highest: u16,
}

/// A restore or a recovery that was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub(super) enum Pending {
    Restore,
    Recover {
        /// The incarnation that it leads to, once that is known.
        incarnation: Option<u16>,
        /// Whether there were other voters, once that is known.
        others: Option<bool>,
    },
}

impl Incarnations {
    pub(crate) fn read(dir: &Path) -> Result<Incarnations, StartError> {
        Ok(read(dir, INCARNATIONS)?.unwrap_or_default())
    }

    pub(crate) fn write(self, dir: &Path) -> Result<(), StartError> {
        write(dir, INCARNATIONS, &self)
    }

    /// The next that was never used, as far as anybody here knows; noted before it is returned.
    pub(super) fn begin(dir: &Path, known: u16, asked: Option<u16>) -> Result<u16, Error> {
        let noted = Incarnations::read(dir)?;
        let known = known.max(noted.highest);
        let next = match asked {
            Some(asked) if asked > known => asked,
            Some(asked) => return Err(Error::Incarnation { asked, known }),
            None => known.checked_add(1).ok_or(Error::UsedUp)?,
        };
        Incarnations { highest: next, ..noted }.write(dir)?;
        Ok(next)
    }

    /// A node serves in this incarnation.
    pub(crate) fn served(self, incarnation: u16) -> Incarnations {
        Incarnations { served: incarnation, highest: self.highest.max(incarnation) }
    }
}

impl Pending {
    pub(super) fn read(dir: &Path) -> Result<Option<Pending>, StartError> {
        read(dir, PENDING)
    }

    pub(super) fn write(self, dir: &Path) -> Result<(), StartError> {
        write(dir, PENDING, &self)
    }

    /// All of it is done.
    pub(super) fn clear(dir: &Path) -> Result<(), Error> {
        let path = dir.join(PENDING);
        fs::remove_file(&path).map_err(failed("remove", &path))?;
        sync(dir)
    }
}

/// No node starts on a directory in which a restore or a recovery was broken off.
pub(crate) fn check_finished(dir: &Path) -> Result<(), StartError> {
    let path = dir.to_owned();
    match Pending::read(dir)? {
        None => Ok(()),
        Some(Pending::Restore) => Err(StartError::Unfinished {
            path,
            what: "a restore",
            again: "cluster snapshot restore",
        }),
        Some(Pending::Recover { .. }) => {
            Err(StartError::Unfinished { path, what: "a recovery", again: "cluster recover" })
        }
    }
}

pub(super) fn sync(dir: &Path) -> Result<(), Error> {
    fs::File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed("sync", dir))
}

fn read<T: for<'a> Deserialize<'a>>(dir: &Path, name: &str) -> Result<Option<T>, StartError> {
    let path = dir.join(name);
    let fault =
        |path: PathBuf, source| StartError::DataDir { path, what: "cannot read it", source };
    match fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| fault(path, io::Error::new(io::ErrorKind::InvalidData, error))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(fault(path, source)),
    }
}

fn write(dir: &Path, name: &str, value: &impl Serialize) -> Result<(), StartError> {
    let bytes = serde_json::to_vec(value).expect("a note is plain data");
    write_durably(dir, name, &bytes).map_err(|source| StartError::DataDir {
        path: dir.join(name),
        what: "cannot write it",
        source,
    })
}
