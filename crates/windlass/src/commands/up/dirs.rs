//! Where a node keeps its data, and who else does.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::client::token;
use crate::failure::Failure;

/// Where root's node keeps its data.
const ROOT_DIR: &str = "/var/lib/windlass";

/// The data directory; absolute, and perhaps not there yet.
pub(in crate::commands) fn data_dir(named: Option<PathBuf>) -> Result<PathBuf, Failure> {
    let dir = named.map_or_else(default_dir, Ok)?;
    std::path::absolute(&dir).map_err(|error| {
        Failure::new(format!("cannot find the data directory `{}`: {error}", dir.display()))
    })
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

/// The process of the node that holds the directory, if one does. It is asked only where the
/// address is taken, to name the true cause; a node that starts takes the lock itself.
pub(super) fn holder(dir: &Path) -> Option<u32> {
    let mut lock = File::open(dir.join("lock")).ok()?;
    let taken = flock(&lock, FlockOperation::NonBlockingLockShared);
    if taken != Err(rustix::io::Errno::WOULDBLOCK) {
        return None;
    }
    let mut text = String::new();
    lock.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_made_absolute_and_not_made() {
        let dir = data_dir(Some("a/b".into())).unwrap();
        assert!(dir.is_absolute() && dir.ends_with("a/b") && !dir.exists());
    }

    #[test]
    fn the_holder_of_a_directory_is_known_while_it_holds_it() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(holder(dir.path()), None);
        std::fs::write(dir.path().join("lock"), "4711\n").unwrap();
        assert_eq!(holder(dir.path()), None, "a lock that is left over");
        let lock = File::open(dir.path().join("lock")).unwrap();
        flock(&lock, FlockOperation::LockExclusive).unwrap();
        assert_eq!(holder(dir.path()), Some(4711));
    }
}
