//! A disk that stalls, and one that fails a checkpoint: the journal waits, or goes on without the snapshot.

use std::sync::mpsc;
use std::time::Duration;

use super::*;
use crate::conformance::checkpoints::{bytes, content, read};
use crate::snapshot::Head;
use crate::{Delivered, Index};

/// Longer than every timer below.
const STALL: Duration = Duration::from_secs(2);

fn short_timers(dir: &Path) -> Config {
    let timing = Timing {
        heartbeat: Duration::from_millis(50),
        election_min: Duration::from_millis(150),
        election_max: Duration::from_millis(300),
        ..Timing::default()
    };
    Config { timing, ..config(dir) }
}

/// Makes every operation on the disk hang until the sender is used.
fn stall(disk: &Disk) -> mpsc::Sender<()> {
    let (end, ended) = mpsc::channel::<()>();
    let (begin, begun) = mpsc::channel();
    let disk = disk.clone();
    std::thread::spawn(move || {
        let _stall = disk.faults.stall.lock().unwrap();
        begin.send(()).unwrap();
        ended.recv().unwrap();
    });
    begun.recv().unwrap();
    end
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn that_stalls_is_waited_for() {
    let dir = TempDir::new().unwrap();
    let disk = Disk::default();
    let journal = open_on(&disk, short_timers(dir.path())).await;
    let journal = Arc::new(journal);
    let leader = leads(&*journal).await;
    let end = stall(&disk);
    let proposals: Vec<_> = (0..10)
        .map(|number| {
            let journal = journal.clone();
            tokio::spawn(async move { journal.propose(leader, record(number)).await })
        })
        .collect();
    let mut last = journal.follow(journal.shared.extent.borrow().committed);
    assert!(tokio::time::timeout(STALL, last.next()).await.is_err(), "nothing is committed");
    assert!(proposals.iter().all(|proposal| !proposal.is_finished()), "all of them wait");
    assert_eq!(*journal.leadership().borrow(), Leadership::Leader(leader));
    end.send(()).unwrap();
    let mut indices = Vec::new();
    for proposal in proposals {
        indices.push(soon(proposal).await.unwrap().unwrap());
    }
    assert_eq!(leads(&*journal).await, leader, "and it still leads");
    let upto = *indices.iter().max().unwrap();
    journal.shutdown().await;

    let journal = open(dir.path()).await;
    let found = take_to(&mut journal.follow(0), upto).await;
    assert_eq!(found.iter().filter(|entry| entry.record.starts_with(b"record")).count(), 10);
}

/// What a refused checkpoint must leave: a journal that goes on, and takes the next one.
async fn goes_on(journal: &Raft, leader: LeaderId, upto: Index) {
    journal.propose(leader, "and on".into()).await.unwrap();
    assert_eq!(leads(journal).await, leader);
    soon(journal.checkpoint(upto, content(upto))).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn that_fails_once_refuses_the_checkpoint_and_no_more() {
    let dir = TempDir::new().unwrap();
    let disk = Disk::default();
    let journal = open_on(&disk, config(dir.path())).await;
    let leader = leads(&journal).await;
    let upto = journal.propose(leader, record(1)).await.unwrap();
    for operation in 0.. {
        disk.faults.once.store(operation, SeqCst);
        let (asked, reason) = match soon(journal.checkpoint(upto, content(upto))).await {
            Err(JournalError::Checkpoint { asked, reason }) => (asked, reason),
            Err(error) => panic!("operation {operation} failed: {error}"),
            Ok(()) => {
                disk.faults.once.store(i64::MAX, SeqCst);
                assert!(operation > 8, "create, header, three chunks, footer, sync, names");
                break;
            }
        };
        assert_eq!(asked, upto);
        assert!(reason.contains("cannot ") && reason.contains("check the disk"), "{reason}");
        let files = crate::log::tests::read_files(dir.path());
        assert!(files.keys().all(|name| !name.contains("snapshot")), "{:?}", files.keys());
        journal.propose(leader, "and on".into()).await.unwrap();
    }
    goes_on(&journal, leader, upto + 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn that_is_full_refuses_the_checkpoint_and_says_what_to_do() {
    let dir = TempDir::new().unwrap();
    let disk = Disk::default();
    let journal = open_on(&disk, config(dir.path())).await;
    let leader = leads(&journal).await;
    let upto = journal.propose(leader, record(1)).await.unwrap();
    disk.faults.full.store(true, SeqCst);
    let refused = soon(journal.checkpoint(upto, content(upto))).await.unwrap_err().to_string();
    for part in ["the disk is full", "free space on", "goes on with its log"] {
        assert!(refused.contains(part), "`{part}` in: {refused}");
    }
    journal.propose(leader, "and on".into()).await.unwrap();
    disk.faults.full.store(false, SeqCst);
    goes_on(&journal, leader, upto).await;
}

/// What a crash leaves between the installing of another node's snapshot and the trimming of the log.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn that_holds_a_newer_snapshot_of_another_node_is_used_from_there() {
    let dir = TempDir::new().unwrap();
    let journal = open(dir.path()).await;
    let leader = leads(&journal).await;
    let last = journal.propose(leader, record(1)).await.unwrap();
    journal.shutdown().await;
    let snapshots = {
        let (disk, path) = (Disk::default(), dir.path().to_owned());
        Snapshots::open(disk, path, Pace::default(), Ends::default(), |_| Ok(None)).unwrap()
    };
    let upto = last + 50;
    let id = crate::log::EntryId { index: upto, leader };
    let membership = applied::encode(&journal.shared.membership_at(last));
    let head = Head { id, membership, installed: true };
    snapshots.write(head, content(upto)).unwrap();

    for _ in 0..2 {
        let journal = open(dir.path()).await;
        let leader = leads(&journal).await;
        let mut follow = journal.follow(last);
        let Delivered::Snapshot { index, reader, .. } = soon(follow.next()).await.unwrap() else {
            panic!("the log ends before the snapshot")
        };
        assert_eq!((index, read(reader).await), (upto, bytes(upto)));
        let next = journal.propose(leader, record(2)).await.unwrap();
        assert_eq!(take_to(&mut follow, next).await.last().unwrap().record, record(2));
        journal.shutdown().await;
    }
}
