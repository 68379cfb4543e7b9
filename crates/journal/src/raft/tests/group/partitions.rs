//! Cuts in every direction: who is cut off leads nothing, confirms nothing, and disturbs nobody when it is back.

use super::*;

/// Longer than it takes to stand for election several times.
async fn a_while() {
    tokio::time::timeout(timing().election_max * 3, std::future::pending::<()>())
        .await
        .unwrap_err();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deposed_leader_commits_nothing_under_its_name() {
    let group = Group::of(3).await;
    let (old, name) = group.leader().await;
    group.net.isolate(old);
    let journal = group.journal(old).clone();
    let late = tokio::spawn(async move { journal.propose(name, "too late".into()).await });
    let refused = soon(group.journal(old).barrier()).await;
    assert_eq!(refused, Err(JournalError::NoMajority), "nobody confirms it");

    let others = group.others(old);
    let (_, next) = group.leader_of(&others).await;
    assert!(next > name);
    let last = group.commit_among(&others, record(1)).await;
    assert_eq!(soon(late).await.unwrap(), Err(ProposeError::Unknown), "it gives up by itself");
    assert!(!matches!(*group.journal(old).leadership().borrow(), Leadership::Leader(_)));

    group.net.heal();
    let last = last.max(group.commit(record(2)).await);
    let all = group.check_same(last).await;
    assert!(all.iter().all(|entry| &entry.record[..] != b"too late"));
    let refused = soon(group.journal(old).propose(name, "again".into())).await;
    assert!(matches!(refused, Err(ProposeError::NotLeader { .. })), "{refused:?}");
}

/// It is heard but hears nothing, or hears but is not heard: both ways another one leads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_cut_off_one_way_is_replaced() {
    for heard in [true, false] {
        let group = Group::of(3).await;
        let (old, name) = group.leader().await;
        let others = group.others(old);
        for other in &others {
            if heard {
                group.net.cut(*other, old);
            } else {
                group.net.cut(old, *other);
            }
        }
        let (_, next) = group.leader_of(&others).await;
        assert!(next > name);
        group.commit_among(&others, record(1)).await;
        group.net.heal();
        let last = group.commit(record(2)).await;
        group.check_same(last).await;
    }
}

/// Without being asked first, it would come back with a higher term.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_that_is_back_disturbs_nobody() {
    let group = Group::of(3).await;
    let (node, name) = group.leader().await;
    let away = group.others(node)[0];
    let cuts: [&dyn Fn(); 3] = [
        &|| group.net.isolate(away),
        &|| (1..=3).for_each(|other| group.net.cut(away, other)),
        &|| (1..=3).for_each(|other| group.net.cut(other, away)),
    ];
    for cut in cuts {
        cut();
        a_while().await;
        group.commit_among(&[node], record(1)).await;
        group.net.heal();
        let last = group.commit_among(&[node], record(2)).await;
        group.check_same(last).await;
        a_while().await;
        assert_eq!(group.leader().await, (node, name), "it still leads");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_of_five_can_be_away() {
    let group = Group::of(5).await;
    let (old, _) = group.leader().await;
    let other = group.others(old)[0];
    group.net.isolate(old);
    group.net.isolate(other);
    let rest: Vec<u64> = group.others(old).into_iter().filter(|node| *node != other).collect();
    for number in 0..20 {
        group.commit_among(&rest, record(number)).await;
    }
    group.net.heal();
    let last = group.commit(record(99)).await;
    group.check_same(last).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_weather_changes_nothing() {
    let group = Group::of(3).await;
    group.net.set(Weather { delay_ms: 10, lost_of: 20, twice_of: 5 });
    let mut last = 0;
    for number in 0..60 {
        last = group.commit(record(number)).await;
    }
    group.net.set(Weather::default());
    let all = group.check_same(last).await;
    // What was proposed again may be there twice, but in order.
    let mut records: Vec<_> = all.into_iter().map(|entry| entry.record).collect();
    records.retain(|record| record.starts_with(b"record"));
    records.dedup();
    assert!(records.into_iter().eq((0..60).map(record)));
}

/// A leader that gives up on purpose lets another one go first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_resigns_is_replaced() {
    let group = Group::of(3).await;
    let (node, name) = group.leader().await;
    let last = group.commit(record(1)).await;
    group.journal(node).resign().await;
    let (next, leader) = group.leader_of(&group.others(node)).await;
    assert!(leader > name && next != node);
    let index = group.commit(record(2)).await;
    assert!(index > last);
    group.check_same(index).await;
}
