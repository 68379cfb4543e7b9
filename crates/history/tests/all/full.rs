//! A disk that cannot be written loses nothing that is in memory.

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
