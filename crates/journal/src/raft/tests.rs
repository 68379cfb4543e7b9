//! The Raft journal as a whole: the promises, restarts, and its death.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Instant;

use openraft::StorageError;
use openraft::testing::{StoreBuilder, Suite};
use tempfile::TempDir;

use super::*;
use crate::conformance::{self, dies, leads, record, soon, take_to};

const NODE: u64 = 7;

fn config(dir: &Path) -> Config {
    Config { dir: dir.to_owned(), node: NODE, segment_bytes: 64 << 10, ..Config::default() }
}

async fn open(dir: &Path) -> Raft {
    Raft::open(config(dir)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keeps_the_promises() {
    let dir = TempDir::new().unwrap();
    conformance::check(open(dir.path()).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keeps_the_promises_without_a_cache() {
    let dir = TempDir::new().unwrap();
    let config = Config { cache_bytes: 0, ..config(dir.path()) };
    conformance::check(Raft::open(config).await.unwrap()).await;
}
