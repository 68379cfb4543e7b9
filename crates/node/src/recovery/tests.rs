//! Directories that are restored and recovered, also where it is broken off at each step.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use journal::raft;
use machine::{Answer, State};
use model::{ArraySpec, JobSpec, RunId, TaskSpec};
use proto::record::{self, command::Kind};
use tempfile::TempDir;

use super::alone::Alone;
use super::notes::{Incarnations, Pending};
use super::recover::recover_in;
use super::restore::restore_in;
use super::*;
use crate::cluster_snapshot;
use crate::data_dir::DataDir;

/// A node's directory, and a snapshot of its cluster: run 1 with an element that runs and two that
/// wait, and a token.
struct Ground {
    dir: TempDir,
    file: PathBuf,
}

fn node() -> Vec<u8> {
    vec![9; 16]
}

fn config(dir: &Path) -> raft::Config {
    let identity = DataDir::open(dir).unwrap().identity().unwrap().unwrap();
    let (dir, node) = (dir.join("journal"), identity.journal_node());
    raft::Config { dir, node, ..raft::Config::default() }
}

async fn state(dir: &Path) -> State {
    let alone = Alone::open(config(dir)).await.unwrap();
    let state = alone.state.clone();
    alone.close().await;
    state
}

fn submit() -> Kind {
    let mut task = TaskSpec::new(vec!["true".into()]);
    task.array = Some(ArraySpec { first: 1, last: 3, step: 1, parallel_max: 0 });
    let job = Some((&JobSpec { tasks: vec![task], ..JobSpec::default() }).into());
    Kind::SubmitJob(record::SubmitJob { job, ..Default::default() })
}

fn commands() -> [Kind; 4] {
    let ordinals = vec![record::Range { first: 0, last: 0 }];
    let picks = vec![record::Pick { run: 1, task: 0, ordinals, ahead: false }];
    let token = record::Token {
        id: "a".into(),
        name: "ci".into(),
        role: "viewer".into(),
        hash: vec![7; 32],
        ..Default::default()
    };
    [
        Kind::RegisterNode(record::RegisterNode {
            node_id: node(),
            capacity: Some(proto::job::Resources { cpu_milli: 4_000, memory_bytes: 1 << 30 }),
            supervisor_id: vec![3; 16],
            ..Default::default()
        }),
        submit(),
        Kind::Place(record::Place { node_id: node(), epoch: 1, picks }),
        Kind::CreateToken(record::CreateToken { token: Some(token), ..Default::default() }),
    ]
}

impl Ground {
    async fn new() -> Ground {
        let dir = tempfile::tempdir().unwrap();
        let identity = DataDir::open(dir.path()).unwrap().identity_in(uuid::Uuid::new_v4());
        let cluster_id = identity.unwrap().cluster().to_bytes();
        let mut alone = Alone::open(config(dir.path())).await.unwrap();
        let found = Kind::Found(record::Found { cluster_id, incarnation: 1 });
        for command in std::iter::once(found).chain(commands()) {
            let answer = alone.commit(command).await.unwrap();
            assert!(!matches!(answer, Answer::Refused(_)), "{answer:?}");
        }
        let (_blobs, blobs, _) = cluster_snapshot::tests::blobs();
        let head = cluster_snapshot::tests::head(&alone.state);
        let bytes = cluster_snapshot::tests::bytes(&head, &alone.state, &blobs);
        alone.close().await;
        let file = dir.path().join("cluster.snap");
        fs::write(&file, bytes).unwrap();
        fs::create_dir(dir.path().join("output")).unwrap();
        fs::write(dir.path().join("output/1"), "what run 1 wrote").unwrap();
        Ground { dir, file }
    }

    fn restore(&self, dir: &Path) -> Restore {
        Restore {
            file: self.file.clone(),
            data_dir: dir.to_owned(),
            replace: false,
            incarnation: None,
            by: By::default(),
        }
    }
}

