//! A journal that was made from a snapshot: it begins there, and goes on like any other.

use super::*;
use crate::conformance::checkpoints::{bytes, content, read};
use crate::{Delivered, Index};

const UPTO: Index = 2_000_000_000;
const TERM: u64 = 3 << 32;

fn begins() -> (TempDir, Config) {
    let dir = TempDir::new().unwrap();
    let config = config(&dir.path().join("journal"));
    (dir, config)
}

/// Follows from the beginning: the snapshot, and the entries up to the last.
async fn all(journal: &Raft, last: Index) -> Vec<Bytes> {
    let mut follow = journal.follow(0);
    let Delivered::Snapshot { index, leader, reader } = soon(follow.next()).await.unwrap() else {
        panic!("it begins with the snapshot")
    };
    assert_eq!((index, leader), (UPTO, LeaderId { term: TERM, node: 7 }));
    assert_eq!(read(reader).await, bytes(UPTO));
    let rest = take_to(&mut follow, last).await;
    assert!(rest.iter().map(|entry| entry.index).eq(UPTO + 1..=last));
    assert!(rest.iter().all(|entry| entry.leader.term > TERM), "terms go on");
    rest.into_iter().map(|entry| entry.record).filter(|record| !record.is_empty()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn begins_with_the_snapshot_and_goes_on() {
    let (_dir, config) = begins();
    restore(&config, UPTO, TERM, content(UPTO)).unwrap();
    let mut expected = Vec::new();
    for life in 0..3 {
        let journal = Raft::open(config.clone()).await.unwrap();
        let leader = leads(&journal).await;
        assert_eq!(journal.member(), crate::Member { node: 7, life: 0 });
        assert_eq!(journal.newest_snapshot(), UPTO);
        expected.push(record(life));
        let last = journal.propose(leader, record(life)).await.unwrap();
        assert_eq!(all(&journal, last).await, expected);
        journal.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn takes_checkpoints_and_trims() {
    let (_dir, config) = begins();
    restore(&config, UPTO, TERM, content(UPTO)).unwrap();
    let journal = Raft::open(config.clone()).await.unwrap();
    let leader = leads(&journal).await;
    let mut last = 0;
    for number in 0..5 {
        last = journal.propose(leader, record(number)).await.unwrap();
        journal.checkpoint(last, content(last)).await.unwrap();
    }
    journal.shutdown().await;
    let journal = Raft::open(config).await.unwrap();
    leads(&journal).await;
    assert_eq!(journal.newest_snapshot(), last);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_made_alone_and_only_where_there_is_nothing() {
    let (_dir, config) = begins();
    for (upto, term) in [(0, 1), (1, 0)] {
        assert!(restore(&config, upto, term, content(1)).is_err() && !config.dir.exists());
    }
    restore(&config, UPTO, TERM, content(UPTO)).unwrap();
    let refused = restore(&config, UPTO + 1, TERM, content(UPTO)).unwrap_err();
    assert!(refused.to_string().contains("there already"), "{refused}");
    let journal = Raft::open(config).await.unwrap();
    let mut membership = journal.membership();
    let known = membership.wait_for(|known| !known.members.is_empty());
    let membership = known.await.unwrap().clone();
    assert_eq!(membership.members.iter().filter(|role| role.voter).count(), 1);
}

/// Whatever the disk refuses, it says so; and what was made by then is not taken for the whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_fails_is_told_at_every_operation() {
    for operations in 0.. {
        let (dir, config) = begins();
        let disk = Disk::default();
        disk.faults.operations.store(operations, Ordering::SeqCst);
        let made = offline::restore_on(disk.clone(), &config, UPTO, TERM, content(UPTO));
        let failed = disk.faults.operations.load(Ordering::SeqCst) < 0;
        if !failed {
            made.unwrap();
            assert!(operations > 8, "it was broken off {operations} times");
            let journal = Raft::open(config).await.unwrap();
            let leader = leads(&journal).await;
            let last = journal.propose(leader, record(1)).await.unwrap();
            assert_eq!(all(&journal, last).await, [record(1)]);
            return;
        }
        // What fails behind the last write that counts may be left to the next opening.
        if made.is_err() {
            let again = restore(&config, UPTO, TERM, content(UPTO));
            assert!(again.is_err() || !config.dir.exists(), "half of it is not gone on with");
            std::fs::remove_dir_all(dir.path().join("journal")).unwrap_or_default();
            restore(&config, UPTO, TERM, content(UPTO)).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn content_that_fails_is_told() {
    let (_dir, config) = begins();
    let fails: Snapshot = Box::new(|_| Err(std::io::Error::other("the file is damaged")));
    let error = restore(&config, UPTO, TERM, fails).unwrap_err();
    assert!(error.to_string().contains("the file is damaged"), "{error}");
}
