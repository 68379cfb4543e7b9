//! What a group is for: the same everywhere, and nothing lost with any minority.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_keep_the_promises() {
    let mut group = Group::calm(3).await;
    let (node, _) = group.leader().await;
    let mut journal = group.homes.get_mut(&node).unwrap().journal.take().unwrap();
    // A message may be on its way into it.
    let journal = loop {
        match Arc::try_unwrap(journal) {
            Ok(journal) => break journal,
            Err(shared) => journal = shared,
        }
        tokio::task::yield_now().await;
    };
    conformance::check(journal).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_have_the_same() {
    for count in [3, 5] {
        let group = Group::of(count).await;
        let mut last = 0;
        for number in 0..50 {
            last = group.commit(record(number)).await;
        }
        let all = group.check_same(last).await;
        let records = all.iter().filter(|entry| entry.record.starts_with(b"record"));
        assert!(records.map(|entry| entry.record.clone()).eq((0..50).map(record)));
        let (node, leader) = group.leader().await;
        for other in group.others(node) {
            let follower = group.journal(other);
            let follows = Leadership::Follower { leader: Some(leader) };
            assert_eq!(*follower.leadership().borrow(), follows);
            let refused = follower.propose(leader, record(1)).await;
            assert!(matches!(refused, Err(ProposeError::NotLeader { .. })), "{refused:?}");
            let refused = follower.barrier().await;
            assert_eq!(refused, Err(JournalError::NotLeader { current: Some(leader) }));
        }
        assert!(soon(group.journal(node).barrier()).await.unwrap() >= last);
    }
}

/// The largest records arrive, alone and many of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_records_arrive() {
    let group = Group::of(3).await;
    let mut last = 0;
    for number in 0..3u8 {
        last = group.commit(vec![number; RECORD_BYTES_MAX].into()).await;
    }
    let all = group.check_same(last).await;
    assert_eq!(all.last().unwrap().record, vec![2; RECORD_BYTES_MAX]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_death_of_a_leader_loses_nothing() {
    let mut group = Group::of(3).await;
    let mut acknowledged = Vec::new();
    for round in 0..3 {
        for number in 0..20 {
            let record = record(round * 100 + number);
            acknowledged.push((group.commit(record.clone()).await, record));
        }
        let (node, leader) = group.leader().await;
        group.crash(node);
        let killed = Instant::now();
        let (_, next) = group.leader().await;
        println!("a new leader after {:?}", killed.elapsed());
        assert!(next > leader);
        group.start(node).await;
    }
    let last = group.commit(record(0)).await;
    let all = group.check_same(last).await;
    for (index, record) in acknowledged {
        assert_eq!(all[index as usize - 1].record, record);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_can_be_started_again() {
    let mut group = Group::of(3).await;
    for node in 1..=3 {
        group.stop(node).await;
        let last = group.commit(record(node as usize)).await;
        group.start(node).await;
        group.check_same(last).await;
    }
    // And all at once.
    let last = group.commit(record(9)).await;
    for node in 1..=3 {
        group.crash(node);
    }
    for node in 1..=3 {
        group.start(node).await;
    }
    let next = group.commit(record(10)).await;
    assert!(next > last);
    assert_eq!(group.check_same(next).await[last as usize - 1].record, record(9));
}
