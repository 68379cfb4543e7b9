//! What every kind of journal must do; each kind's tests call this.

pub(crate) mod checkpoints;

use std::time::Duration;

use bytes::Bytes;

use crate::{Delivery, Follow, Index, Journal, JournalError, LeaderId, Leadership, ProposeError};

/// Checks the promises of [`Journal`] on a fresh one, and ends it.
pub(crate) async fn check(journal: impl Journal) {
    let leader = leads(&journal).await;
    let first = deliveries_are_the_proposals(&journal, leader).await;
    follow_starts_anywhere(&journal, first).await;
    follow_waits(&journal, leader).await;
    concurrent_proposals_all_arrive(&journal, leader).await;
    refusals_write_nothing(&journal, leader).await;
    checkpoints::check(&journal, leader).await;
    shutdown_ends_everything(&journal, leader).await;
}

/// Waits until the journal leads.
pub(crate) async fn leads(journal: &impl Journal) -> LeaderId {
    let mut leadership = journal.leadership();
    let leads = leadership.wait_for(|now| matches!(now, Leadership::Leader(_)));
    match soon(leads).await.unwrap().clone() {
        Leadership::Leader(leader) => leader,
        other => panic!("not a leader: {other:?}"),
    }
}

/// Waits until the journal is dead, and for what reason.
pub(crate) async fn dies(journal: &impl Journal) -> String {
    let mut leadership = journal.leadership();
    let dead = leadership.wait_for(|now| matches!(now, Leadership::Dead(_)));
    let Leadership::Dead(reason) = soon(dead).await.unwrap().clone() else { unreachable!() };
    reason.to_string()
}

/// Everything up to and with `last`.
pub(crate) async fn take_to(follow: &mut Follow, last: Index) -> Vec<Delivery> {
    let mut taken: Vec<Delivery> = Vec::new();
    while taken.last().is_none_or(|delivery| delivery.index < last) {
        taken.push(soon(next(follow)).await);
    }
    taken
}

/// The next entry.
pub(crate) async fn next(follow: &mut Follow) -> Delivery {
    let next = follow.next().await.expect("the journal is open");
    next.entry().expect("an entry, and not a snapshot")
}

/// Fails instead of hanging.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("this must not take long")
}

pub(crate) fn record(number: usize) -> Bytes {
    format!("record {number}").into()
}

async fn deliveries_are_the_proposals(journal: &impl Journal, leader: LeaderId) -> Index {
    let mut indices = Vec::new();
    for number in 0..20 {
        indices.push(soon(journal.propose(leader, record(number))).await.unwrap());
    }
    assert!(indices.is_sorted(), "{indices:?}");
    let last = *indices.last().unwrap();
    assert!(soon(journal.barrier()).await.unwrap() >= last);

    let all = take_to(&mut journal.follow(0), last).await;
    assert!(all.iter().map(|delivery| delivery.index).eq(1..=last), "every index, in order");
    for (number, index) in indices.iter().enumerate() {
        let delivery = &all[*index as usize - 1];
        assert_eq!(delivery.record, record(number));
        assert_eq!(delivery.leader, leader);
    }
    let own = all.iter().filter(|delivery| !indices.contains(&delivery.index));
    assert!(own.clone().count() > 0, "a leader begins with an entry of the journal's own");
    assert!(own.clone().all(|delivery| delivery.record.is_empty()));
    indices[0]
}

async fn follow_starts_anywhere(journal: &impl Journal, first: Index) {
    let middle = first + 9;
    let mut follow = journal.follow(middle);
    let delivery = soon(next(&mut follow)).await;
    assert_eq!((delivery.index, delivery.record), (middle + 1, record(10)));
    assert_eq!(follow.try_next().unwrap().index, middle + 2, "it was read along");
}

async fn follow_waits(journal: &impl Journal, leader: LeaderId) {
    let end = soon(journal.barrier()).await.unwrap();
    let mut follow = journal.follow(end);
    assert_eq!(follow.try_next(), None);
    let next = tokio::spawn(async move { next(&mut follow).await });
    let proposed = soon(journal.propose(leader, "late".into())).await.unwrap();
    let next = soon(next).await.unwrap();
    assert_eq!((next.index, &next.record[..]), (proposed, &b"late"[..]));
}

