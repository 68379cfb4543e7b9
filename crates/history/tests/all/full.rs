//! A disk that cannot be written loses nothing that is in memory.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use crate::support::*;

#[test]
fn what_cannot_be_written_is_kept_and_written_later() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("history");
    let history = open(&home);
    history.add([(1, vec![ended(1, 0)])]);
    // Root may write anywhere, so the directory is taken away.
    std::fs::rename(&home, dir.path().join("away")).unwrap();
    assert!(history.flush().is_err());
    history.add([(2, vec![ended(1, 1)])]);
    assert!(history.flush().is_err());
    assert_eq!(ordinals(&history, 1), [0, 1], "readers see it all the same");
    assert_eq!((history.mark(), history.pending().facts), (0, 2));
    assert!(!history.wants(1) && !history.wants(2));
    std::fs::rename(dir.path().join("away"), &home).unwrap();
    history.flush().unwrap();
    assert_eq!((history.mark(), history.pending().facts), (2, 0));
    drop(history);
    assert_eq!(ordinals(&open(&home), 1), [0, 1]);
}

/// A file system of one MiB, for as long as it lives.
struct Small<'a>(&'a Path);

impl Small<'_> {
    fn mount(at: &Path) -> Small<'_> {
        let options = ["-t", "tmpfs", "-o", "size=1m", "tmpfs"];
        let mounted = Command::new("mount").args(options).arg(at).status().unwrap();
        assert!(mounted.success(), "this test mounts a file system: run it as root");
        Small(at)
    }
}

impl Drop for Small<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[test]
fn a_full_disk_is_told_from_other_faults_and_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let small = Small::mount(dir.path());
    let history = open(dir.path());
    for n in 0..20u32 {
        history.add([(u64::from(n) + 1, (0..50).map(|i| ended(1, n * 50 + i)).collect())]);
        history.flush().unwrap();
    }
    let filler = dir.path().join("filler");
    let mut file = File::create(&filler).unwrap();
    while file.write_all(&[0; 512]).is_ok() {}
    history.add([(21, (1000..2000).map(|ordinal| ended(1, ordinal)).collect())]);
    assert!(history.flush().unwrap_err().is_disk_full());
    assert!(history.flush().unwrap_err().is_disk_full());
    tend(&history, NOW_MS); // No merge has room; none of them is a fault.
    assert_eq!(ordinals(&history, 1), (0..2000).collect::<Vec<_>>());
    drop(file);
    std::fs::remove_file(filler).unwrap();
    history.flush().unwrap();
    assert_eq!((history.mark(), history.pending().facts), (21, 0));
    drop(history);
    let history = open(dir.path());
    assert_eq!(ordinals(&history, 1), (0..2000).collect::<Vec<_>>());
    drop((history, small));
}
