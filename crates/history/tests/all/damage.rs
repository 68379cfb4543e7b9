//! Damaged files: what is whole is served, what is not is named, and nothing ever panics.

use std::fs;
use std::path::Path;

use history::{Found, RunFilter, States, Told};
use model::{RangeSet, RunId};

use crate::support::*;

/// A small store of several blocks in one file.
fn small(dir: &Path) {
    let history = open(dir);
    let facts = (0..4_500).map(|ordinal| ended(1, ordinal));
    history.add([(1, facts.chain([run(1), ended(2, 0), canceled(2, 1..=9), run(2)]).collect())]);
    history.flush().unwrap();
}

/// What a damaged store says: nothing wrong, and of all that is missing that it is damaged.
fn check(dir: &Path, what: &str) -> bool {
    let history = open(dir);
    let all = RangeSet::from_iter([0..=10_000]);
    let (mut seen, mut hidden) = (RangeSet::new(), RangeSet::new());
    for told in told(&history, 1, all.clone(), States::ANY) {
        match told {
            Told::Attempt(fact) => {
                assert_eq!(history::Fact::Attempt(fact.clone()), ended(1, fact.ordinal), "{what}");
                seen.insert(fact.ordinal);
            }
            Told::Damaged(range) => hidden.append_common(&all, range),
            Told::Ended(..) => panic!("{what}: nothing of run 1 was canceled"),
        }
    }
    let is_set_aside = parts(dir).is_empty();
    if is_set_aside {
        // The whole file was of no use, so the journal is asked for all of it again.
        assert!(history.wants(1) && history.mark() == 0, "{what}");
        assert!(fs::read_dir(dir).unwrap().any(|file| {
            file.unwrap().file_name().to_string_lossy().contains(".part.damaged-")
        }));
        return false;
    }
    assert!(!history.wants(1) && history.mark() == 1, "{what}");
    (0..4_500).for_each(|ordinal| {
        assert!(seen.contains(ordinal) || hidden.contains(ordinal), "{what}: {ordinal} is silent");
    });
    let page = history.list(&RunFilter::default(), RunId(u64::MAX), 10);
    let listed = page.heads.len() as u64;
    assert!(listed + page.damaged == 2, "{what}: {page:?}");
    for run in [1, 2] {
        assert_ne!(history.head(RunId(run)), Found::Unknown, "{what}");
        assert_ne!(history.job(RunId(run)), Found::Unknown, "{what}");
    }
    seen.len() == 4_500 && listed == 2
}

/// Every byte of both ends, and some between.
fn sample(length: usize) -> impl Iterator<Item = usize> {
    let (head, tail) = (90.min(length), length.saturating_sub(130));
    (0..head).chain((head..tail).step_by(length / 150 + 1)).chain(tail..length)
}

#[test]
fn a_flipped_byte_costs_its_block_at_most() {
    let dir = tempfile::tempdir().unwrap();
    small(dir.path());
    let path = parts(dir.path()).pop().unwrap();
    let whole = fs::read(&path).unwrap();
    assert!(check(dir.path(), "whole"));
    for at in sample(whole.len()) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x40;
        fs::write(&path, &bytes).unwrap();
        check(dir.path(), &format!("byte {at} of {} flipped", whole.len()));
        assert!(path.exists(), "one byte never takes the whole file");
    }
}

#[test]
fn a_cut_costs_what_was_behind_it() {
    let dir = tempfile::tempdir().unwrap();
    small(dir.path());
    let path = parts(dir.path()).pop().unwrap();
    let whole = fs::read(&path).unwrap();
    for length in sample(whole.len()) {
        fs::write(&path, &whole[..length]).unwrap();
        let history = open(dir.path());
        let found = ordinals(&history, 1).len();
        let is_set_aside = parts(dir.path()).is_empty();
        assert_eq!(history.wants(1), is_set_aside, "cut at {length}");
        assert!(!is_set_aside || length < 200, "cut at {length}");
        assert!(found == 4_500 || length < whole.len() - 200, "cut at {length}: {found}");
        assert!(found >= 2_048 || length < whole.len() * 2 / 3, "cut at {length}: {found}");
        drop(history);
        for aside in fs::read_dir(dir.path()).unwrap() {
            fs::remove_file(aside.unwrap().path()).unwrap();
        }
    }
}

