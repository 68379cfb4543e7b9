//! The files of history for another node, and those of another node in the place of one's own.
//!
//! A node that goes on from another one's snapshot has never seen the entries before it. Their facts
//! are in that node's files, which are copied as they are: facts cannot be told apart by entry any
//! more, so half of a history cannot be put beside another half.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use crate::error::failed;
use crate::incoming::{AUDIT, Incoming};
use crate::store::History;
use crate::{Error, OpenError, gone, part};

/// A file of history as it was when it was asked for; what is added to it later is left out.
#[derive(Debug)]
pub struct Copied {
    /// Its name within the directory of history.
    pub name: String,
    /// It stays readable when history has done away with it.
    pub file: File,
    /// How much of it counts.
    pub bytes: u64,
}

impl History {
    /// The files, once the facts of all entries up to this one are in them; `None` where some lack.
    pub fn files(&self, through: u64) -> Result<Option<Vec<Copied>>, Error> {
        self.flush()?;
        // Nobody removes a file meanwhile.
        let _one = self.tender();
        if self.mark() < through {
            return Ok(None);
        }
        self.open_all().map(Some).map_err(failed(&self.dir))
    }

    fn open_all(&self) -> io::Result<Vec<Copied>> {
        let parts = self.read().parts.clone();
        let mut files = Vec::new();
        for part in parts.iter() {
            files.push(copied(part::name_of(part.flushes), &part.path)?);
        }
        match copied(gone::NAME.to_owned(), &self.dir.join(gone::NAME)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            gone => files.push(gone?),
        }
        for (name, path) in self.audit.paths() {
            files.push(copied(format!("{AUDIT}{name}"), &path)?);
        }
        Ok(files)
    }

    /// Whether facts of entries up to this one lack, which a snapshot stands for.
    pub fn lacks_through(&self, index: u64) -> bool {
        index > self.last()
    }

    /// Says whether files of another node are on their way: until they are here nobody can say of
    /// what is not found that there is no such thing.
    pub fn set_awaiting(&self, awaiting: bool) {
        self.awaiting.store(awaiting, Ordering::SeqCst);
    }

    /// Whether they are.
    pub fn is_awaiting(&self) -> bool {
        self.awaiting.load(Ordering::SeqCst)
    }

    /// Where files from another node are put.
    pub fn incoming(&self) -> Result<Incoming, Error> {
        Incoming::begin_beside(&self.dir)
    }

    /// From here on the files that have come are this history; what was here before is gone, written
    /// or not. They have to cover at least what that did.
    pub fn adopt(&self) -> Result<(), OpenError> {
        let mut tender = self.tender();
        let mut inner = self.write();
        // It opens by taking what has come.
        let History { inner: new, tender: tends, audit, .. } =
            History::open(&self.dir, tender.settings.clone())?;
        *inner = new.into_inner().unwrap_or_else(PoisonError::into_inner);
        *tender = tends.into_inner().unwrap_or_else(PoisonError::into_inner);
        self.audit.replace(audit);
        Ok(())
    }
}

fn copied(name: String, path: &Path) -> io::Result<Copied> {
    let file = File::open(path)?;
    let bytes = file.metadata()?.len();
    Ok(Copied { name, file, bytes })
}
