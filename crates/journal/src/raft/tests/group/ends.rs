//! A journal that ends leaves nothing behind: no task, no lock, nobody who waits.

use super::*;

/// Everything that the runtime of this test still runs.
fn tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

async fn check_leaves_nothing(end: impl AsyncFn(&mut Group)) {
    let before = tasks();
    let mut group = Group::of(3).await;
    let (leads, leader) = group.leader().await;
    let last = group.commit(record(1)).await;
    group.check_same(last).await;
    // Somebody waits for what cannot come about, and entries are on their way to nowhere.
    let away = group.others(leads);
    away.iter().for_each(|node| group.net.isolate(*node));
    let waiting = tokio::spawn({
        let proposed = group.journal(leads).clone();
        async move { proposed.propose(leader, record(2)).await }
    });
    until("an entry on its way", async || {
        let journal = group.journal(leads);
        let committed = journal.shared.extent.borrow().committed;
        journal.log.positions().last.filter(|last| last.index > committed).map(drop)
    })
    .await;
    waiting.abort();
    let _ = waiting.await;
    end(&mut group).await;
    until("the end of all tasks", async || (tasks() <= before).then_some(())).await;
    for node in 1..=3 {
        group.start(node).await;
    }
    group.net.heal();
    let last = group.commit(record(3)).await;
    group.check_same(last).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_order() {
    check_leaves_nothing(async |group| {
        for node in 1..=3 {
            group.stop(node).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_being_dropped() {
    check_leaves_nothing(async |group| (1..=3).for_each(|node| group.crash(node))).await;
}
