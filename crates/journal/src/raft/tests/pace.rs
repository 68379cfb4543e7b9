//! What a checkpoint costs those who propose meanwhile. Nothing is asserted of times, machines differ.

use std::time::Duration;

use super::*;

/// Large enough for several syncs; for a figure that means something, make it 200 MiB.
const SNAPSHOT_BYTES: usize = 24 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn says_how_long_commits_wait_for_a_snapshot() {
    let dir = TempDir::new().unwrap();
    let journal = open_with_large_segments(dir.path()).await;
    let leader = leads(&*journal).await;
    let alone = times_of(&journal, leader, |count| count >= 1000).await;
    println!("commits alone: {}", figures(alone));
    // The third one trims the log and retires the first.
    for round in 1..=3 {
        let upto = journal.barrier().await.unwrap();
        let content: Snapshot = Box::new(|out| {
            let part = vec![7; 1 << 16];
            (0..SNAPSHOT_BYTES >> 16).try_for_each(|_| out.write_all(&part))
        });
        let start = Instant::now();
        let checkpoint = tokio::spawn({
            let journal = journal.clone();
            async move { journal.checkpoint(upto, content).await }
        });
        let during = times_of(&journal, leader, |_| checkpoint.is_finished()).await;
        let took = start.elapsed();
        checkpoint.await.unwrap().unwrap();
        println!("commits during checkpoint {round}, which took {took:?}: {}", figures(during));
    }
    journal.shutdown().await;
}

async fn open_with_large_segments(dir: &Path) -> Arc<Raft> {
    let config = Config { segment_bytes: 64 << 20, ..config(dir) };
    Arc::new(Raft::open(config).await.unwrap())
}

/// How long each of many small proposals took, one after the other.
async fn times_of(
    journal: &Raft,
    leader: LeaderId,
    enough: impl Fn(usize) -> bool,
) -> Vec<Duration> {
    let mut took = Vec::new();
    while !enough(took.len()) {
        let start = Instant::now();
        journal.propose(leader, Bytes::from(vec![1; 1000])).await.unwrap();
        took.push(start.elapsed());
    }
    took
}

fn figures(mut took: Vec<Duration>) -> String {
    took.sort();
    let count = took.len();
    let Some(longest) = took.last() else { return "none".to_owned() };
    let (median, slow) = (took[count / 2], took[count * 99 / 100]);
    format!("{count}, median {median:?}, 99% {slow:?}, longest {longest:?}")
}
