//! The files of one history in the place of another one's.

use std::io::Read;
use std::path::Path;

use history::{ChangeFilter, History, Purge, RunFilter};

use crate::support::{NOW_MS, canceled, ended, open, ordinals, run, runs};

fn change(action: &str) -> history::Fact {
    history::Fact::Change(Box::new(history::Change {
        time_ms: 1,
        action: action.into(),
        on: "it".into(),
        actor: "user:ann".into(),
        reason: String::new(),
        token: String::new(),
        address: String::new(),
    }))
}

/// Facts of entries up to 300; the runs 1 to 4, of which 2 is deleted.
fn donor(dir: &Path) -> History {
    let history = open(&dir.join("history"));
    history.add([(100, vec![ended(1, 0), run(1), change("submit")])]);
    history.flush().unwrap();
    history.add([(150, vec![ended(2, 0), run(2)]), (200, vec![ended(3, 0), ended(3, 1), run(3)])]);
    history.flush().unwrap();
    let (since_ms, until_ms) = (Some(NOW_MS + 2), Some(NOW_MS + 3));
    let mut purge = Purge::new(RunFilter { since_ms, until_ms, ..RunFilter::default() }, false);
    while history.purge_step(&mut purge).unwrap() {}
    assert_eq!(runs(&history, &RunFilter::default()), [3, 1]);
    history.add([(300, vec![canceled(4, 0..=9), run(4), change("cancel")])]);
    history
}

fn copy(from: &History, to: &History, through: u64) {
    let mut incoming = to.incoming().unwrap();
    for copied in from.files(through).unwrap().expect("it has them") {
        incoming.begin(&copied.name).unwrap();
        let mut bytes = Vec::new();
        copied.file.take(copied.bytes).read_to_end(&mut bytes).unwrap();
        bytes.chunks(7).for_each(|piece| incoming.write(piece).unwrap());
    }
    incoming.finish().unwrap();
}

fn actions(history: &History) -> Vec<String> {
    let changes = history.changes(&ChangeFilter::default(), None, 10).changes;
    changes.into_iter().map(|(_, change)| change.action).collect()
}

#[test]
fn a_history_that_is_copied_goes_on_where_the_other_one_was() {
    let [theirs, ours] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let (donor, history) = (donor(theirs.path()), open(&ours.path().join("history")));
    history.add([(100, vec![ended(1, 0), run(1), change("submit")])]);
    assert!(history.lacks_through(101) && !history.lacks_through(100));
    copy(&donor, &history, 280);
    assert_eq!(runs(&history, &RunFilter::default()), [1], "it is not in use yet");
    history.adopt().unwrap();
    let all = runs(&donor, &RunFilter::default());
    assert_eq!(runs(&history, &RunFilter::default()), all);
    assert_eq!(ordinals(&history, 3), [0, 1]);
    assert_eq!(actions(&history), ["cancel", "submit"]);
    assert_eq!(history.mark(), 300);
    // What is in it already is not told twice, and what is not is added.
    history.add([(300, vec![canceled(4, 0..=9), run(4), change("cancel")])]);
    history.add([(301, vec![ended(5, 0), run(5), change("purge")])]);
    history.flush().unwrap();
    let expected: Vec<u64> = [5].into_iter().chain(all).collect();
    for history in [history, open(&ours.path().join("history"))] {
        assert_eq!(runs(&history, &RunFilter::default()), expected);
        assert_eq!(actions(&history), ["purge", "cancel", "submit"]);
        assert_eq!(history.mark(), 301);
    }
}

#[test]
fn a_crash_takes_all_of_a_copy_or_nothing() {
    let [theirs, ours] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let donor = donor(theirs.path());
    let dir = ours.path().join("history");
    let history = open(&dir);
    history.add([(7, vec![ended(9, 0), run(9)])]);
    history.flush().unwrap();
    let mut half = history.incoming().unwrap();
    half.begin("000000000001-000000000001.part").unwrap();
    half.write(b"half").unwrap();
    drop((half, history));
    let history = open(&dir);
    assert_eq!(runs(&history, &RunFilter::default()), [9], "what has not come whole is nothing");
    copy(&donor, &history, 1);
    drop(history);
    let history = open(&dir);
    assert_eq!(runs(&history, &RunFilter::default()), runs(&donor, &RunFilter::default()));
    assert_eq!(std::fs::read_dir(ours.path()).unwrap().count(), 1, "nothing is left beside it");
}

#[test]
fn a_history_that_lacks_entries_gives_nothing_and_no_file_of_another_name_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let history = donor(dir.path());
    assert!(history.files(301).unwrap().is_none());
    let mut incoming = history.incoming().unwrap();
    for name in ["../x", "/etc/x", "audit/../x", "gone.tmp", "audit/1.audit", "x.part", ""] {
        assert!(incoming.begin(name).is_err(), "{name}");
        assert!(incoming.write(b"x").is_err(), "{name}");
    }
}
