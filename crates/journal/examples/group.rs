//! How fast a group of three is: three journals in this process, on this disk, with nothing but function calls between.
//!
//! `cargo run --release -p journal --example group -- DIR`

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use journal::raft::{Answer, Config, Peers, Raft, Start, Unreachable};
use journal::{Journal, LeaderId, Leadership};
use tokio::sync::mpsc;

/// All of them, by node.
#[derive(Default)]
struct Everybody(Mutex<BTreeMap<u64, Weak<Raft>>>);

struct End {
    node: u64,
    all: Arc<Everybody>,
}

impl End {
    fn journal(&self, node: u64) -> Result<Arc<Raft>, Unreachable> {
        let all = self.all.0.lock().expect("no holder of the lock panics");
        let journal = all.get(&node).and_then(Weak::upgrade);
        journal.ok_or_else(|| Unreachable { node, reason: "it does not run".to_owned() })
    }
}

impl Peers for End {
    fn call(&self, node: u64, message: Bytes, _deadline: Duration) -> Answer<'_> {
        Box::pin(async move { Ok(self.journal(node)?.receive(self.node, message).await) })
    }

    fn send_snapshot(&self, node: u64, head: Bytes, chunks: mpsc::Receiver<Bytes>) -> Answer<'_> {
        Box::pin(
            async move { Ok(self.journal(node)?.receive_snapshot(self.node, head, chunks).await) },
        )
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let dir =
        std::env::args().nth(1).ok_or("name a directory on the disk that is to be measured")?;
    for count in [1, 3] {
        let journals = group(Path::new(&dir), count).await?;
        let leader = leads(&journals[0]).await?;
        println!("{count} voters");
        for bytes in [1 << 10, 100 << 10] {
            measure(&journals[0], leader, bytes).await?;
        }
        for journal in journals {
            journal.shutdown().await;
        }
    }
    Ok(())
}

async fn group(dir: &Path, count: u64) -> Result<Vec<Arc<Raft>>, Box<dyn Error>> {
    let all = Arc::new(Everybody::default());
    let mut journals: Vec<Arc<Raft>> = Vec::new();
    for node in 1..=count {
        let dir = dir.join(format!("{count}-{node}"));
        if dir.exists() {
            return Err(format!("`{}` is there already", dir.display()).into());
        }
        let start = if node == 1 { Start::Found } else { Start::Join };
        let config = Config { dir, node, start, ..Config::default() };
        let end = Arc::new(End { node, all: all.clone() });
        let journal = Arc::new(Raft::open_among(config, end).await?);
        all.0.lock().expect("no holder of the lock panics").insert(node, Arc::downgrade(&journal));
        if let Some(first) = journals.first() {
            leads(first).await?;
            first.add_learner(journal.member()).await?;
        }
        journals.push(journal);
    }
    let voters = journals.iter().map(|journal| journal.member().number()).collect();
    leads(&journals[0]).await?;
    journals[0].promote(voters).await?;
    Ok(journals)
}

async fn leads(journal: &Raft) -> Result<LeaderId, Box<dyn Error>> {
    let mut leadership = journal.leadership();
    let leads = leadership.wait_for(|now| matches!(now, Leadership::Leader(_))).await?.clone();
    match leads {
        Leadership::Leader(leader) => Ok(leader),
        other => Err(format!("it does not lead: {other:?}").into()),
    }
}

async fn measure(
    journal: &Arc<Raft>,
    leader: LeaderId,
    bytes: usize,
) -> Result<(), Box<dyn Error>> {
    let record = Bytes::from(vec![7; bytes]);
    for at_once in [1, 16, 64] {
        let total = if bytes > 10_000 { 640 } else { 6400 };
        let start = Instant::now();
        let tasks: Vec<_> = (0..at_once)
            .map(|_| {
                let (journal, record) = (journal.clone(), record.clone());
                tokio::spawn(async move {
                    let mut took = Vec::new();
                    for _ in 0..total / at_once {
                        let start = Instant::now();
                        journal.propose(leader, record.clone()).await?;
                        took.push(start.elapsed());
                    }
                    Ok::<_, journal::ProposeError>(took)
                })
            })
            .collect();
        let mut took = Vec::new();
        for task in tasks {
            took.extend(task.await??);
        }
        took.sort();
        let rate = took.len() as f64 / start.elapsed().as_secs_f64();
        let [median, slow] = [50, 99].map(|percent| took[took.len() * percent / 100]);
        println!(
            "  {} KiB, {at_once} at once: {rate:.0}/s, median {median:.2?}, p99 {slow:.2?}",
            bytes >> 10
        );
    }
    Ok(())
}
