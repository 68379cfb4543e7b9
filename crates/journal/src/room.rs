//! How much space is left on a disk.

use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How long an answer holds.
const HOLDS: Duration = Duration::from_secs(1);

/// The space left on the file system of a directory.
pub(crate) struct Room {
    dir: PathBuf,
    known: Mutex<Option<(Instant, u64)>>,
}

impl Room {
    pub(crate) fn new(dir: PathBuf) -> Self {
        Self { dir, known: Mutex::new(None) }
    }

    /// The bytes that are left, as of the last second.
    pub(crate) fn free_bytes(&self) -> u64 {
        let mut known = self.known.lock().expect("no holder of the lock panics");
        match *known {
            Some((when, free)) if when.elapsed() < HOLDS => free,
            _ => {
                let free = self.look();
                *known = Some((Instant::now(), free));
                free
            }
        }
    }

    /// A file system that does not tell is not taken for a full one.
    fn look(&self) -> u64 {
        let stat = rustix::fs::statvfs(&self.dir);
        stat.map_or(u64::MAX, |stat| stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_the_space_that_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let free = Room::new(dir.path().to_owned()).free_bytes();
        assert!(free > 0 && free < u64::MAX, "{free}");
        assert_eq!(Room::new(dir.path().join("nowhere")).free_bytes(), u64::MAX);
    }
}