async fn concurrent_proposals_all_arrive(journal: &impl Journal, leader: LeaderId) {
    let before = soon(journal.barrier()).await.unwrap();
    let proposals: Vec<_> =
        (0..100).map(|number| Box::pin(journal.propose(leader, record(number)))).collect();
    let mut expected = Vec::new();
    for (number, proposal) in join_all(proposals).await.into_iter().enumerate() {
        expected.push((proposal.unwrap(), record(number)));
    }
    expected.sort();
    let taken = take_to(&mut journal.follow(before), expected[99].0).await;
    let taken: Vec<_> = taken.into_iter().map(|found| (found.index, found.record)).collect();
    assert_eq!(taken, expected);
}

async fn refusals_write_nothing(journal: &impl Journal, leader: LeaderId) {
    let before = soon(journal.barrier()).await.unwrap();
    let large = Bytes::from(vec![1; crate::RECORD_BYTES_MAX + 1]);
    let bytes = large.len();
    let refused = soon(journal.propose(leader, large)).await;
    assert_eq!(refused, Err(ProposeError::TooLarge { bytes }));
    for asked in [
        LeaderId { term: leader.term - 1, ..leader },
        LeaderId { term: leader.term + 1, ..leader },
        LeaderId { node: leader.node + 1, ..leader },
    ] {
        let refused = soon(journal.propose(asked, "no".into())).await;
        assert_eq!(refused, Err(ProposeError::NotLeader { asked, current: Some(leader) }));
    }
    assert_eq!(soon(journal.barrier()).await.unwrap(), before);

    let largest = Bytes::from(vec![7; crate::RECORD_BYTES_MAX]);
    let index = soon(journal.propose(leader, largest.clone())).await.unwrap();
    assert_eq!(soon(next(&mut journal.follow(index - 1))).await.record, largest);
    let empty = soon(journal.propose(leader, Bytes::new())).await.unwrap();
    assert_eq!(soon(next(&mut journal.follow(index))).await.index, empty);
}

async fn shutdown_ends_everything(journal: &impl Journal, leader: LeaderId) {
    let end = soon(journal.barrier()).await.unwrap();
    let mut waiting = journal.follow(end);
    let (next, ()) = soon(async { tokio::join!(waiting.next(), journal.shutdown()) }).await;
    assert!(next.is_none());
    assert!(soon(journal.follow(0).next()).await.is_none(), "a closed journal serves nothing");
    assert!(dies(journal).await.contains("shut down"));
    let refused = soon(journal.propose(leader, "late".into())).await;
    assert!(matches!(refused, Err(ProposeError::Dead { .. })), "{refused:?}");
    assert!(matches!(soon(journal.barrier()).await, Err(JournalError::Dead { .. })));
}

/// All of them at once.
async fn join_all<F: Future + Unpin>(mut futures: Vec<F>) -> Vec<F::Output> {
    let mut done: Vec<Option<F::Output>> = futures.iter().map(|_| None).collect();
    soon(std::future::poll_fn(move |cx| {
        for (future, slot) in futures.iter_mut().zip(&mut done) {
            if slot.is_none()
                && let std::task::Poll::Ready(output) = std::pin::Pin::new(future).poll(cx)
            {
                *slot = Some(output);
            }
        }
        match done.iter().all(Option::is_some) {
            true => std::task::Poll::Ready(done.drain(..).flatten().collect()),
            false => std::task::Poll::Pending,
        }
    }))
    .await
}

#[tokio::test]
async fn mem_keeps_the_promises() {
    check(crate::mem::Mem::new(7)).await;
}

#[tokio::test]
async fn mem_changes_leaders() {
    let journal = crate::mem::Mem::new(7);
    let old = leads(&journal).await;
    journal.depose();
    let refused = journal.propose(old, "x".into()).await;
    assert_eq!(refused, Err(ProposeError::NotLeader { asked: old, current: None }));
    assert_eq!(journal.barrier().await, Err(JournalError::NotLeader { current: None }));
    let new = journal.elect();
    assert!(new > old);
    let refused = journal.propose(old, "x".into()).await;
    assert_eq!(refused, Err(ProposeError::NotLeader { asked: old, current: Some(new) }));
    journal.propose(new, "x".into()).await.unwrap();
    journal.kill("pulled the plug");
    assert_eq!(dies(&journal).await, "pulled the plug");
}
