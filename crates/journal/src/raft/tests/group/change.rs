//! Who takes part, and changing that: always 1, 3 or 5 voters, and nothing lost on the way.

use std::collections::BTreeSet;

use super::*;

fn number(group: &Group, node: u64) -> u64 {
    group.journal(node).member().number()
}

fn numbers(group: &Group, nodes: impl IntoIterator<Item = u64>) -> BTreeSet<u64> {
    nodes.into_iter().map(|node| number(group, node)).collect()
}

fn voters(journal: &Raft) -> BTreeSet<u64> {
    let membership = journal.membership().borrow().clone();
    assert!(!membership.changing);
    membership.members.iter().filter(|role| role.voter).map(|role| role.number).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grows_to_five_and_shrinks_to_one() {
    let mut group = Group::of(1).await;
    group.commit(record(0)).await;
    for node in 2..=5 {
        group.join(node, Start::Join).await;
        let member = group.journal(node).member();
        soon(group.journal(1).add_learner(member)).await.unwrap();
        // Once more changes nothing.
        soon(group.journal(1).add_learner(member)).await.unwrap();
    }
    let last = group.commit(record(1)).await;
    group.check_same(last).await;
    assert_eq!(voters(group.journal(1)), numbers(&group, [1]), "they only learn");
    for nodes in [vec![1, 2, 3], vec![1, 2, 3, 4, 5], vec![3, 4, 5], vec![4]] {
        let wanted = numbers(&group, nodes);
        group.promote(&wanted).await;
        let last = group.commit(record(2)).await;
        group.check_same(last).await;
        for (_, journal) in group.running() {
            until("the membership", async || (voters(journal) == wanted).then_some(())).await;
        }
    }
    until("a leader that votes", async || (group.leader().await.0 == 4).then_some(())).await;
    let last = group.commit(record(3)).await;
    group.check_same(last).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_possible_is_refused() {
    let group = Group::of(3).await;
    let (node, _) = group.leader().await;
    let (journal, other) = (group.journal(node), group.others(node)[0]);
    let all = numbers(&group, 1..=3);
    let follower = group.journal(other);
    assert_eq!(follower.promote(all.clone()).await, Err(ChangeError::NotLeader));
    assert_eq!(follower.add_learner(follower.member()).await, Err(ChangeError::NotLeader));
    assert!(follower.progress().is_empty());
    for count in [0, 2] {
        let some = all.iter().copied().take(count).collect();
        assert_eq!(journal.promote(some).await, Err(ChangeError::Count { count }));
    }
    let stranger = BTreeSet::from([number(&group, node), 98, 99]);
    assert_eq!(journal.promote(stranger).await, Err(ChangeError::Unknown { number: 98 }));
    let number = number(&group, other);
    assert_eq!(journal.remove(number).await, Err(ChangeError::Votes { number }));
    assert_eq!(journal.remove(99).await, Ok(()));
    // One of them may not have answered this leader yet.
    let heard = || journal.progress().iter().all(|one| one.silent.is_some());
    until("an answer of both others", async || heard().then_some(())).await;
    let progress = journal.progress();
    assert_eq!(progress.len(), 2);
    assert!(progress.iter().all(|one| !one.lost), "{progress:?}");
}

/// Somebody far behind would hold up every commit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_far_behind_does_not_vote() {
    let mut group = Group::of(1).await;
    for _ in 0..12 {
        let journal = group.journal(1);
        let (_, leader) = group.leader().await;
        let many: Vec<_> = (0..100)
            .map(|number| {
                let journal = journal.clone();
                tokio::spawn(async move { journal.propose(leader, record(number)).await })
            })
            .collect();
        for one in many {
            one.await.unwrap().unwrap();
        }
    }
    for node in [2, 3] {
        group.join(node, Start::Join).await;
        let member = group.journal(node).member();
        group.net.isolate(node);
        soon(group.journal(1).add_learner(member)).await.unwrap();
    }
    let refused = group.journal(1).promote(numbers(&group, 1..=3)).await;
    assert!(matches!(refused, Err(ChangeError::Behind { behind: 1000.., .. })), "{refused:?}");
    group.net.heal();
    group.promote_all().await;
}

/// It hears that it is none any more, keeps what it has, and is not dead.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_removed_knows_it() {
    let group = Group::of(5).await;
    let (node, name) = group.leader().await;
    let gone = group.others(node)[0];
    let rest: Vec<u64> = group.others(node)[1..3].iter().copied().chain([node]).collect();
    group.net.isolate(gone);
    group.promote(&numbers(&group, rest)).await;
    soon(group.journal(node).remove(number(&group, gone))).await.unwrap();
    group.net.heal();
    let removed = group.journal(gone);
    until("word of it", async || removed.membership().borrow().removed.then_some(())).await;
    until("nobody to follow", async || {
        (*removed.leadership().borrow() == Leadership::Follower { leader: None }).then_some(())
    })
    .await;
    group.commit_among(&[node], record(1)).await;
    assert_eq!(group.leader().await, (node, name), "and it deposes nobody");
    let refused = removed.propose(name, record(1)).await;
    assert!(matches!(refused, Err(ProposeError::NotLeader { .. })), "{refused:?}");
    assert!(removed.follow(0).next().await.is_some());
    // It may come back.
    soon(group.journal(node).add_learner(removed.member())).await.unwrap();
    let last = group.commit(record(2)).await;
    group.check_same(last).await;
    until("word of that", async || (!removed.membership().borrow().removed).then_some(())).await;
}

/// A leader that dies in the middle of a change leaves one that the next leader can end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_was_broken_off_can_be_ended() {
    let mut group = Group::of(3).await;
    for node in [4, 5] {
        group.join(node, Start::Join).await;
        let (leads, _) = group.leader().await;
        let member = group.journal(node).member();
        soon(group.journal(leads).add_learner(member)).await.unwrap();
    }
    let (node, _) = group.leader().await;
    let journal = group.journal(node).clone();
    let wanted = numbers(&group, (1..=5).filter(|other| *other != node).take(3));
    let changing = tokio::spawn({
        let wanted = wanted.clone();
        async move { journal.promote(wanted).await }
    });
    until("the beginning", async || {
        let changed = group.journal(node).membership().borrow().clone();
        (changed.changing || changed.members.iter().all(|role| role.number != node || !role.voter))
            .then_some(())
    })
    .await;
    changing.abort();
    let _ = changing.await;
    group.crash(node);
    group.promote(&wanted).await;
    let last = group.commit(record(1)).await;
    group.start(node).await;
    group.check_same(last).await;
}
