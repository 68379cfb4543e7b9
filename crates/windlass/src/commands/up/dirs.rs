//! Where a node keeps its data, and whether it can.

use std::io;
use std::path::{Path, PathBuf};

use crate::client::token;
use crate::failure::Failure;

/// Where root's node keeps its data.
const ROOT_DIR: &str = "/var/lib/windlass";

/// The data directory, made where there is none; absolute.
pub(super) fn data_dir(named: Option<PathBuf>) -> Result<PathBuf, Failure> {
    let dir = named.map_or_else(default_dir, Ok)?;
    let made =
        token::make_private_dir(&dir).and_then(|()| probe(&dir)).and_then(|()| dir.canonicalize());
    made.map_err(|error| fault(&dir, &error))
}

fn default_dir() -> Result<PathBuf, Failure> {
    if rustix::process::geteuid().is_root() {
        return Ok(PathBuf::from(ROOT_DIR));
    }
    let home = token::state_home().ok_or_else(|| {
        Failure::new("no place for the data: HOME is not set")
            .hint("name one with `--data-dir DIR`")
    })?;
    Ok(home.join("windlass"))
}

/// Writes and syncs a file, so that a full or read-only disk is known before anything starts.
fn probe(dir: &Path) -> io::Result<()> {
    let path = dir.join(".probe");
    let written = token::write_whole(&path, &[0; 4096]);
    let _ = std::fs::remove_file(&path);
    written
}

fn fault(dir: &Path, error: &io::Error) -> Failure {
    let failure = Failure::new(format!("cannot use the data directory {}: {error}", dir.display()));
    match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            failure.hint("name one that this user can write: `windlass up --data-dir DIR`")
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            failure.hint("make room on that disk, or name a directory on another: `--data-dir DIR`")
        }
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            failure.hint("a file is in the way: name another with `--data-dir DIR`")
        }
        _ => failure.hint("name another with `--data-dir DIR`"),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_directory_is_made_for_its_owner_alone() {
        let parent = tempfile::tempdir().unwrap();
        let dir = data_dir(Some(parent.path().join("a/b"))).unwrap();
        assert!(dir.is_absolute());
        assert_eq!(dir.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(std::fs::read_dir(dir).unwrap().count(), 0, "the probe is gone");
    }

    #[test]
    fn a_file_in_the_way_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let failure = data_dir(Some(file.path().to_owned())).unwrap_err();
        assert!(failure.message.contains(&file.path().display().to_string()));
        assert!(failure.hint.unwrap().contains("--data-dir"));
    }
}
