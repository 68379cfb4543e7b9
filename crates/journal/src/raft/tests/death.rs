//! Whatever ends the journal is told at once, with its reason, and nothing hangs or is served after it.

use super::*;
use crate::Follow;

struct Dying {
    journal: Raft,
    leader: LeaderId,
    follow: Follow,
    disk: Disk,
    _dir: TempDir,
}

impl Dying {
    async fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let disk = Disk::default();
        let config = Config { cache_bytes: 0, ..config(dir.path()) };
        let journal = open_on(&disk, config).await;
        let leader = leads(&journal).await;
        let last = journal.propose(leader, record(1)).await.unwrap();
        let follow = journal.follow(last);
        Self { journal, leader, follow, disk, _dir: dir }
    }

    /// What must hold of a dead journal, whatever it died of.
    async fn check_dead_of(mut self, part: &str) {
        let reason = dies(&self.journal).await;
        assert!(reason.contains(part), "{reason}");
        let refused = soon(self.journal.propose(self.leader, "late".into())).await;
        assert_eq!(refused, Err(ProposeError::Dead { reason: reason.clone().into() }));
        let refused = soon(self.journal.barrier()).await;
        assert_eq!(refused, Err(JournalError::Dead { reason: reason.into() }));
        assert!(soon(self.follow.next()).await.is_none());
        assert!(soon(self.journal.follow(0).next()).await.is_none());
        soon(self.journal.shutdown()).await;
    }
}

async fn dies_of_a_proposal(dying: Dying, part: &str) {
    let result = soon(dying.journal.propose(dying.leader, "last".into())).await;
    assert!(matches!(&result, Err(ProposeError::Dead { .. })), "{result:?}");
    dying.check_dead_of(part).await;
}

#[tokio::test]
async fn of_a_failed_sync() {
    let dying = Dying::new().await;
    dying.disk.faults.sync.store(true, SeqCst);
    dies_of_a_proposal(dying, "cannot sync").await;
}

#[tokio::test]
async fn of_a_failed_write() {
    let dying = Dying::new().await;
    dying.disk.faults.write.store(true, SeqCst);
    dies_of_a_proposal(dying, "cannot write to").await;
}

#[tokio::test]
async fn of_a_full_disk() {
    let dying = Dying::new().await;
    dying.disk.faults.allocate.store(true, SeqCst);
    loop {
        match soon(dying.journal.propose(dying.leader, vec![1; 20_000].into())).await {
            Ok(_) => {}
            Err(error) => {
                assert!(error.to_string().contains("the disk is full"), "{error}");
                return dying.check_dead_of("free space on the file system of").await;
            }
        }
    }
}

#[tokio::test]
async fn of_a_bug_in_the_writer() {
    let dying = Dying::new().await;
    dying.disk.faults.panic.store(true, SeqCst);
    dies_of_a_proposal(dying, "writer has panicked").await;
}

#[tokio::test]
async fn of_a_bug_in_the_raft_core() {
    let dying = Dying::new().await;
    dying.disk.faults.panic_append.store(true, SeqCst);
    dies_of_a_proposal(dying, "raft core has panicked").await;
}

#[tokio::test]
async fn of_a_bug_in_the_raft_worker() {
    let dying = Dying::new().await;
    dying.journal.shared.panic.store(true, SeqCst);
    dies_of_a_proposal(dying, "raft core has panicked").await;
}

/// A record that rots while the journal runs is found by whoever reads it, and is not skipped.
#[tokio::test]
async fn of_damage_found_while_reading() {
    let mut dying = Dying::new().await;
    let path = dying._dir.path().join("00000000000000000000.log");
    let mut content = std::fs::read(&path).unwrap();
    let at = content.windows(8).position(|found| found == b"record 1").unwrap();
    content[at] ^= 1;
    std::fs::write(&path, content).unwrap();
    let mut follow = dying.journal.follow(0);
    while soon(follow.next()).await.is_some() {}
    dying.follow = follow;
    dying.check_dead_of("checksum").await;
}
