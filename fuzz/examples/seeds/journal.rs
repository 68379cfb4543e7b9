//! The files of a real journal that took a few records and two snapshots.

use std::fs;
use std::io;
use std::path::Path;

use bytes::Bytes;
use journal::raft::{Config, Raft};
use journal::{Journal as _, LeaderId, Leadership};

/// Bytes behind the last record that are kept: zeros say no more, however many.
const ZEROS_KEPT: usize = 64;

/// Target, name and bytes of each file.
pub(crate) fn all() -> io::Result<Vec<(&'static str, String, Vec<u8>)>> {
    let directory = std::env::temp_dir().join(format!("windlass-seeds-{}", std::process::id()));
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(live(&directory));
    let mut files = Vec::new();
    let entries = fs::read_dir(&directory)?.map(|entry| entry.map(|entry| entry.path()));
    let mut paths = entries.collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    for path in paths {
        let target = match path.extension().and_then(|extension| extension.to_str()) {
            Some("log") => "journal_segment",
            Some("snapshot") => "journal_snapshot",
            _ => continue,
        };
        let mut bytes = fs::read(&path)?;
        let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        bytes.truncate(end + ZEROS_KEPT);
        files.push((target, format!("seed-{}", files.len()), bytes));
    }
    fs::remove_dir_all(&directory)?;
    Ok(files)
}

async fn live(directory: &Path) {
    let config =
        Config { dir: directory.to_owned(), node: 1, segment_bytes: 1 << 20, ..Config::default() };
    let journal = Raft::open(config).await.expect("a journal opens in an empty directory");
    let leader = leader(&journal).await;
    let mut last = 0;
    for round in 0..3_u8 {
        for number in 0..4_u8 {
            let record = Bytes::from(vec![round; 10 + usize::from(number)]);
            last = journal.propose(leader, record).await.expect("the leader proposes");
        }
        if round < 2 {
            let snapshot = move |to: &mut dyn io::Write| to.write_all(&[round; 40]);
            journal.checkpoint(last, Box::new(snapshot)).await.expect("a snapshot is written");
        }
    }
    journal.shutdown().await;
}

async fn leader(journal: &Raft) -> LeaderId {
    let mut leadership = journal.leadership();
    let leads = |now: &Leadership| matches!(now, Leadership::Leader(_));
    let now = leadership.wait_for(leads).await.expect("the journal is there").clone();
    match now {
        Leadership::Leader(leader) => leader,
        other => unreachable!("waited for a leader, found {other:?}"),
    }
}
