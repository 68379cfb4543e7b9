//! The history of another control node, for one that goes on from a snapshot.
//!
//! The entries that the snapshot stands for are never seen here, so their facts come as the files of
//! a node that has them. What ends meanwhile waits: the files take the place of all that is here.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use history::{Copied, Fact, History};
use model::NodeId;
use peer::Dialer;
use peer::service::Refused as Turned;
use proto::peer::Piece;
use proto::peer::copy_request::{History as Wanted, Wanted as Kind};
use tokio::sync::mpsc;

use super::{PIECE_BYTES, next};
use crate::beside::in_place;
use crate::cluster::contacts::Contacts;

/// How often all control nodes are asked, and how long it is waited in between.
const ROUNDS: usize = 20;
const AGAIN: Duration = Duration::from_secs(3);
/// Facts that wait for the files at most; more of them, and history goes on without the files.
const WAITING_MAX: usize = 1_000_000;

/// Fetches history.
pub(crate) struct Copier {
    pub(crate) history: Arc<History>,
    pub(crate) dialer: Arc<Dialer>,
    pub(crate) contacts: Arc<Contacts>,
    pub(crate) runtime: tokio::runtime::Handle,
}

/// What ended while history is fetched.
#[derive(Default)]
pub(crate) struct Filling {
    entries: Vec<(u64, Vec<Fact>)>,
    facts: usize,
}

impl Filling {
    /// Keeps facts until the files are there; `false`: they are too many to wait any longer.
    pub(crate) fn add(&mut self, entries: Vec<(u64, Vec<Fact>)>) -> bool {
        self.facts += entries.iter().map(|(_, facts)| facts.len()).sum::<usize>();
        self.entries.extend(entries);
        self.facts <= WAITING_MAX
    }

    /// What has waited.
    pub(crate) fn entries(self) -> Vec<(u64, Vec<Fact>)> {
        self.entries
    }
}

impl Copier {
    /// Begins to fetch the history up to this entry, and tells in the end whether it is here.
    pub(crate) fn begin<D>(&self, through: u64, done: impl FnOnce(bool) -> D + Send + 'static)
    where
        D: Future<Output = ()> + Send,
    {
        let (history, dialer) = (self.history.clone(), self.dialer.clone());
        let contacts = self.contacts.clone();
        self.runtime.spawn(async move {
            let copied = fetch(&history, &dialer, &contacts, through).await;
            done(copied).await;
        });
    }
}

/// Whether some node has given all of it.
async fn fetch(history: &History, dialer: &Dialer, contacts: &Contacts, through: u64) -> bool {
    for _ in 0..ROUNDS {
        let others = contacts.all();
        if others.is_empty() {
            return false;
        }
        for (node, _) in others {
            match fetch_from(history, dialer, node, through).await {
                Ok(bytes) => {
                    tracing::info!(%node, bytes, "history was copied from another node");
                    return true;
                }
                Err(why) => tracing::debug!(%node, "history was not copied: {why}"),
            }
        }
        tokio::time::sleep(AGAIN).await;
    }
    false
}

async fn fetch_from(
    history: &History,
    dialer: &Dialer,
    node: NodeId,
    through: u64,
) -> Result<u64, String> {
    let text = |error: &dyn std::error::Error| error.to_string();
    let wanted = Kind::History(Wanted { through });
    let mut pieces = dialer.copy(node, wanted).await.map_err(|error| text(&error))?;
    let mut incoming = history.incoming().map_err(|error| text(&error))?;
    let mut total = 0;
    loop {
        let Piece { file, bytes, last } = next(&mut pieces).await?;
        total += bytes.len() as u64;
        in_place(|| {
            if let Some(name) = file {
                incoming.begin(&name)?;
            }
            if bytes.is_empty() { Ok(()) } else { incoming.write(&bytes) }
        })
        .map_err(|error| text(&error))?;
        if last {
            break;
        }
    }
    let finished = in_place(|| incoming.finish());
    finished.map_err(|error| text(&error))?;
    Ok(total)
}

/// Sends the files of this node's history, once they have the facts of all entries up to `through`.
pub(super) async fn send(
    history: Arc<History>,
    through: u64,
    pieces: mpsc::Sender<Piece>,
) -> Result<(), Turned> {
    let failed = |error: &dyn std::error::Error| Turned::Unavailable(error.to_string());
    let files = in_place(|| history.files(through)).map_err(|error| failed(&error))?;
    let lacking = || Turned::Unavailable("history lacks entries here, too".to_owned());
    for copied in files.ok_or_else(lacking)? {
        if send_file(copied, &pieces).await.map_err(|error| failed(&error))?.is_none() {
            return Ok(());
        }
    }
    let end = Piece { last: true, ..Piece::default() };
    let _ = pieces.send(end).await; // Whoever asked may have gone.
    Ok(())
}

/// `None`: nobody takes it any more.
async fn send_file(copied: Copied, pieces: &mpsc::Sender<Piece>) -> std::io::Result<Option<()>> {
    let Copied { name, file, bytes } = copied;
    let mut rest = file.take(bytes);
    let mut name = Some(name);
    loop {
        let mut piece = Vec::with_capacity(PIECE_BYTES);
        let count = in_place(|| rest.by_ref().take(PIECE_BYTES as u64).read_to_end(&mut piece))?;
        if count == 0 && name.is_none() {
            return Ok(Some(()));
        }
        let piece = Piece { file: name.take(), bytes: piece, last: false };
        if pieces.send(piece).await.is_err() {
            return Ok(None);
        }
    }
}
