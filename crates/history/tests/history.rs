//! Facts are written once, found again, and survive what the journal can bring back.

#![allow(clippy::unwrap_used)]

use history::{Fact, History, TaskFact};

fn task(run: u64, task: u32, text: &str) -> Fact {
    Fact::Task { run, task, kind: 1, bytes: text.into() }
}

fn run(run: u64, name: &str) -> Fact {
    Fact::Run { run, name: name.into(), bytes: name.into() }
}

fn texts(history: &History, run: u64, task: u32) -> Vec<String> {
    let facts = history.task_facts(run, task).unwrap();
    let text = |fact: TaskFact| String::from_utf8(fact.bytes).unwrap();
    facts.into_iter().map(text).collect()
}

#[test]
fn facts_are_found_by_run_and_task_in_their_order() {
    let dir = tempfile::tempdir().unwrap();
    let history = History::open(dir.path()).unwrap();
    let facts = [(5, task(1, 0, "a")), (5, task(1, 0, "b")), (5, task(2, 0, "x"))];
    history.write(5, &facts, false).unwrap();
    history.write(9, &[(7, task(1, 0, "c")), (9, task(1, 1, "d"))], false).unwrap();
    assert_eq!(texts(&history, 1, 0), ["a", "b", "c"]);
    assert_eq!(texts(&history, 1, 1), ["d"]);
    assert_eq!(texts(&history, 3, 0), [""; 0]);
    assert_eq!(history.mark().unwrap(), 9);
}

#[test]
fn what_is_replayed_is_not_written_twice() {
    let dir = tempfile::tempdir().unwrap();
    let history = History::open(dir.path()).unwrap();
    history.write(5, &[(5, task(1, 0, "a"))], true).unwrap();
    drop(history);
    let history = History::open(dir.path()).unwrap();
    assert_eq!(history.mark().unwrap(), 5);
    history.write(6, &[(5, task(1, 0, "a")), (6, task(1, 0, "b"))], true).unwrap();
    assert_eq!(texts(&history, 1, 0), ["a", "b"]);
}

#[test]
fn runs_are_listed_latest_first_and_found_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let history = History::open(dir.path()).unwrap();
    let facts: Vec<_> = (1..=5).map(|n| (n, run(n, if n < 4 { "nightly" } else { "" }))).collect();
    history.write(5, &facts, false).unwrap();
    let numbers = |before, limit| {
        let mut runs = Vec::new();
        history.runs_before(before, limit, |run, _| runs.push(run)).unwrap();
        runs
    };
    assert_eq!(numbers(u64::MAX, 2), [5, 4]);
    assert_eq!(numbers(4, 10), [3, 2, 1]);
    assert_eq!(history.latest_named("nightly").unwrap(), Some(3));
    assert_eq!(history.latest_named("night").unwrap(), None);
    assert_eq!(history.run(2).unwrap().as_deref(), Some(&b"nightly"[..]));
    assert_eq!(history.run(9).unwrap(), None);
}

#[test]
fn a_file_that_is_no_history_is_refused_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("history.redb"), vec![7; 8192]).unwrap();
    let error = History::open(dir.path()).err().unwrap().to_string();
    assert!(error.contains("hint: it can be moved away"), "{error}");
}

#[test]
fn what_a_crash_left_of_a_database_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let begun = dir.path().join("history.redb.new");
    std::fs::write(&begun, vec![0; 1 << 20]).unwrap();
    let history = History::open(dir.path()).unwrap();
    assert!(!begun.exists(), "it has its name now");
    history.write(5, &[(5, task(1, 0, "a"))], true).unwrap();
    drop(history);
    assert_eq!(texts(&History::open(dir.path()).unwrap(), 1, 0), ["a"]);
}
