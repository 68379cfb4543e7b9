//! A list of items that is given to the elements of an array: read here, kept by the node.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use model::{Items, ItemsKind};
use proto::api::{UploadRequest, upload_request::Part};
use proto::job::items::Kind;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio_stream::wrappers::ReceiverStream;

use crate::client::Client;
use crate::failure::Failure;
use crate::show::progress::Progress;

/// Bytes of one piece on its way, and pieces that are.
const PIECE_BYTES: usize = 256 << 10;
const PIECES_MAX: usize = 4;

#[derive(clap::Args, Debug)]
pub(super) struct ItemsArgs {
    /// One element a line of FILE (`-`: stdin), which it finds as WINDLASS_ITEM
    #[arg(long, value_name = "FILE", conflicts_with = "each_item")]
    each_line: Option<PathBuf>,
    /// One element an item of the JSON list in FILE (`-`: stdin)
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    each_item: Option<PathBuf>,
}

impl ItemsArgs {
    pub(super) fn list(&self) -> Option<(&Path, ItemsKind)> {
        let lines = self.each_line.as_deref().map(|path| (path, ItemsKind::Lines));
        lines.or(self.each_item.as_deref().map(|path| (path, ItemsKind::Json)))
    }
}

/// Gives the list to the node; answers with its name and how many items it has.
pub(super) async fn upload(
    client: &mut Client,
    path: &Path,
    kind: ItemsKind,
) -> Result<(Items, u32), Failure> {
    let name = if is_stdin(path) { "stdin".to_owned() } else { path.display().to_string() };
    let what = format!("give `{name}` to the node");
    let (sender, pieces) = mpsc::channel(PIECES_MAX);
    let mut rpc = client.rpc.clone();
    let call = rpc.upload(ReceiverStream::new(pieces));
    let mut progress = Progress::new();
    let length = std::fs::metadata(path).ok().filter(|meta| meta.is_file()).map(|meta| meta.len());
    let sent = |bytes| progress.bytes("sent", bytes, length);
    let reading = feed(read(path), kind, sender.clone(), sent);
    tokio::pin!(call, reading);
    let mut sender = Some(sender);
    let answer = loop {
        tokio::select! {
            answer = &mut call => break answer,
            read = &mut reading, if sender.is_some() => match read {
                // With the last sender gone the node knows that this was all.
                Ok(()) => sender = None,
                // Half of a list must not pass for the whole: the call is dropped before that.
                Err(error) => return Err(Failure::new(format!("cannot read `{name}`: {error}"))),
            },
        }
    };
    let answer = answer.map_err(|status| client.failure(&what, &status))?.into_inner();
    let blob = answer.blob.try_into();
    let blob = blob.map_err(|_| Failure::new(format!("cannot {what}: it gave no name for it")))?;
    if answer.items == 0 {
        return Err(Failure::usage(format!("`{name}` has no items: there is nothing to run")));
    }
    Ok((Items { blob, kind }, answer.items))
}

fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

/// Reads the list on a thread of its own, for a read may wait.
fn read(path: &Path) -> Receiver<io::Result<Vec<u8>>> {
    let (sender, pieces) = mpsc::channel(PIECES_MAX);
    let path = path.to_owned();
    std::thread::spawn(move || {
        let mut file: Box<dyn Read> = match is_stdin(&path) {
            true => Box::new(io::stdin().lock()),
            false => match File::open(&path) {
                Ok(file) => Box::new(file),
                Err(error) => return drop(sender.blocking_send(Err(error))),
            },
        };
        loop {
            let mut piece = vec![0; PIECE_BYTES];
            let read = match file.read(&mut piece) {
                Ok(0) => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                read => read,
            };
            let read = read.map(|length| {
                piece.truncate(length);
                piece
            });
            let failed = read.is_err();
            if sender.blocking_send(read).is_err() || failed {
                return; // Nobody wants more, or there is none.
            }
        }
    });
    pieces
}

/// Passes on the kind, then the bytes.
async fn feed(
    mut pieces: Receiver<io::Result<Vec<u8>>>,
    kind: ItemsKind,
    sender: Sender<UploadRequest>,
    mut sent: impl FnMut(u64),
) -> io::Result<()> {
    let kind = match kind {
        ItemsKind::Lines => Kind::Lines,
        ItemsKind::Json => Kind::Json,
    };
    let mut part = Part::Kind(kind as i32);
    let mut bytes = 0;
    loop {
        if sender.send(UploadRequest { part: Some(part) }).await.is_err() {
            return Ok(()); // The node has answered already.
        }
        match pieces.recv().await {
            Some(piece) => {
                let piece = piece?;
                bytes += piece.len() as u64;
                sent(bytes);
                part = Part::Data(piece);
            }
            None => return Ok(()),
        }
    }
}
