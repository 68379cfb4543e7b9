//! Files of history that come from another node: nothing of them counts before all are there.
//!
//! ```text
//!  history.in    what has come so far       removed by the next start
//!  history.new   all of it, and durable     takes the place of `history`, at the latest by a start
//! ```

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::error::failed;
use crate::{Error, OpenError, audit, gone, part};

/// Files of the audit, in its directory.
pub(crate) const AUDIT: &str = "audit/";

/// Files that come from another node. Dropped before its end it leaves nothing that counts.
#[derive(Debug)]
pub struct Incoming {
    dir: PathBuf,
    file: Option<File>,
}

impl Incoming {
    /// Begins beside the history of `dir`.
    pub(crate) fn begin_beside(dir: &Path) -> Result<Incoming, Error> {
        let dir = beside(dir, ".in");
        let made = remove_dir(&dir).and_then(|()| fs::create_dir_all(dir.join(AUDIT)));
        made.map_err(failed(&dir))?;
        Ok(Incoming { dir, file: None })
    }

    /// A file begins. Its name has to be one that [`crate::History::files`] gives.
    pub fn begin(&mut self, name: &str) -> Result<(), Error> {
        self.end_file()?;
        let known = match name.strip_prefix(AUDIT) {
            Some(name) => audit::is_name(name),
            None => name == gone::NAME || part::flushes_of(name).is_some(),
        };
        let path = self.dir.join(name);
        if !known {
            let why = format!("`{}` is no file of history", name.escape_debug());
            return Err(failed(&self.dir)(io::Error::other(why)));
        }
        self.file = Some(File::create_new(&path).map_err(failed(&path))?);
        Ok(())
    }

    /// The file goes on.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let Some(file) = &mut self.file else {
            return Err(failed(&self.dir)(io::Error::other("the bytes are of no file")));
        };
        io::Write::write_all(file, bytes).map_err(failed(&self.dir))
    }

    /// All has come: it is on disk, and takes the place of what is there at the next start, or by
    /// [`crate::History::adopt`].
    pub fn finish(mut self) -> Result<(), Error> {
        self.end_file()?;
        let new = self.dir.with_extension("new");
        let sync = |dir: &Path| File::open(dir).and_then(|dir| dir.sync_all());
        let done = sync(&self.dir.join(AUDIT))
            .and_then(|()| sync(&self.dir))
            .and_then(|()| remove_dir(&new))
            .and_then(|()| fs::rename(&self.dir, &new))
            .and_then(|()| sync(new.parent().unwrap_or(&new)));
        done.map_err(failed(&self.dir))
    }

    fn end_file(&mut self) -> Result<(), Error> {
        match self.file.take() {
            Some(file) => file.sync_all().map_err(failed(&self.dir)),
            None => Ok(()),
        }
    }
}

/// Removes what has not come whole, and puts what has in its place. Before history is opened, and
/// while nobody looks at it.
pub(crate) fn adopt_incoming(dir: &Path) -> Result<(), OpenError> {
    let failed = |what, path: &Path| {
        let path = path.to_owned();
        move |source| OpenError::Directory { what, path, source }
    };
    let (half, new) = (beside(dir, ".in"), beside(dir, ".new"));
    remove_dir(&half).map_err(failed("remove", &half))?;
    if new.exists() {
        // A crash between the two leaves the new one, which is taken then.
        remove_dir(dir).map_err(failed("remove", dir))?;
        fs::rename(&new, dir).map_err(failed("rename", &new))?;
        let parent = dir.parent().unwrap_or(dir);
        let synced = File::open(parent).and_then(|parent| parent.sync_all());
        synced.map_err(failed("rename", &new))?;
    }
    Ok(())
}

/// The directory's name with something behind it.
fn beside(dir: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(dir);
    name.push(suffix);
    PathBuf::from(name)
}

fn remove_dir(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}
