//! Three journals, with real files, keep one log over TLS on loopback.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use journal::raft::{ChangeError, Cluster, Config, Raft, Start};
use journal::{Delivered, Index, Journal, LeaderId, Leadership};
use peer::{Carrier, Roles, journal_number};
use tempfile::TempDir;

use crate::support::{Node, PATIENCE, World, until};

struct Member {
    node: Node,
    journal: Arc<Raft>,
    _dir: TempDir,
}

/// Each at the place of its node's number, less one.
struct Group(Vec<Member>);

impl Group {
    /// All know where all are; all vote.
    async fn of(world: &World, count: u128) -> Group {
        let mut members = vec![];
        for number in 1..=count {
            let node = world.node(number, Roles::BOTH);
            let dir = tempfile::tempdir().unwrap();
            let config = Config {
                dir: dir.path().join("journal"),
                node: journal_number(node.id()),
                start: if number == 1 { Start::Found } else { Start::Join },
                cluster: Cluster { id: world.authority.cluster().0.as_u128(), incarnation: 3 },
                segment_bytes: 1 << 20,
                ..Config::default()
            };
            let peers = Arc::new(Carrier(node.dialer.clone()));
            let journal = Arc::new(Raft::open_among(config, peers).await.unwrap());
            *node.desk.journal.lock().unwrap() = Some(journal.clone());
            members.push(Member { node, journal, _dir: dir });
        }
        let group = Group(members);
        for one in &group.0 {
            for other in group.0.iter().filter(|other| other.node.id() != one.node.id()) {
                one.node.dialer.set_address(other.node.id(), &other.node.address);
            }
        }
        for member in &group.0[1..] {
            let member = member.journal.member();
            let add = async || group.0[0].journal.add_learner(member).await.ok();
            until("a learner", add).await;
        }
        let voters = group.0.iter().map(|member| member.journal.member().number()).collect();
        until("three voters", async || {
            match group.0[0].journal.promote(std::clone::Clone::clone(&voters)).await {
                Ok(()) => Some(()),
                Err(ChangeError::Dead { reason }) => panic!("{reason}"),
                Err(_) => None,
            }
        })
        .await;
        group
    }

    /// Who leads among these.
    async fn leader(&self, among: &[usize]) -> (usize, LeaderId) {
        until("a leader", async || {
            let leads = |at: &usize| match *self.0[*at].journal.leadership().borrow() {
                Leadership::Leader(leader) => Some((*at, leader)),
                _ => None,
            };
            among.iter().filter_map(leads).max_by_key(|(_, leader)| leader.term)
        })
        .await
    }

    async fn commit(&self, among: &[usize], record: Bytes) -> Index {
        until("a commit", async || {
            let (at, leader) = self.leader(among).await;
            self.0[at].journal.propose(leader, record.clone()).await.ok()
        })
        .await
    }

    /// What a member has up to an index: the records that are not the journal's own.
    async fn records(&self, at: usize, upto: Index) -> Vec<Bytes> {
        let mut follow = self.0[at].journal.follow(0);
        let taking = async {
            let mut records = vec![];
            loop {
                match follow.next().await {
                    Some(Delivered::Entry(delivery)) => {
                        let index = delivery.index;
                        records.push(delivery.record);
                        if index >= upto {
                            return records;
                        }
                    }
                    _ => panic!("the journal has ended"),
                }
            }
        };
        let mut records = tokio::time::timeout(PATIENCE, taking).await.expect("it arrives");
        records.retain(|record| !record.is_empty());
        records
    }

