//! Members that have lost something, and a group that has lost its majority.

use std::collections::BTreeSet;

use super::*;

/// The new member in the place of the old one.
async fn replace(group: &Group, old: u64, node: u64) {
    let member = group.journal(node).member();
    assert_ne!(member.number(), old, "it is another one");
    until("the new member", async || {
        let (leads, _) = group.leader().await;
        group.journal(leads).add_learner(member).await.ok()
    })
    .await;
    let mut voters: BTreeSet<u64> =
        group.running().map(|(_, journal)| journal.member().number()).collect();
    voters.remove(&old);
    group.promote(&voters).await;
    let (leads, _) = group.leader().await;
    soon(group.journal(leads).remove(old)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_member_comes_back_as_a_new_one() {
    let mut group = Group::of(3).await;
    let (leads, _) = group.leader().await;
    let node = group.others(leads)[0];
    let last = group.commit(record(1)).await;
    group.check_same(last).await;
    let old = group.journal(node).member().number();
    group.stop(node).await;
    let dir = group.homes[&node].dir.path().to_owned();
    let path = dir.join("00000000000000000000.log");
    let mut content = std::fs::read(&path).unwrap();
    let at = content.windows(8).position(|found| found == b"record 1").unwrap();
    content[at] ^= 1;
    std::fs::write(&path, &content).unwrap();
    let refused = Raft::open(group.config(node)).await.map(drop);
    assert!(matches!(refused, Err(OpenError::Damaged { .. })), "{refused:?}");

    let aside = set_aside(&dir).unwrap();
    assert_eq!(std::fs::read(aside.join("00000000000000000000.log")).unwrap(), content);
    group.homes.get_mut(&node).unwrap().start = Start::Join;
    group.start(node).await;
    replace(&group, old, node).await;
    let last = group.commit(record(2)).await;
    group.check_same(last).await;
    // It stays who it is, and a second time works too.
    let member = group.journal(node).member();
    group.stop(node).await;
    group.start(node).await;
    assert_eq!(group.journal(node).member(), member);
    group.stop(node).await;
    assert_ne!(set_aside(&dir).unwrap(), aside);
}

/// It may have voted, and acknowledged what nobody else has: it does neither again before it was taken in.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_with_an_empty_disk_does_not_vote() {
    let mut group = Group::of(3).await;
    let (leads, _) = group.leader().await;
    let [behind, emptied] = group.others(leads)[..] else { panic!("three") };
    // What is acknowledged next only two of them have.
    group.net.isolate(behind);
    let last = group.commit_among(&[leads], record(1)).await;
    let old = group.journal(emptied).member().number();
    group.crash(emptied);
    group.crash(leads);
    group.join(emptied, Start::Join).await;
    group.net.heal();
    let leaderless = tokio::time::timeout(timing().election_max * 4, group.leader()).await;
    assert!(leaderless.is_err(), "the one without the record leads: {leaderless:?}");
    let asked = group.journal(emptied);
    assert_eq!(*asked.membership().borrow(), Membership::default());

    group.start(leads).await;
    replace(&group, old, emptied).await;
    let next = group.commit(record(2)).await;
    let all = group.check_same(next).await;
    assert_eq!(all[last as usize - 1].record, record(1));
}

/// A copy of the directory from before: the leader notices that acknowledged entries are gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_from_a_copy_is_found_out() {
    let mut group = Group::of(3).await;
    let (leads, name) = group.leader().await;
    let node = group.others(leads)[0];
    let last = group.commit(record(1)).await;
    group.check_same(last).await;
    group.stop(node).await;
    let copy = TempDir::new().unwrap();
    crate::log::tests::copy_dir(group.homes[&node].dir.path(), copy.path());
    group.start(node).await;
    let last = group.commit(record(2)).await;
    group.check_same(last).await;
    group.stop(node).await;
    let old = std::mem::replace(&mut group.homes.get_mut(&node).unwrap().dir, copy);
    group.start(node).await;
    let number = group.journal(node).member().number();
    until("the loss", async || {
        let progress = group.journal(leads).progress();
        progress.iter().any(|one| one.number == number && one.lost).then_some(())
    })
    .await;
    let next = group.commit_among(&[leads], record(3)).await;
    assert_eq!(group.leader_of(&[leads]).await, (leads, name), "the others go on");
    // Set aside, it comes back like any that is damaged.
    group.stop(node).await;
    set_aside(group.homes[&node].dir.path()).unwrap();
    group.start(node).await;
    replace(&group, number, node).await;
    group.check_same(next).await;
    drop(old);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_left_can_be_made_the_group() {
    let mut group = Group::of(3).await;
    let (leads, name) = group.leader().await;
    let mut last = 0;
    for number in 0..10 {
        last = group.commit(record(number)).await;
    }
    group.check_same(last).await;
    let left = group.others(leads)[0];
    let others = group.others(left);
    for other in &others {
        group.crash(*other);
    }
    let alone = tokio::time::timeout(timing().election_max * 3, group.leader()).await;
    assert!(alone.is_err(), "one of three is no majority");
    let config = group.config(left);
    assert!(matches!(recover_alone(&config), Err(OpenError::InUse { .. })));
    group.stop(left).await;
    let empty = Config { dir: config.dir.join("nothing"), ..config.clone() };
    assert!(recover_alone(&empty).is_err() && !empty.dir.exists());

    let recovered = recover_alone(&config).unwrap();
    assert_eq!(recovered.before.len(), 3);
    assert!(recovered.last >= last);
    group.incarnation = 4;
    group.start(left).await;
    let (_, leader) = group.leader().await;
    assert!(leader > name);
    let next = group.commit(record(99)).await;
    let all = group.check_same(next).await;
    let records = all.iter().map(|entry| &entry.record).filter(|record| !record.is_empty());
    assert!(records.cloned().eq((0..10).chain([99]).map(record)));

    // Those from before are not listened to; new ones make it three again.
    group.incarnation = 3;
    group.start(others[0]).await;
    let strangers = tokio::time::timeout(timing().election_max * 3, std::future::pending::<()>());
    strangers.await.unwrap_err();
    assert_eq!(group.leader_of(&[left]).await.1, leader);
    group.stop(others[0]).await;
    group.incarnation = 4;
    for other in others {
        group.join(other, Start::Join).await;
        let member = group.journal(other).member();
        soon(group.journal(left).add_learner(member)).await.unwrap();
    }
    group.promote_all().await;
    let last = group.commit(record(100)).await;
    group.check_same(last).await;
}