#[test]
fn a_missing_file_is_filled_in_again_from_the_journal() {
    let dir = tempfile::tempdir().unwrap();
    let entry = |n: u64| (n, vec![ended(1, n as u32)]);
    let history = open(dir.path());
    for n in [1, 3, 5, 7] {
        // Even entries are of nobody's concern.
        history.add([entry(n)]);
        history.flush().unwrap();
    }
    drop(history);
    fs::remove_file(&parts(dir.path())[1]).unwrap();
    let history = open(dir.path());
    assert_eq!((ordinals(&history, 1), history.mark()), (vec![1, 5, 7], 1));
    // The journal is replayed from where it begins.
    history.add([1, 3, 5, 7, 9].map(entry));
    assert_eq!(ordinals(&history, 1), [1, 3, 5, 7, 9]);
    history.flush().unwrap();
    tend(&history, NOW_MS);
    drop(history);
    let history = open(dir.path());
    assert_eq!((ordinals(&history, 1), history.mark()), (vec![1, 3, 5, 7, 9], 9));
    assert!((1..=9).all(|n| !history.wants(n)));
}

#[test]
fn a_damaged_file_is_left_alone_and_the_others_are_merged() {
    let dir = tempfile::tempdir().unwrap();
    let history = open(dir.path());
    for n in 0..20u32 {
        let facts = (0..100).map(|i| ended(1, n * 100 + i)).collect();
        history.add([(u64::from(n) + 1, facts)]);
        history.flush().unwrap();
    }
    let path = parts(dir.path())[3].clone();
    let mut bytes = fs::read(&path).unwrap();
    bytes[300] ^= 1;
    fs::write(&path, bytes).unwrap();
    drop(history);
    let history = open(dir.path());
    tend(&history, NOW_MS);
    assert!(path.exists());
    assert!(parts(dir.path()).len() < 14);
    assert_eq!(ordinals(&history, 1).len(), 1_900);
    let hidden = told(&history, 1, RangeSet::from_iter([350..=350]), States::ANY);
    assert_eq!(hidden, [Told::Damaged(300..=399)]);
    assert_eq!(told(&history, 1, RangeSet::from_iter([5..=5]), States::ANY).len(), 1);
}

#[test]
fn a_damaged_list_of_deleted_runs_is_no_obstacle() {
    let dir = tempfile::tempdir().unwrap();
    small(dir.path());
    let history = open(dir.path());
    let mut purge = history::Purge::new(RunFilter::default(), false);
    while history.purge_step(&mut purge).unwrap() {}
    assert_eq!(purge.purged.runs, 2);
    drop(history);
    let path = dir.path().join("gone.log");
    let whole = fs::read(&path).unwrap();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x40;
        fs::write(&path, &bytes[..]).unwrap();
        assert_eq!(runs(&open(dir.path()), &RunFilter::default()), [2, 1], "byte {at}");
    }
    fs::write(&path, &whole).unwrap();
    assert!(runs(&open(dir.path()), &RunFilter::default()).is_empty());
}

#[test]
fn arbitrary_bytes_are_no_block_and_no_panic() {
    let mut seed = 7u64;
    let mut random = move || {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (seed >> 33) as usize
    };
    for _ in 0..20_000 {
        let length = random() % 200;
        let small = random() % 2 == 0;
        let bytes: Vec<u8> =
            (0..length).map(|_| if small { random() % 4 } else { random() } as u8).collect();
        history::fuzz::block(&bytes);
    }
    let dir = tempfile::tempdir().unwrap();
    small(dir.path());
    let file = fs::read(parts(dir.path()).pop().unwrap()).unwrap();
    for at in (0..file.len().min(4_000)).step_by(7) {
        history::fuzz::block(&file[at..]);
    }
}
