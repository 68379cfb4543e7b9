//! Sending a snapshot: the file is read a chunk at a time, as fast as the other side takes it.

use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use openraft::{Snapshot, Vote};
use tokio::sync::mpsc;

use crate::Member;
use crate::raft::peers::{Link, Unreachable, unreachable};
use crate::raft::types::Types;
use crate::raft::wire::{Head, Message, Reply};

/// The size of a chunk.
const CHUNK_BYTES: usize = 1 << 20;
/// How many chunks are ahead of the network.
const CHUNKS_AHEAD: usize = 4;
/// How long the other side may take over a chunk when it has all of them.
const INSTALL_CHUNK: Duration = Duration::from_millis(200);

/// Sends it, and waits until it is installed.
///
/// Owned by whoever awaits it: dropped, it stops reading, and the other side sees a snapshot that is not whole.
pub(super) async fn send(
    link: &Arc<Link>,
    target: Member,
    vote: Vote<u64>,
    snapshot: Snapshot<Types>,
) -> Result<Reply, Unreachable> {
    let head = Message::Snapshot(Head { vote, meta: snapshot.meta });
    let head = head.encode(link.envelope(target.number()));
    let (chunks, out) = mpsc::channel(CHUNKS_AHEAD);
    let stall = link.timing.stall;
    // The file goes with the future: it is not shortened while it is read.
    let feed = async {
        let mut source = snapshot.snapshot;
        let mut sent = 0;
        loop {
            let read = link.blocking.run(move || {
                let chunk = read(&mut source.file);
                (source, chunk)
            });
            let chunk = match read.await {
                Ok((back, Ok(chunk))) => {
                    source = back;
                    chunk
                }
                Ok((_, Err(error))) => return unreachable(target, error.to_string()),
                Err(error) => return unreachable(target, error.to_string()),
            };
            if chunk.is_empty() {
                break;
            }
            sent += 1;
            if !matches!(tokio::time::timeout(stall, chunks.send(chunk)).await, Ok(Ok(()))) {
                return unreachable(target, format!("it took no part of a snapshot for {stall:?}"));
            }
        }
        drop(chunks);
        // It is checked, copied and synced there.
        tokio::time::sleep(stall + INSTALL_CHUNK * sent).await;
        unreachable(target, "it did not say that the snapshot is installed".to_owned())
    };
    tokio::select! {
        biased;
        answer = link.peers.send_snapshot(target.node, head, out) => link.read(target, answer?),
        failed = feed => Err(failed),
    }
}

fn read(file: &mut File) -> io::Result<Bytes> {
    let mut chunk = Vec::with_capacity(CHUNK_BYTES);
    file.by_ref().take(CHUNK_BYTES as u64).read_to_end(&mut chunk)?;
    Ok(chunk.into())
}
