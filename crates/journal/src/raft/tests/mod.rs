//! The Raft journal as a whole: the promises, restarts, its death, and openraft's own tests of the store.

mod death;
mod disk;
mod group;
mod pace;
mod restart;
mod restore;
mod snapshots;
mod suite;

use std::path::Path;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Instant;

use tempfile::TempDir;

use super::*;
use crate::conformance::{self, dies, leads, record, soon, take_to};

fn config(dir: &Path) -> Config {
    Config { dir: dir.to_owned(), node: 7, segment_bytes: 64 << 10, ..Config::default() }
}

async fn open(dir: &Path) -> Raft {
    Raft::open(config(dir)).await.unwrap()
}

async fn open_on(disk: &Disk, config: Config) -> Raft {
    Raft::open_on(disk.clone(), config, Arc::new(Nobody)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keeps_the_promises() {
    let dir = TempDir::new().unwrap();
    conformance::check(open(dir.path()).await).await;
}

#[tokio::test]
async fn keeps_the_promises_without_a_cache_on_one_thread() {
    let dir = TempDir::new().unwrap();
    let config = Config { cache_bytes: 0, ..config(dir.path()) };
    conformance::check(Raft::open(config).await.unwrap()).await;
}

/// Says how fast it is here; nothing is asserted, machines differ.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn says_how_fast_it_is() {
    let dir = TempDir::new().unwrap();
    let journal =
        Raft::open(Config { segment_bytes: 8 << 20, ..config(dir.path()) }).await.unwrap();
    let leader = leads(&journal).await;
    let count = 300;
    let mut took = Vec::new();
    for _ in 0..count {
        let start = Instant::now();
        journal.propose(leader, Bytes::from(vec![1; 1000])).await.unwrap();
        took.push(start.elapsed());
    }
    took.sort();
    let journal = Arc::new(journal);
    let start = Instant::now();
    let tasks: Vec<_> = (0..2000)
        .map(|_| {
            let journal = journal.clone();
            tokio::spawn(async move { journal.propose(leader, Bytes::from(vec![1; 1000])).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    let rate = 2000.0 / start.elapsed().as_secs_f64();
    let (median, slow) = (took[count / 2], took[count * 99 / 100]);
    println!("a proposal of 1 kB: median {median:?}, 99% {slow:?}; 2000 at once: {rate:.0}/s");
    journal.shutdown().await;
}