fn check_recovered(state: &State, incarnation: u16) {
    assert_eq!(state.cluster().unwrap().incarnation, incarnation);
    assert!(state.is_recovering() && state.tokens().get("a").is_some());
    let run = state.run(RunId(1)).unwrap();
    assert_eq!((run.tasks[0].queued.len(), run.tasks[0].live.len()), (2, 1));
    let given = 1_000 * u64::from(incarnation - 1);
    assert_eq!(state.last_run(), RunId(given), "above all that may have been given out");
    assert!(state.nodes().values().all(|node| node.is_lost));
    assert_eq!(state.check_invariants(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_is_restored_into_an_empty_directory() {
    let ground = Ground::new().await;
    let dir = tempfile::tempdir().unwrap();
    let restored = restore(ground.restore(dir.path())).await.unwrap();
    assert_eq!((restored.incarnation, restored.last_run, restored.aside), (2, 1_000, None));
    let state = state(dir.path()).await;
    check_recovered(&state, 2);
    assert!(state.applied() > 2_000_000_000, "no index is one that was given out before");
    check_finished(dir.path()).unwrap();
    let identity = DataDir::open(dir.path()).unwrap().identity().unwrap().unwrap();
    let former = DataDir::open(ground.dir.path()).unwrap().identity().unwrap().unwrap();
    assert_eq!(identity.cluster_id, former.cluster_id);
    assert_ne!(identity.node_id, former.node_id);
    assert!(!dir.path().join("restoring").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_that_is_there_is_set_aside_only_when_that_is_said_and_no_incarnation_comes_twice()
 {
    let ground = Ground::new().await;
    let dir = ground.dir.path();
    let refused = restore(ground.restore(dir)).await.unwrap_err().to_string();
    assert!(refused.contains("hint: ") && refused.contains("`--replace`"), "{refused}");
    check_finished(dir).unwrap();
    for incarnation in [2, 3] {
        let again = Restore { replace: true, ..ground.restore(dir) };
        let restored = restore(again).await.unwrap();
        assert_eq!(restored.incarnation, incarnation);
        let aside = restored.aside.unwrap();
        assert!(aside.ends_with(format!("before-{incarnation}")) && aside.join("journal").exists());
        let state = state(dir).await;
        check_recovered(&state, incarnation);
        // Of the same snapshot: no index and no run of the restore before comes again.
        assert_eq!(state.applied() / 1_000_000_000, 2 * u64::from(incarnation - 1));
    }
    assert!(dir.join("before-2/output/1").exists(), "its runs have other numbers now");
    let asked = |incarnation| Restore {
        replace: true,
        incarnation: Some(incarnation),
        ..ground.restore(dir)
    };
    let refused = restore(asked(3)).await.unwrap_err().to_string();
    assert!(refused.contains("above 3"), "{refused}");
    assert_eq!(restore(asked(7)).await.unwrap().incarnation, 7);
    assert!(matches!(restore(asked(u16::MAX)).await, Ok(Restored { incarnation: u16::MAX, .. })));
    let again = Restore { replace: true, ..ground.restore(dir) };
    assert!(matches!(restore(again).await, Err(Error::UsedUp)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_restored_leaves_no_trace() {
    let ground = Ground::new().await;
    let dir = tempfile::tempdir().unwrap();
    let into = dir.path().join("data");
    let whole = fs::read(&ground.file).unwrap();
    for (bytes, told) in
        [(&whole[..whole.len() - 1], "cut off"), (&whole[..100], "cut off"), (b"x", "no snapshot")]
    {
        fs::write(&ground.file, bytes).unwrap();
        let error = restore(ground.restore(&into)).await.unwrap_err().to_string();
        assert!(error.contains(told) && error.contains("\nhint: "), "{error}");
        assert!(!into.exists());
    }
    fs::write(&ground.file, &whole).unwrap();
    let other = Ground::new().await;
    let refused = Restore { replace: true, ..ground.restore(other.dir.path()) };
    assert!(matches!(restore(refused).await, Err(Error::OtherCluster { .. })));
    check_finished(other.dir.path()).unwrap();
    let held = DataDir::open(&into).unwrap();
    let refused = restore(ground.restore(&into)).await;
    assert!(matches!(refused, Err(Error::DataDir(StartError::InUse { .. }))), "{refused:?}");
    drop(held);
}

/// Breaks off before step `at`, or counts the steps.
fn breaks(
    at: usize,
    count: &AtomicUsize,
) -> impl Fn(&'static str) -> Result<(), Error> + Sync + '_ {
    move |_| match count.fetch_add(1, Ordering::Relaxed) == at {
        true => Err(Error::Unusable("the power is gone".to_owned())),
        false => Ok(()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_that_is_broken_off_anywhere_is_done_again() {
    let mut highest = Cell::new(0);
    for replace in [false, true] {
        for at in 0.. {
            let ground = Ground::new().await;
            let empty = tempfile::tempdir().unwrap();
            let dir = if replace { ground.dir.path() } else { empty.path() };
            let wanted = Restore { replace, ..ground.restore(dir) };
            let steps = AtomicUsize::new(0);
            let done = restore_in(wanted.clone(), &breaks(at, &steps)).await;
            if done.is_ok() {
                assert!(at > 8, "broken off {at} times");
                break;
            }
            let begun = Incarnations::read(dir).unwrap().highest;
            let journal = dir.join("journal").exists();
            match check_finished(dir) {
                // Nothing has happened to the journal yet.
                Ok(()) => assert_eq!(journal, replace, "step {at}"),
                Err(error) => assert!(error.to_string().contains("hint: "), "{error}"),
            }
            // Somebody who has lost the command says the same again.
            let restored = restore(wanted).await.unwrap();
            assert!(restored.incarnation > begun.max(1), "step {at}");
            check_recovered(&state(dir).await, restored.incarnation);
            check_finished(dir).unwrap();
            *highest.get_mut() = restored.incarnation.max(highest.get());
        }
    }
    assert_eq!(highest.get(), 3, "one that was broken off may have been served from a copy");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_voter_recovers_to_the_next_incarnation_and_keeps_its_output() {
    let ground = Ground::new().await;
    let dir = ground.dir.path();
    for incarnation in [2, 3] {
        let recovered = recover(dir, &By::default()).await.unwrap();
        assert_eq!(recovered.incarnation, incarnation);
        assert_eq!((recovered.voters_lost, recovered.output), (0, None));
        check_finished(dir).unwrap();
    }
    assert!(dir.join("output/1").exists());
    let state = state(dir).await;
    assert_eq!(state.last_run(), RunId(4_000));
    // A restore that follows is above both.
    let again = Restore { replace: true, ..ground.restore(dir) };
    assert_eq!(restore(again).await.unwrap().incarnation, 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recovery_that_is_broken_off_anywhere_comes_to_one_incarnation() {
    for at in 0.. {
        let ground = Ground::new().await;
        let dir = ground.dir.path();
        let steps = AtomicUsize::new(0);
        let done = recover_in(dir, &By::default(), &breaks(at, &steps)).await;
        if done.is_ok() {
            assert!(at > 7, "broken off {at} times");
            return;
        }
        match at {
            0 => check_finished(dir).unwrap(),
            _ => {
                let error = check_finished(dir).unwrap_err().to_string();
                assert!(error.contains("windlass cluster recover"), "{error}");
            }
        }
        let begun = Incarnations::read(dir).unwrap().highest;
        let noted = matches!(
            Pending::read(dir).unwrap(),
            Some(Pending::Recover { incarnation: Some(_), .. })
        );
        let recovered = recover(dir, &By::default()).await.unwrap();
        // Between its beginning and its note nobody knows whether it was used.
        let expected = if begun == 2 && !noted { 3 } else { 2 };
        assert_eq!(recovered.incarnation, expected, "step {at}");
        check_recovered(&state(dir).await, expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_journal_is_not_recovered() {
    let dir = tempfile::tempdir().unwrap();
    let refused = recover(&dir.path().join("data"), &By::default()).await;
    assert!(matches!(refused, Err(Error::NoJournal(_))));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn numbers_go_on_far_above_what_was_given() {
    let given = [(0, 1_000), (1, 1_000), (812, 2_000), (100_000, 201_000)];
    assert_eq!(given.map(|(last, _)| runs_given(last, 2)), given.map(|(_, given)| given));
    assert!(given.iter().all(|(last, _)| runs_given(*last, 3) >= 2 * last));
    assert_eq!(runs_given(812, 4), 4_000, "restored once more");
}

/// An end that was written in a former incarnation is of another attempt than the one which has its
/// number now.
#[tokio::test]
async fn a_node_that_joins_another_incarnation_sets_its_output_aside() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let segment = dir.join("output").join("segment");
    fs::create_dir_all(dir.join("output")).unwrap();
    fs::write(&segment, "an end").unwrap();
    // Nobody knows that it was ever in one, or it is in this one: its certificate had run out.
    for served in [0, 2] {
        Incarnations::default().served(served).write(dir).unwrap();
        join_again(dir, 2).await.unwrap();
        assert!(segment.exists(), "{served}");
    }
    join_again(dir, 3).await.unwrap();
    assert!(!segment.exists() && dir.join("before-3/output/segment").exists());
    // Broken off before it has served, it is done again.
    join_again(dir, 3).await.unwrap();
    assert!(dir.join("before-3/output/segment").exists());
}
