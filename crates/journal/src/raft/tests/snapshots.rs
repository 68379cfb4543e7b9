//! A journal that was trimmed, opened again: what it starts from, and what it says when it cannot.

use std::fs;
use std::io::Read;

use super::*;
use crate::conformance::checkpoints::{bytes, content, read};
use crate::conformance::next;
use crate::snapshot::format;
use crate::{Delivered, Index};

/// A closed journal with two snapshots, and what was in it.
struct Trimmed {
    dir: TempDir,
    older: Index,
    newest: Index,
    last: Index,
}

impl Trimmed {
    async fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let journal = open(dir.path()).await;
        let leader = leads(&journal).await;
        let mut indices = Vec::new();
        for number in 0..60 {
            let body = record(number).repeat(300).into();
            indices.push(journal.propose(leader, body).await.unwrap());
            if number == 24 || number == 44 {
                let upto = indices[number - 5];
                journal.checkpoint(upto, content(upto)).await.unwrap();
            }
        }
        journal.shutdown().await;
        let [older, newest, last] = [19, 39, 59].map(|at| indices[at]);
        Self { dir, older, newest, last }
    }

    fn snapshot(&self, index: Index) -> std::path::PathBuf {
        self.dir.path().join(format::name(index))
    }

    fn flip(&self, index: Index, at: usize) {
        let path = self.snapshot(index);
        let mut content = fs::read(&path).unwrap();
        content[at] ^= 4;
        fs::write(&path, content).unwrap();
    }

    /// Opens it, and checks that it begins with this snapshot and has all that came behind.
    async fn begins_with(&self, expected: Index) -> Raft {
        let journal = open(self.dir.path()).await;
        leads(&journal).await;
        let mut follow = journal.follow(0);
        let Delivered::Snapshot { index, reader, .. } = soon(follow.next()).await.unwrap() else {
            panic!("the log was trimmed")
        };
        assert_eq!(index, expected);
        assert_eq!(read(reader).await, bytes(expected));
        let rest = take_to(&mut follow, self.last).await;
        assert!(rest.iter().map(|entry| entry.index).eq(expected + 1..=self.last));
        journal
    }

    async fn refused(&self) -> OpenError {
        Raft::open(config(self.dir.path())).await.map(drop).unwrap_err()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn starts_from_the_newest_and_the_log_behind_it() {
    let trimmed = Trimmed::new().await;
    for _ in 0..3 {
        let journal = trimmed.begins_with(trimmed.newest).await;
        let first = soon(next(&mut journal.follow(trimmed.older))).await;
        assert_eq!(first.index, trimmed.older + 1, "the log reaches back to the older one");
        journal.shutdown().await;
    }
    // It goes on from there.
    let journal = open(trimmed.dir.path()).await;
    let leader = leads(&journal).await;
    for number in 0..5 {
        let upto = journal.propose(leader, record(number)).await.unwrap();
        journal.checkpoint(upto, content(upto)).await.unwrap();
    }
    assert!(!trimmed.snapshot(trimmed.newest).exists(), "two are enough");
    assert_eq!(journal.files.snapshots.newest_index(), soon(journal.barrier()).await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn goes_back_to_the_older_one() {
    let trimmed = Trimmed::new().await;
    trimmed.flip(trimmed.newest, 5000);
    trimmed.begins_with(trimmed.older).await.shutdown().await;
    fs::remove_file(trimmed.snapshot(trimmed.newest)).unwrap();
    let journal = trimmed.begins_with(trimmed.older).await;
    // The next checkpoint makes it two again, and trims nothing that the older one needs.
    journal.checkpoint(trimmed.last, content(trimmed.last)).await.unwrap();
    journal.shutdown().await;
    trimmed.flip(trimmed.last, 5000);
    trimmed.begins_with(trimmed.older).await.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_to_start_without_its_beginning() {
    let trimmed = Trimmed::new().await;
    trimmed.flip(trimmed.newest, 5000);
    trimmed.flip(trimmed.older, 5000);
    for _ in 0..2 {
        let message = trimmed.refused().await.to_string();
        let names = [trimmed.newest, trimmed.older].map(format::name);
        for part in
            [&*names[0], &names[1], "checksum", "backup", "nothing that was acknowledged was cut"]
        {
            assert!(message.contains(part), "`{part}` in: {message}");
        }
    }
    // From a backup of one of the two files.
    trimmed.flip(trimmed.older, 5000);
    trimmed.begins_with(trimmed.older).await.shutdown().await;
    trimmed.flip(trimmed.newest, 5000);
    trimmed.begins_with(trimmed.newest).await.shutdown().await;

    fs::remove_file(trimmed.snapshot(trimmed.newest)).unwrap();
    fs::remove_file(trimmed.snapshot(trimmed.older)).unwrap();
    let message = trimmed.refused().await.to_string();
    assert!(message.contains("it is missing"), "{message}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_of_another_time_or_journal_is_not_taken() {
    let trimmed = Trimmed::new().await;
    let older = fs::read(trimmed.snapshot(trimmed.older)).unwrap();
    fs::write(trimmed.snapshot(trimmed.newest), &older).unwrap();
    trimmed.begins_with(trimmed.older).await.shutdown().await;
    fs::write(trimmed.snapshot(trimmed.last + 1000), &older).unwrap();
    trimmed.begins_with(trimmed.older).await.shutdown().await;
    // Alone, one that is older than the log does not do.
    let other = Trimmed::new().await;
    for index in [other.older, other.newest] {
        fs::remove_file(other.snapshot(index)).unwrap();
    }
    let very_old = other.older - 3;
    fs::write(other.snapshot(very_old), &older).unwrap();
    let message = other.refused().await.to_string();
    assert!(message.contains("it is older than the log"), "{message}");
}

/// The log that was put back from somewhere ends before the snapshot that it made.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_older_than_its_snapshot_is_not_taken() {
    let dir = TempDir::new().unwrap();
    let journal = open(dir.path()).await;
    let leader = leads(&journal).await;
    journal.propose(leader, record(1)).await.unwrap();
    let old = TempDir::new().unwrap();
    crate::log::tests::copy_dir(dir.path(), old.path());
    let upto = journal.propose(leader, record(2)).await.unwrap();
    journal.checkpoint(upto, content(upto)).await.unwrap();
    journal.shutdown().await;
    fs::copy(dir.path().join(format::name(upto)), old.path().join(format::name(upto))).unwrap();
    let refused = Raft::open(config(old.path())).await.map(drop).unwrap_err().to_string();
    assert!(refused.contains("the log's newest files are missing"), "{refused}");
}

/// Damage that comes later is found by whoever reads; the next start goes back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_found_while_reading_names_the_file() {
    let trimmed = Trimmed::new().await;
    let journal = open(trimmed.dir.path()).await;
    trimmed.flip(trimmed.newest, 1_500_000);
    let Delivered::Snapshot { mut reader, .. } = soon(journal.follow(0).next()).await.unwrap()
    else {
        panic!("the log was trimmed")
    };
    let mut found = Vec::new();
    let error = reader.read_to_end(&mut found).unwrap_err().to_string();
    for part in [&*format::name(trimmed.newest), "checksum", "Start again"] {
        assert!(error.contains(part), "`{part}` in: {error}");
    }
    assert!(bytes(trimmed.newest).starts_with(&found), "nothing unproved was handed on");
    assert!(reader.read(&mut [0]).is_err(), "and nothing from behind it");
    journal.shutdown().await;
    trimmed.begins_with(trimmed.older).await.shutdown().await;
}

/// What a crash in the middle of a checkpoint leaves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_not_finished_is_removed() {
    let trimmed = Trimmed::new().await;
    let left = trimmed.snapshot(trimmed.last).with_extension("snapshot.new");
    fs::write(&left, b"half of it").unwrap();
    trimmed.begins_with(trimmed.newest).await.shutdown().await;
    assert!(!left.exists());
}

/// The stop of the journal waits for a checkpoint to break off, and nothing of it stays.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_breaks_a_checkpoint_off() {
    let dir = TempDir::new().unwrap();
    let journal = Arc::new(open(dir.path()).await);
    let leader = leads(&*journal).await;
    let upto = journal.propose(leader, record(1)).await.unwrap();
    let (begin, begun) = oneshot::channel();
    let endless: Snapshot = Box::new(move |out| {
        begin.send(()).unwrap();
        loop {
            out.write_all(&[1; 100_000])?;
        }
    });
    let checkpoint = tokio::spawn({
        let journal = journal.clone();
        async move { journal.checkpoint(upto, endless).await }
    });
    soon(begun).await.unwrap();
    soon(journal.shutdown()).await;
    let broken = soon(checkpoint).await.unwrap();
    assert!(matches!(broken, Err(JournalError::Dead { .. })), "{broken:?}");
    let names = crate::log::tests::read_files(dir.path());
    assert!(names.keys().all(|name| !name.contains("snapshot")), "{:?}", names.keys());
}
