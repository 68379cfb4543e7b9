//! Facts are found as they were told, in memory and on disk, and never twice.

use history::{Fact, Found, History, Settings, States, Told};
use model::{RangeSet, RunId, TaskState};

use crate::support::*;

#[test]
fn what_is_added_is_found_at_once_and_after_a_flush_and_a_start() {
    let dir = tempfile::tempdir().unwrap();
    let history = open(dir.path());
    let lost = Fact::Attempt(attempt(1, 4, 1, None));
    let again = Fact::Attempt(attempt(1, 4, 2, Some(TaskState::Failed)));
    history.add([(5, vec![ended(1, 9), lost, canceled(1, 20..=29)]), (6, vec![again, run(1)])]);
    let check = |history: &History| {
        let found = told(history, 1, RangeSet::from_iter([0..=100]), States::ANY);
        let [
            Told::Attempt(first),
            Told::Attempt(second),
            Told::Attempt(third),
            Told::Ended(range, end),
        ] = &found[..]
        else {
            panic!("{found:?}")
        };
        assert_eq!(*first, attempt(1, 4, 1, None));
        assert_eq!(*second, attempt(1, 4, 2, Some(TaskState::Failed)));
        assert_eq!(third.ordinal, 9);
        assert_eq!((range.clone(), end.because.actor.as_str()), (20..=29, "user:bob"));
        let Found::Known(head) = history.head(RunId(1)) else { panic!() };
        assert_eq!(
            Fact::Run(Box::new(history::RunFact { head, job: b"job of 1".to_vec() })),
            run(1)
        );
        assert_eq!(history.job(RunId(1)), Found::Known(b"job of 1"[..].into()));
        assert_eq!(history.head(RunId(2)), Found::Unknown);
        assert!(told(history, 2, RangeSet::from_iter([0..=100]), States::ANY).is_empty());
    };
    check(&history);
    assert_eq!(history.mark(), 0, "nothing is on disk yet");
    history.flush().unwrap();
    check(&history);
    assert_eq!(history.mark(), 6);
    drop(history);
    let history = open(dir.path());
    assert_eq!(history.mark(), 6);
    check(&history);
}

#[test]
fn what_is_replayed_is_not_added_twice_and_what_was_not_flushed_comes_again() {
    let dir = tempfile::tempdir().unwrap();
    let history = open(dir.path());
    history.add([(5, vec![ended(1, 0)])]);
    history.flush().unwrap();
    history.add([(6, vec![ended(1, 1)])]);
    drop(history); // A crash: entry 6 was in memory alone.
    let history = open(dir.path());
    assert_eq!(ordinals(&history, 1), [0]);
    assert!(!history.wants(5) && history.wants(6));
    history.add([(5, vec![ended(1, 0)]), (6, vec![ended(1, 1)])]);
    history.add([(6, vec![ended(1, 1)]), (7, vec![])]);
    history.flush().unwrap();
    assert_eq!(ordinals(&history, 1), [0, 1]);
    assert_eq!(history.mark(), 7, "entries without facts raise the mark too");
}

#[test]
fn a_few_ordinals_of_many_and_a_state_of_many_are_found_in_their_order() {
    let dir = tempfile::tempdir().unwrap();
    let history = open(dir.path());
    // They end in no order, over several flushes.
    for part in 0..8u32 {
        let facts = (0..3000).map(|n| ended(1, (n * 8 + (part * 3) % 8) % 24_000)).collect();
        history.add([(u64::from(part) + 1, facts)]);
        history.flush().unwrap();
    }
    for _ in 0..2 {
        let wanted = RangeSet::from_iter([5..=5, 7..=9, 23_999..=23_999, 30_000..=30_005]);
        let found: Vec<u32> =
            told(&history, 1, wanted, States::ANY).iter().map(Told::first).collect();
        assert_eq!(found, [5, 7, 8, 9, 23_999]);
        let all = RangeSet::from_iter([100..=u32::MAX]);
        let failed = history.elements(RunId(1), 0, &all, States::UNSUCCESSFUL);
        let first: Vec<u32> = failed.take(3).map(|told| told.first()).collect();
        assert_eq!(first, [103, 113, 123]);
        tend(&history, NOW_MS);
    }
    assert_eq!(parts(dir.path()).len(), 1, "small neighbours are merged");
    assert_eq!(ordinals(&history, 1), (0..24_000).collect::<Vec<_>>());
}

#[test]
fn facts_that_trickle_in_take_little_room() {
    let dir = tempfile::tempdir().unwrap();
    let history = open(dir.path());
    for flush in 0..200u32 {
        let facts = (0..30)
            .map(|n| Fact::Attempt(attempt(1, flush * 30 + n, 1, Some(TaskState::Succeeded))));
        history.add([(u64::from(flush) + 1, facts.collect())]);
        history.flush().unwrap();
    }
    tend(&history, NOW_MS);
    let sizes = parts(dir.path()).into_iter().map(|part| part.metadata().unwrap().len());
    let bytes: u64 = sizes.map(|bytes| bytes.next_multiple_of(4096)).sum();
    assert!(bytes < 64 * 6000, "{bytes} bytes for 6000 elements");
}

#[test]
fn a_crash_in_a_merge_leaves_nothing_twice() {
    let dir = tempfile::tempdir().unwrap();
    let copy = tempfile::tempdir().unwrap();
    let history = open(dir.path());
    for entry in 0..8u32 {
        history.add([(u64::from(entry) + 1, vec![ended(1, entry)])]);
        history.flush().unwrap();
    }
    for part in parts(dir.path()) {
        std::fs::copy(&part, copy.path().join(part.file_name().unwrap())).unwrap();
    }
    tend(&history, NOW_MS);
    drop(history);
    // As if it had died after the merge got its name: what it was made of is there too.
    for part in parts(copy.path()) {
        std::fs::copy(&part, dir.path().join(part.file_name().unwrap())).unwrap();
    }
    std::fs::write(dir.path().join("merge.tmp"), "half of a merge").unwrap();
    let history = History::open(dir.path(), Settings::default()).unwrap();
    assert_eq!(ordinals(&history, 1), (0..8).collect::<Vec<_>>());
    assert_eq!(parts(dir.path()).len(), 1);
    assert!(!dir.path().join("merge.tmp").exists());
}
