//! Lists of items on several nodes: a list is fetched where it is wanted and lacks, and spread to a
//! majority before a job names it.

use std::collections::BTreeSet;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use journal::raft::Raft;
use model::{Items, NodeId};
use peer::service::Refused as Turned;
use peer::{Dialer, journal_number};
use proto::peer::{Piece, copy_request::Wanted};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::{PIECE_BYTES, next};
use crate::blobs::{Blobs, Fault, Upload};
use crate::cluster::contacts::Contacts;
use crate::error::Refused;
use crate::view::View;

/// How long another node may take to have a list: it is 256 MiB at most.
const KEPT_WITHIN: Duration = Duration::from_secs(120);
/// How often it is looked which lists the live runs name.
const LOOK: Duration = Duration::from_secs(5);

/// The lists of this node, and the way to those of the others.
pub(crate) struct Lists {
    pub(crate) blobs: Arc<Blobs>,
    journal: Arc<Raft>,
    dialer: Arc<Dialer>,
    contacts: Arc<Contacts>,
    /// Held by whoever fetches: one at a time, so that none is fetched twice.
    fetching: tokio::sync::Mutex<()>,
}

impl Lists {
    pub(crate) fn new(
        blobs: Arc<Blobs>,
        journal: Arc<Raft>,
        dialer: Arc<Dialer>,
        contacts: Arc<Contacts>,
    ) -> Lists {
        Lists { blobs, journal, dialer, contacts, fetching: Default::default() }
    }

    /// How many items a list has. It is here from now on, for another while; it may have to be
    /// fetched.
    pub(crate) async fn count(&self, list: Items) -> Result<u32, Fault> {
        let others: Vec<NodeId> = self.contacts.all().into_iter().map(|(node, _)| node).collect();
        self.count_from(&others, list).await
    }

    /// As [`Lists::count`], asking these nodes for it.
    pub(crate) async fn count_from(&self, others: &[NodeId], list: Items) -> Result<u32, Fault> {
        if let Some(counted) = self.found(list).await {
            return counted;
        }
        let _one = self.fetching.lock().await;
        if let Some(counted) = self.found(list).await {
            return counted;
        }
        for node in others {
            match self.fetch(*node, list).await {
                Ok(()) => return blocking(&self.blobs, move |blobs| blobs.count(list)).await,
                Err(full @ Fault::NoRoom(_)) => return Err(full),
                Err(fault) => tracing::debug!(%node, "a list was not fetched: {fault}"),
            }
        }
        Err(Fault::Missing)
    }

    /// Answers once a majority of the nodes that vote has the list on disk. The others get it, too.
    pub(crate) async fn spread(&self, list: Items) -> Result<(), Refused> {
        let voters = self.voters();
        let own = self.journal.member().node;
        let wanted = voters.len() / 2 + 1;
        let mut kept = usize::from(voters.contains(&own));
        let mut under_way = JoinSet::new();
        for (node, _) in self.contacts.all() {
            if voters.contains(&journal_number(node)) {
                let dialer = self.dialer.clone();
                under_way.spawn(async move { dialer.keep_list(node, list, KEPT_WITHIN).await });
            }
        }
        let mut why = String::new();
        while kept < wanted {
            match under_way.join_next().await {
                Some(Ok(Ok(()))) => kept += 1,
                Some(Ok(Err(error))) => why = format!(": {error}"),
                Some(Err(error)) => why = format!(": {error}"),
                None => {
                    return Err(Refused::Unavailable(format!(
                        "the list is on {kept} of the {} nodes that vote, and has to be on {wanted} before a job may name it{why}\nhint: submit again once more nodes are there",
                        voters.len()
                    )));
                }
            }
        }
        under_way.detach_all();
        Ok(())
    }

    /// Fetches what live runs name and is not here, until the node stops: whoever comes to lead has
    /// it by then.
    pub(crate) async fn follow(self: Arc<Self>, views: watch::Receiver<Arc<View>>) {
        let mut seen = BTreeSet::new();
        loop {
            let view = views.borrow().clone();
            let named = named_by_live_runs(&view);
            for list in &named {
                if !seen.contains(list) && self.count(*list).await.is_ok() {
                    seen.insert(*list);
                }
            }
            seen.retain(|list| named.contains(list));
            tokio::time::sleep(LOOK).await;
            if views.has_changed().is_err() {
                return;
            }
        }
    }

    /// Sends the bytes of a list that is here.
    pub(super) async fn send(
        &self,
        list: Items,
        pieces: mpsc::Sender<Piece>,
    ) -> Result<(), Turned> {
        let sent = blocking(&self.blobs, move |blobs| {
            let mut bytes = blobs.verified(list)?;
            let mut file = Some("list".to_owned());
            loop {
                let mut piece = Vec::with_capacity(PIECE_BYTES);
                let read = bytes.by_ref().take(PIECE_BYTES as u64).read_to_end(&mut piece);
                let last = read.map_err(|error| Fault::io("read", error))? < PIECE_BYTES;
                let piece = Piece { file: file.take(), bytes: piece, last };
                if pieces.blocking_send(piece).is_err() || last {
                    return Ok(());
                }
            }
        });
        sent.await.map_err(|fault| Turned::Unavailable(fault.to_string()))
    }

    /// What the list has if it is here; `None`: it lacks, or is not what it was.
    async fn found(&self, list: Items) -> Option<Result<u32, Fault>> {
        match blocking(&self.blobs, move |blobs| blobs.count(list)).await {
            Err(Fault::Missing | Fault::Changed) => None,
            counted => Some(counted),
        }
    }

    async fn fetch(&self, node: NodeId, list: Items) -> Result<(), Fault> {
        let pieces = self.dialer.copy(node, Wanted::List(list.into())).await;
        let mut pieces = pieces.map_err(|error| Fault::Elsewhere(error.to_string()))?;
        let mut upload =
            blocking(&self.blobs, move |blobs| Upload::fetch(blobs, list.kind)).await?;
        loop {
            let Piece { bytes, last, .. } = next(&mut pieces).await.map_err(Fault::Elsewhere)?;
            upload = blocking(&self.blobs, move |_| {
                upload.write(&bytes)?;
                Ok(upload)
            })
            .await?;
            if last {
                break;
            }
        }
        match blocking(&self.blobs, move |_| upload.finish()).await?.items {
            stored if stored == list => Ok(()),
            _ => Err(Fault::Changed),
        }
    }

    /// The journals that vote, by their nodes' numbers.
    fn voters(&self) -> BTreeSet<u64> {
        let membership = self.journal.membership();
        let membership = membership.borrow();
        membership.voters().map(|role| role.member.node).collect()
    }
}

/// The lists that runs name which have not ended.
pub(crate) fn named_by_live_runs(view: &View) -> BTreeSet<Items> {
    let mut named = BTreeSet::new();
    for (_, run) in view.state.runs().iter() {
        named.extend(run.spec.tasks.iter().filter_map(|task| task.items));
    }
    named
}

async fn blocking<T: Send + 'static>(
    blobs: &Arc<Blobs>,
    work: impl FnOnce(Arc<Blobs>) -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    let blobs = blobs.clone();
    let done = tokio::task::spawn_blocking(move || work(blobs)).await;
    done.unwrap_or_else(|error| Err(Fault::Elsewhere(error.to_string())))
}
