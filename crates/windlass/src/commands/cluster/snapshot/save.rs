//! `windlass cluster snapshot save`: from a node that serves to a file, checked on the way.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use node::cluster_snapshot::{Checked, Fault, check};
use proto::api::{SnapshotPiece, TakeSnapshotRequest};

use super::tell_missing;
use crate::client::{Client, Target};
use crate::failure::{Failure, chain};
use crate::show::out;

const EXAMPLES: &str = "\
Examples:
  windlass cluster snapshot save /backup/cluster.snap
  windlass cluster snapshot save - | ssh backup 'cat > cluster.snap'

It is of everything that was acknowledged before, and the work goes on
meanwhile. It has runs that have not ended, their lists of items, keys of
idempotency, tokens (as hashes) and nodes. It has no history, no output, and
no key: keep DATA_DIR/secrets.key beside it, or the secrets of its jobs are
lost. FILE appears whole or not at all.";

#[derive(clap::Args, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Args {
    /// Where to; `-` is stdout
    file: PathBuf,
}

/// Pieces that wait for the check of those before them.
const WAITING_MAX: usize = 4;

pub(super) async fn execute(args: Args, target: Target) -> Result<u8, Failure> {
    let mut place = Place::open(&args.file)?;
    let mut client = Client::connect(&target).await?;
    let checked = take(&mut client, &mut place).await?;
    place.finish()?;
    tell_missing(&checked);
    let (head, runs) = (&checked.head, checked.runs);
    let s = if runs == 1 { "" } else { "s" };
    out::note(format!(
        "cluster {} at index {} with {runs} run{s}, {}; keep DATA_DIR/secrets.key beside it",
        head.cluster_id,
        head.index,
        model::text::size(checked.bytes),
    ));
    Ok(0)
}

/// Hands every piece to the place, and to a thread that checks it.
async fn take(client: &mut Client, place: &mut Place) -> Result<Checked, Failure> {
    let what = "take a snapshot of the cluster";
    let answer = client.rpc.take_snapshot(TakeSnapshotRequest {}).await;
    let mut pieces = answer.map_err(|status| client.failure(what, &status))?.into_inner();
    let (sender, receiver) = sync_channel(WAITING_MAX);
    let checking = tokio::task::spawn_blocking(move || check(Pieces::new(receiver)));
    let taken = forward(client, &mut pieces, place, &sender).await;
    drop(sender);
    let checked = checking.await.map_err(|error| Failure::new(error.to_string()))?;
    taken?;
    checked.map_err(|fault| match fault {
        Fault::Cut { .. } => Failure::new(format!("cannot {what}: the node broke it off"))
            .hint("its log says why; then try again"),
        fault => Failure::new(format!("cannot {what}: {}", chain(&fault))),
    })
}

async fn forward(
    client: &Client,
    pieces: &mut tonic::Streaming<SnapshotPiece>,
    place: &mut Place,
    checked: &SyncSender<Vec<u8>>,
) -> Result<(), Failure> {
    loop {
        let piece = pieces.message().await;
        let piece = piece.map_err(|status| client.failure("take the whole snapshot", &status))?;
        let Some(SnapshotPiece { data }) = piece else { return Ok(()) };
        place.write(&data)?;
        // One that has found a fault takes no more, and says what it is.
        if checked.send(data).is_err() {
            return Ok(());
        }
    }
}

/// Where a snapshot goes.
enum Place {
    Stdout,
    /// Under another name until it is whole.
    File {
        file: File,
        new: PathBuf,
        path: PathBuf,
        is_whole: bool,
    },
}

impl Place {
    fn open(path: &Path) -> Result<Place, Failure> {
        if path == Path::new("-") {
            return match io::stdout().is_terminal() {
                true => Err(Failure::usage("a snapshot is nothing to look at")
                    .hint("name a file, or send it on: `windlass cluster snapshot save - | …`")),
                false => Ok(Place::Stdout),
            };
        }
        let name = path
            .file_name()
            .ok_or_else(|| Failure::usage(format!("`{}` names no file", path.display())))?;
        let new = path.with_file_name(format!(".{}.new", name.to_string_lossy()));
        let mut options = OpenOptions::new();
        let options = options.write(true).create(true).truncate(true).mode(0o600);
        let file = options.open(&new).map_err(|error| failed("create", &new, &error))?;
        Ok(Place::File { file, new, path: path.to_owned(), is_whole: false })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        match self {
            Place::Stdout => out::data(bytes),
            Place::File { file, new, .. } => {
                file.write_all(bytes).map_err(|error| failed("write", new, &error))
            }
        }
    }

    fn finish(&mut self) -> Result<(), Failure> {
        let Place::File { file, new, path, is_whole } = self else { return Ok(()) };
        file.sync_all().map_err(|error| failed("sync", new, &error))?;
        std::fs::rename(&*new, &*path).map_err(|error| failed("rename", new, &error))?;
        *is_whole = true;
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
        let dir = dir.unwrap_or_else(|| Path::new("."));
        let synced = File::open(dir).and_then(|dir| dir.sync_all());
        synced.map_err(|error| failed("sync", dir, &error))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Place::File { new, is_whole: false, .. } = self {
            let _ = std::fs::remove_file(new);
        }
    }
}

fn failed(what: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::new(format!("cannot {what} `{}`: {error}", path.display()))
}

/// Pieces as they come, to be read like a file.
struct Pieces {
    receiver: Receiver<Vec<u8>>,
    piece: Vec<u8>,
    taken: usize,
}

impl Pieces {
    fn new(receiver: Receiver<Vec<u8>>) -> Pieces {
        Pieces { receiver, piece: Vec::new(), taken: 0 }
    }
}

impl Read for Pieces {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.taken == self.piece.len() {
            match self.receiver.recv() {
                Ok(piece) => (self.piece, self.taken) = (piece, 0),
                Err(_) => return Ok(0),
            }
        }
        let count = out.len().min(self.piece.len() - self.taken);
        out[..count].copy_from_slice(&self.piece[self.taken..self.taken + count]);
        self.taken += count;
        Ok(count)
    }
}
