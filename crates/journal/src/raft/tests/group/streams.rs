//! Members that are so far behind that the log does not reach back to them get a snapshot.

use super::*;
use crate::Delivered;
use crate::conformance::checkpoints::{bytes, content, read};

/// Commits much, and trims the log behind two checkpoints. Returns the last entry.
async fn trim(group: &Group) -> Index {
    let (leads, _) = group.leader().await;
    let mut last = 0;
    for _ in 0..2 {
        for number in 0..20 {
            last = group.commit(record(number).repeat(2000).into()).await;
        }
        soon(group.journal(leads).checkpoint(last, content(last))).await.unwrap();
    }
    for number in 0..5 {
        last = group.commit(record(number)).await;
    }
    last
}

/// What the node has: the snapshot first, and the rest up to `last`.
async fn check_has(group: &Group, node: u64, snapshot: Index, last: Index) {
    let journal = group.journal(node);
    // The log is trimmed by then.
    let committed = || journal.shared.extent.borrow().committed;
    until("the snapshot", async || (committed() >= snapshot).then_some(())).await;
    assert_eq!(journal.newest_snapshot(), snapshot);
    let mut follow = journal.follow(0);
    let first = tokio::time::timeout(PATIENCE, follow.next()).await.expect("it arrives");
    let Delivered::Snapshot { index, reader, .. } = first.unwrap() else {
        panic!("the log was trimmed")
    };
    assert_eq!((index, read(reader).await), (snapshot, bytes(snapshot)));
    let rest = take_to(&mut follow, last).await;
    assert!(rest.iter().map(|entry| entry.index).eq(snapshot + 1..=last));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn to_one_that_was_away() {
    let mut group = Group::of(3).await;
    let (leads, _) = group.leader().await;
    let away = group.others(leads)[0];
    let mut before = group.journal(away).follow(0);
    let first = group.commit(record(1)).await;
    take_to(&mut before, first).await;
    group.net.isolate(away);
    let last = trim(&group).await;
    let snapshot = group.journal(leads).newest_snapshot();
    group.net.heal();
    check_has(&group, away, snapshot, last).await;
    // Who followed there is told that it was overtaken.
    let next = soon(before.next()).await.unwrap();
    assert!(matches!(next, Delivered::Snapshot { index, .. } if index == snapshot), "{next:?}");
    // It starts from it again, and can lead with it.
    group.stop(away).await;
    group.start(away).await;
    check_has(&group, away, snapshot, last).await;
    group.crash(leads);
    let last = group.commit(record(2)).await;
    check_has(&group, away, snapshot, last).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn to_a_new_one_even_if_it_is_broken_off_once() {
    let mut group = Group::of(1).await;
    let last = trim(&group).await;
    let snapshot = group.journal(1).newest_snapshot();
    for node in [2, 3] {
        group.join(node, Start::Join).await;
    }
    group.net.set(Weather { delay_ms: 40, ..Weather::default() });
    let member = group.journal(2).member();
    soon(group.journal(1).add_learner(member)).await.unwrap();
    until("a snapshot on its way", async || {
        group.journal(2).receiver.gate.try_lock().is_err().then_some(())
    })
    .await;
    group.net.isolate(2);
    group.crash(2);
    group.start(2).await;
    group.net.set(Weather::default());
    group.net.heal();
    check_has(&group, 2, snapshot, last).await;
    let member = group.journal(3).member();
    soon(group.journal(1).add_learner(member)).await.unwrap();
    check_has(&group, 3, snapshot, last).await;
    group.promote_all().await;
    let last = group.commit(record(1)).await;
    for node in 2..=3 {
        check_has(&group, node, snapshot, last).await;
    }
}

/// Each member makes its own checkpoints, and trims its own log.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn are_not_needed_where_each_makes_its_own() {
    let group = Group::of(3).await;
    let (leads, name) = group.leader().await;
    let mut newest = 0;
    for round in 0..3 {
        for number in 0..10 {
            newest = group.commit(record(round * 10 + number)).await;
        }
        for (node, journal) in group.running() {
            take_to(&mut journal.follow(newest - 1), newest).await;
            let made = soon(journal.checkpoint(newest, content(newest))).await;
            assert_eq!(made, Ok(()), "on node {node}");
        }
    }
    let last = group.commit(record(99)).await;
    for node in 1..=3 {
        check_has(&group, node, newest, last).await;
    }
    assert_eq!(group.leader().await, (leads, name));
}
