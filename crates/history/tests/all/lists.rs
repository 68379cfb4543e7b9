//! Runs are listed latest first, page by page, by what is asked for.

use history::{History, RunFilter, States};
use model::{RunId, TaskState};

use crate::support::*;

/// 60 runs, a third of them in memory still.
fn some(history: &History) {
    for n in 1..=60u64 {
        let fact = head(n, |head, profile| {
            if n % 2 == 0 {
                profile.name = "nightly".into();
            }
            if n % 3 == 0 {
                (profile.state, profile.exit_code) = (TaskState::Failed, 3);
                profile.labels = vec![("team".into(), "a".into()), ("x".into(), n.to_string())];
            }
            if n % 5 == 0 {
                profile.owner = "bob".into();
            }
            head.ended_ms = NOW_MS + 100 * n;
            head.submitted_ms = NOW_MS + 10 * n;
        });
        history.add([(n, vec![fact])]);
        if n % 4 == 0 && n <= 40 {
            history.flush().unwrap();
        }
    }
}

#[test]
fn a_filter_finds_what_it_wants_and_pages_join() {
    let dir = tempfile::tempdir().unwrap();
    let history = open(dir.path());
    some(&history);
    let check = |change: &dyn Fn(&mut RunFilter), wants: &dyn Fn(u64) -> bool| {
        let mut filter = RunFilter::default();
        change(&mut filter);
        let expected: Vec<u64> = (1..=60).rev().filter(|n| wants(*n)).collect();
        assert_eq!(runs(&history, &filter), expected, "{filter:?}");
    };
    for _ in 0..2 {
        check(&|_| (), &|_| true);
        check(&|f| f.states = States::from_iter([TaskState::Failed]), &|n| n % 3 == 0);
        check(&|f| f.states = States::from_iter([TaskState::Lost]), &|_| false);
        check(&|f| f.name = Some("nightly".into()), &|n| n % 2 == 0);
        check(&|f| f.name = Some("night".into()), &|_| false);
        check(&|f| f.owner = Some("bob".into()), &|n| n % 5 == 0);
        check(&|f| f.namespace = Some("other".into()), &|_| false);
        check(&|f| f.labels = vec![("team".into(), "a".into())], &|n| n % 3 == 0);
        check(&|f| f.labels = vec![("team".into(), "b".into())], &|_| false);
        check(&|f| f.exit_code = Some(3), &|n| n % 3 == 0);
        check(&|f| f.since_ms = Some(NOW_MS + 400), &|n| n >= 40);
        check(&|f| f.until_ms = Some(NOW_MS + 300), &|n| n < 30);
        check(&|f| f.ended_before_ms = Some(NOW_MS + 300), &|n| n < 3);
        tend(&history, NOW_MS);
    }
    let page = history.list(&RunFilter::default(), RunId(5), 2);
    let found: Vec<u64> = page.heads.iter().map(|head| head.run.0).collect();
    assert_eq!((found, page.next), (vec![4, 3], Some(RunId(3))));
}

#[test]
fn the_latest_run_of_a_name_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let history = open(dir.path());
    some(&history);
    assert_eq!(history.latest_named("nightly"), Some(RunId(60)));
    assert_eq!(history.latest_named("hourly"), None);
    drop(history);
    assert_eq!(open(dir.path()).latest_named("nightly"), Some(RunId(40)), "the rest was in memory");
}

#[test]
fn a_page_looks_at_a_bounded_number_of_runs() {
    let dir = tempfile::tempdir().unwrap();
    let history = open(dir.path());
    history.add((1..=50_000u64).map(|n| {
        let owner = if n == 1 { "bob" } else { "ann" };
        (n, vec![head(n, |_, profile| profile.owner = owner.into())])
    }));
    history.flush().unwrap();
    let filter = RunFilter { owner: Some("bob".into()), ..RunFilter::default() };
    let first = history.list(&filter, RunId(u64::MAX), 10);
    assert!(first.heads.is_empty() && first.next.is_some_and(|next| next > RunId(1000)));
    assert_eq!(runs(&history, &filter), [1]);
}