    async fn end(self) {
        for Member { node, journal, .. } in self.0 {
            node.desk.journal.lock().unwrap().take();
            journal.shutdown().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_journals_keep_one_log_while_listeners_come_and_go() {
    let world = World::new();
    let mut group = Group::of(&world, 3).await;
    let all = [0, 1, 2];
    let mut expected: Vec<Bytes> = (0..20).map(|n| Bytes::from(vec![n; 1000])).collect();
    // One that is as large as one can be.
    expected.push(Bytes::from(vec![7; journal::RECORD_BYTES_MAX]));
    for record in &expected {
        group.commit(&all, record.clone()).await;
    }
    // The leader hears nobody any more; it can still call, and the others hear it.
    let (led, _) = group.leader(&all).await;
    group.0[led].node.shut().await;
    let record = Bytes::from_static(b"while it was deaf");
    group.commit(&all, record.clone()).await;
    expected.push(record);
    group.0[led].node.reopen();
    // A follower is gone for the others, and back.
    let (leads, _) = group.leader(&all).await;
    let follows = (leads + 1) % 3;
    group.0[follows].node.shut().await;
    let record = Bytes::from_static(b"while one was away");
    group.commit(&all, record.clone()).await;
    expected.push(record);
    group.0[follows].node.reopen();
    let record = Bytes::from_static(b"when all were back");
    let last = group.commit(&all, record.clone()).await;
    expected.push(record);
    for at in all {
        let records = group.records(at, last).await;
        let mut once = records.clone();
        // A proposal whose answer was lost was made again.
        once.dedup();
        assert_eq!(once.len(), expected.len(), "member {at}");
        assert!(once == expected, "member {at} has the same");
    }
    group.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_goes_on_without_a_leader_whose_certificate_was_revoked() {
    let world = World::new();
    let group = Group::of(&world, 3).await;
    group.commit(&[0, 1, 2], Bytes::from_static(b"before")).await;
    let (led, _) = group.leader(&[0, 1, 2]).await;
    let removed = group.0[led].node.id();
    let others: Vec<usize> = (0..3).filter(|at| *at != led).collect();
    for at in &others {
        group.0[*at].node.credentials.change_trust(|trust| {
            assert!(trust.revoke(removed, None, u64::MAX, 0));
        });
    }
    let last = group.commit(&others, Bytes::from_static(b"after")).await;
    for at in &others {
        assert_eq!(group.records(*at, last).await.last().unwrap(), "after");
    }
    // It is told, and not counted among those that lead.
    let journal = &group.0[led].journal;
    let leads = async || {
        let leads = matches!(*journal.leadership().borrow(), Leadership::Leader(_));
        (!leads).then_some(())
    };
    until("the end of its lead", leads).await;
    assert!(
        tokio::time::timeout(Duration::from_secs(30), journal.barrier()).await.unwrap().is_err()
    );
    group.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_was_away_for_long_gets_a_snapshot() {
    let world = World::new();
    let mut group = Group::of(&world, 3).await;
    let (leads, _) = group.leader(&[0, 1, 2]).await;
    let away = (leads + 1) % 3;
    let others: Vec<usize> = (0..3).filter(|at| *at != away).collect();
    group.0[away].node.shut().await;
    // Three chunks and a little.
    let content: Vec<u8> = (0..3_500_000_u32).map(|n| (n % 251) as u8).collect();
    let mut last = 0;
    for _ in 0..2 {
        for number in 0..30 {
            last = group.commit(&others, Bytes::from(vec![number; 100_000])).await;
        }
        for at in &others {
            until("the entries", async || {
                let content = content.clone();
                let snapshot: journal::Snapshot = Box::new(move |out| out.write_all(&content));
                group.0[*at].journal.checkpoint(last, snapshot).await.ok()
            })
            .await;
        }
    }
    group.0[away].node.reopen();
    let journal = group.0[away].journal.clone();
    until("the snapshot", async || (journal.newest_snapshot() == last).then_some(())).await;
    let mut follow = journal.follow_newest();
    let first = tokio::time::timeout(PATIENCE, follow.next()).await.expect("it arrives");
    let Some(Delivered::Snapshot { mut reader, index, .. }) = first else { panic!("no snapshot") };
    let read = tokio::task::spawn_blocking(move || {
        let mut read = vec![];
        std::io::Read::read_to_end(&mut reader, &mut read).map(|_| read)
    });
    assert_eq!(index, last);
    assert!(read.await.unwrap().unwrap() == content, "every byte of it");
    group.end().await;
}
