//! A journal that is opened again, after an end in order and after none.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn comes_back_with_everything_under_a_new_leader_id() {
    let dir = TempDir::new().unwrap();
    let mut before: Option<LeaderId> = None;
    let mut expected = Vec::new();
    for round in 0..4 {
        let start = Instant::now();
        let journal = open(dir.path()).await;
        let leader = leads(&journal).await;
        println!("leads after {:?}", start.elapsed());
        assert!(before.is_none_or(|before| before < leader), "no process shares a leader id");
        if let Some(asked) = before {
            let refused = journal.propose(asked, "old".into()).await;
            assert_eq!(refused, Err(ProposeError::NotLeader { asked, current: Some(leader) }));
        }
        for number in 0..100 {
            let body = Bytes::from(vec![number as u8; 1000]);
            let index = journal.propose(leader, body.clone()).await.unwrap();
            expected.push((index, leader, body));
        }
        let last = expected.last().unwrap().0;
        let all = take_to(&mut journal.follow(0), last).await;
        assert!(all.iter().map(|delivery| delivery.index).eq(1..=last));
        let records = all.into_iter().filter(|delivery| !delivery.record.is_empty());
        let found = records.map(|found| (found.index, found.leader, found.record));
        assert_eq!(found.collect::<Vec<_>>(), expected, "in round {round}");
        journal.shutdown().await;
        before = Some(leader);
    }
}

/// The leadership is announced only when everything older can be followed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leads_with_everything_at_hand() {
    let dir = TempDir::new().unwrap();
    let journal = open(dir.path()).await;
    let leader = leads(&journal).await;
    let last = journal.propose(leader, record(1)).await.unwrap();
    journal.shutdown().await;

    let journal = open(dir.path()).await;
    leads(&journal).await;
    let mut follow = journal.follow(0);
    let first = follow.next().await.unwrap().entry().unwrap();
    let rest = std::iter::from_fn(|| follow.try_next()).collect::<Vec<_>>();
    assert_eq!(first.index, 1);
    assert_eq!(rest.last().unwrap().index, last + 1, "up to this leader's own first entry");
    assert!(journal.barrier().await.unwrap() > last);
}

/// What a killed process leaves: the files as they are in the middle of the work.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_loses_nothing_acknowledged() {
    let dir = TempDir::new().unwrap();
    let journal = open(dir.path()).await;
    let leader = leads(&journal).await;
    for round in 0..20 {
        let mut last = 0;
        for number in 0..=round {
            last = journal.propose(leader, record(number)).await.unwrap();
        }
        let copy = TempDir::new().unwrap();
        for file in std::fs::read_dir(dir.path()).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
        }
        let crashed = open(copy.path()).await;
        let all = take_to(&mut crashed.follow(0), last).await;
        assert_eq!(all.last().unwrap().record, record(round));
        assert!(leads(&crashed).await > leader);
        crashed.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_journal_ends_too() {
    let dir = TempDir::new().unwrap();
    let journal = open(dir.path()).await;
    leads(&journal).await;
    let mut follow = journal.follow(1);
    drop(journal);
    assert!(soon(follow.next()).await.is_none());
    let again = async {
        loop {
            match Raft::open(config(dir.path())).await {
                Ok(journal) => return journal,
                Err(OpenError::InUse { .. }) => tokio::task::yield_now().await,
                Err(error) => panic!("{error}"),
            }
        }
    };
    leads(&soon(again).await).await;
    assert!(follow.next().await.is_none(), "an old follower is no follower of the new journal");
}

#[tokio::test]
async fn proposals_beyond_the_limit_wait_their_turn() {
    let dir = TempDir::new().unwrap();
    let config = Config { in_flight_bytes: 0, ..config(dir.path()) };
    let journal = Arc::new(Raft::open(config).await.unwrap());
    let leader = leads(&*journal).await;
    let tasks: Vec<_> = (0..10)
        .map(|_| {
            let journal = journal.clone();
            tokio::spawn(async move { journal.propose(leader, vec![1; 3 << 20].into()).await })
        })
        .collect();
    for task in tasks {
        soon(task).await.unwrap().unwrap();
    }
}
