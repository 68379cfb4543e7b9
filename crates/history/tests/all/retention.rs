//! What is old goes, in steps, and does not come back.

use std::collections::BTreeMap;
use std::path::Path;

use history::{History, Purge, RunFilter, Settings, States};
use model::{Keep, Retention, RunId, TaskState};

use crate::support::*;

fn keep(days: u32, runs: u32) -> Retention {
    let keep = Keep { days, runs };
    Retention { success: keep, failure: keep }
}

fn with(dir: &Path, change: impl FnOnce(&mut Settings)) -> History {
    let mut settings = Settings::default();
    change(&mut settings);
    History::open(dir, settings).unwrap()
}

/// So many runs, one each day, the last today; with an element each.
fn daily(history: &History, count: u64) {
    history.add((1..=count).map(|n| {
        let fact = head(n, |head, profile| {
            if n % 2 == 0 {
                profile.state = TaskState::Failed;
            }
            profile.name = "daily".into();
            head.ended_ms = NOW_MS - (count - n) * DAY_MS;
        });
        (n, vec![ended(n, 0), fact])
    }));
    history.flush().unwrap();
}

fn all(history: &History) -> Vec<u64> {
    let mut runs = runs(history, &RunFilter::default());
    runs.reverse();
    runs
}

#[test]
fn a_run_goes_when_it_is_too_old_and_behind_enough_others() {
    let check = |days, runs, left: Vec<u64>| {
        let dir = tempfile::tempdir().unwrap();
        let history = with(dir.path(), |settings| settings.retention = keep(days, runs));
        daily(&history, 20);
        tend(&history, NOW_MS + 1000);
        assert_eq!(all(&history), left, "{days} days, {runs} runs");
        for gone in (1..=20).filter(|n| !left.contains(n)) {
            assert!(ordinals(&history, gone).is_empty());
            assert_eq!(history.head(RunId(gone)), history::Found::Unknown);
        }
        drop(history);
        assert_eq!(all(&open(dir.path())), left, "it stays so after a start");
    };
    check(5, 0, (16..=20).collect());
    check(0, 3, (15..=20).collect()); // Three successes and three failures.
    check(5, 4, (13..=20).collect());
    check(30, 0, (1..=20).collect());
}

#[test]
fn a_namespace_and_a_job_may_say_otherwise_and_success_and_failure_are_apart() {
    let dir = tempfile::tempdir().unwrap();
    let history = with(dir.path(), |settings| {
        settings.retention =
            Retention { success: Keep { days: 1, runs: 0 }, failure: Keep { days: 9, runs: 0 } };
        settings.namespaces = BTreeMap::from([("long".to_owned(), keep(100, 0))]);
    });
    let facts = (1..=6u64).map(|n| {
        let fact = head(n, |head, profile| {
            head.ended_ms = NOW_MS - 5 * DAY_MS;
            match n {
                1 => {}
                2 => profile.state = TaskState::Failed,
                3 => profile.namespace = "long".into(),
                4 => profile.retention = Some(keep(10, 0)),
                5 => profile.retention = Some(keep(0, 1)), // It is the latest of its job.
                _ => (profile.namespace, profile.retention) = ("long".into(), Some(keep(2, 0))),
            }
        });
        (n, vec![fact])
    });
    history.add(facts);
    history.flush().unwrap();
    tend(&history, NOW_MS);
    assert_eq!(all(&history), [2, 3, 4, 5]);
}

#[test]
fn past_the_limit_of_the_disk_the_oldest_go() {
    let dir = tempfile::tempdir().unwrap();
    let limit = 100_000;
    let history = with(dir.path(), |settings| settings.disk_bytes_max = limit);
    for n in 1..=60u64 {
        let facts = (0..500).map(|ordinal| ended(n, ordinal));
        let end = head(n, |_, profile| profile.elements = 500);
        history.add([(n, facts.chain([end]).collect())]);
        history.flush().unwrap();
        tend(&history, NOW_MS);
    }
    let bytes: u64 = parts(dir.path()).iter().map(|part| part.metadata().unwrap().len()).sum();
    assert!(bytes <= limit, "{bytes} bytes on disk");
    assert_eq!(history.disk_bytes(), bytes);
    let left = all(&history);
    let first = left[0];
    assert_eq!(left, (first..=60).collect::<Vec<_>>(), "the latest are kept");
    assert!(first > 5 && left.len() >= 5, "{first}");
    assert_eq!(ordinals(&history, 60).len(), 500);
}

#[test]
fn a_purge_takes_what_is_asked_for_and_says_how_much() {
    let dir = tempfile::tempdir().unwrap();
    let history = open(dir.path());
    history.add((1..=5_000u64).map(|n| {
        let fact = head(n, |_, profile| {
            if n % 2 == 0 {
                profile.state = TaskState::Failed;
            }
        });
        (n, vec![ended(n, 0), fact])
    }));
    history.flush().unwrap();
    tend(&history, NOW_MS);
    let before = history.disk_bytes();
    let purge = |dry| {
        let states = States::from_iter([TaskState::Failed]);
        let mut purge = Purge::new(RunFilter { states, ..RunFilter::default() }, dry);
        let mut steps = 1;
        while history.purge_step(&mut purge).unwrap() {
            steps += 1;
        }
        assert!(steps >= 3, "at most a thousand runs a step");
        purge.purged
    };
    let dry = purge(true);
    assert_eq!((dry.runs, dry.elements), (2_500, 2_500));
    assert_eq!(all(&history).len(), 5_000, "a dry one changes nothing");
    let done = purge(false);
    assert_eq!((done.runs, done.elements), (2_500, 2_500));
    assert!(done.bytes * 4 > before && done.bytes < before, "{done:?} of {before}");
    let left: Vec<u64> = (1..=5_000).filter(|n| n % 2 == 1).collect();
    assert_eq!(all(&history), left);
    tend(&history, NOW_MS);
    assert!(history.disk_bytes() < before * 3 / 4, "room is given back");
    drop(history);
    let history = open(dir.path());
    assert_eq!(all(&history), left);
    assert_eq!((ordinals(&history, 7).len(), ordinals(&history, 8).len()), (1, 0));
}
